"""Recovery of the work of a dead or slow worker."""

from datetime import datetime, timedelta

import pytest

from activity.models import Course, Due, Event, RejectedEvent
from activity.operations import ingest
from experiments.models import DeliveryOutcome
from interventions.channels import Answer, Result
from interventions.models import Delivery
from interventions.operations import InterventionError, resolve_in_doubt, retry_failed, save_cap
from interventions.operations.claim import Claim
from interventions.operations.finish import Done, finish_deliveries, release_claims
from interventions.operations.runs import exit_runs
from interventions.stages.recover import recover
from tests.factories import NOW, make_event
from tests.interventions.factories import (
    arm_of,
    assign,
    claim,
    dispatch,
    make_cadence,
    make_category,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_run,
    mark_evaluated,
)

pytestmark = pytest.mark.django_db

LEASE_ENDS = NOW + timedelta(minutes=15)
HANDED_OFF = Answer(Result.HANDED_OFF)


def claim_of(delivery: Delivery) -> Claim:
    (found,) = claim(delivery.learner_id).claims
    return found


def finish(claimed: Claim, answer: Answer) -> str | None:
    (state,) = finish_deliveries([Done(claimed, answer)], now=LEASE_ENDS)
    return state


def make_doubtful(policy: str = "prefer_once") -> tuple[Delivery, Claim]:
    category = make_category(in_doubt_policy=policy)
    enrollment, cadence = make_evaluated(), make_cadence(category=category)
    experiment = make_experiment(cadence.segment, start=False)
    assignment = assign(enrollment, arm_of(experiment, "nudge"))
    delivery = make_delivery(run=make_run(enrollment, cadence, assignment=assignment))
    return delivery, claim_of(delivery)


def state_of(delivery: Delivery) -> tuple[str, str]:
    delivery.refresh_from_db()
    return delivery.state, delivery.reason


def test_a_claim_is_left_alone_while_its_lease_runs() -> None:
    delivery, _ = make_doubtful()

    recover(now=LEASE_ENDS - timedelta(seconds=1))

    assert state_of(delivery) == ("claimed", "")


def test_an_expired_lease_is_in_doubt_and_never_sent_again() -> None:
    delivery, _ = make_doubtful()

    recover(now=LEASE_ENDS)

    assert state_of(delivery) == ("in_doubt", "lease_expired")
    assert delivery.claimed_at == NOW
    assert DeliveryOutcome.objects.get().outcome == "in_doubt"
    recover(now=LEASE_ENDS + timedelta(days=1))
    assert dispatch(LEASE_ENDS + timedelta(days=1))[0] == []
    assert state_of(delivery) == ("in_doubt", "lease_expired")


def test_a_late_finish_with_the_same_token_resolves_the_doubt() -> None:
    delivery, late = make_doubtful()
    recover(now=LEASE_ENDS)

    assert finish(late, HANDED_OFF) == "handed_off"

    assert state_of(delivery) == ("handed_off", "")
    assert DeliveryOutcome.objects.get().outcome == "handed_off"
    assert Event.objects.filter(verb="EMAIL_SENT").count() == 1


def test_a_late_refusal_leaves_the_doubt() -> None:
    delivery, late = make_doubtful()
    recover(now=LEASE_ENDS)

    assert finish(late, Answer(Result.NOT_ACCEPTED)) is None
    assert state_of(delivery) == ("in_doubt", "lease_expired")


def test_prefer_delivery_plans_again_under_the_same_message_id() -> None:
    delivery, first = make_doubtful("prefer_delivery")

    recover(now=LEASE_ENDS)

    assert state_of(delivery) == ("planned", "sent_again")
    assert delivery.claimed_at == NOW
    assert delivery.send_at == LEASE_ENDS + timedelta(minutes=1)
    sent, _ = dispatch(delivery.send_at)
    assert [each.message_id for each in sent] == [first.delivery.message_id]
    assert delivery.run.deliveries.get().attempts == 2


def make_waiting(doubtful: Delivery) -> Delivery:
    """Return another message to the same learner, held by the cap of one per day."""
    save_cap("one a day", limit=1, window="rolling_days", length=1)
    other = make_delivery(make_evaluated(learner=doubtful.learner), planned_at=LEASE_ENDS)
    assert dispatch(LEASE_ENDS)[0] == []
    assert state_of(other) == ("planned", "frequency_cap")
    return other


