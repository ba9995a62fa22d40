"""One run of a stage: its stored row, and no work with a wrong clock."""

import json
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import connection

from common.clock import utc_now
from config.models import StageRun
from config.running.stages import MOST_SECONDS_APART, clock_difference, counts_of, run_stage
from tests.processes import is_said_apart

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Counts:
    evaluated: int = 3


def ahead(seconds: float):
    return lambda: utc_now() + timedelta(seconds=seconds)


def last_run(stage: str = "plan") -> StageRun:
    return StageRun.objects.get(stage=stage, host="here")


def test_run_is_stored_with_its_counts() -> None:
    run_stage("plan", lambda: Counter(planned=2), host="here")

    kept = last_run()
    assert kept.counts == {"planned": 2}
    assert kept.error == ""
    assert kept.started_at <= kept.succeeded_at == kept.ended_at


def test_one_row_per_stage_and_host() -> None:
    for host in ("here", "there", "here"):
        run_stage("plan", lambda: None, host=host)

    assert sorted(StageRun.objects.values_list("host", flat=True)) == ["here", "there"]


@pytest.mark.django_db(transaction=True)
def test_failed_run_is_stored_without_personal_data_and_raised() -> None:
    run_stage("plan", lambda: 1, host="here")
    before = last_run()

    def fail() -> None:
        raise ValueError("no such thing\nDETAIL: ana@example.org")

    with pytest.raises(ValueError, match="no such thing"):
        run_stage("plan", fail, host="here")

    kept = last_run()
    assert kept.error == "ValueError: no such thing"
    assert kept.succeeded_at == before.succeeded_at
    assert kept.ended_at > before.ended_at


@pytest.mark.parametrize("seconds", [8, -8, 3600])
def test_stage_does_not_run_with_a_wrong_clock(
    seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    done = []

    with caplog.at_level(logging.ERROR):
        run_stage("plan", lambda: done.append(1), clock=ahead(seconds), host="here")

    direction = "ahead of" if seconds > 0 else "behind"
    assert done == []
    assert is_said_apart(last_run().error, abs(seconds), direction)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert last_run().succeeded_at is None
    assert last_run().clock_difference == pytest.approx(seconds, abs=6)


def test_stage_runs_with_a_nearly_correct_clock() -> None:
    done = []

    run_stage("plan", lambda: done.append(1), clock=ahead(MOST_SECONDS_APART - 0.5), host="here")

    assert done == [1]


def test_time_of_the_query_is_not_a_clock_difference() -> None:
    instants = iter([utc_now() - timedelta(seconds=30), utc_now() + timedelta(seconds=30)])

    assert clock_difference(clock=lambda: next(instants)) == 0


def test_rows_of_old_hosts_are_deleted() -> None:
    run_stage("plan", lambda: None, host="gone")
    StageRun.objects.update(started_at=utc_now() - timedelta(days=8))

    run_stage("plan", lambda: None, host="here")

    assert StageRun.objects.get().host == "here"


@pytest.mark.parametrize(
    ("result", "counts"),
    [(None, {}), (4, {"done": 4}), (Counter(a=1), {"a": 1}), (Counts(), {"evaluated": 3})],
)
def test_the_result_of_the_work_becomes_counts(result: object, counts: dict[str, int]) -> None:
    assert json.loads(json.dumps(counts_of(result))) == counts


def test_a_run_takes_few_statements(django_assert_num_queries) -> None:
    with django_assert_num_queries(4):
        run_stage("plan", lambda: None, host="here")
    assert connection.in_atomic_block
