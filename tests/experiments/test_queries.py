import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from activity.canonical import MAX_COUNT
from activity.models import Event, Item
from activity.operations import ingest
from experiments.metrics.columns import EventCount, Frequencies
from experiments.metrics.definitions import METRICS, WEEK, Metric
from experiments.metrics.observed import Observed
from experiments.metrics.outcomes import Total
from experiments.models import Assignment, Experiment
from experiments.operations import stop_experiment
from experiments.queries import (
    aggregates_by_arm,
    assignments_of,
    clock_of,
    counted_units,
    report,
    running_experiments,
)
from experiments.stats.sufficient import Counts, Moments
from tests.experiments.factories import (
    assign,
    make_experiment,
    make_segment,
    running_experiment,
)
from tests.factories import NOW, act, make_course, make_enrollment, make_event, make_item

pytestmark = pytest.mark.django_db

AS_OF = NOW + timedelta(days=30)
SECOND = timedelta(seconds=1)


def counted(
    experiment: Experiment, arm: str, metric: str, as_of: datetime = AS_OF
) -> tuple[int, int]:
    """Return how many of the arm's assignments count, and their successes or total."""
    found = aggregates_by_arm(experiment.pk, metrics=METRICS, as_of=as_of)[arm].observed[metric]
    return found.n, found.tally[1]


def attempt(
    assignment: Assignment, at: datetime, verb: str = "ATTEMPT_QUIZ", count: int = 1, **fields: Any
) -> None:
    act(assignment.enrollment, verb, occurred_at=at, count=count, **fields)


def complete(assignment: Assignment, module: Item, at: datetime) -> None:
    act(assignment.enrollment, "COMPLETE_MODULE", item=module, occurred_at=at)


def test_the_window_includes_its_start_but_not_its_end() -> None:
    experiment = running_experiment()
    assignment = assign(experiment, "nudge", NOW)
    attempt(assignment, NOW - SECOND)
    attempt(assignment, NOW)
    attempt(assignment, NOW + WEEK - SECOND, count=3)
    attempt(assignment, NOW + WEEK)

    assert counted(experiment, "nudge", "quiz_attempts_7d") == (1, 4)
    assert counted(experiment, "nudge", "module_completed_7d") == (1, 0)


def test_a_window_is_seven_times_24_hours_even_at_a_clock_change() -> None:
    # London's clocks go back on 2025-10-26: seven local days are 169 hours.
    experiment, start = running_experiment(), datetime.fromisoformat("2025-10-23T00:00:00+01:00")
    assignment = assign(experiment, "nudge", start)
    attempt(assignment, start + timedelta(hours=168))

    assert counted(experiment, "nudge", "quiz_attempted_7d") == (1, 0)


def test_a_module_that_was_completed_before_is_not_completed_again() -> None:
    # A platform sends COMPLETE_MODULE again at every later view of the module.
    experiment, course = running_experiment(), make_course()
    module, other = make_item(course, "module"), make_item(course, "module")
    before = assign(experiment, "nudge", NOW, make_enrollment(course))
    fresh = assign(experiment, "control", NOW, make_enrollment(course))
    complete(before, module, NOW - timedelta(days=10))
    complete(before, module, NOW + timedelta(days=1))
    complete(fresh, module, NOW + timedelta(days=1))
    complete(fresh, module, NOW + timedelta(days=2))
    complete(fresh, other, NOW + timedelta(days=3))

    assert counted(experiment, "nudge", "module_completed_7d") == (1, 0)
    assert counted(experiment, "control", "module_completed_7d") == (1, 1)


def test_only_modules_are_completed_modules() -> None:
    experiment, course = running_experiment(), make_course()
    assignment = assign(experiment, "nudge", NOW, make_enrollment(course))
    complete(assignment, make_item(course, "quiz"), NOW)
    attempt(assignment, NOW, "COMPLETE_MODULE")

    assert counted(experiment, "nudge", "module_completed_7d") == (1, 0)


def test_a_report_at_a_past_instant_counts_events_received_by_then() -> None:
    experiment = running_experiment()
    assignment = assign(experiment, "nudge", NOW)
    event = make_event(assignment.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + SECOND)
    ingest([event], now=NOW + WEEK + SECOND)

    assert counted(experiment, "nudge", "quiz_attempted_7d", NOW + WEEK) == (1, 0)
    assert counted(experiment, "nudge", "quiz_attempted_7d", NOW + WEEK + SECOND)[1] == 1


def test_a_late_earlier_completion_replaces_the_one_known_before() -> None:
    experiment, course = running_experiment(), make_course()
    module = make_item(course, "module")
    assignment = assign(experiment, "nudge", NOW, make_enrollment(course))
    complete(assignment, module, NOW + SECOND)
    early = make_event(
        assignment.enrollment, "COMPLETE_MODULE", item=module, occurred_at=NOW - SECOND
    )
    ingest([early], now=NOW + 2 * WEEK)

    assert counted(experiment, "nudge", "module_completed_7d", NOW + WEEK)[1] == 1
    assert counted(experiment, "nudge", "module_completed_7d", NOW + 2 * WEEK)[1] == 0


