"""Start an experiment. Only this module sees both experiments and cadences."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from activity.access import COMMAND_LINE, Viewer, for_user
from activity.models import Course
from experiments.models import Experiment, ExperimentStatus
from experiments.operations import draw_present_sections
from experiments.protocol import ProtocolError
from experiments.queries import courses_of, population_of
from experiments.reporting.facts import all_clocks_stopped
from experiments.reporting.text import hindrances
from experiments.starting import lock_protocol_and_run
from interventions.models import Cadence, CadenceStatus, FrequencyCap, Trigger
from interventions.queries.arm_messages import received_by_arms
from interventions.queries.limits import caps_of_arms, overruled_cap
from interventions.queries.populations import lock_segments
from segmentation.operations import announce_members, lock_members


@transaction.atomic
def start_experiment(
    experiment_id: int,
    *,
    now: datetime,
    draw_present: bool = True,
    viewer: Viewer = COMMAND_LINE,
) -> Experiment:
    """Start the experiment. With `draw_present` the present members of its segments are drawn.

    A refusal names only courses that the viewer may see.
    Raise ProtocolError if a cadence without an arm starts in one of its segments, if its arms would
    receive nothing, if the clocks of all its courses are stopped, or if the experiment itself
    cannot be started.
    """
    experiment = Experiment.objects.select_related("segment__playbook", "playbook").get(
        pk=experiment_id
    )
    segments = population_of(experiment).order_by("pk")
    segment_ids = list(segments.values_list("pk", flat=True))
    # All Due rows are locked first and in one order, like in ingest. Locked segment by segment, or
    # after the experiment, they could deadlock with ingest.
    present = lock_members(segment_ids) if draw_present else []
    # A cadence that is being saved takes the same locks.
    lock_segments(segment_ids)
    if ExperimentStatus(experiment.status).may_be_edited:
        _check_a_clock_runs(experiment, viewer)
        _check_no_cadence_for_everybody(segment_ids)
    received = received_by_arms(experiment)
    started = lock_protocol_and_run(experiment_id, now=now, received=received)
    _check_arms_differ(started)
    draw_present_sections(experiment_id, now=now)
    if draw_present:
        for segment_id in segment_ids:
            announce_members(segment_id, now=now, among=present)
    return started


def start_problems(experiment: Experiment, *, viewer: Viewer) -> list[str]:
    """Return why the messages and the courses of a draft would prevent its start. No lock."""
    segment_ids = list(population_of(experiment).values_list("pk", flat=True))
    checks: tuple[Callable[[], None], ...] = (
        lambda: _check_a_clock_runs(experiment, viewer),
        lambda: _check_no_cadence_for_everybody(segment_ids),
        lambda: _check_arms_differ(experiment),
    )
    found = []
    for check in checks:
        try:
            check()
        except ProtocolError as error:
            found.append(str(error))
    return found


def _check_a_clock_runs(experiment: Experiment, viewer: Viewer) -> None:
    # A stopped clock never runs again, and a start cannot be undone. The experiment would be locked
    # for good without learners. As a draft it can still get another population.
    courses = courses_of(experiment, viewer=viewer)
    if all_clocks_stopped(courses):
        advice = "It stays a draft. Choose a segment or playbook of a course whose clock runs."
        raise ProtocolError(" ".join([*hindrances(courses), advice]))


def _check_arms_differ(experiment: Experiment) -> None:
    # A report would compare two arms that receive the same, and find no effect of a message that
    # does not exist. Without ghosts, caps would hold back messages of the treatment arms alone.
    if experiment.differs_outside:
        return
    active = Cadence.objects.filter(status=CadenceStatus.ACTIVE)
    caps = caps_of_arms(experiment)
    if caps:
        _check_each_arm_receives(experiment, active)
        _check_caps_have_an_effect(experiment, caps)
        return
    treated = active.filter(arm__experiment=experiment, arm__is_control=False, arm__weight__gt=0)
    if not treated.exists():
        raise ProtocolError(
            "No active cadence sends anything to a treatment arm. Choose that arm in a cadence and "
            "make it active, or tick “the arms differ outside Nudgelab” on the experiment's page."
        )
    if not active.filter(ghost_for__experiment=experiment, ghost_for__is_control=True).exists():
        raise ProtocolError(
            "No active cadence has its ghosts in the control arm, so frequency caps would hold "
            "back messages of the treatment arms alone. Choose the control arm under “Ghost for” "
            "in the cadence of the treatment arm."
        )


def _check_each_arm_receives(experiment: Experiment, active: QuerySet[Cadence]) -> None:
    # The arms differ in a cap. Without messages to each of them, no cap would limit anything.
    reached = active.values_list("arm", flat=True)
    for arm in experiment.arms.filter(weight__gt=0).exclude(pk__in=reached.exclude(arm=None)):
        raise ProtocolError(
            f"The arms differ in a frequency cap, but no active cadence sends anything to the arm "
            f"“{arm.own_name}”. Make a cadence with the same steps for each arm."
        )


def _check_caps_have_an_effect(experiment: Experiment, caps: Sequence[FrequencyCap]) -> None:
    # The protocol would promise a number of messages that no learner of the arm can get.
    found = _overruled(experiment, caps)
    if found is not None:
        cap, other = found
        raise ProtocolError(
            f"The frequency cap “{other}” holds for all learners and is at least as strict as "
            f"“{cap}”, so the cap of the arm “{cap.arm and cap.arm.own_name}” would have no "
            f"effect. Make “{other}” looser or inactive, or make the cap of the arm stricter."
        )


def caps_without_effect(*, viewer: Viewer) -> Iterator[str]:
    """Yield a sentence per running experiment that compares caps of which one has no effect now."""
    caps = FrequencyCap.objects.filter(active=True, arm__isnull=False)
    running = Experiment.objects.filter(
        status=ExperimentStatus.RUNNING, arms__in=caps.values("arm")
    )
    for experiment in for_user(running, viewer).order_by("pk").distinct():
        found = _overruled(experiment, caps_of_arms(experiment))
        if found is not None:
            cap, other = found
            yield (
                f"The running experiment “{experiment.name}” compares arms by their frequency "
                f"caps. “{other}” holds for all learners and is at least as strict as “{cap}”, so "
                "its arms may now receive the same. Make it looser or inactive, or stop the "
                "experiment."
            )


def _overruled(
    experiment: Experiment, caps: Sequence[FrequencyCap]
) -> tuple[FrequencyCap, FrequencyCap] | None:
    courses = Course.objects.filter(playbooks__segments__in=population_of(experiment)).distinct()
    ids = list(courses.values_list("pk", flat=True)[:2])
    return overruled_cap(caps, course_id=ids[0] if len(ids) == 1 else None)


def _check_no_cadence_for_everybody(segment_ids: list[int]) -> None:
    cadence = (
        Cadence.objects.filter(
            segment__in=segment_ids,
            status=CadenceStatus.ACTIVE,
            trigger=Trigger.ENTER,
            arm__isnull=True,
        )
        .select_related("segment__playbook")
        .first()
    )
    if cadence is not None:
        raise ProtocolError(
            f"The cadence '{cadence}' is for every learner who enters the segment "
            f"'{cadence.segment}', so it would message the control learners too. Give it an arm or "
            "archive it, then start the experiment."
        )
