"""A row that is locked for long delays only its own learner, and hardly slows the loop."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from activity.models import Due, Event, NoKind, NoSource, PendingNo
from activity.operations import ingest
from common.database import is_held
from common.tally import in_words, tally
from config.pages.busy import BusyMiddleware
from interventions.models import Consent, Delivery, LearnerPause, Run
from interventions.operations import pause_learner
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from interventions.stages.recover import recover
from segmentation.models import Transition
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_course, make_enrollment, make_event
from tests.interventions.factories import (
    dispatch,
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
    make_transition,
)
from tests.processes import database_url
from tests.segmentation.factories import QUIET, make_playbook, make_segment

pytestmark = pytest.mark.django_db(transaction=True)

Hold = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Return a function that locks one row in another connection. Set a short lock timeout."""
    with connection.cursor() as cursor:
        # As in a worker, but shorter, so that the tests are fast.
        cursor.execute("SET lock_timeout = '200ms'")

    @contextmanager
    def holding(table: str, row: int, *, key: str = "id") -> Iterator[None]:
        with psycopg.connect(database_url()) as other:
            other.execute(f"SELECT FROM {table} WHERE {key} = %s FOR UPDATE", [row])
            yield

    yield holding
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def test_a_locked_message_is_skipped_and_the_others_go_out(hold: Hold) -> None:
    held, free = make_delivery(), make_delivery()

    with hold("interventions_delivery", held.pk), tally() as found:
        sent, _ = dispatch()
    assert [each.address for each in sent] == [free.learner.email]
    assert in_words(found) == "1 passed over (held by another 1)"

    held.refresh_from_db()
    assert (held.state, held.trace, held.send_at) == ("planned", [], NOW)
    sent, _ = dispatch()
    assert [each.address for each in sent] == [held.learner.email]


def test_a_locked_learner_does_not_stop_the_other_work_of_recover(hold: Hold) -> None:
    enrollment = make_enrollment(due_at=None)
    ingest([make_event(enrollment, occurred_at=NOW + timedelta(minutes=1))], now=NOW)
    learner = make_evaluated().learner
    PendingNo.objects.create(
        learner=learner, kind=NoKind.OPT_OUT, source=NoSource.FEED, said_at=NOW
    )
    claimed = make_delivery(
        state="claimed",
        claimed_at=NOW,
        token="12345678-1234-1234-1234-123456789012",
        lease_until=NOW,
    )
    later = NOW + timedelta(minutes=2)

    with (
        hold("activity_due", enrollment.pk, key="enrollment_id"),
        hold("activity_learner", learner.pk),
        tally() as found,
    ):
        recover(now=later)
    claimed.refresh_from_db()
    assert claimed.state == "in_doubt"
    assert not Event.objects.exists()
    assert not Consent.objects.exists()
    assert "2 passed over (held by another 2)" in in_words(found)

    recover(now=later + timedelta(minutes=1))
    assert Event.objects.get().enrollment_id == enrollment.pk
    assert not PendingNo.objects.exists()


def test_an_edit_with_a_locked_enrollment_still_evaluates_the_others(hold: Hold) -> None:
    course = make_course()
    held, due = make_enrollment(course, due_at=None), make_enrollment(course, due_at=NOW)
    make_segment(make_playbook(course), QUIET)

    with hold("activity_due", held.pk, key="enrollment_id"):
        evaluate_due(now=NOW)
    assert Due.objects.get(pk=due.pk).evaluated_at == NOW
    assert Due.objects.get(pk=held.pk).evaluated_at is None

    evaluate_due(now=NOW)
    assert Due.objects.get(pk=held.pk).evaluated_at == NOW


def test_a_locked_enrollment_does_not_delay_its_batch(hold: Hold) -> None:
    course = make_course()
    enrollments = [make_enrollment(course) for _ in range(5)]
    make_segment(make_playbook(course), QUIET)

    # As during a deletion: rows that refer to it cannot be written.
    with hold("activity_enrollment", enrollments[2].pk):
        evaluate_due(now=NOW)

    evaluated = set(Due.objects.filter(evaluated_at=NOW).values_list("pk", flat=True))
    assert evaluated >= {each.pk for each in enrollments} - {enrollments[2].pk}


def test_a_transition_of_a_locked_enrollment_waits_without_a_failure(hold: Hold) -> None:
    cadence = make_cadence()
    held, *free = [make_evaluated(make_live_course()) for _ in range(5)]
    for each in (held, *free):
        make_transition(each, cadence.segment)

    with hold("activity_enrollment", held.pk):
        react_due(now=NOW)
    assert set(Run.objects.values_list("enrollment", flat=True)) == {each.pk for each in free}
    assert Transition.objects.get(processed_at=None).attempts == 0

    react_due(now=NOW)
    assert Run.objects.filter(enrollment=held).exists()


def test_a_step_of_a_locked_enrollment_is_planned_half_a_minute_later(hold: Hold) -> None:
    cadence = make_cadence()
    held, free = (
        make_run(make_evaluated(make_live_course()), cadence, next_at=NOW, next_position=0)
        for _ in range(2)
    )

    with hold("activity_enrollment", held.enrollment_id):
        plan_due(now=NOW)
    assert [each.run_id for each in Delivery.objects.all()] == [free.pk]

    plan_due(now=NOW + timedelta(seconds=30))
    assert Delivery.objects.get(run=held).planned_at == NOW


def test_a_page_that_waits_too_long_shows_a_sentence(hold: Hold, rf) -> None:
    segment = make_any_segment()
    locked = type(segment).objects.select_for_update(no_key=True)
    with hold("segmentation_segment", segment.pk), transaction.atomic():
        with pytest.raises(OperationalError) as raised:
            locked.get(pk=segment.pk)
        transaction.set_rollback(True)

    assert is_held(raised.value)
    middleware = BusyMiddleware(lambda request: None)
    response = middleware.process_exception(rf.get("/"), raised.value)
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert middleware.process_exception(rf.get("/"), ValueError("no")) is None


def test_a_pause_of_a_learner_waits_for_the_worker_that_claims(hold: Hold) -> None:
    learner = make_evaluated().learner

    # A pause that did not wait could be confirmed before the worker commits its claim.
    with hold("activity_learner", learner.pk), pytest.raises(OperationalError):
        pause_learner(learner.pk, paused=True, now=NOW)

    assert not LearnerPause.objects.exists()
