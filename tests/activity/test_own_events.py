"""Nudgelab's own events are logged and are not acts of the learner."""

from datetime import timedelta

import pytest
from django.db import connection

from activity.models import DailyActivity, Due, DueCause, Event, Progress
from activity.operations import append_own_event, ingest, push_due, rebuild_read_models
from tests.factories import NOW, make_enrollment, make_event

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)


def test_an_own_event_is_what_ingest_would_have_written() -> None:
    ours, theirs = make_enrollment(), make_enrollment()

    assert append_own_event(ours.pk, "EMAIL_SENT", source_id="a", now=NOW, properties={"k": 1})
    event = make_event(theirs, "EMAIL_SENT", occurred_at=NOW, properties={"k": 1})
    ingest([event], now=NOW)

    written, expected = (
        Event.objects.filter(enrollment=each).values().get() for each in (ours, theirs)
    )
    different = {name for name in written if written[name] != expected[name]}
    assert different == {"id", "enrollment_id", "source", "source_id"}


def test_the_same_own_event_counts_once() -> None:
    enrollment = make_enrollment()

    assert append_own_event(enrollment.pk, "EMAIL_SENT", source_id="a", now=NOW)
    assert not append_own_event(enrollment.pk, "EMAIL_SENT", source_id="a", now=LATER)

    enrollment.refresh_from_db()
    assert Event.objects.get().occurred_at == enrollment.last_event_at == NOW


def test_own_event_makes_its_enrollment_due_with_the_cause_time() -> None:
    enrollment = make_enrollment()
    Due.objects.update(due_at=None, cause=DueCause.TIME)

    append_own_event(enrollment.pk, "EMAIL_SENT", source_id="a", now=NOW)

    due = Due.objects.get()
    assert (due.due_at, due.cause) == (NOW, DueCause.TIME)


def test_read_models_with_an_own_event_are_those_of_a_rebuild() -> None:
    enrollment = make_enrollment()
    ingest([make_event(enrollment, "LOGIN", occurred_at=NOW)], now=NOW)
    before = list(DailyActivity.objects.values("day", "acts", "logins", "last_act_at"))

    append_own_event(enrollment.pk, "EMAIL_SENT", source_id="a", now=LATER)
    rebuild_read_models()

    assert list(DailyActivity.objects.values("day", "acts", "logins", "last_act_at")) == before
    assert not Progress.objects.exists()
    enrollment.refresh_from_db()
    assert enrollment.last_event_at == LATER


def test_due_is_locked_before_anything_is_written() -> None:
    enrollment = make_enrollment()
    statements: list[str] = []

    def note(execute, sql, *rest):
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        append_own_event(enrollment.pk, "EMAIL_SENT", source_id="a", now=NOW)

    written = [sql for sql in statements if "activity_" in sql]
    assert "activity_due" in written[0]
    assert "activity_event" in written[1]


def test_event_from_outside_cannot_use_our_source() -> None:
    enrollment = make_enrollment()
    events = [
        make_event(enrollment, "UNSUBSCRIBED", source="nudgelab"),
        make_event(enrollment, "LOGIN"),
    ]

    result = ingest(events, now=NOW)

    assert (result.stored, [each.index for each in result.rejected]) == (1, [0])
    assert "reserved for Nudgelab's own events" in result.rejected[0].message


def test_own_event_after_the_evaluation_is_still_not_an_act() -> None:
    enrollment = make_enrollment()
    Due.objects.update(due_at=NOW, cause=DueCause.TIME)
    # A mail is handed off ten seconds after the beat of the evaluation began.
    append_own_event(enrollment.pk, "EMAIL_SENT", source_id="a", now=NOW + timedelta(seconds=10))

    push_due([enrollment.pk], [NOW + timedelta(days=1)], evaluated_at=NOW, rules_revision=1)
    assert Due.objects.get().cause == DueCause.TIME

    ingest([make_event(enrollment, "LOGIN", occurred_at=LATER)], now=LATER)
    push_due([enrollment.pk], [NOW + timedelta(days=1)], evaluated_at=NOW, rules_revision=1)
    assert Due.objects.get().cause == DueCause.EVENT
