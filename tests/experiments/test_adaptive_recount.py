"""The outcomes behind the shares of an adaptive draw are counted again from the event log."""

from datetime import timedelta

import pytest
from django.db import transaction

from activity.models import Event
from experiments.models import Assignment, Experiment, SharePeriod
from experiments.operations import seal_draws
from experiments.queries import verify_experiment
from experiments.queries.share_periods import COMMITTED_WITHIN
from experiments.randomize.thompson import adapted_shares
from tests.experiments.adaptive_world import WEEKS_LATER, grow
from tests.factories import NOW, act

pytestmark = pytest.mark.django_db


@pytest.fixture
def grown() -> tuple[Experiment, list[Assignment]]:
    return grow()


Grown = tuple[Experiment, list[Assignment]]


def attempts(rows: list[Assignment]) -> list[Event]:
    """Return the attempts of the learners drawn before the shares changed, in their order."""
    early = [row.enrollment_id for row in rows[:20]]
    return list(Event.objects.filter(enrollment__in=early, verb="ATTEMPT_QUIZ").order_by("pk"))


def test_changed_event_is_named(grown: Grown) -> None:
    experiment, rows = grown
    seal_draws(experiment.pk, now=WEEKS_LATER)
    first, *others = attempts(rows)
    number = len(others) + 1
    sentence = (
        f"The shares from draw 20 on follow from {number} of {number} learners with the outcome in "
        f"the arm nudge, but the events known at {WEEKS_LATER.isoformat()} give {number - 1} of "
        f"{number} learners with the outcome."
    )
    for change in (
        {"verb": "LOGIN"},
        {"occurred_at": NOW - timedelta(days=1)},
        # As if it had come after the draw.
        {"received_at": WEEKS_LATER + timedelta(seconds=1)},
    ):
        savepoint = transaction.savepoint()
        Event.objects.filter(pk=first.pk).update(**change)
        assert verify_experiment(experiment.key).difference == sentence
        transaction.savepoint_rollback(savepoint)
    assert verify_experiment(experiment.key).difference == ""


def test_shares_and_counts_that_fit_each_other_but_no_event_are_named(grown: Grown) -> None:
    experiment, rows = grown
    period = SharePeriod.objects.get(position=20)
    # Nobody has sealed them yet, and whoever changed them has also computed the shares.
    counts = {arm: (n - seen, n) for arm, (seen, n) in period.counts.items()}
    forged = adapted_shares({arm: counts[arm] for arm in ("control", "nudge")}, floor=0.1)
    SharePeriod.objects.filter(pk=period.pk).update(counts=counts, shares=forged)
    # Those who were drawn by them would be named first.
    late = Assignment.objects.filter(period=period)
    late.delete()
    experiment.drawn_strata.update(drawn=20)

    assert "The shares from draw 20 on follow from" in verify_experiment(experiment.key).difference
    assert len(rows) == 50


def test_late_events_change_no_count(grown: Grown) -> None:
    experiment, rows = grown
    control = next(row for row in rows if row.arm.is_control)
    event = act(control.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + timedelta(hours=2))
    Event.objects.filter(pk=event.pk).update(received_at=WEEKS_LATER + timedelta(hours=1))

    assert verify_experiment(experiment.key).difference == ""


def test_event_stamped_shortly_before_the_draw_may_be_committed_after_it(grown: Grown) -> None:
    experiment, rows = grown
    control = next(row for row in rows if row.arm.is_control)
    event = act(control.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + timedelta(hours=2))
    received = Event.objects.filter(pk=event.pk)

    received.update(received_at=WEEKS_LATER - COMMITTED_WITHIN / 2)
    assert verify_experiment(experiment.key).difference == ""
    received.update(received_at=WEEKS_LATER - COMMITTED_WITHIN * 2)
    assert "in the arm control, but the events" in verify_experiment(experiment.key).difference


def test_experiment_restored_without_events_has_nothing_to_count(grown: Grown) -> None:
    experiment, _ = grown
    Event.objects.all().delete()
    assert "give 0 of" in verify_experiment(experiment.key).difference
    Experiment.objects.filter(pk=experiment.pk).update(is_restored=True)
    assert "give" not in verify_experiment(experiment.key).difference
