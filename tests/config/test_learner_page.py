"""The page of one learner says why: in a segment or not, a message or none, and what happened."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from activity import access
from activity.models import Course, Enrollment
from activity.operations.own_events import append_own_event
from activity.queries.acts import DayActs
from activity.verbs import BUILT_IN
from common.clock import utc_now
from config.views.learner.acts import day_sentence
from config.views.learner.timeline import timeline
from interventions.channels import CHANNELS
from interventions.operations import resolve_in_doubt, save_cap
from segmentation.models import Segment
from segmentation.operations import add_member, announce_members, remove_member
from segmentation.queries.history import last_entry
from segmentation.stages.evaluate import evaluate_due
from tests.config.learner_pages import admin, history, lines, section
from tests.factories import NOW, act, hold_feed, make_item, make_learner
from tests.interventions.factories import (
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_live_course,
)
from tests.segmentation.factories import (
    QUIET,
    bring_up_to_date,
    make_playbook,
    make_segment,
    where,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RARELY_TRIES = where("quiz_attempt_rate", "<", 0.3, window=14)


@pytest.fixture
def ana() -> Enrollment:
    return make_evaluated(make_live_course(title="Biology"), make_learner(name="Ana Lee"))


# Segments


def test_a_member_is_told_why_and_since_when(ana: Enrollment) -> None:
    make_segment(make_playbook(ana.course), QUIET, name="Quiet")
    act(ana, occurred_at=NOW - 9 * DAY)
    bring_up_to_date()

    (line,) = section(ana).segments

    assert line.sentence == "In Quiet since Tuesday 30 September 2025, 13:00 (Europe/London)."
    assert [(each.holds, each.value, each.decides) for each in line.conditions] == [
        ("is true", "Last active 9 days ago", True)
    ]


def test_a_learner_outside_a_segment_is_told_what_is_missing(ana: Enrollment) -> None:
    playbook = make_playbook(ana.course)
    make_segment(playbook, QUIET, name="Quiet")
    make_segment(playbook, RARELY_TRIES, name="Video-only", priority=200)
    act(ana, occurred_at=NOW - 2 * DAY)
    bring_up_to_date()

    assert [each.sentence for each in section(ana).segments] == [
        "Not in Quiet: last active 2 days ago.",
        (
            "Not in Video-only: the share of quizzes attempted in the last 14 days is"
            " unknown: no module touched in the last 14 days has a quiz that is assigned yet and"
            " due within a week."
        ),
    ]


def test_in_an_exclusive_playbook_the_first_segment_is_named(ana: Enrollment) -> None:
    playbook = make_playbook(ana.course, exclusive=True)
    make_segment(playbook, QUIET, name="Quiet", priority=1)
    make_segment(playbook, where("logins", "=", 0, window=7), name="Away", priority=2)
    act(ana, "PLAY_VIDEO", occurred_at=NOW - 9 * DAY)
    bring_up_to_date()

    assert section(ana).segments[1].sentence == (
        "Not in Away: its rule is true, but Quiet comes first."
    )


@pytest.mark.slow
def test_a_later_segment_does_not_come_first(ana: Enrollment) -> None:
    playbook = make_playbook(ana.course, exclusive=True)
    make_segment(playbook, where("logins", "=", 7, window=7), name="First", priority=1)
    later = make_segment(playbook, QUIET, name="Later", priority=2)
    act(ana, "PLAY_VIDEO", occurred_at=NOW - 9 * DAY)
    bring_up_to_date()
    Segment.objects.filter(name="First").update(rule=QUIET)

    assert section(ana).segments[1].sentence == (
        "Not in First yet: its rule is true, and the next evaluation decides."
    )
    Segment.objects.filter(pk=later.pk).update(status="frozen")
    assert section(ana).segments[1].sentence == (
        "Not in First: its rule is true, but Later, whose rule failed, keeps its members."
    )


def test_present_member_of_a_new_experiment_has_not_entered_again(ana: Enrollment) -> None:
    segment = make_segment(make_playbook(ana.course), QUIET, name="Quiet")
    act(ana, occurred_at=NOW - 9 * DAY)
    evaluate_due(now=NOW)
    entry = last_entry(ana.pk)
    assert entry is not None

    announce_members(segment.pk, now=NOW + HOUR)

    said = history(ana, NOW + 2 * HOUR)
    assert "Was in Quiet already when an experiment began for its members." in said
    assert len([each for each in said if each.startswith("Entered Quiet")]) == 1
    assert last_entry(ana.pk) == entry


def test_the_rule_for_leaving_keeps_a_learner_out(ana: Enrollment) -> None:
    leave = where("logins", "=", 0, window=7)
    make_segment(make_playbook(ana.course), QUIET, name="Quiet", leave_rule=leave)
    act(ana, "PLAY_VIDEO", occurred_at=NOW - 9 * DAY)
    bring_up_to_date()

    assert section(ana).segments[0].sentence == (
        "Not in Quiet: its rule is true, but so is its rule for leaving,"
        " “Logged in exactly 0 times in the last 7 days”."
    )


def test_added_learner_is_told_to_wait_behind_the_segment_that_comes_first(
    staff: Client, ana: Enrollment
) -> None:
    # The page shows the course at this instant.
    Course.objects.update(clock_stopped_at=NOW)
    playbook = make_playbook(ana.course, exclusive=True)
    make_segment(playbook, QUIET, name="Quiet", priority=1)
    second = make_segment(playbook, where("logins", ">=", 1, window=7), name="Second", priority=2)
    act(ana, "PLAY_VIDEO", occurred_at=NOW - 9 * DAY)
    bring_up_to_date()
    assert "Ana is in Quiet, which comes first, and enters Second only" in staff.get(page(ana)).text

    add_member(second.pk, ana.pk, now=NOW)
    bring_up_to_date()

    said = section(ana).segments[1]
    assert said.sentence.startswith("Not in Second: Quiet comes first. Added by hand on")
    assert "within seconds" not in said.sentence
    second.overrides.all().delete()
    assert "Add to Second by hand" in staff.get(page(ana)).text
    Enrollment.objects.update(completed_at=NOW)
    assert "Add to Second by hand" not in staff.get(page(ana)).text


def test_last_activity_is_the_learners_and_not_our_mail(ana: Enrollment) -> None:
    begun = "Enrolled since Monday 1 September 2025."
    assert section(ana).state == f"{begun} Has done nothing in the course yet."
    act(ana, occurred_at=NOW - 9 * DAY)
    append_own_event(ana.pk, "EMAIL_SENT", source_id="m", now=NOW - HOUR)

    assert section(ana).state == (
        f"{begun} Was last active on Sunday 21 September 2025, 13:00 (Europe/London)."
    )


@pytest.mark.slow
def test_changes_by_hand_frozen_rules_and_the_scope_are_said(ana: Enrollment) -> None:
    segment = make_segment(make_playbook(ana.course), QUIET, name="Quiet")
    boss = get_user_model().objects.create_user("boss")
    add_member(segment.pk, ana.pk, now=NOW, by=boss)
    assert "Added by hand by boss on Tuesday 30 September 2025, 13:00" in (
        section(ana).segments[0].sentence
    )
    remove_member(segment.pk, ana.pk, now=NOW)
    assert section(ana).segments[0].sentence.startswith("Not in Quiet. Removed by hand on")

    segment.overrides.all().delete()
    Segment.objects.update(rule={"field": "gone"})
    assert section(ana).segments[0].sentence == "Not in Quiet: its rule cannot be read."
    Segment.objects.update(status="frozen", rule=QUIET)
    assert "Its rule failed, so no learner enters" in section(ana).segments[0].sentence
    Enrollment.objects.update(withdrew_at=NOW - DAY)
    assert "is over for the learner" in section(ana).segments[0].sentence


# The past


def test_the_acts_of_a_day_are_one_sentence(ana: Enrollment) -> None:
    unit = make_item(ana.course, "module", title="Unit 2")
    for number in range(3):
        act(ana, "PLAY_VIDEO", item=make_item(ana.course, "video", parent=unit))
        act(ana, occurred_at=NOW - number * DAY - HOUR)
    quiz = make_item(ana.course, "quiz", title="Quiz 2", parent=unit)
    act(ana, "ATTEMPT_QUIZ", item=quiz, score=0.4961)

    assert history(ana)[0] == (
        "Logged in, watched 3 videos of “Unit 2”, attempted “Quiz 2”: 0.49, not passed."
    )
    assert history(ana)[1:3] == ["Logged in.", "Logged in."]


@pytest.mark.parametrize("verb", BUILT_IN)
def test_no_verb_of_our_own_is_shown_by_its_name(verb: str) -> None:
    said = day_sentence([DayActs(0, verb, None, 1, NOW, NOW, None, None)])

    assert verb not in said
    # The timeline says of a message that it was sent.
    assert bool(said) == (verb not in {channel.verb for channel in CHANNELS.values()})


def test_days_are_those_of_the_course(ana: Enrollment) -> None:
    type(ana.course).objects.update(time_zone="Asia/Tokyo")
    ana = Enrollment.objects.select_related("course", "learner").get(pk=ana.pk)
    for hour in (14, 16):
        act(ana, occurred_at=NOW.replace(day=29, hour=hour))

    days = timeline(ana, viewer=admin(), now=NOW).days

    assert [day.day.day for day in days] == [30, 29]


def test_older_days_are_a_page_of_their_own_and_none_is_lost(ana: Enrollment) -> None:
    at = [NOW - days * DAY - HOUR for days in (1, 3, 9, 20)]
    for each in at:
        act(ana, occurred_at=each)

    found = timeline(ana, viewer=admin(), now=NOW)
    said = lines(found)
    while found.older:
        found = timeline(ana, viewer=admin(), now=NOW, before=found.older)
        assert found.days
        said += lines(found)

    assert said == ["Logged in."] * 4 + ["Enrolled in the course."]


def test_an_entry_says_what_decided_then(ana: Enrollment) -> None:
    make_segment(make_playbook(ana.course), QUIET, name="Quiet")
    act(ana, occurred_at=NOW - 9 * DAY)
    make_evaluated()
    evaluate_due(now=NOW)

    found = timeline(ana, viewer=admin(), now=NOW)

    entry = found.days[0].entries[0]
    assert entry.sentence.startswith("Entered Quiet ")
    assert [(each.condition, each.value) for each in entry.conditions] == [
        ("Last active at least 7 days ago", "Last active 9 days ago")
    ]


def test_message_whose_doubt_staff_resolved_was_sent_when_it_was_claimed(ana: Enrollment) -> None:
    message = make_delivery(ana, state="in_doubt", claimed_at=NOW - 2 * DAY, message_id="m")
    resolve_in_doubt(message.pk, accepted=True, now=NOW)

    (said,) = [each for each in history(ana, NOW + HOUR) if "was sent" in each]
    assert said.endswith("was sent on Sunday 28 September 2025, 13:00 (Europe/London).")


# The page


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def page(enrollment: Enrollment) -> str:
    return reverse("learner", args=(enrollment.learner_id,))


@pytest.mark.slow
def test_page_shows_each_course_and_links_lead_on(staff: Client, ana: Enrollment) -> None:
    make_segment(make_playbook(ana.course), QUIET, name="Quiet")
    make_delivery(ana)
    make_evaluated(make_live_course(title="History"), ana.learner)

    shown = staff.get(page(ana)).text

    assert "Biology" in shown
    assert "History" in shown
    assert ana.learner.external_id in shown
    only = staff.get(page(ana), {"enrollment": ana.pk}).text
    assert "?enrollment=" in only
    for name in ("learner-next", "learner-older"):
        address = reverse(name, args=(ana.pk,))
        assert "<!doctype html>" in staff.get(address).text
        assert "<!doctype html>" not in staff.get(address, headers={"HX-Request": "true"}).text
    assert staff.get(reverse("learner-older", args=(ana.pk,)), {"before": "x"}).status_code == 200


def test_forecast_says_that_a_silent_feed_holds_it(staff: Client, ana: Enrollment) -> None:
    address = reverse("learner-next", args=(ana.pk,))
    assert "do not come as usual" not in staff.get(address).text
    hold_feed(ana.course, since=NOW - DAY)

    shown = staff.get(address).text

    since = "Monday 29 September 2025, 13:00 (Europe/London)"
    assert f"The events of Biology do not come as usual since {since}." in shown
    assert "No event came in the last 24 hours." in shown
    assert "passing time moves nobody" in shown


def test_the_learner_found_alone_is_opened(staff: Client, ana: Enrollment) -> None:
    assert staff.get(reverse("activity:find"), {"q": "ana"}).url == page(ana)
    admin_page = reverse("admin:activity_learner_change", args=(ana.learner_id,))
    assert page(ana) in staff.get(admin_page).text


def test_page_shows_only_what_the_user_may_see(client: Client, ana: Enrollment) -> None:
    make_segment(make_playbook(ana.course), QUIET, name="Quiet")
    delivery = make_delivery(ana)
    act(ana)
    user = get_user_model().objects.create_user("bo", is_staff=True)
    client.force_login(user)
    assert client.get(page(ana)).status_code == 403

    rights = ("view_learner", "view_enrollment")
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    shown = client.get(page(ana)).text
    assert "Biology" in shown
    for hidden in (delivery.step.template.name, "Quiet", "Logged in"):
        assert hidden not in shown


@pytest.mark.slow
def test_page_costs_the_same_however_much_there_is(
    staff: Client, ana: Enrollment, django_assert_max_num_queries: Any
) -> None:
    playbook = make_playbook(ana.course)
    save_cap("1 a day", limit=1, window="calendar_day", on_exceed="defer")
    for number in range(6):
        cadence = make_cadence(segment=make_segment(playbook, QUIET))
        make_delivery(ana, cadence)
        make_counted(ana, NOW - number * HOUR, cadence=make_cadence())
        act(ana, "PLAY_VIDEO", item=make_item(ana.course, "video"))
    evaluate_due(now=NOW)

    with django_assert_max_num_queries(45):
        staff.get(page(ana))
    with django_assert_max_num_queries(25):
        staff.get(reverse("learner-older", args=(ana.pk,)))


@pytest.mark.slow
def test_rows_of_other_courses_stay_hidden(
    staff: Client, ana: Enrollment, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = make_evaluated(make_live_course(title="Alchemy"), ana.learner)
    stranger = make_evaluated(foreign.course)
    save_cap("1 a day", limit=1, window="rolling_days", length=1, on_exceed="defer")
    hidden = make_counted(foreign, utc_now() - HOUR).step.template.name
    Course.objects.update(ends_on=utc_now().date() + DAY)
    make_delivery(ana, expires_at=utc_now() + DAY)
    assert hidden in staff.get(page(ana)).text
    mine = Course.objects.filter(pk=ana.course_id)
    monkeypatch.setattr(access, "courses_of", lambda user: mine)

    shown = staff.get(page(ana), {"enrollment": foreign.pk}).text

    assert "Biology" in shown
    assert "the cap “1 a day”" in shown
    for word in ("Alchemy", hidden):
        assert word not in shown
    assert staff.get(page(stranger)).status_code == 404
    for name in ("learner-next", "learner-older", "learner-send"):
        assert staff.get(reverse(name, args=(foreign.pk,))).status_code == 404
    held = staff.post(reverse("learner-hold", args=(stranger.learner_id,)), {"reason": "x"})
    assert held.status_code == 404
