"""Adaptive draws: shares follow what is known, are written first, and are replayed."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from experiments.ledger import Replay, ShareRecord
from experiments.ledger.snapshots import Snapshot, computed_rows, rows_difference
from experiments.models import Assignment, Experiment, LedgerEntry, SharePeriod, Stratum
from experiments.operations import (
    draw_arms,
    ledger_lines,
    restore_ledger,
    seal_draws,
    snapshot_due,
)
from experiments.protocol import ProtocolError, read_protocol
from experiments.queries import report, verify_experiment
from experiments.queries.ledger import entry_of, share_records
from experiments.queries.planning import protocol_of_draft
from experiments.randomize.hash import bucket_of, bucket_of_many
from experiments.randomize.thompson import adapted_shares, arm_seed
from experiments.reporting.adaptive.text import shares_text
from experiments.reporting.answer import Judgement, answers, judge
from experiments.reporting.methods import methods
from experiments.reporting.page import outcome_rows
from experiments.reporting.sections import guard_texts
from experiments.reporting.text import cautions
from tests.experiments.adaptive_world import (
    WEEKS_LATER,
    adaptive,
    attempt,
    enter,
    grow,
    new_ids,
)
from tests.experiments.factories import HALVES, make_experiment
from tests.factories import NOW
from tests.processes import SECONDS_TO_FINISH

pytestmark = pytest.mark.django_db

GOLDEN = [7512, 7622, 3970, 3509, 3477, 1066, 7346, 5024]


@pytest.fixture
def grown() -> tuple[Experiment, list[Assignment]]:
    return grow()


def test_shares_follow_the_outcomes_and_draw_by_the_hash(
    grown: tuple[Experiment, list[Assignment]],
) -> None:
    experiment, rows = grown
    before, after = SharePeriod.objects.all()
    sizes = Counter(row.arm.key for row in rows[:20])

    assert (before.position, before.shares, before.counts) == (0, HALVES, {})
    assert (after.position, after.at) == (20, WEEKS_LATER)
    counts = {"control": (0, sizes["control"]), "nudge": (sizes["nudge"], sizes["nudge"])}
    assert after.counts == {arm: list(each) for arm, each in counts.items()}
    assert after.shares == adapted_shares(counts, floor=0.1)
    assert after.shares["nudge"] > 0.89
    assert [row.position for row in rows] == list(range(50))
    for row in rows:
        assert row.period is not None
        bucket = bucket_of(str(row.unit_key), seed=arm_seed(experiment.seed))
        # The control comes first, although the database keeps no order of keys.
        is_control = bucket < round(row.period.shares["control"] * 10_000)
        assert row.arm.is_control == is_control
    assert {row.period_id for row in rows[20:]} == {after.pk}


def test_shares_stay_until_enough_is_known_and_between_batches() -> None:
    experiment = adaptive()
    attempt(enter(experiment, 19, at=NOW))
    # The 20th learner is drawn, but only 19 outcomes are known.
    enter(experiment, 2, at=WEEKS_LATER)
    assert SharePeriod.objects.count() == 1
    # All outcomes are known, but the next change is due at draw 40.
    enter(experiment, 19, at=WEEKS_LATER + timedelta(days=30))
    assert SharePeriod.objects.count() == 1
    enter(experiment, 1, at=WEEKS_LATER + timedelta(days=30))
    assert list(SharePeriod.objects.values_list("position", flat=True)) == [0, 40]


def test_one_call_changes_the_shares_once_at_most() -> None:
    experiment = adaptive()
    attempt(enter(experiment, 20, at=NOW))
    enter(experiment, 70, at=WEEKS_LATER)

    assert list(SharePeriod.objects.values_list("position", flat=True)) == [0, 20]


def test_coverage_does_not_decide_the_arm() -> None:
    experiment = adaptive(coverage="0.4")
    rows = enter(experiment, 80, at=NOW)

    assert 15 < len(rows) < 50
    assert all(row.bucket < 4000 for row in rows)
    arms = Counter(row.arm.key for row in rows)
    assert min(arms.values()) > 4


def test_rolled_back_draw_leaves_neither_shares_nor_a_gap() -> None:
    experiment = adaptive()
    attempt(enter(experiment, 20, at=NOW))
    savepoint = transaction.savepoint()
    enter(experiment, 5, at=WEEKS_LATER)
    transaction.savepoint_rollback(savepoint)
    assert SharePeriod.objects.count() == 1
    enter(experiment, 5, at=WEEKS_LATER)

    assert Stratum.objects.get().drawn == Assignment.objects.count() == 25
    assert verify_experiment(experiment.key).difference == ""


@pytest.mark.django_db(transaction=True)
def test_draws_at_the_same_moment_write_each_period_once() -> None:
    experiment = adaptive()
    attempt(enter(experiment, 20, at=NOW))
    ids = new_ids(experiment, 24)
    barrier = threading.Barrier(2)

    def work(own: list[int]) -> None:
        try:
            barrier.wait(timeout=SECONDS_TO_FINISH)
            for place in range(0, len(own), 4):
                draw_arms(experiment.pk, own[place : place + 4], now=WEEKS_LATER)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(part,)) for part in (ids[:16], ids[8:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    positions = Assignment.objects.order_by("position").values_list("position", flat=True)
    assert list(positions) == list(range(44))
    assert SharePeriod.objects.filter(position=20).count() == 1
    assert verify_experiment(experiment.key).difference == ""


def test_ledger_holds_the_shares_and_a_restored_one_verifies(
    grown: tuple[Experiment, list[Assignment]],
) -> None:
    experiment, _ = grown
    seal_draws(experiment.pk, now=WEEKS_LATER)
    found = verify_experiment(experiment.key)
    assert (found.difference, found.draws, found.unsealed) == ("", 50, 0)
    lines = [line.replace(experiment.key, "copy") for line in ledger_lines(experiment.key, now=NOW)]
    assert sum('\\"shares\\"' in line for line in lines) == 1

    # Another key would have another digest, so the copy takes the place of the original.
    lines = list(ledger_lines(experiment.key, now=NOW))
    Assignment.objects.all().delete()
    SharePeriod.objects.all().delete()
    Experiment.objects.filter(pk=experiment.pk).update(key="gone", seed="gone")
    restored = restore_ledger(lines)
    assert restored.share_periods.count() == 2
    assert verify_experiment(restored.key).difference == ""


def test_changed_rows_are_named(grown: tuple[Experiment, list[Assignment]]) -> None:
    experiment, rows = grown
    other = experiment.arms.exclude(pk=rows[-1].arm_id).get()
    Assignment.objects.filter(pk=rows[-1].pk).update(arm=other)
    found = verify_experiment(experiment.key).difference
    assert f"The unit {rows[-1].unit_key} was drawn into {other.key}" in found
    Assignment.objects.filter(pk=rows[-1].pk).update(arm=rows[-1].arm)

    seal_draws(experiment.pk, now=WEEKS_LATER)
    for change, sentence in (
        ({"shares": {"control": 0.2, "nudge": 0.8}}, "has the shares"),
        ({"counts": {"control": [9, 10], "nudge": [0, 10]}}, "has the counts"),
        ({"position": 21}, "no longer in the table"),
    ):
        savepoint = transaction.savepoint()
        SharePeriod.objects.filter(position=20).update(**change)
        found = verify_experiment(experiment.key).difference
        assert "shares from 20 on" in found
        assert sentence in found
        transaction.savepoint_rollback(savepoint)


def test_shares_that_do_not_follow_from_their_counts_are_named(
    grown: tuple[Experiment, list[Assignment]],
) -> None:
    experiment, _ = grown
    protocol = read_protocol(experiment.protocol)
    first, second = share_records(SharePeriod.objects.all())
    faults = {
        "but {'control'": ShareRecord(20, second.at, {"control": 0.3, "nudge": 0.7}, second.counts),
        "at another time": ShareRecord(21, second.at, second.shares, second.counts),
        "before the outcomes of 20 learners": ShareRecord(
            20, second.at, second.shares, {"control": [0, 9], "nudge": [9, 10]}
        ),
        "do not follow": ShareRecord(0, first.at, first.shares, {}),
    }
    for sentence, record in faults.items():
        replay = Replay(protocol)
        assert replay.shares([first]) == ""
        assert sentence in replay.shares([record])


def test_kept_report_is_computed_again_from_its_periods(
    grown: tuple[Experiment, list[Assignment]],
) -> None:
    experiment, rows = grown
    attempt(rows[30:], arm="control")
    assert snapshot_due(now=WEEKS_LATER + timedelta(days=8), budget=60) == 1
    found = verify_experiment(experiment.key)
    assert (found.difference, found.snapshots) == ("", 1)

    entry = LedgerEntry.objects.get(kind="snapshot")
    kept = Snapshot.read(entry_of(entry))
    assert set(kept.tables["quiz_attempted_7d"]) == {"0", "20"}
    # The outcomes of the two periods in each other's place: no total changes, but the difference.
    swapped = {
        metric: dict(zip(of, reversed(list(of.values())), strict=True))
        for metric, of in kept.tables.items()
    }
    protocol = read_protocol(experiment.protocol)
    assert rows_difference(kept, computed_rows(replace(kept, tables=swapped), protocol)) == ""
    control = kept.tables["quiz_attempted_7d"]["0"]["control"]
    mixed = {
        "0": {"control": control, "nudge": kept.tables["quiz_attempted_7d"]["20"]["nudge"]},
        "20": {
            "control": kept.tables["quiz_attempted_7d"]["20"]["control"],
            "nudge": kept.tables["quiz_attempted_7d"]["0"]["nudge"],
        },
    }
    rows_now = computed_rows(replace(kept, tables={"quiz_attempted_7d": mixed}), protocol)
    assert "lift of quiz_attempted_7d in nudge was" in rows_difference(kept, rows_now)


def test_arms_of_these_units_never_change() -> None:
    keys = [f"00000000-0000-4000-8000-{number:012}" for number in range(8)]

    assert bucket_of_many(keys, seed=arm_seed("golden")).tolist() == GOLDEN


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"primary_outcome": "quiz_attempts_7d"}, "follows a share of learners"),
        ({"looks": "2027-01-01"}, "is judged once, at its end"),
        ({"subgroups": "region"}, "are too small to be compared"),
        ({"strata": "course"}, "Only draws in balanced blocks have strata"),
        ({"share_floor": "0.5"}, "2 arms cannot each have"),
        ({"share_floor": "0.01"}, "at least 0.05"),
        ({"burn_in": 5}, "at least 20 learners"),
    ],
)
def test_what_does_not_work_with_it_is_refused(fields: dict[str, Any], sentence: str) -> None:
    experiment = make_experiment(method="adaptive", **fields)

    with pytest.raises(ProtocolError, match=sentence):
        protocol_of_draft(experiment, now=NOW)


def test_arm_below_the_smallest_share_is_refused() -> None:
    experiment = make_experiment({"control": 0.95, "nudge": 0.05}, method="adaptive")

    with pytest.raises(ProtocolError, match="An arm has a weight below"):
        protocol_of_draft(experiment, now=NOW)


def test_report_compares_within_periods(grown: tuple[Experiment, list[Assignment]]) -> None:
    experiment, rows = grown
    attempt(rows[20:])
    as_of = WEEKS_LATER + timedelta(days=8)
    found = report(experiment, as_of=as_of)

    assert found.adaptive is not None
    assert [period.drawn for period in found.adaptive.periods] == [
        dict(Counter(row.arm.key for row in part)) for part in (rows[:20], rows[20:])
    ]
    (row,) = found.primary.rows
    assert row.comparison.difference.method.startswith("score by period")
    assert found.balance.expected == pytest.approx(
        (10 + 30 * found.adaptive.periods[1].shares["control"],
         10 + 30 * found.adaptive.periods[1].shares["nudge"])
    )  # fmt: skip
    assert found.adaptive.width("nudge")
    # The rates are means over periods, so they stand without the numbers of all learners.
    (answer,) = answers(found)
    figures = row.figures
    levels = figures.level(row.arm_level), figures.level(row.control_level)
    assert f"{levels[0]} of learners attempted a quiz within 7 days, against {levels[1]}" in (
        answer.found
    )
    assert answer.judgement is Judgement.EARLY
    assert "An adaptive draw is judged once, at its end." in answer.how_sure
    (cost,) = [text for text in cautions(found) if "adapting made the interval" in text]
    assert f"the {found.adaptive.learners} counted learners say as much as" in cost
    assert "The shares have changed once." in shares_text(found)
    assert "0.0% of learners unsubscribed" in guard_texts(found)[0].text
    assert (found.staying, found.reach, found.looking) == (None, None, None)


def test_numbers_are_said_to_be_not_compared() -> None:
    experiment = adaptive(other_outcomes=["quiz_attempts_7d"])
    enter(experiment, 12, at=NOW)
    found = report(experiment, as_of=WEEKS_LATER)

    (row,) = found.results[1].rows
    assert judge(found, row) is Judgement.NOT_COMPARED
    assert "Not compared: of an adaptive draw, only shares" in methods(found)[1]
    assert outcome_rows(found)[1].badge == "not compared"


def test_list_of_shares_says_them_in_words(
    admin_client: Client, grown: tuple[Experiment, list[Assignment]]
) -> None:
    page = admin_client.get("/admin/experiments/shareperiod/").content.decode()

    assert "90.0% nudge, 10.0% control" in page
    control = sum(row.arm.is_control for row in grown[1][:20])
    assert f"0 of {control} in control" in page
