"""Feeds: events that stop, come late or change their shape, against the course's own past."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from activity.feeds import FeedStatus, HourCount, feed_sentence, judge_feed
from activity.models import Course, Feed, FeedHour
from activity.operations import append_own_event, ingest, measure_feeds, trust_feed
from activity.operations.feeds import MOST_COUNTED
from activity.queries import feed_health, holds_at
from tests.factories import NOW, act, make_enrollment, make_event
from tests.long import longer

ZONE = "Europe/London"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# Six weeks before NOW, at 12:00 in UTC.
BEGINS = NOW - timedelta(weeks=6)


def usual(until: datetime, *, since: datetime = BEGINS, events: int = 20) -> Iterator[HourCount]:
    """Yield hours in which events of two verbs came from 8 to 22 o'clock, with a short delay."""
    at = since
    while at < until:
        if 8 <= at.hour < 22:
            for verb, share in (("VIEW_ITEM", 0.8), ("ATTEMPT_QUIZ", 0.2)):
                number = int(events * share)
                delay = number * timedelta(minutes=5)
                yield HourCount(at, verb, number, number, number, delay, at + HOUR / 2)
        at += HOUR


def status(hours: list[HourCount], now: datetime = NOW, zone: str = ZONE) -> FeedStatus:
    return judge_feed(hours, now=now, zone=zone).status


@pytest.mark.slow
@pytest.mark.parametrize("step", [5, *longer("test_usual_feed_is_ok_at_every_hour_of_a_week", 1)])
def test_usual_feed_is_ok_at_every_hour_of_a_week(step: int) -> None:
    hours = list(usual(NOW))
    at = NOW - timedelta(days=7)
    while at <= NOW:
        assert status([hour for hour in hours if hour.at < at], at) == FeedStatus.OK, at
        at += step * HOUR


def test_feed_that_stops_is_silent_when_enough_events_are_missing() -> None:
    stopped = NOW.replace(hour=14)
    hours = list(usual(stopped))

    assert status(hours, stopped + 2 * HOUR) == FeedStatus.OK
    found = judge_feed(hours, now=stopped + 4 * HOUR, zone=ZONE)
    assert found.status == FeedStatus.SILENT
    assert found.since == stopped - HOUR / 2
    assert feed_sentence(found.status, found.numbers) == (
        "No event came in the last 4 hours. In the same hours of each of the weeks before, 80 or "
        "more came."
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "events", [100, *longer("test_feed_that_dies_is_silent_at_every_hour_of_six_weeks", 20, 2_000)]
)
def test_feed_that_dies_is_silent_at_every_hour_of_six_weeks(events: int) -> None:
    hours = list(usual(NOW - 42 * DAY, since=NOW - 84 * DAY, events=events))
    since, at = None, NOW - 41 * DAY
    while at < NOW:
        found = judge_feed(hours, now=at, zone=ZONE, silent_since=since)
        assert found.status == FeedStatus.SILENT, at
        since, at = found.since, at + 5 * HOUR
    assert since == NOW - 42 * DAY - HOUR / 2


def test_stray_event_ends_no_silence_and_a_day_of_usual_ones_does() -> None:
    died = NOW - 20 * DAY
    hours = [*usual(died, since=NOW - 60 * DAY), HourCount(NOW - 9 * HOUR, "VIEW_ITEM", 1)]

    since = died - HOUR / 2
    found = judge_feed(hours, now=NOW, zone=ZONE, silent_since=since)
    assert (found.status, found.since) == ("silent", since)
    assert feed_sentence(found.status, found.numbers) == (
        "Only 1 events came in the last 168 hours. In the same hours of each of the weeks before, "
        "1,960 or more came."
    )
    again = [*hours, *usual(NOW + DAY, since=NOW)]
    assert judge_feed(again, now=NOW + DAY, zone=ZONE, silent_since=since).status == "ok"


def test_night_is_no_silence() -> None:
    assert status(list(usual(NOW.replace(hour=22))), NOW.replace(hour=22) + 9 * HOUR) == "ok"


