"""The check of a plan before the start: learners to come, power, replays, overlap and messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, ClassVar, Protocol

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from activity.access import Viewer
from activity.texts import with_courses
from common.clock import utc_now
from common.dates import instant_text
from experiments.models import Experiment, ExperimentStatus
from experiments.operations import check_experiment
from experiments.protocol import ExperimentProtocol, ProtocolError
from experiments.queries import courses_of, design_problems, draft_problems
from experiments.queries.overlap import overlaps
from experiments.queries.planning import MOST_DRAWN, Checked, kept_replays, protocol_now
from experiments.reporting.check import (
    chance_text,
    correlation_text,
    false_text,
    found_text,
    kept_text,
    overlap_texts,
)
from experiments.reporting.check_plots import power_svg
from experiments.reporting.check_power import power_curve, power_of, power_texts
from experiments.reporting.facts import seen_titles, shared_zone
from experiments.reporting.prospects import arrivals, expected_rows, planned_text
from experiments.reporting.text import hindrances
from experiments.views.context import drawings
from experiments.views.reports import (
    TooLongError,
    experiment_of,
    read_now,
    staff_report,
)

_CHANGE = "experiments.change_experiment"
_LIFT = "Write a number above 0, such as 10, and for a share at most 100. It was not used."
# Of a number per learner. Poisson numbers with a huge mean would take up the memory.
_LARGEST = 1e6


class ArmMessages(Protocol):
    """Return what each arm receives, as sentences by its key."""

    def __call__(
        self, experiment: Experiment, *, viewer: Viewer
    ) -> Mapping[str, Sequence[str]]: ...


class StartProblems(Protocol):
    """Return why the messages or the courses of a draft would prevent its start."""

    def __call__(self, experiment: Experiment, *, viewer: Viewer) -> Sequence[str]: ...


class CheckPage:
    """What the page shows that other apps know."""

    # Set by the app interventions, which knows the cadences and caps of the arms.
    messages_of: ClassVar[ArmMessages]
    problems_of: ClassVar[StartProblems]


@dataclass(frozen=True)
class ArmRow:
    """An arm, its share, and what its learners receive."""

    name: str
    share: str
    is_control: bool
    receives: Sequence[str]


@staff_report
def check(request: HttpRequest, key: str) -> HttpResponse:
    """Show what the experiment could find, if it started now; for a running one, the overlap."""
    experiment = experiment_of(request, key)
    context = _frame(request, experiment)

    def read(as_of: datetime) -> dict[str, Any]:
        return _context(request, experiment, protocol_now(experiment, now=as_of), as_of)

    try:
        found = read_now(experiment, read)
    except (ProtocolError, TooLongError) as error:
        found = {"reason": error}
    return render(request, "experiments/check.html", context | found)


@require_POST
@staff_member_required
@permission_required(_CHANGE, raise_exception=True)
def mark_checked(request: HttpRequest, key: str) -> HttpResponse:
    """Mark the draft as checked, or say why it cannot be."""
    experiment = experiment_of(request, key)
    try:
        check_experiment(experiment.pk, now=utc_now())
    except ProtocolError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{experiment.name} is checked. An edit takes the check back.")
    return redirect("experiments:check", key=key)


def _frame(request: HttpRequest, experiment: Experiment) -> dict[str, Any]:
    """Return what the page shows in any case."""
    courses = courses_of(experiment, viewer=request.user)
    status = ExperimentStatus(experiment.status)
    is_draft = status.may_be_edited
    problems = _problems(experiment, request.user) if is_draft else []
    return {
        "experiment": experiment,
        "name": with_courses(experiment.name, seen_titles(courses)),
        "is_draft": is_draft,
        "may_mark": status == ExperimentStatus.DRAFT and request.user.has_perm(_CHANGE),
        "checked_on": _checked_on(experiment, shared_zone(each.time_zone for each in courses)),
        "problems": problems,
        # The problems of a draft may say the same.
        "hindrances": [each for each in hindrances(courses) if each not in " ".join(problems)],
    }


def _checked_on(experiment: Experiment, zone: str) -> str:
    if experiment.checked_at is None or not ExperimentStatus(experiment.status).may_be_edited:
        return ""
    return instant_text(experiment.checked_at, zone=zone)


def _problems(experiment: Experiment, viewer: Viewer) -> list[str]:
    """Return why the draft cannot start, one sentence per problem."""
    own = draft_problems(experiment) + design_problems(experiment)
    return [*own, *CheckPage.problems_of(experiment, viewer=viewer)]


def _context(
    request: HttpRequest, experiment: Experiment, protocol: ExperimentProtocol, now: datetime
) -> dict[str, Any]:
    checked = Checked(experiment, protocol, now, request.user)
    planned = {} if experiment.protocol else checked.would_draw()
    seen = overlaps(experiment, protocol, planned, as_of=now, viewer=request.user)
    shown = {
        "first_members": _first_members(checked),
        "overlaps": [(each, list(overlap_texts(each))) for each in seen],
        "arms": _arms(experiment, protocol, request.user),
    }
    return shown if experiment.protocol else shown | _plan(request, checked)


def _first_members(checked: Checked) -> int:
    """Return how many of a draft's members are drawn here; 0 if it is all of them."""
    has_more = not checked.experiment.protocol and len(checked.member_ids) > MOST_DRAWN
    return MOST_DRAWN if has_more else 0


def _plan(request: HttpRequest, checked: Checked) -> dict[str, Any]:
    """Return what a draft could find."""
    lift, fault = _asked_lift(request, checked)
    metric, power = checked.metric, checked.power_facts
    kept = kept_replays(checked, lift=lift)
    curve = power_curve(power, lift=lift)
    return {
        "metric": metric,
        "arrivals": list(arrivals(checked.prospects)),
        "planned": planned_text(checked.prospects),
        "typed": checked.experiment.expected_learners,
        "expected": expected_rows(checked.prospects, window=metric.window),
        "power": list(power_texts(power)),
        "correlation": checked.icc and correlation_text(checked.icc),
        "lift": f"{lift * metric.family.unit.factor:g}",
        "unit": metric.family.unit.points.strip(),
        "fault": fault,
        "chance": curve and chance_text(power_of(power, total=power.planned, lift=lift)),
        "curve": curve
        and drawings(lambda width: power_svg(curve, planned=power.planned, width=width)),
        "has_replays": bool(kept.replays.without_effect.of),
        "no_replays": kept.replays.reason,
        "kept": kept_text(
            kept.at, zone=checked.zone, learners=kept.replays.learners, source=kept.source
        ),
        "false": false_text(kept.replays),
        "found": found_text(kept.replays),
    }


def _asked_lift(request: HttpRequest, checked: Checked) -> tuple[float, str]:
    """Return the smallest difference that matters, and what is wrong with what was typed."""
    usual, factor = checked.usual_lift, checked.metric.family.unit.factor
    typed = request.GET.get("lift", "").strip()
    if not typed:
        return usual, ""
    try:
        lift = float(typed.replace(",", ".")) / factor
    except ValueError:
        return usual, _LIFT
    is_possible = isfinite(lift) and 0 < lift <= (1 if factor > 1 else _LARGEST)
    return (lift, "") if is_possible else (usual, _LIFT)


def _arms(experiment: Experiment, protocol: ExperimentProtocol, viewer: Viewer) -> list[ArmRow]:
    received = CheckPage.messages_of(experiment, viewer=viewer)
    return [
        ArmRow(arm.name or arm.key, f"{arm.weight:.0%}", arm.is_control, received.get(arm.key, ()))
        for arm in protocol.arms
    ]
