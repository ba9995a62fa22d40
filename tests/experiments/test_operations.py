import hashlib
import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from experiments.design import Design
from experiments.metrics.definitions import GUARDRAILS, METRICS, metric_definition
from experiments.metrics.earlier import FIRST_FORMAT
from experiments.metrics.outcomes import Total
from experiments.models import Arm, Assignment, DeliveryOutcome, Experiment
from experiments.operations import draw_arms, record_delivery_outcome, stop_experiment
from experiments.protocol import (
    Analysis,
    ExperimentProtocol,
    Promise,
    ProtocolArm,
    ProtocolError,
    ProtocolSegment,
    protocol_text,
    read_protocol,
)
from experiments.queries import report
from experiments.randomize.arms import Arms
from experiments.starting import lock_protocol_and_run
from segmentation.models import Segment
from tests.experiments.factories import (
    assign,
    make_experiment,
    make_segment,
    running_experiment,
)
from tests.factories import NOW, act, make_course, make_enrollment
from tests.processes import SECONDS_TO_FINISH

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)


def test_start_locks_the_protocol_and_its_digest() -> None:
    experiment = lock_protocol_and_run(make_experiment().pk, now=NOW)

    experiment.refresh_from_db()
    assert (experiment.status, experiment.started_at) == ("running", NOW)
    assert experiment.protocol_sha256 == hashlib.sha256(experiment.protocol.encode()).hexdigest()
    protocol = json.loads(experiment.protocol)
    assert [(arm["key"], arm["weight"]) for arm in protocol["arms"]] == [
        ("control", 0.5),
        ("nudge", 0.5),
    ]
    assert protocol["format"] == 4
    assert protocol["metrics"] == [metric_definition(metric) for metric in METRICS]
    assert protocol_text(read_protocol(experiment.protocol)) == experiment.protocol


@pytest.mark.parametrize(
    ("weights", "control", "sentence"),
    [
        ({"control": 0.5, "nudge": 0.4}, "control", "must add up to 1"),
        ({"control": 1}, "control", "another arm besides the control"),
        ({"control": 1, "nudge": 0}, "control", "another arm besides the control"),
        ({"control": 0, "nudge": 1}, "control", "one control arm"),
        ({"a": 0.5, "b": 0.5}, "none", "one control arm"),
        ({}, "none", "a control arm"),
    ],
    ids=["sum", "one arm", "weightless arm", "weightless control", "no control", "no arms"],
)
def test_start_refuses_arms_that_cannot_be_compared(
    weights: dict[str, float], control: str, sentence: str
) -> None:
    experiment = make_experiment(weights, control=control)

    with pytest.raises(ProtocolError, match=sentence):
        lock_protocol_and_run(experiment.pk, now=NOW)
    experiment.refresh_from_db()
    assert (experiment.status, experiment.protocol) == ("draft", "")


def test_start_refuses_an_experiment_without_a_seed() -> None:
    with pytest.raises(ProtocolError, match="needs a seed"):
        lock_protocol_and_run(make_experiment(seed="").pk, now=NOW)


def test_start_refuses_a_second_start_and_a_restart() -> None:
    experiment = running_experiment()
    with pytest.raises(ProtocolError, match="it is running"):
        lock_protocol_and_run(experiment.pk, now=LATER)

    stop_experiment(experiment.pk, now=LATER)
    with pytest.raises(ProtocolError, match="it is stopped"):
        lock_protocol_and_run(experiment.pk, now=LATER)


def test_seeds_are_random_by_default_and_unique() -> None:
    segment = make_segment()
    first, second = (
        Experiment.objects.create(key=key, name=key, segment=segment) for key in ("a", "b")
    )
    assert len(first.seed) >= 16
    assert first.seed != second.seed

    with pytest.raises(IntegrityError, match="experiment_seed_once"), transaction.atomic():
        Experiment.objects.filter(pk=second.pk).update(seed=first.seed)