def test_the_largest_counts_do_not_overflow_the_report() -> None:
    # The square of such a total does not fit into the eight bytes of PostgreSQL's bigint.
    experiment, events = running_experiment(), 3_100
    assignment = assign(experiment, "nudge", NOW)
    Event.objects.bulk_create(
        Event(
            enrollment=assignment.enrollment, verb="ATTEMPT_QUIZ", occurred_at=NOW,
            received_at=NOW, count=MAX_COUNT, source="test", source_id=f"large-{number}",
        )
        for number in range(events)
    )  # fmt: skip

    total = events * MAX_COUNT
    assert counted(experiment, "nudge", "quiz_attempts_7d") == (1, total)
    assert total * total > 2**63


def test_an_assignment_waits_until_its_window_has_ended() -> None:
    experiment = running_experiment()
    attempt(assign(experiment, "nudge", NOW), NOW)

    before = aggregates_by_arm(experiment.pk, metrics=METRICS, as_of=NOW + WEEK - SECOND)["nudge"]
    assert (before.assigned, before.observed["quiz_attempted_7d"].n) == (1, 0)
    assert counted(experiment, "nudge", "quiz_attempted_7d", NOW + WEEK) == (1, 1)


def test_assignments_after_the_instant_do_not_count() -> None:
    experiment = running_experiment()
    assign(experiment, "nudge", NOW + SECOND)

    assert aggregates_by_arm(experiment.pk, metrics=METRICS, as_of=NOW) == {}


def test_another_experiment_and_another_enrollment_are_not_mixed_in() -> None:
    experiment, other = running_experiment(), running_experiment()
    assignment = assign(experiment, "control", NOW)
    attempt(assign(other, "control", NOW), NOW)
    attempt(assign(experiment, "nudge", NOW), NOW)
    assign(other, "nudge", NOW, assignment.enrollment)

    assert counted(experiment, "control", "quiz_attempted_7d") == (1, 0)
    assert counted(experiment, "nudge", "quiz_attempted_7d") == (1, 1)


def test_each_metric_has_its_own_window() -> None:
    week = METRICS[1]
    day = replace(week, key="day", window=timedelta(days=1))
    experiment = running_experiment()
    assignment = assign(experiment, "nudge", NOW)
    attempt(assignment, NOW)
    attempt(assignment, NOW + timedelta(days=2))

    found = aggregates_by_arm(experiment.pk, metrics=[day, week], as_of=NOW + timedelta(days=3))[
        "nudge"
    ]
    assert found.observed == {
        "day": day.observe({(1,): 1}),
        "quiz_attempts_7d": week.observe({}),
    }


def test_a_verb_counts_once_in_one_metric_and_always_in_another() -> None:
    experiment, course = running_experiment(), make_course()
    module = make_item(course, "module")
    assignment = assign(experiment, "nudge", NOW, make_enrollment(course))
    complete(assignment, module, NOW)
    complete(assignment, module, NOW + SECOND)
    every = replace(METRICS[2], key="every", outcome=Total("COMPLETE_MODULE"))
    first = replace(METRICS[2], key="first", outcome=Total("COMPLETE_MODULE", first_only=True))

    found = aggregates_by_arm(experiment.pk, metrics=[every, first], as_of=AS_OF)["nudge"]

    assert found.observed["every"].tally == ("total", 2)
    assert found.observed["first"].tally == ("total", 1)


@dataclass(frozen=True)
class Pair:
    """An outcome with two columns, like a ratio."""

    kind = "pair"
    waits = True

    @property
    def columns(self) -> tuple[EventCount, ...]:
        return EventCount("ATTEMPT_QUIZ"), EventCount("PLAY_VIDEO")

    def observe(self, frequencies: Frequencies, *, window: timedelta) -> Observed:
        return Observed(sum(frequencies.values()), dict(frequencies), ("pairs", 0))


def test_an_outcome_may_have_more_columns_than_another() -> None:
    experiment = running_experiment()
    assignment = assign(experiment, "nudge", NOW)
    assign(experiment, "nudge", NOW)
    attempt(assignment, NOW, count=2)
    attempt(assignment, NOW, "PLAY_VIDEO", count=5)
    pair = replace(METRICS[0], key="pair", outcome=Pair())

    found = aggregates_by_arm(experiment.pk, metrics=[METRICS[1], pair], as_of=AS_OF)["nudge"]

    assert found.observed["pair"].sums == {(2, 5): 1, (0, 0): 1}
    assert found.observed["quiz_attempts_7d"] == METRICS[1].observe({(2,): 1, (0,): 1})


