"""Each kind of outcome, from events to the sums of an arm, against numbers counted by hand."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from activity.models import Enrollment, Verb
from experiments.metrics.definitions import GUARDRAILS, METRICS, MORE_METRICS, WEEK
from experiments.metrics.observed import Observed
from experiments.metrics.outcomes import BEFORE
from experiments.models import Experiment
from experiments.queries import aggregates_by_arm, counted_units, report
from experiments.queries.groups import BY_COURSE, grouped_outcomes
from experiments.reporting.text import cautions
from experiments.stats.comparison import Followed
from experiments.stats.joint import JointMoments
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.survival import Times
from tests.experiments.factories import assign, make_segment, running_experiment
from tests.factories import NOW, act, hold_feed, make_course, make_enrollment, make_item

pytestmark = pytest.mark.django_db

ALL = {each.key: each for each in (*METRICS, *MORE_METRICS, *(each for each, _ in GUARDRAILS))}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AS_OF = NOW + 5 * WEEK


def drawn(experiment: Experiment, **fields: Any) -> Enrollment:
    """Return an enrollment that was drawn into the nudge arm at NOW."""
    enrollment = make_enrollment(**fields)
    assign(experiment, "nudge", NOW, enrollment)
    return enrollment


def observed(experiment: Experiment, key: str, as_of: Any = AS_OF) -> Observed:
    found = aggregates_by_arm(experiment.pk, metrics=[ALL[key]], as_of=as_of)
    return found["nudge"].observed[key]


def test_pass_rate_is_that_of_scored_attempts() -> None:
    experiment = running_experiment()
    ana, bo, _ = (drawn(experiment) for _ in range(3))
    act(ana, "ATTEMPT_QUIZ", occurred_at=NOW, score=0.9, passed=True)
    act(ana, "ATTEMPT_QUIZ", occurred_at=NOW + HOUR, score=0.2, passed=False)
    act(bo, "ATTEMPT_QUIZ", occurred_at=NOW + HOUR, score=1.0, passed=True)
    act(bo, "ATTEMPT_QUIZ", occurred_at=NOW + HOUR, count=5)
    act(bo, "ATTEMPT_QUIZ", occurred_at=NOW + WEEK, score=1.0, passed=True)

    found = observed(experiment, "quiz_pass_rate_7d")

    assert found == Observed(3, JointMoments.from_columns([1, 1, 0], [2, 1, 0]), ("passed", 2))


def test_days_active_are_dates_in_the_zone_of_the_course() -> None:
    # In Kathmandu, 18:20 in UTC is 00:05 on the next day.
    experiment, course = running_experiment(), make_course(time_zone="Asia/Kathmandu")
    ana, bo = (drawn(experiment, course=course) for _ in range(2))
    midnight = NOW.replace(hour=18, minute=15) + DAY
    for offset in (-HOUR, -timedelta(minutes=1), timedelta(minutes=1), 3 * HOUR):
        act(ana, occurred_at=midnight + offset)
    act(bo, "EMAIL_OPENED", occurred_at=NOW + HOUR)

    assert observed(experiment, "days_active_7d") == Observed(
        2, Moments.from_array([2, 0]), ("total", 2)
    )


def test_inactive_learners_have_no_act_at_all() -> None:
    experiment = running_experiment()
    ana, bo, cy, _ = (drawn(experiment) for _ in range(4))
    Verb.objects.create(name="RENEWED_BADGE", is_act=False)
    act(ana, "VIEW_ITEM", occurred_at=NOW + HOUR)
    act(bo, "EMAIL_OPENED", occurred_at=NOW + HOUR)
    act(cy, "RENEWED_BADGE", occurred_at=NOW + HOUR)
    act(cy, "LOGIN", occurred_at=NOW - HOUR)

    assert observed(experiment, "inactive_7d") == Observed(4, Counts(3, 4), ("successes", 3))


def test_learners_leave_within_the_window_or_not_at_all() -> None:
    experiment = running_experiment()
    for left in (None, NOW - HOUR, NOW, NOW + WEEK - HOUR, NOW + WEEK):
        drawn(experiment, withdrew_at=left)

    assert observed(experiment, "left_7d") == Observed(5, Counts(2, 5), ("successes", 2))


def test_times_are_censored_at_the_report_and_at_the_window() -> None:
    experiment, course = running_experiment(), make_course()
    module = make_item(course, "module")
    ana, bo, cy, _ = (drawn(experiment, course=course) for _ in range(4))
    act(ana, "COMPLETE_MODULE", item=module, occurred_at=NOW + DAY)
    # Again on a later view, which is no completion.
    act(ana, "COMPLETE_MODULE", item=module, occurred_at=NOW + 2 * DAY)
    act(bo, "COMPLETE_MODULE", item=module, occurred_at=NOW - DAY)
    act(bo, "COMPLETE_MODULE", item=module, occurred_at=NOW + DAY)
    act(cy, "COMPLETE_MODULE", item=module, occurred_at=NOW + 10 * DAY - timedelta(minutes=30))

    after_week = observed(experiment, "module_time_28d", NOW + WEEK)
    assert after_week == Observed(
        4, Followed(Times(((1.0, 1, 0), (7.0, 0, 3))), 28.0), ("events", 1)
    )
    in_the_end = observed(experiment, "module_time_28d")
    assert in_the_end.sums.times == Times(((1.0, 1, 0), (10.0, 1, 0), (28.0, 0, 2)))


def test_an_adjusted_outcome_knows_the_week_before_the_draw() -> None:
    experiment = running_experiment()
    ana, bo = (drawn(experiment, enrolled_at=NOW - 2 * WEEK) for _ in range(2))
    late = drawn(experiment, enrolled_at=NOW - WEEK + HOUR)
    act(ana, "ATTEMPT_QUIZ", occurred_at=NOW - WEEK, count=4)
    act(ana, "ATTEMPT_QUIZ", occurred_at=NOW - WEEK - HOUR, count=9)
    act(ana, "ATTEMPT_QUIZ", occurred_at=NOW, count=2)
    act(bo, "ATTEMPT_QUIZ", occurred_at=NOW + HOUR)
    act(late, "ATTEMPT_QUIZ", occurred_at=NOW - HOUR, count=3)

    found = observed(experiment, "quiz_attempts_7d_adjusted")

    assert (found.n, found.tally) == (3, ("total", 3))
    assert found.sums.outcomes.tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(found.sums.covariates[BEFORE], [np.nan, 0.0, 4.0])


def test_nobody_is_counted_beyond_the_last_instant_that_a_feed_tells_about() -> None:
    experiment, course = running_experiment(), make_course()
    early, late = drawn(experiment, course=course), drawn(experiment)
    assign(experiment, "nudge", NOW + DAY, make_enrollment(course))
    act(early, "ATTEMPT_QUIZ", occurred_at=NOW)
    hold_feed(course, since=NOW + WEEK)

    found = observed(experiment, "quiz_attempted_7d")
    followed = observed(experiment, "module_time_28d").sums.times

    # The learner who was drawn a day later waits. The other course is not held.
    assert found == Observed(2, Counts(1, 2), ("successes", 1))
    assert followed == Times(((6.0, 0, 1), (7.0, 0, 1), (28.0, 0, 1)))
    units = counted_units(experiment.pk, metric=METRICS[0], as_of=AS_OF)
    assert {unit for unit, *_ in units} == {str(early.unit_key), str(late.unit_key)}
    by_course = grouped_outcomes(experiment.pk, metric=METRICS[0], by=BY_COURSE, as_of=AS_OF)
    assert by_course[str(course.pk)]["nudge"].n == 1
    whole = report(experiment, as_of=AS_OF)
    assert whole.primary.waiting["nudge"] == 1


def test_a_course_whose_events_stay_away_is_named() -> None:
    course = make_course(title="Biology", live_since=NOW)
    hold_feed(course, since=NOW)
    experiment = running_experiment(segment=make_segment(course))
    drawn(experiment, course=course)

    found = cautions(report(experiment, as_of=NOW + DAY))

    assert any(
        text.startswith("The events of Biology have not come as usual since Tuesday")
        for text in found
    )


def test_all_outcomes_come_from_one_query(django_assert_num_queries: Any) -> None:
    experiment = running_experiment()
    ana = drawn(experiment)
    act(ana, "ATTEMPT_QUIZ", occurred_at=NOW, score=1.0, passed=True)

    with django_assert_num_queries(1):
        found = aggregates_by_arm(experiment.pk, metrics=list(ALL.values()), as_of=AS_OF)["nudge"]

    reached = {key: each.tally[1] for key, each in found.observed.items() if each.tally[1]}
    assert reached == dict.fromkeys(
        ["quiz_attempted_7d", "quiz_attempts_7d", "quiz_attempts_7d_adjusted",
         "quiz_pass_rate_7d", "days_active_7d"], 1
    )  # fmt: skip