def test_the_protocol_holds_all_that_the_report_prints() -> None:
    segment = make_segment(make_course())
    experiment = make_experiment(
        segment=segment, name="Quiz nudge", hypothesis="More attempts", coverage="0.5"
    )
    experiment.arms.filter(key="nudge").update(name="A friendly nudge")
    started = lock_protocol_and_run(experiment.pk, now=NOW)

    protocol = read_protocol(started.protocol)
    assert protocol.promise == Promise(
        name="Quiz nudge",
        hypothesis="More attempts",
        population=segment.name,
        segments=(ProtocolSegment(segment.key, segment.version),),
        coverage=0.5,
    )
    assert [arm.name for arm in protocol.arms] == ["control", "A friendly nudge"]


def test_renaming_after_the_start_changes_no_report() -> None:
    segment = make_segment(make_course())
    experiment = running_experiment(segment=segment, name="Quiz nudge", hypothesis="More attempts")
    before = report(experiment, as_of=LATER)

    Experiment.objects.update(name="Something else", hypothesis="Fewer attempts")
    experiment.arms.update(name="Renamed")
    Segment.objects.update(name="Renamed")
    experiment = Experiment.objects.get(pk=experiment.pk)

    after = report(experiment, as_of=LATER)
    assert (after.facts, after.arms) == (before.facts, before.arms)
    assert before.facts.name == "Quiz nudge"


ARMS = (
    ProtocolArm("control", 0.5, is_control=True),
    ProtocolArm("nudge", 0.5, is_control=False),
)