def test_new_course_is_never_silent() -> None:
    hours = list(usual(NOW - 2 * DAY, since=NOW - timedelta(days=20)))

    assert status(hours) == FeedStatus.OK


def test_quiet_week_among_the_past_ones_lowers_what_is_expected() -> None:
    hours = list(usual(NOW - DAY))
    vacation = (NOW - timedelta(days=9), NOW - timedelta(days=6))

    assert status(hours) == FeedStatus.SILENT
    assert status([hour for hour in hours if not vacation[0] < hour.at < vacation[1]]) == "ok"


def test_bulk_import_raises_nothing() -> None:
    imported = HourCount(NOW - timedelta(days=7), "VIEW_ITEM", 9_000_000, last_at=NOW - 7 * DAY)

    assert status([*usual(NOW), imported]) == FeedStatus.OK


@pytest.mark.slow
@pytest.mark.parametrize(
    "zone", [ZONE, *longer("test_night_is_no_silence", "America/New_York", "Asia/Kathmandu", "UTC")]
)
def test_nightly_job_by_utc_or_by_local_time_is_no_silence_over_a_clock_change(zone: str) -> None:
    # London leaves summer time on 26 October 2025, New York on 2 November.
    days = [date(2025, 9, 20) + timedelta(days=each) for each in range(60)]
    job = [datetime(each.year, each.month, each.day, 2, tzinfo=UTC) for each in days]
    hours = [HourCount(at, "VIEW_ITEM", 900, 900, last_at=at + HOUR / 3) for at in job]
    at = job[30]
    while at < job[-1]:
        assert status([hour for hour in hours if hour.at < at], at, zone) == FeedStatus.OK, at
        at += HOUR


def test_few_events_where_many_came_are_a_silence() -> None:
    thin = [
        *usual(NOW - DAY, events=100),
        HourCount(NOW - 2 * HOUR, "VIEW_ITEM", 5, 5, last_at=NOW - HOUR),
    ]

    found = judge_feed(thin, now=NOW, zone=ZONE)

    assert found.status == FeedStatus.SILENT
    assert feed_sentence(found.status, found.numbers).startswith("Only 5 events came in the last")


def without_quizzes(hour: HourCount) -> HourCount | None:
    return None if hour.verb == "ATTEMPT_QUIZ" else replace(hour, events=hour.events + 4)


def without_items(hour: HourCount) -> HourCount:
    return replace(hour, with_item=0)


def without_scores(hour: HourCount) -> HourCount:
    return replace(hour, with_score=0)


def late(hour: HourCount) -> HourCount:
    return replace(hour, delay=hour.events * timedelta(hours=30))


@pytest.mark.parametrize(
    ("change", "expected", "sentence"),
    [
        (
            without_quizzes,
            "changed",
            (
                "No event ATTEMPT_QUIZ came in the last 24 hours. In the same hours of each of the "
                "past weeks, 280 or more came."
            ),
        ),
        (
            without_items,
            "changed",
            ("The share of events that name an item in the last 24 hours is 0.0%. It was 100.0%."),
        ),
        (
            without_scores,
            "changed",
            (
                "The share of quiz attempts with a score in the last 24 hours is 0.0%. It was "
                "100.0%."
            ),
        ),
        (
            late,
            "late",
            (
                "The events of the last 24 hours came 30.0 hours after they occurred, on "
                "average. In the past weeks it was 0.1 hours."
            ),
        ),
    ],
)
def test_other_shape_is_noticed_after_a_day(
    change: Callable[[HourCount], HourCount | None], expected: str, sentence: str
) -> None:
    hours = list(usual(NOW, events=100))
    changed = [change(hour) if hour.at >= NOW - DAY else hour for hour in hours]

    found = judge_feed([hour for hour in changed if hour], now=NOW, zone=ZONE)

    assert found.status == expected
    assert feed_sentence(found.status, found.numbers) == sentence


