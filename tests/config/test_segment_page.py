"""The page of a segment: its size over time, its flows, and the backtest of a draft."""

import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from activity.models import Course
from common.clock import local_date, utc_now
from config.views import backtest as view
from config.views.segment_page import Share, history_of
from segmentation.models import EvaluationDay, Freeze, Membership, Segment
from segmentation.operations import SegmentFields, edit_segment
from segmentation.queries import backtest, sizes_in_course
from segmentation.rules import parse
from tests.factories import NOW, act, make_course, make_enrollment
from tests.interventions.factories import make_cadence, make_live_course
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def superuser() -> Any:
    return get_user_model()(is_superuser=True, is_active=True)


def page_of(segment: Segment) -> str:
    return reverse("segment", args=(segment.pk,))


def stay(enrollment: Any, segment: Segment, begins: Any, ends: Any = None) -> None:
    Membership.objects.create(
        enrollment=enrollment, segment=segment, entered_at=begins, left_at=ends, version=1
    )


def test_sizes_equal_a_count_at_the_end_of_each_day() -> None:
    course = make_live_course(time_zone="Europe/London")
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    # Of whole and half days, so that stays begin and end on both sides of a midnight.
    for number in range(12):
        begins = NOW - number * DAY / 2
        ends = begins + number * DAY / 3 if number % 3 else None
        stay(make_enrollment(course), segment, begins, ends if ends and ends < NOW else None)

    days = sizes_in_course([segment.pk], course, days=5, as_of=NOW)[segment.pk]

    # London is at UTC+1, so each day ends at 23:00 UTC.
    for back, found in enumerate(reversed(days)):
        end = NOW + timedelta(hours=11) - back * DAY
        present = Membership.objects.filter(entered_at__lt=end).exclude(left_at__lt=end)
        entered = Membership.objects.filter(entered_at__range=(end - DAY, end))
        left = Membership.objects.filter(left_at__range=(end - DAY, end))
        assert found.day == date(2025, 9, 30) - back * DAY
        assert (found.members, found.entered, found.left) == (
            present.count(),
            entered.count(),
            left.count(),
        )


def test_flows_name_the_segments_before_and_after() -> None:
    course = make_live_course()
    playbook = make_playbook(course)
    here, before, after = (
        make_segment(playbook, ACTED_TODAY, name=name) for name in ("Here", "Before", "After")
    )
    for number in range(3):
        learner = make_enrollment(course)
        stay(learner, before, NOW - 5 * DAY, NOW - 3 * DAY)
        stay(learner, here, NOW - 3 * DAY, NOW - DAY if number else None)
        if number:
            stay(learner, after, NOW - DAY)
    both = make_enrollment(course)
    stay(both, here, NOW - 2 * DAY)
    stay(both, after, NOW - 9 * DAY)

    found = history_of(here, course, viewer=superuser(), as_of=NOW)

    assert found.came_from == [Share("Before", 3, 75), Share("no other segment", 1, 25)]
    assert found.went_to == [Share("After", 2, 100)]
    assert found.also_in == [Share("After", 1, 50)]
    assert found.now == 2


def test_flows_are_of_the_days_that_the_table_of_sizes_has() -> None:
    course = make_live_course()
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    for number in range(6):
        begins = NOW - 27 * DAY - number * timedelta(hours=6)
        stay(make_enrollment(course), segment, begins, NOW)

    found = history_of(segment, course, viewer=superuser(), as_of=NOW)

    assert found.came_from == [Share("no other segment", 3, 100)]
    assert sum(day.entered for day in found.days[-28:]) == 3


def make_history(course: Course) -> None:
    """One learner acts two days in a row, one on the second of them."""
    first, second = make_enrollment(course), make_enrollment(course)
    for learner, ago in ((first, 3), (first, 2), (second, 2)):
        act(learner, "LOGIN", occurred_at=NOW - ago * DAY)


def test_backtest_counts_the_matches_of_each_past_day() -> None:
    course = make_course()
    make_history(course)

    found = list(backtest(parse(ACTED_TODAY), course, first=date(2025, 9, 26), as_of=NOW))

    assert [(each.members, each.entered, each.left) for each in found] == [
        (0, 0, 0),
        (1, 1, 0),
        (2, 1, 0),
        (0, 0, 2),
        (0, 0, 0),
    ]
    assert found[-1].day == date(2025, 9, 30)
    assert not Membership.objects.exists()


