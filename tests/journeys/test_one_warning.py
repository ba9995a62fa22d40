"""The problems of a stage's run are one line of the log, with counts and without names."""

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction

from activity.operations import ingest
from common.tally import in_words, note, tally
from config.running.stages import run_stage
from interventions.channels import Answer, Result
from interventions.channels.memory import MemoryConnection, MemoryMessage, memory_channel
from interventions.stages.dispatch import dispatch_due
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from interventions.stages.recover import recover
from segmentation.models import Segment
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast, make_enrollment, make_event
from tests.interventions.factories import (
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
    make_transition,
)
from tests.interventions.test_react import make_failing
from tests.segmentation.factories import QUIET, bring_up_to_date, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Return a function that runs work as a stage and returns the stage's log lines."""

    def run(stage: str, work: Callable[[], object]) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            run_stage(stage, work, host="here")
        assert all(each.levelno <= logging.WARNING for each in caplog.records if ours(each))
        return [each.getMessage() for each in caplog.records if ours(each)]

    return run


def ours(record: logging.LogRecord) -> bool:
    return record.name == "config.running.stages"


def test_dispatch_logs_failures_and_doubts(warnings_of) -> None:
    results = iter([Result.REFUSED, Result.REFUSED, Result.NOT_ACCEPTED, Result.IN_DOUBT])
    for _ in range(5):
        make_delivery()
    make_delivery(planned_at=NOW - timedelta(days=9), expires_at=NOW - timedelta(days=2))

    def answer(message: MemoryMessage) -> Answer:
        return Answer(next(results), f"550 no such user {message.address}")

    channel = MemoryConnection(answer)
    said = warnings_of(
        "dispatch",
        lambda: dispatch_due(clock=lambda: NOW, channels={"email": memory_channel(channel)}),
    )

    (line,) = said
    assert line == (
        "dispatch: 1 expired (too old 1), 2 failed (refused 2), 1 in doubt (no answer 1),"
        " 1 put off (not accepted 1)"
    )


def test_a_run_without_problems_logs_nothing(warnings_of) -> None:
    make_delivery()
    channel = MemoryConnection()

    assert (
        warnings_of(
            "dispatch",
            lambda: dispatch_due(clock=lambda: NOW, channels={"email": memory_channel(channel)}),
        )
        == []
    )
    assert len(channel.sent) == 1


def test_recover_logs_expired_claims_and_refused_events(warnings_of) -> None:
    make_delivery(
        state="claimed",
        claimed_at=NOW,
        token="12345678-1234-1234-1234-123456789012",
        lease_until=NOW + timedelta(minutes=1),
    )
    enrollment = make_enrollment()
    early = make_event(enrollment, occurred_at=NOW + timedelta(minutes=1))
    ingest([early], now=NOW)
    enrollment.delete()

    said = warnings_of("recover", lambda: recover(now=NOW + timedelta(minutes=2)))

    assert said == ["recover: 1 events rejected (unknown learner 1), 1 in doubt (lease expired 1)"]


def test_evaluate_logs_a_frozen_segment(warnings_of) -> None:
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    Segment.objects.filter(id=segment.id).update(rule=where("charm", ">=", 7))
    act(cast.bo, occurred_at=NOW + timedelta(hours=1))

    said = warnings_of("evaluate", lambda: evaluate_due(now=NOW + timedelta(hours=1)))

    assert said == [f"evaluate: 1 segments frozen (segment {segment.id} 1)"]


def test_react_logs_the_number_of_postponed_transitions(warnings_of) -> None:
    bad = make_evaluated()
    failing = make_failing(bad)
    make_transition(bad, failing.segment)

    (said,) = warnings_of("react", lambda: react_due(now=NOW))

    assert said.startswith("react: 1 transitions put off (")


def test_plan_logs_the_number_of_postponed_runs(warnings_of) -> None:
    cadence = make_cadence(goal_rule=None)
    make_run(make_evaluated(make_live_course()), cadence, next_at=NOW, next_position=0)
    type(cadence).objects.filter(pk=cadence.pk).update(goal_rule=where("charm", ">=", 7))

    (said,) = warnings_of("plan", lambda: plan_due(now=NOW))

    assert said.startswith("plan: 1 runs put off (")


def test_problems_before_a_run_failed_are_logged_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        note("failed", "refused")
        raise ValueError("no")

    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="no"):
        run_stage("dispatch", fail, host="here")

    assert "dispatch: 1 failed (refused 1)" in caplog.messages


def test_rolled_back_problems_are_not_counted() -> None:
    with tally() as found:
        with transaction.atomic():
            note("failed", "refused")
            transaction.set_rollback(True)
        with transaction.atomic():
            note("failed", "refused", count=2)
        note("failed", "render_error")
        note("failed", "nothing", count=0)

    assert in_words(found) == "3 failed (refused 2, render error 1)"


def test_outside_a_run_nothing_is_counted() -> None:
    note("failed", "refused")

    with tally() as found:
        pass

    assert in_words(found) == ""