@pytest.mark.parametrize("grades", [40, 400])
def test_grades_entered_late_beside_usual_events_hold_nothing(grades: int) -> None:
    entered = HourCount(
        NOW - 20 * HOUR, "ATTEMPT_QUIZ", grades, grades, grades, grades * 14 * DAY, NOW - 19 * HOUR
    )

    assert status([*usual(NOW, events=10), entered]) == FeedStatus.OK


@pytest.mark.parametrize("grades", [0, 400])
def test_feed_with_most_of_its_usual_events_late_is_late(grades: int) -> None:
    hours = [
        late(hour) if hour.at >= NOW - DAY and hour.verb == "VIEW_ITEM" else hour
        for hour in usual(NOW, events=10)
    ]
    entered = HourCount(
        NOW - 20 * HOUR, "ATTEMPT_QUIZ", grades, grades, grades, grades * 14 * DAY, NOW - 19 * HOUR
    )

    assert status([*hours, entered]) == FeedStatus.LATE


def store(course: Course, hours: list[HourCount]) -> None:
    FeedHour.objects.bulk_create(
        FeedHour(
            course=course,
            hour_at=hour.at,
            verb=hour.verb,
            events=hour.events,
            with_item=hour.with_item,
            with_score=hour.with_score,
            delay_seconds=int(hour.delay.total_seconds()),
            last_at=hour.last_at or hour.at,
        )
        for hour in hours
    )


@pytest.mark.django_db
def test_events_are_counted_once_by_hour_and_verb() -> None:
    enrollment = make_enrollment()
    for minutes in (5, 20, 90):
        act(enrollment, "VIEW_ITEM", occurred_at=NOW - timedelta(minutes=minutes))
    append_own_event(enrollment.pk, "EMAIL_SENT", source_id="mail", now=NOW - 2 * HOUR)
    late_one = make_event(enrollment, "LOGIN", occurred_at=NOW - timedelta(hours=10))
    ingest([late_one], now=NOW - timedelta(minutes=10))

    measure_feeds(now=NOW)
    measure_feeds(now=NOW + HOUR)

    found = {(row.hour_at.hour, row.verb): row for row in FeedHour.objects.all()}
    assert {key: row.events for key, row in found.items()} == {
        (11, "VIEW_ITEM"): 2,
        (10, "VIEW_ITEM"): 1,
        (11, "LOGIN"): 1,
    }
    assert found[11, "LOGIN"].delay_seconds == 590 * 60
    assert found[11, "VIEW_ITEM"].last_at == NOW - timedelta(minutes=5)


@pytest.mark.django_db
def test_silent_feed_holds_the_course_until_events_come_again() -> None:
    enrollment = make_enrollment()
    course = enrollment.course
    store(course, list(usual(NOW - DAY)))

    measure_feeds(now=NOW)

    course.refresh_from_db()
    held = feed_health(course, now=NOW)
    # The last events came the evening before: NOW is 12:00.
    assert (held.status, held.since) == ("silent", NOW - DAY - HOUR / 2)
    act(enrollment, occurred_at=NOW + HOUR)
    store(course, [HourCount(NOW, "VIEW_ITEM", 200, 200, last_at=NOW + HOUR / 2)])
    measure_feeds(now=NOW + 2 * HOUR)
    course.refresh_from_db()
    assert feed_health(course, now=NOW + 2 * HOUR).status == "ok"
    assert course.feed_held_since is None


@pytest.mark.slow
@pytest.mark.django_db
def test_feed_that_dies_holds_the_course_until_staff_speak() -> None:
    course = make_enrollment().course
    Course.objects.update(ends_on=NOW.date() + 90 * DAY)
    store(course, list(usual(NOW - DAY)))

    for days in range(0, 60, 3):
        measure_feeds(now=NOW + days * DAY)
        course.refresh_from_db()
        assert course.feed_held_since == NOW - DAY - HOUR / 2, days
    assert trust_feed(course.pk, by="ana", now=NOW + 60 * DAY)
    measure_feeds(now=NOW + 68 * DAY)
    course.refresh_from_db()
    assert course.feed_held_since == NOW - DAY - HOUR / 2


