"""The demo on a small class: its output agrees with the simulator, and no learner is spammed."""

import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings

from activity.models import Course, Due, Event, RejectedEvent
from activity.simulation.history import course_ends_at
from common.clock import utc_now
from config.demo import timetable
from config.demo.scenario import COURSE_KEY, QUIET_FROM, QUIET_UNTIL
from config.demo.timetable import LONGEST_WAIT, stops
from experiments.models import Assignment
from interventions.models import Delivery, DeliveryState, MailboxMessage
from interventions.render.found_links import links_of
from segmentation.models import Transition
from segmentation.stages.evaluate import evaluate_due
from tests.conftest import empty_tables
from tests.examples import looks_at_all
from tests.journeys.demo import METRIC, SHARED, Demo, assert_most_intervals_cover, options

HANDED_OFF = DeliveryState.HANDED_OFF
pytestmark = pytest.mark.slow


def longest_wait():
    """Return how long the clock goes on without a stop.

    `make test` makes half the stops: what the stages do at each is the same.
    """
    return LONGEST_WAIT if looks_at_all() else 2 * LONGEST_WAIT


@pytest.fixture(scope="module")
def demo(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        # The test runner would replace it by a backend that keeps mail in memory.
        with (
            override_settings(EMAIL_BACKEND="interventions.channels.mailbox.MailboxBackend"),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(timetable, "LONGEST_WAIT", longest_wait())
            played = Demo(options(SHARED))
        yield played
        # Tables are emptied for the next test, as after any test that commits.
        empty_tables()


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["quiz_attempted_7d", "quiz_attempts_7d", "module_completed_7d"])
def test_report_of_both_arms_equals_the_simulator(demo, key):
    row = demo.metric(key)
    assert {arm: row[arm] for arm in ("control", "nudge")} == pytest.approx(demo.known_levels(key))


@pytest.mark.django_db
def test_interval_covers_the_true_lift_in_at_least_two_of_three(demo, coverage):
    # With outcomes counted wrongly nearly every seed misses, so this one alone finds most faults.
    assert demo.metric(METRIC)["covers"]
    assert_most_intervals_cover(demo.found, coverage)


@pytest.mark.django_db
def test_messages_bring_learners_to_the_quiz_and_change_nothing_else(demo):
    assert demo.metric("quiz_attempted_7d")["true_lift"] > 0.05
    assert demo.metric("module_completed_7d")["true_lift"] == 0


@pytest.mark.django_db
def test_every_message_has_working_links_and_a_reason(demo, client):
    messages = {message.subject: message for message in MailboxMessage.objects.all()}
    assert len(messages) >= 8
    pages = set()
    for message in messages.values():
        links = [link.address for link in links_of(html=message.html, text="")]
        pages.update(link for link in links if "/demo/" in link)
        assert any("/demo/" in link for link in links), message.subject
        assert "It comes now because" in message.text
        assert not re.search(r"Hello ?,|, minutes|href=.. ", message.html)
        assert message.sender.startswith("Statistics for everybody <")
    for page in pages:
        assert client.get(urlsplit(page).path).status_code == 200
    assert client.get("/demo/nothing/").status_code == 404


@pytest.mark.django_db
def test_every_segment_has_members(demo):
    assert len(demo.found["segments"]) == 5
    assert all(segment["members"] > 0 for segment in demo.found["segments"])


@pytest.mark.django_db
def test_every_hand_off_is_one_mail_and_one_event(demo):
    sent = set(Delivery.objects.filter(state=HANDED_OFF).values_list("message_id", flat=True))
    mailed = Counter(MailboxMessage.objects.values_list("message_id", flat=True))
    logged = set(Event.objects.filter(verb="EMAIL_SENT").values_list("source_id", flat=True))
    assert len(sent) == demo.found["messages"]["handed_off"] > 50
    assert sent == logged == set(mailed)
    assert set(mailed.values()) == {1}


@pytest.mark.django_db
def test_no_mail_is_sent_in_the_quiet_hours_of_its_learner(demo):
    for at, zone in _hand_offs("learner__time_zone"):
        assert QUIET_UNTIL <= at.astimezone(ZoneInfo(zone)).time() < QUIET_FROM


@pytest.mark.django_db
def test_no_learner_gets_two_mails_per_day_or_four_in_seven_days(demo):
    by_learner = {}
    for at, learner, zone in _hand_offs("learner", "learner__time_zone"):
        by_learner.setdefault(learner, []).append(at.astimezone(ZoneInfo(zone)))
    for instants in by_learner.values():
        assert all(a.date() < b.date() for a, b in pairwise(instants))
        assert all(
            later - first >= timedelta(days=7)
            for first, later in zip(instants, instants[3:], strict=False)
        )


@pytest.mark.django_db
def test_learners_who_opted_out_or_have_no_address_get_nothing(demo):
    unreachable = {
        trace.learner.external_id
        for trace in demo.world.traces
        if trace.learner.opted_out or trace.learner.email is None
    }
    mailed = Delivery.objects.filter(state=HANDED_OFF)
    assert unreachable
    assert not mailed.filter(learner__external_id__in=unreachable).exists()


@pytest.mark.django_db
def test_ghosts_follow_the_same_steps_and_are_never_mailed(demo):
    ghosts = Delivery.objects.filter(ghost=True)
    assert ghosts.filter(state=DeliveryState.GHOST).count() == demo.found["messages"]["ghost"] > 10
    assert not ghosts.exclude(message_id="").exists()
    steps = Delivery.objects.filter(run__assignment__isnull=False).values_list("step", "ghost")
    assert {step for step, ghost in steps if ghost} == {step for step, ghost in steps if not ghost}


@pytest.mark.django_db
def test_nobody_is_drawn_before_the_experiment_starts(demo):
    first = Assignment.objects.order_by("assigned_at").first()
    assert first.assigned_at >= demo.experiment.started_at


@pytest.mark.django_db
def test_every_event_of_the_world_is_in_the_log_and_none_was_rejected(demo):
    drawn = sum(len(trace.events) for trace in demo.world.traces)
    assert Event.objects.filter(source="simulator", source_id__contains=":added:").exists()
    assert (
        Event.objects.filter(source="simulator").exclude(source_id__contains=":added:").count()
        == drawn
    )
    assert not RejectedEvent.objects.exists()


@pytest.mark.django_db
def test_events_are_received_at_the_next_stop(demo):
    for occurred_at, received_at in Event.objects.values_list("occurred_at", "received_at"):
        assert timedelta(0) <= received_at - occurred_at <= longest_wait()


@pytest.mark.django_db
def test_nothing_is_left_to_do_when_the_clock_has_stopped(demo):
    course = Course.objects.get(key=COURSE_KEY)
    assert course.clock_stopped_at == course_ends_at()
    assert not Due.objects.filter(due_at__isnull=False).exists()
    assert not Transition.objects.filter(processed_at__isnull=True).exists()
    sizes = demo.found["segments"]
    assert evaluate_due(now=utc_now()).evaluated == 0
    assert sizes == demo.found["segments"]


def _hand_offs(*names):
    rows = Delivery.objects.filter(state=HANDED_OFF).order_by("finished_at")
    return rows.values_list("finished_at", *names)


def test_clock_stops_at_least_every_six_hours():
    ends_at = course_ends_at()
    instants = list(stops(ends_at - timedelta(days=3), ends_at))
    assert instants[-1] == ends_at
    assert all(timedelta(0) < b - a <= LONGEST_WAIT for a, b in pairwise(instants))
