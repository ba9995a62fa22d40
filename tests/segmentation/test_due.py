"""When an enrollment is next due without new events. NOW is noon UTC, 13:00 in London."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from common.clock import local_midnight
from segmentation.compiler import SegmentRules, compile_reading
from segmentation.norms import NormsValues
from segmentation.rules import parse
from tests.factories import ENDS_ON, NOW, act, make_course, make_enrollment

pytestmark = pytest.mark.django_db

MIDNIGHT = datetime(2025, 9, 30, 23, 0, tzinfo=UTC)
OVER_AT = local_midnight(ENDS_ON + timedelta(days=1), "Europe/London")
MICROSECOND = timedelta(microseconds=1)


def condition(field, operator=">=", value=7, **keys):
    return {"field": field, "operator": operator, "value": value, **keys}


QUIET = condition("days_since_activity")
ALL_TIME = condition("modules_completed", value=1)
ACTIVE = condition("active_days", value=3, window=7)


def read(enrollment, *segments, as_of=NOW):
    """Return the row of the enrollment as a dict."""
    reading = compile_reading(
        segments or [SegmentRules(1, parse(ACTIVE))],
        course_id=enrollment.course_id,
        as_of=as_of,
        enrollment_ids=[enrollment.pk],
        norms=NormsValues(),
    )
    with connection.cursor() as cursor:
        cursor.execute(reading.sql, reading.params)
        names = [column.name for column in cursor.description]
        (row,) = cursor.fetchall()
    return dict(zip(names, row, strict=True))


def due(enrollment, *shapes, as_of=NOW):
    rules = [SegmentRules(number, parse(shape)) for number, shape in enumerate(shapes)]
    return read(enrollment, *rules, as_of=as_of)["next_due"]


def test_threshold_is_reached_at_its_exact_instant_and_passed_just_after():
    learner = make_enrollment()
    acted_at = NOW - timedelta(days=6, hours=20)
    act(learner, occurred_at=acted_at)
    week = acted_at + timedelta(days=7)
    assert due(learner, QUIET) == week
    assert due(learner, QUIET, as_of=week) == week + MICROSECOND
    assert due(learner, QUIET, as_of=week + MICROSECOND) == OVER_AT


def test_earliest_bound_of_all_rules_is_used():
    learner = make_enrollment()
    act(learner, occurred_at=NOW)
    days = condition("days_since_activity", "between", [2, 0.5])
    days["value"] = [0.25, 2]
    assert due(learner, QUIET, days) == NOW + timedelta(hours=6)


def test_a_leave_rule_counts_too():
    learner = make_enrollment()
    act(learner, occurred_at=NOW)
    soon = parse(condition("days_since_activity", value=0.25))
    row = read(learner, SegmentRules(1, parse(ALL_TIME), soon))
    assert row["next_due"] == NOW + timedelta(hours=6)
    assert row["leave_1"] is False


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param(ACTIVE, MIDNIGHT, id="window"),
        pytest.param(condition("modules_open"), MIDNIGHT, id="assigned by the day"),
        pytest.param(condition("pace_percentile", value=1), MIDNIGHT, id="norms"),
        pytest.param(condition("quiz_pass_rate", window=7), MIDNIGHT, id="window optional"),
        pytest.param(condition("quiz_pass_rate"), OVER_AT, id="all days"),
        pytest.param(ALL_TIME, OVER_AT, id="all days too"),
        pytest.param(
            condition("trait", "=", "Wales", key="region"), OVER_AT, id="nothing to do with time"
        ),
    ],
)
def test_only_rules_that_depend_on_the_date_wait_for_midnight(shape, expected):
    assert due(make_enrollment(), shape) == expected


@pytest.mark.parametrize("name", ["withdrew_at", "completed_at"])
def test_future_withdrawal_is_due_and_nothing_after_it(name):
    leaves_at = NOW + timedelta(hours=1)
    learner = make_enrollment(**{name: leaves_at})
    assert due(learner, ACTIVE) == leaves_at
    row = read(learner, as_of=leaves_at)
    assert (row["over"], row["in_scope"], row["next_due"]) == (True, False, None)


def test_before_the_start_only_the_start_is_due():
    course = make_course(starts_on=date(2025, 10, 1))
    starts_at = local_midnight(course.starts_on, course.time_zone)
    late_at = starts_at + timedelta(hours=5)
    early = make_enrollment(course, enrolled_at=NOW - timedelta(days=9))
    late = make_enrollment(course, enrolled_at=late_at)
    assert due(early, ACTIVE) == starts_at
    assert due(late, ACTIVE) == late_at
    assert not read(early)["in_scope"]
    assert read(early, as_of=starts_at)["in_scope"]


def test_the_last_day_of_the_course_is_the_last_in_scope():
    learner = make_enrollment()
    row = read(learner, as_of=OVER_AT - MICROSECOND)
    assert (row["over"], row["in_scope"], row["next_due"]) == (False, True, OVER_AT)
    row = read(learner, as_of=OVER_AT)
    assert (row["over"], row["in_scope"], row["next_due"]) == (True, False, None)


def test_a_roster_that_withdraws_before_it_enrolls_is_over():
    learner = make_enrollment(enrolled_at=NOW - MICROSECOND, withdrew_at=NOW - timedelta(days=9))
    row = read(learner)
    assert (row["over"], row["in_scope"], row["next_due"]) == (True, False, None)


def test_out_of_scope_no_rule_is_true():
    learner = make_enrollment(withdrew_at=NOW)
    row = read(learner, SegmentRules(7, parse(condition("active_days", "<", 9, window=7))))
    assert row["rule_7"] is False
