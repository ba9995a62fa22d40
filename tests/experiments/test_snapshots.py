"""What a report said on a day is kept in the ledger, and its numbers come out again."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from activity.models import Course, Event, FeedHold
from experiments.ledger.snapshots import Snapshot, rows_difference
from experiments.models import EntryKind, Experiment, LedgerEntry
from experiments.operations import (
    draw_arms,
    record_deviation,
    snapshot_due,
    stop_experiment,
)
from experiments.queries import report, verify_experiment
from experiments.queries.ledger import entries_of, entry_of
from experiments.queries.snapshots import snapshot_days, snapshot_fault
from experiments.reporting.text import CSV_COLUMNS
from experiments.starting import lock_protocol_and_run
from tests.experiments.factories import assign, make_experiment, make_segment
from tests.factories import NOW, act, all_act, make_course, make_enrollment

pytestmark = pytest.mark.django_db

DAY, WEEK = timedelta(days=1), timedelta(days=7)


@pytest.fixture
def experiment() -> Experiment:
    """Return a running experiment of a live course with ten learners in each arm."""
    course = make_course(title="Biology", live_since=NOW - WEEK)
    found = make_experiment(key="nudge", segment=make_segment(course), name="Nudge")
    found = lock_protocol_and_run(found.pk, now=NOW)
    for arm, reached in (("control", 2), ("nudge", 8)):
        for place in range(10):
            enrollment = make_enrollment(course)
            assign(found, arm, NOW, enrollment)
            if place < reached:
                act(enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + DAY)
    return found


def keep(at: Any) -> int:
    return snapshot_due(now=at, budget=60)


def entries() -> list[Snapshot]:
    rows = LedgerEntry.objects.filter(kind=EntryKind.SNAPSHOT).order_by("position")
    return [Snapshot.read(entry_of(row)) for row in rows]


def test_a_report_is_kept_once_a_day(experiment: Experiment) -> None:
    kept = [keep(NOW + WEEK + offset) for offset in (0 * DAY, DAY / 24, DAY, DAY + DAY / 24)]

    assert kept == [1, 0, 1, 0]
    assert [at for _, at in snapshot_days(experiment)] == [NOW + WEEK + DAY, NOW + WEEK]
    said = " ".join(entries()[0].said)
    assert (
        "8 of 10 learners attempted a quiz within 7 days (80.0%), against 2 of 10 (20.0%)" in said
    )


def test_nothing_is_kept_before_the_first_draw() -> None:
    draft = make_experiment(segment=make_segment(make_course()))
    lock_protocol_and_run(draft.pk, now=NOW)

    assert keep(NOW + WEEK) == 0


def test_a_report_of_a_past_instant_reads_what_was_known_of_the_feed_then(
    experiment: Experiment,
) -> None:
    course = Course.objects.get()
    keep(NOW + WEEK)
    # On the eighth day it is found that events have stayed away since the third.
    hold = FeedHold.objects.create(
        course=course, since=NOW + 3 * DAY, noted_at=NOW + WEEK + DAY / 2
    )
    keep(NOW + WEEK + DAY)
    hold.ended_at = NOW + WEEK + 2 * DAY
    hold.save()
    keep(NOW + WEEK + 2 * DAY)

    counted = [
        sum(int(row[CSV_COLUMNS.index("counted")] or 0) for row in each.rows) for each in entries()
    ]
    assert [n > 0 for n in counted] == [True, False, True]
    assert faults_of(experiment) == ["", "", ""]
    past, then = (report(experiment, as_of=NOW + WEEK + days * DAY) for days in (0, 1))
    assert [found.facts.courses[0].held_since for found in (past, then)] == [
        None, NOW + 3 * DAY,
    ]  # fmt: skip


def test_a_report_that_is_not_due_reads_no_event(experiment: Experiment) -> None:
    # Each beat of some minutes asks, and the report of a large experiment takes seconds.
    with CaptureQueriesContext(connection) as read:
        keep(NOW + WEEK)
    assert "activity_event" in str(read.captured_queries)

    with CaptureQueriesContext(connection) as unread:
        keep(NOW + WEEK + DAY / 24)

    assert "activity_event" not in str(unread.captured_queries)


def test_a_protocol_of_a_later_release_keeps_no_other_report_waiting(
    experiment: Experiment,
) -> None:
    keep(NOW + WEEK)
    stop_experiment(experiment.pk, now=NOW + WEEK)
    text = experiment.protocol.replace('"format":4', '"format":9')
    Experiment.objects.filter(pk=experiment.pk).update(protocol=text)

    assert keep(NOW + WEEK + DAY) == 0


def test_a_stopped_experiment_is_kept_until_everybody_is_counted(experiment: Experiment) -> None:
    stop_experiment(experiment.pk, now=NOW + DAY)

    kept = [keep(NOW + days * DAY) for days in (2, 8, 9, 10, 11)]

    assert kept == [1, 1, 1, 1, 0]


def test_the_numbers_of_kept_reports_come_out_again(experiment: Experiment) -> None:
    keep(NOW + WEEK)
    keep(NOW + WEEK + DAY)
    late = experiment.assignments.latest("pk").enrollment
    act(late, "ATTEMPT_QUIZ", occurred_at=NOW + 2 * DAY)
    # It came after both reports, so it changes neither.
    Event.objects.filter(occurred_at=NOW + 2 * DAY).update(received_at=NOW + 2 * WEEK)

    faults = [fault for fault in faults_of(experiment) if fault]

    assert faults == []


def test_a_number_that_was_changed_is_found_and_named(experiment: Experiment) -> None:
    keep(NOW + WEEK)
    Event.objects.filter(occurred_at=NOW + DAY).first().delete()  # type: ignore[union-attr]

    (fault,) = [fault for fault in faults_of(experiment) if fault]

    assert fault.startswith("The numbers in entry 1 (as of 20")
    assert "successes of quiz_attempted_7d in" in fault
    assert fault.endswith("comes out.")


def faults_of(experiment: Experiment) -> list[str]:
    found = [each for each in entries_of(experiment) if each.kind == EntryKind.SNAPSHOT]
    return [snapshot_fault(experiment, each) for each in found]


@pytest.mark.slow
def test_verifying_draws_again_and_computes_the_numbers_again() -> None:
    course = make_course(live_since=NOW - WEEK)
    found = make_experiment(key="drawn", segment=make_segment(course))
    lock_protocol_and_run(found.pk, now=NOW)
    learners = [make_enrollment(course) for _ in range(20)]
    draw_arms(found.pk, [each.pk for each in learners], now=NOW)
    all_act(learners[:7], "ATTEMPT_QUIZ", at=NOW + DAY)
    keep(NOW + WEEK)

    sound = verify_experiment("drawn")
    Event.objects.update(occurred_at=NOW + 8 * DAY)
    changed = verify_experiment("drawn")

    assert (sound.difference, sound.snapshots, sound.unsealed) == ("", 1, 20)
    assert changed.difference.startswith("The numbers in entry 1 (as of 20")


def test_a_changed_entry_breaks_the_chain(experiment: Experiment) -> None:
    experiment.assignments.all().delete()
    record_deviation(experiment.pk, what="The coverage is 1 and was 0.5.", now=NOW)
    LedgerEntry.objects.filter(kind=EntryKind.DEVIATION).update(content='{"what":"Nothing."}')

    assert "Entry 1 of the ledger (deviation) was changed" in verify_experiment("nudge").difference


def forget(experiment: Experiment) -> None:
    """Remove what a fresh database would not have."""
    Event.objects.all().delete()
    experiment.assignments.all().delete()
    experiment.section_draws.all().delete()
    experiment.drawn_strata.all().delete()
    experiment.ledger.all().delete()
    experiment.arms.all().delete()
    experiment.delete()


def test_columns_of_later_releases_are_not_compared() -> None:
    place = {name: at for at, name in enumerate(CSV_COLUMNS)}
    today = [
        ["m", "a"][name == "arm"] if name in ("metric", "arm") else "1" for name in CSV_COLUMNS
    ]
    kept = Snapshot("x", "2025", (), ("metric", "arm", "counted"), (("m", "a", "1"),), {}, {}, {})

    assert rows_difference(kept, [today]) == ""
    today[place["counted"]] = "2"
    assert rows_difference(kept, [today]) == "counted of m in a was 1, but 2 comes out"
    assert "1 rows, and 0 come out" in rows_difference(kept, [])
    gone = Snapshot("x", "2025", (), ("metric", "arm", "luck"), (("m", "a", "1"),), {}, {}, {})
    assert rows_difference(gone, [today]) == "the column luck is no longer computed"


@pytest.mark.parametrize(
    ("old", "now", "is_same"),
    [
        # The last digits of a limit, as two processors found them.
        ("-0.07121277893343352", "-0.07121277893341414", True),
        ("0.0", "1.4e-17", True),
        ("-0.07121277893343352", "-0.07121277823343352", False),
        ("0.25", "", False),
        ("nan", "0.25", False),
        ("higher", "lower", False),
    ],
)
def test_the_last_digits_of_another_processor_are_no_edit(
    old: str, now: str, *, is_same: bool
) -> None:
    place = {name: at for at, name in enumerate(CSV_COLUMNS)}
    today = ["m" if name == "metric" else "a" for name in CSV_COLUMNS]
    kept = Snapshot("x", "2025", (), ("metric", "arm", "low"), (("m", "a", old),), {}, {}, {})
    today[place["low"]] = now

    assert (rows_difference(kept, [today]) == "") is is_same


def test_a_withheld_comparison_is_no_fault_of_the_ledger() -> None:
    columns = ("metric", "arm", "lift", "finding")
    kept = Snapshot("x", "2025", (), columns, (("m", "a", "", "withheld"),), {}, {}, {})
    # The tables give the difference: they do not hold who left.
    values = {"metric": "m", "arm": "a", "lift": "0.2", "finding": "higher"}

    assert rows_difference(kept, [[values.get(name, "") for name in CSV_COLUMNS]]) == ""


@pytest.mark.slow
def test_the_page_shows_what_was_said_then(experiment: Experiment, admin_client: Client) -> None:
    keep(NOW + WEEK)
    record_deviation(experiment.pk, what="The coverage is 1 and was 0.5.", now=NOW + WEEK)
    page = admin_client.get("/reports/nudge/").content.decode()

    kept = admin_client.get("/reports/nudge/kept/1/").content.decode()

    assert "/reports/nudge/kept/1/" in page
    assert "The coverage is 1 and was 0.5." in page
    assert "8 of 10 learners attempted a quiz" in kept
    assert "0.8000" in kept
    assert admin_client.get("/reports/nudge/kept/2/").status_code == 404
    assert admin_client.get("/reports/nudge/kept/9/").status_code == 404


def test_the_page_of_a_day_is_read_and_not_computed(
    experiment: Experiment, admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    keep(NOW + WEEK)

    # Session, user, experiment, entry, courses twice, pause, and the course of the menu.
    with django_assert_max_num_queries(9):
        admin_client.get("/reports/nudge/kept/1/")
