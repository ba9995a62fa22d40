"""The steps that make a new course ready for its first message, in their order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from activity.models import Course, ItemKind
from common.dates import instant_text
from interventions.models import Cadence, CadenceStatus
from segmentation.models import Segment, SegmentStatus

# The kinds of items without which most of the five segments stay empty.
NEEDED = {ItemKind.MODULE: "modules", ItemKind.QUIZ: "quizzes"}


# Without these, no message goes out.
REQUIRED = {"segments", "live", "nudge"}


@dataclass(frozen=True)
class SetupStep:
    """One step: its name, and a sentence that says that it is done, or what is to do.

    `drafts` are cadences that only have to be activated.
    """

    name: str
    done: str = ""
    todo: str = ""
    drafts: int = 0


def steps_of(course: Course, *, now: datetime) -> list[SetupStep]:
    """Return the steps of a course, none for a simulated one. Five queries."""
    if course.clock_stopped_at is not None:
        return []
    return [
        _learners(course),
        _items(course),
        *_segments_and_nudge(course, _live(course, now)),
    ]


def _learners(course: Course) -> SetupStep:
    if course.enrollments.exists():
        return SetupStep("learners", done="Its learners are here.")
    return SetupStep("learners", todo="No learner takes the course yet.")


def _items(course: Course) -> SetupStep:
    kinds = course.items.filter(kind__in=NEEDED).order_by().values_list("kind", flat=True)
    found = set(kinds.distinct())
    missing = [word for kind, word in NEEDED.items() if kind not in found]
    if not missing:
        return SetupStep("items", done="Its modules and quizzes are here.")
    said = f"It has no {' and no '.join(missing)} yet."
    return SetupStep("items", todo=f"{said} Most segments look at them and stay empty until then.")


def _live(course: Course, now: datetime) -> SetupStep:
    if course.live_since is None:
        return SetupStep("live", todo="It is not live, so no message goes out.")
    if course.live_since > now:
        begins = instant_text(course.live_since, zone=course.time_zone)
        return SetupStep("live", todo=f"It goes live on {begins}. No message goes out before.")
    return SetupStep("live", done="It is live.")


def _segments_and_nudge(course: Course, live: SetupStep) -> Iterator[SetupStep]:
    """Yield the segments, the go-live, and the nudge after it.

    A nudge for those already in finds nobody in a course that is not live.
    """
    active = Segment.objects.filter(playbook__courses=course, status=SegmentStatus.ACTIVE)
    if not active.exists():
        yield SetupStep("segments", todo="No active segment looks at it yet.")
    else:
        yield SetupStep("segments", done="Segments look at its learners.")
    yield live
    yield _nudge(list(Cadence.objects.filter(segment__in=active).values_list("status", flat=True)))


def _nudge(statuses: Sequence[str]) -> SetupStep:
    """Return the step of the cadences with these states."""
    if CadenceStatus.ACTIVE in statuses:
        return SetupStep("nudge", done="A nudge is started.")
    drafts = statuses.count(CadenceStatus.DRAFT)
    todo = "No nudge is started for its learners yet."
    if drafts:
        # Those of a shipped playbook are complete, so nobody has to write them again.
        waits = "1 draft waits" if drafts == 1 else f"{drafts} drafts wait"
        todo += f" {waits} to be read and activated."
    return SetupStep("nudge", todo=todo, drafts=drafts)
