"""What if: the last 30 days under an unsaved rule, by course."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from activity.models import Course, Enrollment
from interventions.models import Delivery
from interventions.queries.what_if_rule import RuleEffect, RuleWhatIf, what_if_rule
from segmentation.models import Segment
from segmentation.operations import add_member
from segmentation.queries import TypedRules
from segmentation.queries import replay as replaying
from segmentation.rules import parse
from segmentation.stages.evaluate import evaluate_due
from tests.factories import act, make_course, make_enrollment
from tests.interventions.factories import make_cadence, make_delivery, make_run, make_transition
from tests.segmentation.factories import make_playbook, make_segment, where

pytestmark = pytest.mark.django_db
# The last 30 days go over the night on which the clocks go back in London.
NOW = datetime(2025, 11, 5, 12, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
OFTEN = where("active_days", ">=", 3, window=7)
RARE = where("active_days", ">=", 5, window=7)
QUIET = where("days_since_activity", ">=", 2.5)
TODAY = where("logins", ">=", 2, window=1)


def make_days(**fields: Any) -> Course:
    values = {"starts_on": date(2025, 9, 20), "ends_on": date(2025, 12, 1)}
    return make_course(**{**values, "live_since": NOW - 60 * DAY, **fields})


def tried(
    segment: Segment, rule: dict[str, Any], leave_rule: Any = None, *, seconds: float = 1e6
) -> RuleWhatIf:
    typed = TypedRules(segment, parse(rule), leave_rule and parse(leave_rule))
    boss = get_user_model()(is_superuser=True, is_active=True)
    ticks = iter(range(10**6))
    return what_if_rule(typed, viewer=boss, now=NOW, clock=lambda: next(ticks), seconds=seconds)


def effect(segment: Segment, rule: dict[str, Any], leave_rule: Any = None) -> RuleEffect:
    (found,) = tried(segment, rule, leave_rule).effects
    return found


def numbers(found: RuleEffect) -> tuple[int, ...]:
    counts = (found.before, found.after, found.learners, found.messages)
    return (*counts, found.fewer, found.later, found.sooner, found.more)


def make_message(enrollment: Enrollment, cadence: Any, at: datetime, **fields: Any) -> Delivery:
    """Return a message that went out an hour after the entry."""
    entry = make_transition(enrollment, cadence.segment, occurred_at=at, processed_at=at, **fields)
    run = make_run(
        enrollment, cadence, transition=entry, started_at=at, status="finished", ended_at=at + HOUR
    )
    instants = dict.fromkeys(("planned_at", "send_at", "claimed_at", "finished_at"), at + HOUR)
    return make_delivery(run=run, state="handed_off", **instants)


@pytest.fixture
def course() -> Course:
    return make_days()


@pytest.fixture
def segment(course: Course) -> Segment:
    return make_segment(make_playbook(course), where("days_since_activity", ">=", 7))


SHORTER, LONGER = where("days_since_activity", ">=", 5), where("days_since_activity", ">=", 12)


def make_quiet(course: Course, *days_ago: float) -> Enrollment:
    """Return a learner who was active on these days and never since."""
    one = make_enrollment(course, enrolled_at=NOW - 40 * DAY)
    for each in days_ago:
        act(one, occurred_at=NOW - each * DAY)
    return one


def test_message_of_who_comes_back_in_time_would_not_have_gone_out(
    course: Course, segment: Segment
) -> None:
    cadence = make_cadence(segment=segment)
    # One comes back after eight days, the other one stays away.
    for one in (make_quiet(course, 20, 12), make_quiet(course, 20)):
        make_message(one, cadence, NOW - 13 * DAY)

    found = effect(segment, LONGER)

    assert (found.messages, found.fewer, found.later, found.sooner) == (2, 1, 1, 0)
    assert numbers(effect(segment, SHORTER))[3:] == (2, 0, 0, 2, 0)


def test_entry_between_two_ends_of_days_is_asked_about_at_its_instant(
    course: Course, segment: Segment
) -> None:
    # Six hours after the entry, the learner is back.
    make_message(make_quiet(course, 20, 12.75), make_cadence(segment=segment), NOW - 13 * DAY)
    nearly = where("days_since_activity", ">=", 6.9)

    assert numbers(effect(segment, nearly))[3:] == (1, 0, 0, 0, 0)
    assert numbers(effect(segment, LONGER))[3:] == (1, 1, 0, 0, 0)


def test_runs_more_count_each_learner_once_where_the_cadence_runs_once(
    course: Course, segment: Segment
) -> None:
    once = make_cadence(segment=segment)
    make_cadence(segment=segment, reentry="cooldown", cooldown=3 * DAY)
    make_cadence(segment=segment, status="draft")
    # Both are quiet for six days, twice.
    make_quiet(course, 22, 16, 10, 4)
    had = make_quiet(course, 22, 16, 10, 4)
    make_run(had, once, status="finished", ended_at=NOW, started_at=NOW - DAY)

    found = effect(segment, SHORTER)

    assert (found.before, found.after, found.learners) == (0, 2, 2)
    entries = len(found.replay.only_after)
    assert entries == 6
    assert found.more == 1 + entries


def test_no_run_begins_in_a_course_that_was_not_live(course: Course, segment: Segment) -> None:
    make_cadence(segment=segment)
    make_quiet(course, 22, 16, 10, 4)
    assert effect(segment, SHORTER).more == 1

    Course.objects.update(live_since=NOW - DAY)
    assert effect(segment, SHORTER).more == 0
    Course.objects.update(live_since=None)
    assert effect(segment, SHORTER).more == 0


def test_learner_whom_staff_added_gets_the_message_in_any_case(
    course: Course, segment: Segment
) -> None:
    one = make_quiet(course, *range(1, 40))
    add_member(segment.pk, one.pk, now=NOW)
    make_message(one, make_cadence(segment=segment), NOW - 3 * DAY, cause="manual")

    assert numbers(effect(segment, LONGER)) == (0, 0, 0, 1, 0, 0, 0, 0)


def test_ghosts_and_runs_that_another_thing_started_are_left_out(
    course: Course, segment: Segment
) -> None:
    one = make_quiet(course, 20)
    on_leave = make_cadence(segment=segment, trigger="leave")
    make_message(one, on_leave, NOW - 13 * DAY, kind="leave")
    entry = make_transition(one, segment, occurred_at=NOW - 13 * DAY, processed_at=NOW)
    ghost = make_run(one, make_cadence(segment=segment), transition=entry, ghost=True)
    make_delivery(run=ghost, state="ghost", claimed_at=NOW - 12 * DAY)

    assert effect(segment, LONGER).messages == 0


def test_members_by_the_leave_rule_begin_with_the_real_ones(course: Course) -> None:
    rule = where("days_since_activity", ">=", 7)
    segment = make_segment(
        make_playbook(course), rule, leave_rule=where("logins", ">=", 9, window=7)
    )
    one = make_quiet(course, 39)
    evaluate_due(now=NOW - 31 * DAY)
    act(one, occurred_at=NOW - 30.5 * DAY)

    # Who was in before the days, and stays, does not enter again.
    assert effect(segment, rule, segment.leave_rule).before == 0
    assert effect(segment, rule).after == 1
    assert one.memberships.get().left_at is None


def test_course_that_is_over_or_stands_still_is_replayed_up_to_then(segment: Segment) -> None:
    make_quiet(segment.playbook.courses.get(), 33)
    stopped = NOW - 20 * DAY
    Course.objects.update(clock_stopped_at=stopped)
    found = effect(segment, LONGER)
    assert (found.until, found.is_past, len(found.replay.days)) == (stopped, True, 30)
    assert (found.before, found.after) == (1, 1)
    assert found.notes == ["up to Thursday 16 October 2025"]

    Course.objects.update(clock_stopped_at=None, ends_on=(NOW - 10 * DAY).date())
    assert effect(segment, LONGER).notes == ["up to Sunday 26 October 2025"]


def test_segment_that_is_not_active_holds_nobody_as_it_is(course: Course) -> None:
    playbook = make_playbook(course)
    make_quiet(course, 20)
    draft = make_segment(playbook, SHORTER, active=False)

    for each in (Segment(playbook=playbook), draft):
        found = effect(each, SHORTER)
        assert (found.before, found.after, found.learners, found.messages) == (0, 1, 1, 0)


def test_large_course_is_replayed_by_a_sample_and_slow_one_by_fewer_days(
    course: Course, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        make_message(make_quiet(course, 20), make_cadence(segment=segment), NOW - 13 * DAY)
    monkeypatch.setattr(replaying, "MOST_LEARNERS", 3)
    found = effect(segment, LONGER)
    assert (found.before, found.messages) == (3, 3)
    assert found.notes == ["a sample of 3 of 4 learners"]

    (short,) = tried(segment, LONGER, seconds=6).effects
    assert 0 < len(short.replay.days) < 8
    assert short.notes[0] == f"only {len(short.replay.days)} days, because it is large"
    (least,) = tried(segment, LONGER, seconds=0).effects
    assert len(least.replay.days) == 1


def test_replay_takes_a_query_a_day(
    course: Course, segment: Segment, django_assert_max_num_queries: Any
) -> None:
    cadence = make_cadence(segment=segment)
    for each in range(5):
        make_message(make_quiet(course, 20, 12), cadence, NOW - 13 * DAY - each * HOUR)

    # 31 ends of days, 5 instants of entries, courses and their number, cadences, the last planned
    # message, enrollments, manual members, messages, earlier runs.
    with django_assert_max_num_queries(31 + 5 + 8):
        effect(segment, LONGER)


def test_nothing_is_written(course: Course, segment: Segment) -> None:
    make_message(make_quiet(course, 20, 12), make_cadence(segment=segment), NOW - 13 * DAY)

    with CaptureQueriesContext(
        connection,
    ) as asked:
        effect(segment, where("pace_percentile", "<", 0.5), SHORTER)

    first = {each["sql"].split()[0] for each in asked.captured_queries}
    assert first == {"SELECT", "WITH"}
    assert not any(word in each["sql"] for each in asked.captured_queries
                   for word in ("INSERT", "UPDATE ", "DELETE"))  # fmt: skip
