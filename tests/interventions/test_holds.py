"""Held messages: a person has to lift the hold. Nothing goes out before, and all of it after."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection, transaction

from activity.models import Course, Enrollment, Learner
from interventions.channels.memory import MemoryConnection, memory_channel
from interventions.models import Delivery, LearnerPause, Run, SitePause
from interventions.operations import (
    PauseNote,
    StepFields,
    pause_cadence,
    pause_learner,
    pause_site,
)
from interventions.queries.holds import hold_of, with_reasons
from interventions.queries.pauses import learner_pause
from interventions.queries.waiting import oldest_due_message, oldest_work
from interventions.sentences import next_step_sentence
from interventions.stages.plan import plan_due
from segmentation.models import Segment
from tests.factories import NOW, act, hold_feed
from tests.interventions.factories import (
    claim,
    dispatch,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_run,
    make_template,
)
from tests.interventions.test_dispatch import state_of
from tests.processes import SECONDS_TO_FINISH
from tests.segmentation.factories import ACTED_TODAY

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=1)
CHANNELS = {"email": memory_channel(MemoryConnection())}


def course_not_live(delivery: Delivery) -> None:
    course = delivery.enrollment.course
    type(course).objects.filter(pk=course.pk).update(live_since=None)


def site_paused(delivery: Delivery) -> None:
    pause_site(paused=True, now=NOW)


def cadence_paused(delivery: Delivery) -> None:
    pause_cadence(delivery.run.cadence_id, paused=True, now=NOW)


def learner_paused(delivery: Delivery) -> None:
    pause_learner(delivery.learner_id, paused=True, now=NOW)


def segment_frozen(delivery: Delivery) -> None:
    Segment.objects.filter(pk=delivery.run.cadence.segment_id).update(status="frozen")


def feed_silent(delivery: Delivery) -> None:
    hold_feed(delivery.enrollment.course, since=NOW - timedelta(hours=1))


@pytest.mark.parametrize(
    "against",
    [course_not_live, site_paused, learner_paused, cadence_paused, segment_frozen, feed_silent],
)
def test_a_held_message_waits_unchanged_and_unread(against) -> None:
    delivery = make_delivery()
    against(delivery)

    sent, counts = dispatch()

    assert (sent, counts) == ([], {})
    assert state_of(delivery) == ("planned", "")
    assert (delivery.send_at, delivery.trace) == (NOW, [])
    held = Delivery.objects.select_related("step__cadence__segment", "enrollment__course").get(
        pk=delivery.pk
    )
    paused = SitePause.objects.filter(paused=True).exists()
    is_paused = learner_pause(delivery.learner_id) is not None
    reason = hold_of(held, site_paused=paused, learner_paused=is_paused, now=NOW)
    assert reason == against.__name__
    (shown,) = with_reasons(Delivery.objects.all(), now=NOW)
    assert shown.reason_now == reason
    assert oldest_due_message(now=NOW) is None


def test_resuming_sends_held_messages_at_once() -> None:
    delivery = make_delivery()
    pause_site(paused=True, now=NOW)
    dispatch()

    pause_site(paused=False, now=NOW + timedelta(minutes=1))
    sent, _ = dispatch(NOW + timedelta(minutes=1))

    assert len(sent) == 1
    assert not SitePause.objects.get().paused
    assert state_of(delivery) == ("handed_off", "")


def test_only_the_paused_learner_waits() -> None:
    held, free = make_delivery(), make_delivery()
    pause_learner(held.learner_id, paused=True, now=NOW, note=PauseNote("bo", "asked for calm"))

    assert [each.address for each in dispatch()[0]] == [free.learner.email]

    pause_learner(held.learner_id, paused=False, now=LATER, note=PauseNote("cy"))
    assert [each.address for each in dispatch(LATER)[0]] == [held.learner.email]
    pause = LearnerPause.objects.get()
    assert (pause.began_by, pause.reason, pause.ended_by) == ("bo", "asked for calm", "cy")
    assert ", 12:00 (UTC) by bo until Tuesday" in pause.circumstances
    assert pause.circumstances.endswith(", 12:01 (UTC) by cy: asked for calm")


def lift_all() -> None:
    pause_site(paused=False, now=LATER)
    for learner in Learner.objects.all():
        pause_learner(learner.pk, paused=False, now=LATER)


@pytest.mark.parametrize("against", [site_paused, learner_paused])
def test_a_message_found_due_before_the_hold_waits_unchanged(against) -> None:
    delivery = make_delivery()
    against(delivery)

    # The learner was found to be due before the hold, and is claimed after it.
    turn = claim(delivery.learner_id)

    assert (turn.claims, turn.again) == ([], [])
    assert (state_of(delivery), delivery.send_at) == (("planned", ""), NOW)
    lift_all()
    assert len(dispatch(LATER)[0]) == 1


def conditional_run(enrollment: Enrollment) -> Run:
    """Return a run whose step is due at NOW and asks whether the learner acted today."""
    template = make_template()
    steps = [StepFields(template, condition=ACTED_TODAY), StepFields(template, timedelta(days=1))]
    cadence = make_cadence(template=template, steps=steps, max_age=timedelta(days=2))
    return make_run(enrollment, cadence, next_at=NOW, next_position=0)


def test_a_step_with_a_condition_waits_while_its_events_do_not_come() -> None:
    run = conditional_run(make_evaluated())
    course = run.enrollment.course
    hold_feed(course, since=NOW - timedelta(hours=1))
    plain = make_run(run.enrollment, next_at=NOW, next_position=0)

    plan_due(now=LATER)

    assert [each.run for each in Delivery.objects.all()] == [plain]
    assert oldest_work(now=LATER).step is None
    (shown,) = Run.objects.filter(pk=run.pk).select_related("enrollment__course")
    assert next_step_sentence(shown, name="Cy", zone="UTC").endswith(
        "But it waits, because the events of the course do not come as usual."
    )
    act(run.enrollment, occurred_at=NOW)
    Course.objects.filter(pk=course.pk).update(feed_held_since=None)
    assert oldest_work(now=LATER).step == NOW
    plan_due(now=LATER)
    assert Delivery.objects.get(run=run).state == "planned"


def test_a_silent_feed_decides_on_no_goal() -> None:
    # True of a learner whose acts do not come.
    goal = {**ACTED_TODAY, "not": True}
    cadence = make_cadence(goal_rule=goal, exit_on_leave=False)
    run = make_run(make_evaluated(), cadence, next_at=NOW, next_position=0)
    course = run.enrollment.course
    hold_feed(course, since=NOW - timedelta(hours=1))

    plan_due(now=LATER)

    run.refresh_from_db()
    assert (run.status, run.exit_reason) == ("active", "")
    assert not Delivery.objects.exists()
    assert oldest_work(now=LATER).step is None
    (shown,) = Run.objects.filter(pk=run.pk).select_related("enrollment__course")
    assert next_step_sentence(shown, name="Cy", zone="UTC").endswith(
        "But it waits, because the events of the course do not come as usual."
    )
    act(run.enrollment, occurred_at=NOW)
    Course.objects.filter(pk=course.pk).update(feed_held_since=None)
    plan_due(now=LATER)
    assert Delivery.objects.get(run=run).state == "planned"


def test_a_step_that_waited_for_events_too_long_expires() -> None:
    run = conditional_run(make_evaluated())
    hold_feed(run.enrollment.course, since=NOW - timedelta(hours=1))
    late = NOW + timedelta(days=3)
    plan_due(now=late)
    act(run.enrollment, occurred_at=late)
    Course.objects.update(feed_held_since=None)

    plan_due(now=late)

    dispatch(late)
    assert state_of(Delivery.objects.get(run=run, step__position=0)) == ("expired", "too_old")


def claim_apart(learner_id: int) -> None:
    try:
        claim(learner_id)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_message_decided_on_during_the_release_goes_out_right_after_it() -> None:
    delivery = make_delivery()
    pause_site(paused=True, now=NOW)

    with transaction.atomic():
        pause_site(paused=False, now=LATER)
        # A worker that found the learner due before the hold does not see the release yet.
        worker = Thread(target=claim_apart, args=[delivery.learner_id])
        worker.start()
        worker.join(timeout=SECONDS_TO_FINISH)

    assert not worker.is_alive()
    assert len(dispatch(LATER)[0]) == 1


def test_pausing_a_learner_twice_keeps_the_first_pause() -> None:
    learner = make_delivery().learner
    for name in ("bo", "cy"):
        pause_learner(learner.pk, paused=True, now=NOW, note=PauseNote(name))

    assert [pause.began_by for pause in LearnerPause.objects.all()] == ["bo"]
    for _ in range(2):
        pause_learner(learner.pk, paused=False, now=LATER)
    assert learner_pause(learner.pk) is None