@pytest.mark.parametrize("proof", [None, Result.NOT_ACCEPTED, Result.REFUSED])
def test_a_cap_counts_the_doubtful_copy_whatever_happens_to_the_next(proof: Result | None) -> None:
    delivery, _ = make_doubtful("prefer_delivery")
    other = make_waiting(delivery)
    recover(now=LEASE_ENDS)
    later = LEASE_ENDS + timedelta(minutes=1)
    if proof:
        assert dispatch(later, answer=lambda message: Answer(proof))[1].total() == 1
        assert state_of(delivery)[1] == proof
    else:
        later = LEASE_ENDS
    Delivery.objects.filter(pk=other.pk).update(send_at=later)

    sent, _ = dispatch(later)

    assert sent == []
    assert state_of(other) == ("planned", "frequency_cap")


def test_a_doubtful_copy_does_not_count_against_its_own_resend() -> None:
    delivery, first = make_doubtful("prefer_delivery")
    make_waiting(delivery)
    recover(now=LEASE_ENDS)
    again_at = LEASE_ENDS + timedelta(minutes=1)

    sent, _ = dispatch(again_at)

    assert [each.message_id for each in sent] == [first.delivery.message_id]
    assert state_of(delivery) == ("handed_off", "")
    assert delivery.claimed_at == again_at


def test_a_resend_that_the_policy_refuses_leaves_the_doubtful_copy_counted() -> None:
    delivery, _ = make_doubtful("prefer_delivery")
    other = make_waiting(delivery)
    recover(now=LEASE_ENDS)
    Delivery.objects.filter(pk=delivery.pk).update(expires_at=LEASE_ENDS)
    Delivery.objects.update(send_at=LEASE_ENDS)

    assert dispatch(LEASE_ENDS)[0] == []

    assert state_of(delivery) == ("in_doubt", "sent_again")
    assert state_of(other) == ("planned", "frequency_cap")


def refuse_by_policy(delivery: Delivery, at: datetime) -> None:
    delivery.learner.consents.create(state="out", changed_at=NOW, source="page")
    dispatch(at)


def let_it_expire(delivery: Delivery, at: datetime) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(expires_at=at)
    dispatch(at)


def refuse_by_the_server(delivery: Delivery, at: datetime) -> None:
    dispatch(at, answer=lambda message: Answer(Result.REFUSED, "550 no"))


def fail_to_render(delivery: Delivery, at: datetime) -> None:
    delivery.step.template.texts.update(body="{{ 100 | divided_by: 0 }}")
    dispatch(at)


def end_the_run(delivery: Delivery, at: datetime) -> None:
    exit_runs([delivery.run], reason="goal", now=at)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (refuse_by_policy, "opted_out"),
        (let_it_expire, "sent_again"),
        (refuse_by_the_server, "refused"),
        (fail_to_render, "render_error"),
        (end_the_run, "goal"),
    ],
)
@pytest.mark.slow
def test_a_doubtful_message_that_is_not_sent_again_stays_in_doubt(end, reason: str) -> None:
    delivery, _ = make_doubtful("prefer_delivery")
    recover(now=LEASE_ENDS)
    assert DeliveryOutcome.objects.get().outcome == "in_doubt"

    end(delivery, LEASE_ENDS + timedelta(minutes=1))

    for minutes in range(2, 60, 10):
        recover(now=LEASE_ENDS + timedelta(minutes=minutes))
    assert state_of(delivery) == ("in_doubt", reason)
    assert delivery.claimed_at is not None
    assert delivery.trace[-1]["state"] == "in_doubt"
    assert DeliveryOutcome.objects.get().outcome == "in_doubt"


def test_a_late_finish_resolves_a_doubt_that_was_not_sent_again() -> None:
    delivery, late = make_doubtful("prefer_delivery")
    recover(now=LEASE_ENDS)
    refuse_by_policy(delivery, LEASE_ENDS + timedelta(minutes=1))

    assert finish(late, HANDED_OFF) == "handed_off"

    assert state_of(delivery) == ("handed_off", "")
    assert DeliveryOutcome.objects.get().outcome == "handed_off"


def test_a_message_that_staff_record_as_not_accepted_no_longer_counts() -> None:
    delivery, _ = make_doubtful("prefer_delivery")
    other = make_waiting(delivery)
    recover(now=LEASE_ENDS)
    Delivery.objects.filter(pk=delivery.pk).update(state="in_doubt")
    resolve_in_doubt(delivery.pk, accepted=False, now=LEASE_ENDS)
    Delivery.objects.filter(pk=other.pk).update(send_at=LEASE_ENDS)

    assert len(dispatch(LEASE_ENDS)[0]) == 1
    assert state_of(other) == ("handed_off", "")


def test_a_late_finish_keeps_prefer_delivery_from_sending_twice() -> None:
    delivery, late = make_doubtful("prefer_delivery")
    recover(now=LEASE_ENDS)

    finish(late, HANDED_OFF)

    assert state_of(delivery) == ("handed_off", "")
    assert dispatch(LEASE_ENDS + timedelta(hours=1))[0] == []