@pytest.mark.slow
def test_backtest_in_many_steps_equals_one_step(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = make_course(clock_stopped_at=NOW)
    make_history(course)
    draft = make_segment(make_playbook(course), ACTED_TODAY, active=False)
    address = reverse("segment-backtest", args=(draft.pk, course.pk))
    monkeypatch.setattr(view, "DAYS", 6)
    at_once = staff.get(address).text
    assert "2025" in at_once

    monkeypatch.setattr(view, "STEP_SECONDS", -1)
    page, steps = staff.get(address).text, 1
    while found := re.search(r'hx-get="([^"]+)"', page):
        assert f'value="{steps}"' in page
        page, steps = staff.get(found[1]).text, steps + 1

    assert steps == 6
    assert page == at_once


def test_backtest_does_not_go_on_with_the_numbers_of_another_course(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    course, other = make_course(), make_course()
    draft = make_segment(make_playbook(course, other), ACTED_TODAY, active=False)
    monkeypatch.setattr(view, "STEP_SECONDS", 0)
    here, there = (
        reverse("segment-backtest", args=(draft.pk, each.pk)) for each in (course, other)
    )
    token = staff.get(here).context["progress"].token

    assert staff.get(here, {"done": token}).status_code == 200
    assert staff.get(there, {"done": token}).status_code == 404


def test_edit_during_the_backtest_does_not_mix_two_rules(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = make_course(clock_stopped_at=NOW)
    draft = make_segment(make_playbook(course), ACTED_TODAY, active=False)
    monkeypatch.setattr(view, "STEP_SECONDS", -1)
    page = staff.get(reverse("segment-backtest", args=(draft.pk, course.pk))).text
    (going_on,) = re.findall(r'hx-get="([^"]+)"', page)

    Segment.objects.update(version=2)

    assert staff.get(going_on).status_code == 404
    assert staff.get(f"{going_on}x").status_code == 404


def test_draft_shows_its_backtest_and_a_kept_segment_its_history(staff: Client) -> None:
    course = make_live_course()
    playbook = make_playbook(course)
    kept = make_segment(playbook, ACTED_TODAY, name="Kept")
    make_cadence(segment=kept, name="Weekly nudge")
    draft = make_segment(playbook, ACTED_TODAY, name="New", active=False)

    page = staff.get(page_of(kept)).text
    assert "0 learners are in this segment now." in page
    assert "Weekly nudge" in page
    assert "if it had been active" not in page
    assert "if it had been active" in staff.get(page_of(draft)).text


def test_members_can_be_downloaded_only_with_the_right_to_export(client: Client) -> None:
    course = make_live_course()
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    stay(make_enrollment(course), segment, NOW - DAY)
    file = f"{reverse('admin:segmentation_membership_export')}?segment__id__exact={segment.pk}"
    reader = get_user_model().objects.create_user("reader", is_staff=True)
    rights = ("view_segment", "view_membership", "view_course")
    reader.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(reader)

    assert file not in client.get(page_of(segment)).text

    reader.user_permissions.add(Permission.objects.get(codename="export_lists"))
    assert file in client.get(page_of(segment)).text
    answer = client.get(file)
    assert len(b"".join(answer).splitlines()) == 2  # type: ignore[arg-type]


def test_segment_of_no_course_says_what_to_do(staff: Client) -> None:
    segment = make_segment(make_playbook(), ACTED_TODAY)

    assert "is kept for no course" in staff.get(page_of(segment)).text


def test_page_shows_the_asked_course_or_the_chosen_one(staff: Client) -> None:
    first, second = make_live_course(title="Biology"), make_live_course(title="History")
    segment = make_segment(make_playbook(first, second), ACTED_TODAY)

    assert "(History)" in staff.get(page_of(segment), {"course": second.pk}).text
    staff.post("/courses/switch/", {"course": second.pk})
    assert "(History)" in staff.get(page_of(segment)).text
    assert staff.get(page_of(segment), {"course": "x"}).status_code == 200


def test_page_takes_few_queries(staff: Client, django_assert_max_num_queries: Any) -> None:
    course = make_live_course()
    playbook = make_playbook(course)
    segments = [make_segment(playbook, ACTED_TODAY) for _ in range(6)]
    for segment in segments:
        stay(make_enrollment(course), segment, NOW - DAY)
    with django_assert_max_num_queries(16):
        staff.get(page_of(segments[0]))


def test_evaluations_of_the_last_days_are_listed_with_the_segments_own_moves() -> None:
    course = make_live_course(time_zone="Asia/Tokyo")
    playbook = make_playbook(course)
    here, other = (make_segment(playbook, ACTED_TODAY) for _ in range(2))
    stay(make_enrollment(course), here, NOW - 2 * DAY, NOW - DAY)
    stay(make_enrollment(course), other, NOW - 2 * DAY)
    today = date(2025, 9, 30)
    for ago, values in enumerate(
        [
            {"batches": 1, "evaluated": 5, "seconds": 0.25, "slowest_seconds": 0.25},
            {"batches": 1200, "evaluated": 9, "seconds": 1500, "slowest_seconds": 4},
            {"batches": 2, "evaluated": 2, "seconds": 1, "failed": 2, "error": "It broke"},
        ]
    ):
        at = NOW - ago * DAY
        EvaluationDay.objects.create(course=course, day=today - ago * DAY, last_at=at, **values)
    EvaluationDay.objects.create(course=course, day=today - 14 * DAY, last_at=NOW)

    found = history_of(here, course, viewer=superuser(), as_of=NOW).evaluations

    assert [(each.day, each.evaluated, each.entered, each.left) for each in found] == [
        (today, 5, 0, 0),
        (today - DAY, 9, 0, 1),
        (today - 2 * DAY, 2, 1, 0),
    ]
    assert [(each.seconds, each.slowest_seconds) for each in found[:2]] == [(0.25, 0.25), (1500, 4)]
    assert {each.last_at for each in found} == {"21:00"}
    assert [each.failed for each in found] == [0, 0, 2]
    assert [each.error for each in found] == [
        "",
        "",
        (
            "On Sun 28 Sep, the evaluation of a learner failed 2 times and was delayed."
            " The last error: It broke"
        ),
    ]


@pytest.mark.slow
def test_page_says_when_the_rule_failed_and_what_evaluations_took(staff: Client) -> None:
    course = make_live_course(time_zone="Asia/Tokyo")
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    assert "was evaluated in the last 14 days" in staff.get(page_of(segment)).text
    now = utc_now()
    day = local_date(now, course.time_zone)
    EvaluationDay.objects.create(course=course, day=day, last_at=now, evaluated=1234)
    Freeze.objects.create(
        segment=segment, version=3, error="No such item.", frozen_at=NOW - DAY, thawed_at=NOW
    )

    page = staff.get(page_of(segment)).text

    assert "1,234" in page
    assert (
        "Frozen from Monday 29 September 2025, 21:00 (Asia/Tokyo) until Tuesday 30 September 2025,"
        " 21:00 (Asia/Tokyo), with version 3 of its rules: No such item." in page
    )


def test_rules_of_earlier_versions_are_listed(staff: Client) -> None:
    segment = make_segment(make_playbook(make_live_course()), ACTED_TODAY)
    edited = replace(SegmentFields.of(segment), rule=where("active_days", ">=", 3, window=7))
    edit_segment(segment.pk, edited, now=NOW)

    page = staff.get(page_of(segment)).text

    assert "Active on at least 3 of the last 7 days" in page
    assert "Active on at least 1 of the last 1 day" in page


def test_admin_pages_lead_to_our_own_pages(staff: Client) -> None:
    course = make_live_course()
    segment = make_segment(make_playbook(course), ACTED_TODAY)

    change = reverse("admin:segmentation_segment_change", args=(segment.pk,))
    assert page_of(segment) in staff.get(change).text
    change = reverse("admin:activity_course_change", args=(course.pk,))
    assert reverse("course-home", args=(course.pk,)) in staff.get(change).text
