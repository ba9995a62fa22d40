"""What is old moves into the archive, whole and once, and what is still needed stays."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.forms import model_to_dict

from activity.models import Course
from common.archive import Month, make_months, months_of
from common.tally import reasons
from interventions.models import (
    ArchivedDelivery,
    ArchivedTrace,
    Delivery,
    FrequencyCap,
    InAppMessage,
    InstructorTask,
    Receipt,
    Run,
    SentMessage,
    TrackingEvent,
)
from interventions.operations import (
    CadenceFields,
    InterventionError,
    StepFields,
    save_cadence,
    save_cap,
)
from interventions.operations.archived_messages import ARCHIVED_DELIVERIES, ARCHIVED_TRACES
from interventions.queries.archive import kept_since
from interventions.stages.recover import recover
from segmentation.models import ArchivedTransition, Transition
from segmentation.operations import ARCHIVED_TRANSITIONS
from tests.factories import NOW
from tests.interventions.archive.worlds import OLD, TRACE, archive, make_full, make_old
from tests.interventions.factories import (
    make_any_segment,
    make_cadence,
    make_counted,
    make_evaluated,
    make_template,
    make_transition,
)

pytestmark = pytest.mark.django_db

RECENT = NOW - timedelta(days=399)


def test_an_old_message_moves_with_all_that_hangs_on_it() -> None:
    was = make_full()
    values = model_to_dict(was) | {"id": was.pk, "key": was.key}

    found = archive()

    assert (found.messages, found.transitions) == (1, 0)
    for model in (Delivery, SentMessage, Receipt, TrackingEvent, InstructorTask, InAppMessage):
        assert not model.objects.exists(), model
    kept = ArchivedDelivery.objects.select_related("traced").get()
    back = kept.as_delivery()
    left_out = {"id", "key", "token", "lease_until"}
    assert {name: getattr(back, name) for name in ("id", "key")} == {"id": was.pk, "key": was.key}
    assert {name: value for name, value in model_to_dict(back).items() if name not in left_out} == {
        name: value for name, value in values.items() if name not in left_out
    }
    assert (kept.delivered_at, kept.clicked_at, kept.machine_opened_at) == (OLD, OLD, None)
    trace = kept.traced
    assert trace.trace == TRACE
    assert [each["user_agent"] for each in trace.reports] == ["reader 0", "reader 1"]
    assert (trace.task["note"], trace.in_app["title"]) == ("She will come back.", "Hello")
    assert trace.sent["text"] == "Hello Ana"


def test_a_second_time_moves_nothing() -> None:
    make_full()

    assert archive().messages == 1
    assert archive().messages == 0
    assert ArchivedDelivery.objects.count() == ArchivedTrace.objects.count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"at": RECENT}, id="recent"),
        pytest.param({"state": "in_doubt"}, id="in doubt"),
        pytest.param({"state": "planned", "finished_at": None}, id="planned"),
        pytest.param(
            {"state": "failed", "expires_at": NOW + timedelta(days=1)}, id="can be tried again"
        ),
    ],
)
def test_what_is_not_old_or_not_over_stays(fields: dict[str, Any]) -> None:
    make_old(**fields)

    assert archive().messages == 0
    assert Delivery.objects.count() == 1


def test_nothing_grows_older_where_the_clock_stands_still() -> None:
    old, segment = make_old(), make_any_segment()
    make_transition(old.enrollment, segment, occurred_at=OLD, processed_at=OLD)
    Course.objects.filter(pk=old.enrollment.course_id).update(clock_stopped_at=OLD)

    found = archive()

    assert (found.messages, found.transitions) == (0, 0)


def test_a_message_of_a_run_that_goes_on_stays() -> None:
    Run.objects.filter(pk=make_old().run_id).update(status="active", ended_at=None)

    assert archive().messages == 0


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (InstructorTask, {"state": "open", "closed_at": None}),
        (InstructorTask, {"closed_at": RECENT}),
        (InAppMessage, {"expires_at": NOW + timedelta(days=1)}),
        (TrackingEvent, {"retry_at": NOW}),
    ],
    ids=["open task", "task closed lately", "shown in the course", "report that waits"],
)
def test_a_message_with_something_open_stays(model: Any, fields: dict[str, Any]) -> None:
    make_full()
    model.objects.update(**fields)

    assert archive().messages == 0
    assert (Delivery.objects.count(), Receipt.objects.count()) == (1, 1)


@pytest.mark.parametrize("active", [True, False])
def test_a_message_that_a_cap_can_count_stays(settings: Any, active: bool) -> None:
    # The cap was saved when the ledger kept more.
    settings.LEDGER_DAYS = 730
    save_cap("once in two years", scope="everything", window="rolling_days", length=730, limit=1)
    settings.LEDGER_DAYS = 400
    FrequencyCap.objects.update(active=active)
    make_old()
    make_old(at=NOW - timedelta(days=731))

    assert archive().messages == 1
    assert Delivery.objects.get().claimed_at == OLD


def test_rows_behind_one_that_stays_move_too(settings) -> None:
    for number in range(7):
        make_old(state="in_doubt" if number % 3 == 0 else "handed_off")

    assert archive().messages == 4
    assert set(Delivery.objects.values_list("state", flat=True)) == {"in_doubt"}


@pytest.mark.parametrize("days", [0, 10_000_000])
def test_nothing_moves_without_an_age(settings, days: int) -> None:
    settings.LEDGER_DAYS = days
    make_old()

    assert archive().messages == 0


def test_no_age_is_below_the_period_of_the_pages(settings) -> None:
    settings.LEDGER_DAYS = 1
    make_old(at=NOW - timedelta(days=59))
    make_old(at=NOW - timedelta(days=61))

    assert archive().messages == 1


def test_the_months_are_those_of_utc() -> None:
    make_old(at=datetime(2024, 1, 31, 23, 59, 59, tzinfo=UTC))
    make_old(at=datetime(2024, 2, 1, tzinfo=UTC))

    archive()

    assert {Month(2024, 1), Month(2024, 2)} <= set(months_of(ARCHIVED_DELIVERIES))
    with connection.cursor() as cursor:
        for name, number in (("y2024m01", 1), ("y2024m02", 1)):
            cursor.execute(f"SELECT count(*) FROM {ARCHIVED_DELIVERIES}_{name}")
            assert cursor.fetchone() == (number,)


def test_a_month_is_dropped_when_it_is_too_old(settings) -> None:
    settings.ARCHIVE_MONTHS = 20
    make_months((ARCHIVED_DELIVERIES, ARCHIVED_TRACES, ARCHIVED_TRANSITIONS), [Month(2023, 1)])
    make_old(at=NOW - timedelta(days=600))
    make_old()
    segment, member = make_any_segment(), make_evaluated()
    for at in (NOW - timedelta(days=900), OLD):
        make_transition(member, segment, occurred_at=at, processed_at=at)
    first = archive()
    kept = ArchivedDelivery.objects.count(), ArchivedTransition.objects.count()

    second = archive(now=NOW + timedelta(days=40))

    assert Month(2023, 1) in first.dropped[ARCHIVED_DELIVERIES]
    assert kept == (2, 2)
    assert second.dropped[ARCHIVED_DELIVERIES]
    assert [each.finished_at for each in ArchivedDelivery.objects.all()] == [OLD]
    assert [each.finished_at for each in ArchivedTrace.objects.all()] == [OLD]
    assert [each.occurred_at for each in ArchivedTransition.objects.all()] == [OLD]


def test_traces_are_dropped_before_the_numbers(settings) -> None:
    make_full()
    archive()
    settings.TRACE_MONTHS = 3

    archive()

    assert not ArchivedTrace.objects.exists()
    kept = ArchivedDelivery.objects.select_related("traced").get()
    assert (kept.clicked_at, kept.as_delivery().trace, kept.kept_trace) == (OLD, [], None)


def test_a_learner_who_is_erased_is_erased_in_the_archive() -> None:
    first, second = make_full(), make_old()
    segment = make_any_segment()
    for each in (first, second):
        make_transition(each.enrollment, segment, occurred_at=OLD, processed_at=OLD)
    archive()
    assert ArchivedTransition.objects.count() == 2

    first.learner.delete()

    for model in (ArchivedDelivery, ArchivedTrace, ArchivedTransition):
        assert [each.enrollment_id for each in model.objects.all()] == [second.enrollment_id]


def test_a_row_deleted_by_the_database_alone_is_gone_too() -> None:
    was = make_full()
    archive()

    with connection.cursor() as cursor:
        for table in ("interventions_run", "activity_due"):
            cursor.execute(f"DELETE FROM {table} WHERE enrollment_id = %s", [was.enrollment_id])
        cursor.execute("DELETE FROM activity_enrollment WHERE id = %s", [was.enrollment_id])

    assert not ArchivedDelivery.objects.exists()
    assert not ArchivedTrace.objects.exists()


def test_transitions_move_once_they_are_processed(caplog: pytest.LogCaptureFixture) -> None:
    segment, member = make_any_segment(), make_evaluated()
    done = make_transition(member, segment, occurred_at=OLD, processed_at=OLD)
    waiting = make_transition(member, segment, occurred_at=OLD)
    recent = make_transition(member, segment, occurred_at=RECENT, processed_at=RECENT)
    run = make_old().run
    Run.objects.update(transition=done)

    assert archive().transitions == 1

    assert not caplog.records
    assert set(Transition.objects.values_list("pk", flat=True)) == {waiting.pk, recent.pk}
    kept = ArchivedTransition.objects.get()
    assert (kept.pk, kept.kind, kept.occurred_at) == (done.pk, "enter", OLD)
    # Without it the run would look as if staff had started it.
    run.refresh_from_db()
    assert run.transition_id == done.pk


def test_a_step_of_archived_messages_cannot_be_removed() -> None:
    template = make_template()
    steps = [StepFields(template, timedelta(0)), StepFields(template, timedelta(days=1))]
    cadence = make_cadence(steps=steps, template=template)
    old = make_old(cadence=cadence)
    Delivery.objects.filter(pk=old.pk).update(step=cadence.steps.last())
    archive()
    fields = CadenceFields(name="x", category=cadence.category, segment=cadence.segment)

    with pytest.raises(InterventionError, match="has sent messages of a step"):
        save_cadence(cadence.key, fields=fields, steps=steps[:1])


def test_the_recover_stage_moves_what_is_old() -> None:
    make_old()

    for minutes, moved in ((29, 0), (40, 0), (30, 1)):
        recover(now=NOW + timedelta(minutes=minutes))
        assert ArchivedDelivery.objects.count() == moved


def test_looking_takes_few_statements(django_assert_num_queries) -> None:
    make_counted(make_evaluated(), NOW)
    archive()

    # The caps, and one look into each of the two tables.
    with django_assert_num_queries(3):
        archive()


@pytest.mark.slow
def test_a_batch_takes_as_many_statements_for_any_number(django_assert_num_queries) -> None:
    for _ in range(3):
        make_full()
    make_old()
    archive()
    for _ in range(30):
        make_old()

    # The caps; a look, the months of two tables, the move in a savepoint, and another look; and one
    # at the transitions.
    with django_assert_num_queries(9):
        assert archive().messages == 30


def test_what_moved_is_counted_for_the_metrics(
    settings, django_capture_on_commit_callbacks: Any
) -> None:
    settings.ARCHIVE_MONTHS = 12
    make_old()
    make_old(at=OLD - timedelta(days=1_000))

    with reasons() as first, django_capture_on_commit_callbacks(execute=True):
        archive()
    with reasons() as second, django_capture_on_commit_callbacks(execute=True):
        archive()

    assert first["archived:messages"] == 2
    assert second["deleted:old_months"] >= 1


@pytest.mark.parametrize(
    ("ledger_days", "months", "since"),
    [
        (400, 0, None),
        (400, 24, datetime(2023, 9, 1, tzinfo=UTC)),
        # What is in the ledger is not deleted, however few months the archive keeps.
        (400, 6, NOW - timedelta(days=400)),
        (0, 6, datetime(2025, 3, 1, tzinfo=UTC)),
    ],
)
def test_since_when_all_messages_are_stored(settings, ledger_days, months, since) -> None:
    settings.LEDGER_DAYS, settings.ARCHIVE_MONTHS = ledger_days, months

    assert kept_since(now=NOW) == since