def test_a_finish_after_a_new_claim_changes_nothing() -> None:
    delivery, old = make_doubtful("prefer_delivery")
    recover(now=LEASE_ENDS)
    Delivery.objects.update(send_at=NOW)
    new = claim_of(delivery)

    assert finish(old, Answer(Result.REFUSED)) is None
    assert finish(old, HANDED_OFF) is None
    mark_evaluated(delivery.enrollment)

    assert state_of(delivery) == ("claimed", "")
    assert finish(new, HANDED_OFF) == "handed_off"
    # Both hand-offs are one message in the log.
    assert Event.objects.filter(verb="EMAIL_SENT").count() == 1


def test_prefer_delivery_gives_up_after_the_last_attempt() -> None:
    delivery, _ = make_doubtful("prefer_delivery")
    Delivery.objects.update(attempts=6)

    recover(now=LEASE_ENDS)
    recover(now=LEASE_ENDS + timedelta(hours=1))

    assert state_of(delivery) == ("in_doubt", "lease_expired")


def test_finishing_twice_writes_one_event() -> None:
    delivery, mine = make_doubtful()

    finish(mine, HANDED_OFF)

    assert finish(mine, HANDED_OFF) is None
    assert Event.objects.filter(verb="EMAIL_SENT").count() == 1
    assert state_of(delivery) == ("handed_off", "")


def test_a_released_claim_is_planned_again_at_once() -> None:
    delivery, mine = make_doubtful()

    release_claims([mine], now=NOW, reason="lease_too_short")

    assert state_of(delivery) == ("planned", "lease_too_short")
    assert (delivery.send_at, delivery.claimed_at) == (NOW, None)


@pytest.mark.parametrize(
    ("accepted", "state", "events"), [(True, "handed_off", 1), (False, "failed", 0)]
)
def test_staff_resolve_a_doubt(accepted: bool, state: str, events: int) -> None:
    delivery, _ = make_doubtful()
    recover(now=LEASE_ENDS)

    resolve_in_doubt(delivery.pk, accepted=accepted, now=LEASE_ENDS)

    assert state_of(delivery) == (state, "by_staff")
    assert Event.objects.filter(verb="EMAIL_SENT").count() == events
    with pytest.raises(InterventionError, match="no longer in doubt"):
        resolve_in_doubt(delivery.pk, accepted=not accepted, now=LEASE_ENDS)


@pytest.mark.parametrize("policy", ["prefer_once", "prefer_delivery"])
def test_a_message_that_staff_record_as_not_accepted_can_be_tried_again(policy: str) -> None:
    delivery, _ = make_doubtful(policy)
    recover(now=LEASE_ENDS)
    Delivery.objects.update(state="in_doubt")
    resolve_in_doubt(delivery.pk, accepted=False, now=LEASE_ENDS)
    assert DeliveryOutcome.objects.get().outcome == "failed"

    retry_failed(delivery.pk, now=LEASE_ENDS)

    assert state_of(delivery) == ("planned", "by_staff")
    assert (delivery.attempts, delivery.send_at, delivery.finished_at) == (0, LEASE_ENDS, None)
    assert DeliveryOutcome.objects.get().outcome == "deferred"
    assert len(dispatch(LEASE_ENDS)[0]) == 1
    assert DeliveryOutcome.objects.get().outcome == "handed_off"


def test_staff_can_retry_only_failed_messages_of_active_runs() -> None:
    delivery, _ = make_doubtful()
    with pytest.raises(InterventionError, match="is not a failed message"):
        retry_failed(delivery.pk, now=NOW)

    Delivery.objects.update(state="failed", claimed_at=None)
    with pytest.raises(InterventionError, match="has expired"):
        retry_failed(delivery.pk, now=delivery.expires_at)
    type(delivery.run).objects.update(status="exited", ended_at=NOW)
    with pytest.raises(InterventionError, match="run has ended"):
        retry_failed(delivery.pk, now=NOW)
    assert state_of(delivery)[0] == "failed"


def test_early_events_are_replayed_when_their_instant_has_come() -> None:
    enrollment = make_evaluated()
    soon = NOW + timedelta(minutes=3)
    ingest([make_event(enrollment, occurred_at=soon)], now=NOW)
    assert RejectedEvent.objects.get().reason == "early"

    recover(now=soon - timedelta(seconds=1))
    assert not Event.objects.exists()
    recover(now=soon)

    assert Event.objects.get().occurred_at == soon


def test_an_unfinished_edit_is_finished() -> None:
    enrollment = make_evaluated()
    Due.objects.update(due_at=None)
    Course.objects.update(edits=1)

    recover(now=NOW)

    assert Due.objects.get(pk=enrollment.pk).due_at == NOW
    assert Course.objects.get().settled_edits == 1