@pytest.mark.slow
def test_aggregates_equal_a_plain_count_of_random_histories() -> None:
    rng = random.Random(20250901)
    experiment = running_experiment({"control": 0.4, "nudge": 0.3, "quiz": 0.3})
    course = make_course()
    modules = [make_item(course, "module") for _ in range(2)]
    metrics = [*METRICS, replace(METRICS[0], key="day", window=timedelta(days=1))]
    as_of = NOW + timedelta(days=12)
    for _ in range(40):
        at = NOW + timedelta(hours=rng.randrange(24 * 13))
        assignment = assign(
            experiment, rng.choice(["control", "nudge", "quiz"]), at, make_enrollment(course)
        )
        for _ in range(rng.randrange(6)):
            offset = timedelta(hours=rng.randrange(-24, 24 * 9))
            verb = rng.choice(["ATTEMPT_QUIZ", "COMPLETE_MODULE", "LOGIN"])
            item = rng.choice(modules) if verb == "COMPLETE_MODULE" else None
            attempt(assignment, at + offset, verb, rng.randrange(1, 4), item=item)

    found = aggregates_by_arm(experiment.pk, metrics=metrics, as_of=as_of)

    assert set(found) == {"control", "nudge", "quiz"}
    for arm, aggregate in found.items():
        drawn = [
            each for each in Assignment.objects.filter(arm__key=arm) if each.assigned_at <= as_of
        ]
        assert aggregate.assigned == len(drawn)
        for metric in metrics:
            assert aggregate.observed[metric.key] == counted_plainly(drawn, metric, as_of)


def counted_plainly(drawn: list[Assignment], metric: Metric, as_of: datetime) -> Observed:
    totals = [
        sum(
            amount
            for occurred_at, amount in done_by(each, metric, as_of)
            if each.assigned_at <= occurred_at < each.assigned_at + metric.window
        )
        for each in drawn
        if each.assigned_at + metric.window <= as_of
    ]
    if isinstance(metric.outcome, Total):
        return Observed(len(totals), Moments.from_array(totals), ("total", sum(totals)))
    reached = sum(total > 0 for total in totals)
    return Observed(len(totals), Counts(reached, len(totals)), ("successes", reached))


def done_by(assignment: Assignment, metric: Metric, as_of: datetime) -> list[tuple[datetime, int]]:
    events = Event.objects.filter(
        enrollment=assignment.enrollment_id,
        verb=metric.outcome.columns[0].verb,
        received_at__lte=as_of,
    )
    if not metric.outcome.columns[0].first_only:
        return [(event.occurred_at, event.count) for event in events]
    modules = {event.item_id for event in events}
    return [
        (min(event.occurred_at for event in events if event.item_id == module), 1)
        for module in modules
    ]


def test_aggregates_take_one_query(django_assert_num_queries) -> None:
    experiment = running_experiment()
    assign(experiment, "nudge", NOW)

    with django_assert_num_queries(1):
        aggregates_by_arm(experiment.pk, metrics=METRICS, as_of=AS_OF)


def test_report_takes_four_queries(django_assert_num_queries) -> None:
    experiment = running_experiment()
    related = Experiment.objects.select_related("segment__playbook", "playbook")
    experiment = related.get(pk=experiment.pk)

    with django_assert_num_queries(4):
        report(experiment, as_of=AS_OF)


def test_counted_units_are_those_whose_window_has_ended() -> None:
    experiment = running_experiment()
    counted = assign(experiment, "control", NOW)
    assign(experiment, "nudge", NOW + SECOND)

    found = counted_units(experiment.pk, metric=METRICS[0], as_of=NOW + WEEK)
    assert found == [(str(counted.unit_key), "control", True)]


def test_an_experiment_runs_for_its_segment_or_for_all_of_its_playbook() -> None:
    segment = make_segment()
    sibling = make_segment(playbook=segment.playbook)
    own = running_experiment(segment=segment)
    whole = running_experiment(playbook=segment.playbook)
    running_experiment()
    make_experiment(segment=segment)
    stop_experiment(running_experiment(segment=segment).pk, now=NOW)

    found = running_experiments([segment.pk, sibling.pk])
    assert found == {segment.pk: [own, whole], sibling.pk: [whole]}


def test_assignments_come_with_their_arm_and_experiment(django_assert_num_queries) -> None:
    enrollment = make_enrollment()
    late = assign(running_experiment(), "nudge", AS_OF, enrollment)
    early = assign(running_experiment(), "control", NOW, enrollment)

    with django_assert_num_queries(1):
        found = assignments_of([enrollment.pk])
        assert [each.arm.key for each in found] == ["control", "nudge"]
        assert [each.experiment_id for each in found] == [early.experiment_id, late.experiment_id]


@pytest.mark.parametrize("whole_playbook", [False, True])
def test_simulated_courses_are_reported_at_the_instant_they_stopped(whole_playbook: bool) -> None:
    stopped = make_course(clock_stopped_at=NOW)
    segment = make_segment(stopped)
    population = {"playbook": segment.playbook} if whole_playbook else {"segment": segment}
    experiment = make_experiment(**population)

    assert clock_of(experiment, now=AS_OF) == NOW
    segment.playbook.courses.add(make_course())
    assert clock_of(experiment, now=AS_OF) == AS_OF


def test_an_experiment_without_courses_is_reported_at_now() -> None:
    assert clock_of(make_experiment(), now=NOW) == NOW


def test_a_draft_has_no_report() -> None:
    with pytest.raises(ValueError, match="never started"):
        report(make_experiment(), as_of=NOW)
