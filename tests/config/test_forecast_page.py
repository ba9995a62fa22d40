"""The page that says what will go out in the next 14 days."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from activity.access import COMMAND_LINE
from activity.models import Course
from common.clock import utc_now
from config.views import counting
from config.views.forecast import Cell, forecast_of, pace_sentences, peak_sentences
from interventions.models import ChannelPace
from interventions.operations import pause_cadence, save_cap
from interventions.queries import sends_to_come as queries
from interventions.queries.sends_to_come import sends_to_come
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
)

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
UNTIL = NOW + 14 * DAY


@pytest.fixture
def staff(client: Client) -> Client:
    cache.clear()
    client.force_login(User.objects.create_superuser("staff"))
    return client


def instants(course: Course | None = None) -> list[datetime]:
    found = sends_to_come(course, until=UNTIL, now=NOW, viewer=COMMAND_LINE)
    return sorted(send.at for send in found.sends)


def make_due(at: datetime, course: Course | None = None, **fields: Any) -> Any:
    """Return a message that is due at the instant, to a learner of its own."""
    enrollment = make_evaluated(course or make_live_course())
    return make_delivery(enrollment, send_at=at, planned_at=min(at, NOW), **fields)


def test_message_that_waits_and_the_steps_after_it_are_expected() -> None:
    cadence = make_cadence(steps=4)
    run = make_run(make_evaluated(), cadence, next_position=1, next_at=NOW + DAY)
    make_delivery(run=run, send_at=NOW + HOUR)

    assert instants() == [NOW + HOUR, NOW + DAY, NOW + 2 * DAY, NOW + 3 * DAY]


def test_run_goes_on_where_its_step_branches_to() -> None:
    cadence = make_cadence(steps=3)
    cadence.steps.filter(position=0).update(then_position=2)
    make_run(make_evaluated(), cadence, next_position=0, next_at=NOW + HOUR)

    assert instants() == [NOW + HOUR, NOW + HOUR + DAY]


def test_steps_after_the_14_days_are_left_out() -> None:
    cadence = make_cadence(steps=3)
    make_run(make_evaluated(), cadence, next_position=0, next_at=UNTIL - DAY - HOUR)
    make_run(make_evaluated(), cadence, next_position=0, next_at=UNTIL + HOUR)

    assert instants() == [UNTIL - DAY - HOUR, UNTIL - HOUR]


def test_a_cap_moves_a_message_to_the_hour_in_which_it_is_let_out() -> None:
    save_cap("1 a day", scope="everything", limit=1, window="rolling_days", length=1)
    enrollment = make_evaluated()
    make_delivery(enrollment)
    make_delivery(enrollment)

    assert instants() == [NOW, NOW + DAY]


def test_ghosts_use_up_caps_and_are_not_expected_to_go_out() -> None:
    save_cap("1 a day", scope="everything", limit=1, window="rolling_days", length=1)
    enrollment = make_evaluated()
    make_delivery(run=make_run(enrollment, make_cadence(priority=1), ghost=True))
    make_delivery(enrollment)

    found = sends_to_come(None, until=UNTIL, now=NOW, viewer=COMMAND_LINE)
    assert [send.at for send in found.sends] == [NOW + DAY]
    assert [ghost.at for ghost in found.ghosts] == [NOW]


def test_learners_elsewhere_use_up_the_caps_of_their_mailbox() -> None:
    save_cap("1 a day", scope="everything", limit=1, window="rolling_days", length=1)
    here = make_live_course()
    make_delivery(make_evaluated(here, make_learner(email="kit@example.org")))
    make_delivery(
        make_evaluated(learner=make_learner(email="Kit@Example.org")), make_cadence(priority=1)
    )

    assert instants(here) == [NOW + DAY]
    assert instants() == [NOW, NOW + DAY]


def test_nothing_of_a_segment_goes_out_after_the_course_has_ended() -> None:
    course = make_live_course(ends_on=(NOW + DAY).date())
    make_run(make_evaluated(course), make_cadence(steps=4), next_position=0, next_at=NOW)

    assert instants() == [NOW, NOW + DAY]
    found = sends_to_come(None, until=UNTIL, now=NOW, viewer=COMMAND_LINE)
    assert dict(found.unsent) == {"course_over": 2}


def test_messages_that_do_not_go_out_are_counted_by_reason() -> None:
    held, refused = make_due(NOW), make_due(NOW)
    pause_cadence(held.step.cadence_id, paused=True, now=NOW)
    refused.learner.email = None
    refused.learner.save()

    found = sends_to_come(None, until=UNTIL, now=NOW, viewer=COMMAND_LINE)

    assert found.sends == []
    assert dict(found.held) == {"cadence_paused": 1}
    assert dict(found.unsent) == {"no_address": 1}


@pytest.mark.slow
def test_of_many_learners_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_LEARNERS", 4)
    for _ in range(12):
        make_due(NOW)

    found = forecast_of(None, viewer=superuser(), as_of=NOW, zone="UTC")

    assert (found.learners, found.looked_at, found.total) == (12, 4, 12)
    assert found.is_estimate


def superuser() -> User:
    return User(is_superuser=True, is_active=True)


def test_hours_are_those_of_the_course() -> None:
    course = make_live_course(time_zone="Asia/Kathmandu")
    for at in (NOW, NOW + timedelta(minutes=10), NOW + timedelta(minutes=20)):
        make_due(at, course)

    found = forecast_of(course, viewer=superuser(), as_of=NOW, zone="Asia/Kathmandu")

    # 12:00 in UTC is 17:45 there.
    first = found.days[0]
    assert (first.day, first.total, len(found.days)) == (date(2025, 9, 30), 3, 14)
    assert first.cells[17:19] == [Cell(17, 2, 5), Cell(18, 1, 3)]
    assert first.cells[12] == Cell(12, 0, 0)


def test_hour_that_clocks_repeat_counts_both_times() -> None:
    course = make_live_course(time_zone="Europe/London", ends_on=date(2025, 12, 1))
    night = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    for at in (night, night + HOUR):
        make_due(at, course, expires_at=night + DAY)

    found = forecast_of(course, viewer=superuser(), as_of=night - DAY, zone="Europe/London")

    assert found.days[1].cells[1].number == 2
    assert found.total == 2


def test_peak_is_named() -> None:
    monday, tuesday = date(2026, 12, 7), date(2026, 12, 8)

    assert list(peak_sentences({(monday, 9): 412, (tuesday, 9): 3, (tuesday, 23): 411})) == [
        "Most go out on Monday 7 December from 09:00 to 10:00: 412 messages.",
        "The day with the most is Tuesday 8 December: 414.",
    ]
    assert "from 23:00 to 00:00: 1 message." in next(peak_sentences({(monday, 23): 1}))
    assert list(peak_sentences({})) == []


@pytest.mark.parametrize(
    ("messages", "per_second", "words"),
    [
        (9, 1, "At its limit of 1 a second they take less than a minute."),
        (60, 1, "about a minute"),
        (420, 1, "about 7 minutes"),
        (420, 10, "At its limit of 10 a second they take about a minute."),
        (36, 0.5, "At its limit of 0.5 a second they take about a minute."),
        (7300, 1, "about 2 hours"),
        (7300, 0, "No limit per second is set for it."),
    ],
)
def test_time_that_a_channel_takes_is_in_words(
    messages: int, per_second: float, words: str
) -> None:
    said = pace_sentences(messages, per_second=per_second, slowed=None, now=NOW, zone="UTC")

    assert words in " ".join(said)


def test_channel_whose_other_side_asked_for_less_is_named() -> None:
    def said(pace: ChannelPace) -> str:
        return " ".join(pace_sentences(9, per_second=0, slowed=pace, now=NOW, zone="UTC"))

    waits = said(ChannelPace(channel="email", resumes_at=NOW + HOUR, slowed=1, at_once=3))
    assert waits.endswith("nothing goes out until Tuesday 30 September 2025, 13:00 (UTC).")
    slowed = said(ChannelPace(channel="email", resumes_at=NOW - HOUR, slowed=1, at_once=3))
    assert slowed.endswith("asked for less: a worker sends 3 at once.")
    assert "asked" not in said(ChannelPace(channel="email", even_at=NOW))


def test_channels_have_their_own_numbers_and_the_limit_of_the_settings(settings: Any) -> None:
    settings.EMAIL_PER_SECOND = 5
    course = make_live_course()
    for at in (NOW, NOW + DAY, NOW + DAY):
        make_due(at, course)
    make_due(NOW + HOUR, course, channel="task")

    channels = forecast_of(course, viewer=superuser(), as_of=NOW, zone="UTC").channels

    assert [(each.name, each.number) for each in channels] == [
        ("Email", 3),
        ("task for an instructor", 1),
    ]
    mail, task = channels
    assert mail.busiest == "2 on Wednesday 1 October from 12:00 to 13:00."
    assert mail.pace == "At its limit of 5 a second they take less than a minute."
    assert task.busiest == "1 on Tuesday 30 September from 13:00 to 14:00."
    assert task.pace == "No limit per second is set for it."


def test_page_shows_the_course_or_all_courses(staff: Client) -> None:
    course = make_live_course(title="Biology", ends_on=date(2099, 1, 1))
    soon = utc_now() + HOUR
    make_due(soon, course, expires_at=soon + 7 * DAY)
    other = make_live_course(title="Physics", ends_on=date(2099, 1, 1))
    make_due(soon, other, expires_at=soon + 7 * DAY)
    address = reverse("forecast")

    everywhere = staff.get(address).text
    assert "2 messages are expected to go out." in everywhere
    assert re.search(r">Email</th><td[^>]*>2</td><td>2 on ", everywhere)
    assert re.search(
        rf'href="{address}\?course={course.pk}">Biology</a></th><td[^>]*>1<', everywhere
    )
    here = staff.get(address, {"course": course.pk}).text
    assert "1 message is expected to go out." in here
    assert "by the clock of Europe/London" in here
    assert ">Physics</a>" not in here


def test_page_says_that_a_course_will_be_over(staff: Client) -> None:
    now = utc_now()
    course = make_live_course(ends_on=(now + DAY).date())
    make_run(make_evaluated(course), make_cadence(), next_position=0, next_at=now + 3 * DAY)

    page = staff.get(reverse("forecast"), {"course": course.pk}).text

    assert "<li>1, because the course will be over by then.</li>" in page


def test_page_without_messages_says_what_to_do(staff: Client) -> None:
    page = staff.get(reverse("forecast")).text

    assert "No message is expected to go out." in page
    assert reverse("interventions:new_nudge") in page
    assert "left out" not in page
    assert f'href="{reverse("interventions:deliverability")}"' in page


def test_simulated_course_is_shown_as_of_its_clock(staff: Client) -> None:
    course = make_live_course(clock_stopped_at=NOW)
    make_due(NOW + HOUR, course)

    page = staff.get(reverse("forecast"), {"course": course.pk}).text

    assert "1 message is expected to go out." in page
    assert "stands still" in page
    assert "simulated course" not in page.split("stands still")[1]
    everywhere = staff.get(reverse("forecast")).text
    assert "No message is expected" in everywhere
    assert "1 simulated course is left out, because its clock stands still." in everywhere
    make_live_course(clock_stopped_at=NOW)
    everywhere = staff.get(reverse("forecast")).text
    assert "2 simulated courses are left out, because their clocks stand still." in everywhere


def test_page_of_a_large_course_counts_after_it_is_open(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "LARGE", 0)
    course = make_due(utc_now() + HOUR).enrollment.course

    page = staff.get(reverse("forecast"), {"course": course.pk}).text

    assert "being counted" in page
    assert 'class="heat"' not in page


@pytest.mark.parametrize("course", ["x", "9" * 30, "0"])
def test_unknown_course_is_not_found(staff: Client, course: str) -> None:
    assert staff.get(reverse("forecast"), {"course": course}).status_code == 404


def test_page_needs_the_right_to_see_deliveries(client: Client) -> None:
    client.force_login(User.objects.create_user("clerk", is_staff=True))

    assert client.get(reverse("forecast")).status_code == 403


def test_forecast_takes_as_many_queries_for_many_learners(
    django_assert_max_num_queries: Callable[[int], Any],
) -> None:
    cadences = [make_cadence(steps=3) for _ in range(3)]
    for number in range(9):
        run = make_run(
            make_evaluated(make_live_course()),
            cadences[number % 3],
            next_position=1,
            next_at=NOW + DAY,
        )
        make_delivery(run=run)

    with django_assert_max_num_queries(19):
        found = forecast_of(None, viewer=superuser(), as_of=NOW, zone="UTC")

    assert found.total == 27
