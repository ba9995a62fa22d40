"""The page of a cadence that shows how far its learners came, and what held messages back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from activity.access import viewable
from activity.models import Course
from activity.switch import chosen_course
from common.admin import list_url
from common.clock import utc_now
from config.views.counting import counted
from experiments.models import Arm
from experiments.reporting.reasons import reason_text
from interventions.admin.ledger_filters import NO_REASON, ReasonNowFilter
from interventions.charts import Bar, funnel_chart
from interventions.models import Cadence, Delivery, Step
from interventions.queries.archive import kept_since
from interventions.queries.funnel import WAITING, CadenceFunnel, Funnel, Unsent, cadence_funnel
from interventions.views.row_ids import row_id

WIDTHS = {"wide": 640, "narrow": 210}
# What became of learners to whom nothing was sent, as the report of an experiment says it.
FATES = {
    "planned": "Waiting",
    "claimed": "Just going out",
    "dropped": "Not sent",
    "expired": "Not sent in time",
    "failed": "Failed",
}
# A playbook may be kept for more courses than a list can show.
MOST_COURSES = 200
# The latest courses of the site whose messages are counted.
MOST_COUNTED = 5_000


@dataclass(frozen=True)
class Stage:
    """A stage with its number of learners, None if nobody reports it, and its share in words."""

    name: str
    number: int | None
    share: str
    meaning: str


@dataclass(frozen=True)
class HeldBack:
    """A number of learners to whom nothing was sent, why, and the address of the messages."""

    words: str
    number: int
    address: str


@dataclass(frozen=True)
class FunnelLine:
    """The funnel of a step or of an arm, as a row of a table."""

    name: str
    address: str
    funnel: Funnel
    ghost: bool = False


@dataclass(frozen=True)
class Shown:
    """What the page shows of the numbers."""

    funnel: Funnel
    stages: list[Stage]
    plots: list[tuple[str, SafeString]]
    held_back: list[HeldBack]
    ghosts: Funnel
    ghosts_held_back: list[HeldBack]
    steps: list[FunnelLine]
    arms: list[FunnelLine]
    goal_is_partial: bool


@never_cache
@require_safe
@staff_member_required
@permission_required("interventions.view_delivery", raise_exception=True)
def cadence_funnel_page(request: HttpRequest, cadence_id: int) -> HttpResponse:
    """Show how far the learners of the cadence came: all its steps or one, in one course or all."""
    related = ("segment__playbook", "arm__experiment")
    seen = viewable(Cadence.objects.select_related(*related), request.user)
    cadence = get_object_or_404(seen, pk=cadence_id)
    steps = list(cadence.steps.select_related("template").order_by("position"))
    courses = list(_courses(cadence, request)[:MOST_COURSES])
    course, step = _asked_course(request, courses), _asked_step(request, steps)
    # A course that the playbook no longer keeps has messages too.
    seen_courses = viewable(Course.objects.order_by("-starts_on", "key"), request.user)
    counting = [course] if course else list(seen_courses[:MOST_COUNTED])
    count = counted(request, counting, partial(cadence_funnel, cadence, counting, now=utc_now()))
    shown = {
        "cadence": cadence,
        "steps": steps,
        "step": step,
        "courses": courses,
        "course": course,
        "experiment": cadence.arm.experiment if cadence.arm else None,
        "count": count,
        "kept_since": kept_since(now=utc_now()),
        "shown": count.found and _Page(cadence, steps, step, course, request).shown(count.found),
    }
    return render(request, "config/funnel.html", shown)


def _courses(cadence: Cadence, request: HttpRequest) -> QuerySet[Course]:
    """Return the courses to which the cadence may send."""
    seen = viewable(Course.objects.order_by("-starts_on", "key"), request.user)
    if cadence.segment is None:
        return seen
    return seen.filter(playbooks=cadence.segment.playbook_id)


def _asked_course(request: HttpRequest, courses: Sequence[Course]) -> Course | None:
    chosen = chosen_course(request)
    asked = request.GET.get("course", str(chosen.pk) if chosen else "")
    return next((course for course in courses if str(course.pk) == asked), None)


def _asked_step(request: HttpRequest, steps: Sequence[Step]) -> Step | None:
    asked = request.GET.get("step", "")
    if not asked:
        return None
    found = next((step for step in steps if step.pk == row_id(asked)), None)
    if found is None:
        raise Http404
    return found


@dataclass(frozen=True)
class _Page:
    """What is asked for: all steps or one, all courses or one."""

    cadence: Cadence
    steps: Sequence[Step]
    step: Step | None
    course: Course | None
    request: HttpRequest

    def shown(self, found: CadenceFunnel) -> Shown:
        """Return what the page shows of the numbers. One query if arms are among them."""
        funnel, ghosts = found.whole, found.ghosts
        if self.step:
            funnel = found.by_step.get(self.step.pk, Funnel())
            ghosts = found.ghosts_by_step.get(self.step.pk, Funnel())
        stages = list(stages_of(funnel, has_goal=self.cadence.goal_rule is not None))
        return Shown(
            funnel=funnel,
            stages=stages,
            plots=_plots(stages, funnel.planned),
            held_back=[self._held_back(each, ghost=0) for each in funnel.unsent],
            ghosts=ghosts,
            ghosts_held_back=[self._held_back(each, ghost=1) for each in ghosts.unsent],
            steps=list(self._step_lines(found)),
            arms=[] if self.step else list(_arm_lines(found, self.request)),
            goal_is_partial=found.goal_is_partial,
        )

    def _held_back(self, unsent: Unsent, *, ghost: int) -> HeldBack:
        """Return the number with the address of the list of its messages."""
        words = FATES.get(unsent.state, unsent.state)
        if unsent.reason:
            words = f"{words}, because {reason_text(unsent.reason)}"
        rows = {"state__exact": unsent.state, "ghost__exact": ghost}
        # The list gives a hold as the reason of a message that waits, so its own would find none.
        if unsent.state not in WAITING:
            rows[ReasonNowFilter.parameter_name] = unsent.reason or NO_REASON
        if self.step:
            rows["step__id__exact"] = self.step.pk
        else:
            rows["step__cadence__id__exact"] = self.cadence.pk
        if self.course:
            rows["enrollment__course__id__exact"] = self.course.pk
        return HeldBack(words, unsent.number, list_url(Delivery, rows))

    def _step_lines(self, found: CadenceFunnel) -> Iterator[FunnelLine]:
        """Yield the steps, if there are several."""
        for step in self.steps if len(self.steps) > 1 else ():
            name = f"{step.position + 1}. {step.template.name}"
            query = f"?step={step.pk}" + (f"&course={self.course.pk}" if self.course else "")
            address = reverse("cadence-funnel", args=(step.cadence_id,)) + query
            yield FunnelLine(name, address, found.by_step.get(step.pk, Funnel()))


def stages_of(funnel: Funnel, *, has_goal: bool) -> Iterator[Stage]:
    """Yield the stages. What nobody reports has no number, and no other number is a share of it."""
    sent = funnel.sent
    yield Stage("Planned", funnel.planned, "", "a message was planned")
    yield Stage("Sent", sent, _share(sent, funnel.planned, "planned"), "the receiver accepted one")
    delivered = funnel.delivered if funnel.has_reports else None
    meaning = "it reached the mailbox, as the mail provider reports or an open or a click shows"
    yield Stage("Delivered", delivered, _share(delivered, sent, "sent"), meaning)
    of, name = (funnel.delivered, "delivered") if funnel.has_reports else (sent, "sent")
    opened, clicked = (funnel.opened, funnel.clicked) if funnel.has_opens else (None, None)
    yield Stage("Opened", opened, _share(opened, of, name), "a person opened one, or clicked in it")
    yield Stage("Clicked", clicked, _share(clicked, of, name), "a person clicked a link in one")
    goal = funnel.goal if has_goal else None
    yield Stage("Goal reached", goal, _share(goal, sent, "sent"), "the goal of the cadence is true")


def _share(number: int | None, of: int, name: str) -> str:
    return f"{100 * number / of:.0f} % of the {of:,} {name}" if number is not None and of else ""


def _plots(stages: Iterable[Stage], planned: int) -> list[tuple[str, SafeString]]:
    """Return the plot for wide and for narrow windows, of the stages that have a number."""
    if not planned:
        return []
    bars = tuple(
        Bar(stage.name, stage.number, f"({100 * stage.number / planned:.0f} %)")
        for stage in stages
        if stage.number is not None
    )
    # The drawing library escapes all texts, and the drawing has none of a user.
    return [
        (size, mark_safe(funnel_chart(bars, width=width)))  # noqa: S308
        for size, width in WIDTHS.items()
    ]


def _arm_lines(found: CadenceFunnel, request: HttpRequest) -> Iterator[FunnelLine]:
    """Yield the arms, if any run belongs to one. One query."""
    ids = {each for each in (*found.by_arm, *found.ghosts_by_arm) if each is not None}
    if not ids:
        return
    arms = viewable(Arm.objects.filter(pk__in=ids), request.user).in_bulk()
    for ghost, by_arm in ((False, found.by_arm), (True, found.ghosts_by_arm)):
        for arm_id, funnel in by_arm.items():
            arm = arms.get(arm_id) if arm_id else None
            name = arm.own_name if arm else "outside the experiment"
            yield FunnelLine(f"{name} (ghosts)" if ghost else name, "", funnel, ghost)