def of_format_2(arms: tuple[ProtocolArm, ...]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(protocol_text(ExperimentProtocol(arms, seed="s")))
    for name in ("guardrails", "analysis", "design", "rules"):
        del found[name]
    return found | {"format": 2, "method": "hash"}


def test_a_protocol_of_the_last_format_promised_no_more_than_its_outcomes() -> None:
    found = read_protocol(json.dumps(of_format_2(ARMS)))

    assert (found.guardrails, found.analysis.correction) == ((), "none")
    assert found.design == Design()
    assert found.chosen_metrics() == list(METRICS)
    with pytest.raises(ProtocolError, match="can be read but not written again"):
        protocol_text(found)


def test_a_protocol_holds_its_guardrails_and_its_analysis() -> None:
    looks = ("2025-09-10T00:00:00+00:00", "2025-09-20T00:00:00+00:00")
    analysis = Analysis(looks=looks, expected_learners=200, smallest_lift=0.1, subgroups=("sex",))
    protocol = ExperimentProtocol(ARMS, seed="s", analysis=analysis)

    found = read_protocol(protocol_text(protocol))

    assert (found.analysis, found.design) == (analysis, Design())
    assert found.chosen_guardrails() == list(GUARDRAILS)


def test_a_protocol_of_an_earlier_release_is_read() -> None:
    arms = ARMS
    old = of_format_2(arms)
    del old["promise"], old["format"]
    for arm in old["arms"]:
        del arm["name"]
    old["metrics"] = [*FIRST_FORMAT]

    found = read_protocol(json.dumps(old))

    assert (found.arms, found.promise, found.seed, found.format) == (arms, None, "s", 1)
    with pytest.raises(ProtocolError, match="can be read but not written again"):
        protocol_text(found)
    assert [(metric.key, metric.window.days) for metric in found.chosen_metrics()] == [
        ("quiz_attempted_7d", 7),
        ("quiz_attempts_7d", 7),
        ("module_completed_7d", 7),
    ]


def test_a_report_takes_names_windows_and_methods_from_the_protocol_alone() -> None:
    experiment = lock_protocol_and_run(make_experiment().pk, now=NOW)
    # The protocol was locked by a release with other metrics than today's.
    another = replace(
        METRICS[1], key="plays_1d", name="Videos played", window=timedelta(days=1),
        outcome=Total("PLAY_VIDEO"),
    )  # fmt: skip
    locked = json.loads(experiment.protocol) | {"metrics": [metric_definition(another)]}
    experiment.protocol = json.dumps(locked)
    assignment = assign(experiment, "nudge", NOW)
    act(assignment.enrollment, "PLAY_VIDEO", occurred_at=NOW, count=4)

    (result,) = report(experiment, as_of=NOW + timedelta(days=1)).results

    assert result.metric == another
    assert result.observed["nudge"].tally == ("total", 4)


def test_a_protocol_of_a_later_release_still_draws_and_refuses_its_report() -> None:
    experiment = lock_protocol_and_run(make_experiment().pk, now=NOW)
    later = json.loads(experiment.protocol)
    later["metrics"][0]["outcome"]["kind"] = "time to"
    Experiment.objects.filter(pk=experiment.pk).update(protocol=json.dumps(later))
    experiment.refresh_from_db()
    enrollment = make_enrollment()

    assert draw_arms(experiment.pk, [enrollment.pk], now=NOW).keys() == {enrollment.pk}
    with pytest.raises(ProtocolError, match="does not know how the metric quiz_attempted_7d"):
        report(experiment, as_of=LATER)

    for unknown in ({"alpha": 0.05}, {"metrics": []}, {"arms": None}):
        with pytest.raises(ProtocolError):
            read_protocol(json.dumps(later | unknown))
    with pytest.raises(ProtocolError, match="does not know how the metric"):
        read_protocol(json.dumps(later | {"metrics": ["quiz_attempted_7d"]})).chosen_metrics()
    with pytest.raises(
        ProtocolError, match="format 9, but this release of Nudgelab knows only 1 to 4"
    ):
        read_protocol(json.dumps(later | {"format": 9}))


def test_stop_keeps_its_first_instant() -> None:
    experiment = running_experiment()
    stop_experiment(experiment.pk, now=LATER)
    stopped = stop_experiment(experiment.pk, now=LATER + timedelta(days=1))

    assert (stopped.status, stopped.stopped_at) == ("stopped", LATER)


def test_stop_refuses_a_draft() -> None:
    with pytest.raises(ProtocolError, match="never started"):
        stop_experiment(make_experiment().pk, now=NOW)


def draw_arm(experiment_id: int, enrollment_id: int, *, now: datetime) -> Assignment | None:
    return draw_arms(experiment_id, [enrollment_id], now=now).get(enrollment_id)


def test_draw_follows_the_hash_of_the_unit_key() -> None:
    experiment, course = running_experiment(), make_course()
    arms = Arms.of({"control": 0.5, "nudge": 0.5})

    for _ in range(20):
        enrollment = make_enrollment(course)
        drawn = draw_arm(experiment.pk, enrollment.pk, now=LATER)
        assert drawn is not None
        assert drawn.arm.key == arms.draw(str(enrollment.unit_key), seed=experiment.seed)
        assert drawn.arm.key == arms.arm_at(drawn.bucket)
        assert (drawn.unit_key, drawn.assigned_at) == (enrollment.unit_key, LATER)


def test_drawing_again_keeps_arm_and_instant() -> None:
    experiment, enrollment = running_experiment(), make_enrollment()
    first = draw_arm(experiment.pk, enrollment.pk, now=NOW)
    again = draw_arm(experiment.pk, enrollment.pk, now=LATER)

    assert first is not None
    assert again == first
    assert again.assigned_at == NOW


def test_nobody_is_drawn_into_a_draft_or_a_stopped_experiment() -> None:
    enrollment, draft, stopped = make_enrollment(), make_experiment(), running_experiment()
    stop_experiment(stopped.pk, now=NOW)

    assert draw_arm(draft.pk, enrollment.pk, now=NOW) is None
    assert draw_arm(stopped.pk, enrollment.pk, now=NOW) is None
    assert not Assignment.objects.exists()


@pytest.mark.slow
def test_growing_coverage_draws_more_and_changes_no_arm() -> None:
    experiment, course = running_experiment(coverage="0.5"), make_course()
    enrollments = [make_enrollment(course) for _ in range(40)]
    before = {each.pk: draw_arm(experiment.pk, each.pk, now=NOW) for each in enrollments}
    Experiment.objects.update(coverage=1)
    after = {each.pk: draw_arm(experiment.pk, each.pk, now=LATER) for each in enrollments}

    outside = [pk for pk, drawn in before.items() if drawn is None]
    assert 5 < len(outside) < 35
    assert None not in after.values()
    assert all(after[pk] == drawn for pk, drawn in before.items() if drawn is not None)


def test_arms_and_seed_edited_after_the_start_change_no_draw() -> None:
    experiment, enrollment = running_experiment(), make_enrollment()
    arms = Arms.of({"control": 0.5, "nudge": 0.5})
    expected = arms.draw(str(enrollment.unit_key), seed=experiment.seed)
    Experiment.objects.update(seed="another")
    Arm.objects.filter(key="control").update(weight=0)
    Arm.objects.filter(key="nudge").update(weight=1)

    drawn = draw_arm(experiment.pk, enrollment.pk, now=NOW)
    assert drawn is not None
    assert drawn.arm.key == expected


def test_draw_needs_few_queries(django_assert_num_queries) -> None:
    experiment, course = running_experiment(), make_course()
    ids = [make_enrollment(course).pk for _ in range(20)]

    # Savepoint and its release, experiment, assignments, arms, unit keys, insert, assignments.
    with django_assert_num_queries(8):
        drawn = draw_arms(experiment.pk, ids, now=NOW)
    with django_assert_num_queries(4):
        assert draw_arms(experiment.pk, ids, now=NOW) == drawn
    assert sorted(drawn) == ids


def test_drawing_many_keeps_earlier_draws() -> None:
    experiment, course = running_experiment(), make_course()
    first, second = make_enrollment(course), make_enrollment(course)
    before = draw_arm(experiment.pk, first.pk, now=NOW)

    drawn = draw_arms(experiment.pk, [second.pk, first.pk], now=LATER)

    assert drawn[first.pk] == before
    assert [drawn[each.pk].assigned_at for each in (first, second)] == [NOW, LATER]


@pytest.mark.django_db(transaction=True)
def test_two_draws_at_the_same_moment_make_one_assignment() -> None:
    experiment, course = running_experiment(), make_course()
    enrollments = [make_enrollment(course) for _ in range(12)]
    barrier = threading.Barrier(4)
    drawn: list[tuple[int, int]] = []

    def work() -> None:
        try:
            for enrollment in enrollments:
                barrier.wait(timeout=SECONDS_TO_FINISH)
                found = draw_arm(experiment.pk, enrollment.pk, now=NOW)
                assert found is not None
                drawn.append((enrollment.pk, found.pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(drawn) == 48
    assert len(set(drawn)) == Assignment.objects.count() == 12


def test_an_outcome_is_recorded_once_per_delivery_and_follows_its_outcome() -> None:
    assignment, key = assign(running_experiment(), "nudge", NOW), uuid4()
    for outcome, reason in (("deferred", "cap"), ("in_doubt", "lease expired"), ("handed_off", "")):
        record_delivery_outcome(
            assignment.pk, delivery_key=key, outcome=outcome, reason=reason, at=LATER
        )

    found = DeliveryOutcome.objects.get()
    assert (found.outcome, found.reason, found.at) == ("handed_off", "", LATER)


@pytest.mark.parametrize("final", ["handed_off", "ghost"])
@pytest.mark.parametrize("late", ["in_doubt", "dropped", "handed_off", "ghost"])
def test_a_hand_off_is_never_replaced(final: str, late: str) -> None:
    assignment, key = assign(running_experiment(), "control", NOW), uuid4()
    record_delivery_outcome(assignment.pk, delivery_key=key, outcome=final, at=NOW)
    record_delivery_outcome(assignment.pk, delivery_key=key, outcome=late, reason="late", at=LATER)

    found = DeliveryOutcome.objects.get()
    assert (found.outcome, found.reason, found.at) == (final, "", NOW)


def test_an_unknown_outcome_is_refused() -> None:
    assignment = assign(running_experiment(), "nudge", NOW)

    with pytest.raises(ValueError, match="opened"):
        record_delivery_outcome(assignment.pk, delivery_key=uuid4(), outcome="opened", at=NOW)