@pytest.mark.django_db
def test_staff_release_what_a_silent_feed_holds_for_a_week() -> None:
    course = make_enrollment().course
    store(course, list(usual(NOW - DAY)))
    measure_feeds(now=NOW)

    assert trust_feed(course.pk, by="ana", now=NOW)

    course.refresh_from_db()
    assert feed_health(course, now=NOW).status == "ok"
    measure_feeds(now=NOW + DAY)
    course.refresh_from_db()
    assert course.feed_held_since is None
    assert Feed.objects.get().state == "silent"
    assert not trust_feed(make_enrollment().course.pk, by="ana", now=NOW)


@pytest.mark.slow
@pytest.mark.django_db
def test_word_of_staff_holds_for_its_week_whatever_events_come() -> None:
    course = make_enrollment().course
    store(course, list(usual(NOW - DAY)))
    measure_feeds(now=NOW)
    trust_feed(course.pk, by="ana", now=NOW)

    store(course, [HourCount(NOW, "VIEW_ITEM", 200, 200, last_at=NOW + HOUR / 2)])
    measure_feeds(now=NOW + 2 * HOUR)
    assert Feed.objects.get().state == "ok"

    measure_feeds(now=NOW + DAY)
    course.refresh_from_db()
    assert (Feed.objects.get().state, course.feed_held_since) == ("silent", None)
    measure_feeds(now=NOW + 8 * DAY)
    course.refresh_from_db()
    assert course.feed_held_since == NOW + HOUR / 2


@pytest.mark.django_db
def test_what_held_at_a_past_instant_is_kept() -> None:
    course = make_enrollment().course
    store(course, list(usual(NOW - DAY)))
    measure_feeds(now=NOW)
    trust_feed(course.pk, by="ana", now=NOW + HOUR)
    store(course, [HourCount(NOW, "VIEW_ITEM", 200, 200, last_at=NOW + HOUR / 2)])
    measure_feeds(now=NOW + 2 * HOUR)
    measure_feeds(now=NOW + 8 * DAY)

    def held(at: datetime) -> list[datetime]:
        return list(holds_at(at).values_list("since", flat=True))

    first, second = NOW - DAY - HOUR / 2, NOW + HOUR / 2
    assert [held(NOW + offset) for offset in (-HOUR, 0 * HOUR, HOUR / 2)] == [[], [first], [first]]
    assert [held(NOW + offset) for offset in (HOUR, 7 * DAY)] == [[], []]
    assert held(NOW + 8 * DAY) == held(NOW + 90 * DAY) == [second]


@pytest.mark.django_db
def test_nothing_is_judged_while_an_import_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    enrollment = make_enrollment()
    store(enrollment.course, list(usual(NOW - DAY)))
    for minutes in range(2, 5):
        act(enrollment, occurred_at=NOW - timedelta(minutes=minutes))
    monkeypatch.setattr("activity.operations.feeds.MOST_COUNTED", 2)

    measure_feeds(now=NOW)

    assert MOST_COUNTED > 2
    assert not Feed.objects.exists()
    measure_feeds(now=NOW)
    assert Feed.objects.exists()


@pytest.mark.django_db
def test_course_that_is_over_or_stands_still_is_not_judged() -> None:
    over = make_enrollment().course
    Course.objects.update(starts_on=date(2025, 7, 1), ends_on=NOW.date() - DAY)
    still = make_enrollment().course
    Course.objects.filter(pk=still.pk).update(clock_stopped_at=NOW)
    for course in (over, still):
        store(course, list(usual(NOW - DAY)))

    measure_feeds(now=NOW)

    assert not Course.objects.exclude(feed_held_since=None).exists()


@pytest.mark.django_db
def test_measuring_takes_a_fixed_number_of_queries_per_course(
    django_assert_max_num_queries,
) -> None:
    enrollment = make_enrollment()
    store(enrollment.course, list(usual(NOW)))

    with django_assert_max_num_queries(16):
        measure_feeds(now=NOW)
    # Nothing is due: lock, count, courses.
    with django_assert_max_num_queries(5):
        measure_feeds(now=NOW)
