"""Streaks, gaps and resources per quiz attempt, on histories of a few days."""

import pytest

from tests.factories import act
from tests.segmentation.test_signals import ago, learner, read

__all__ = ["learner"]

pytestmark = pytest.mark.django_db


def test_streak_ends_yesterday_while_nothing_is_done_today(learner):
    for days in (1, 2, 3, 5):
        act(learner, occurred_at=ago(days=days))
    assert read(learner, "streak_days") == 3
    act(learner, occurred_at=ago(hours=1))
    assert read(learner, "streak_days") == 4


def test_streak_is_over_after_a_whole_day_without_an_act(learner):
    act(learner, occurred_at=ago(days=2))
    assert read(learner, "streak_days") == 0


def test_longest_gap_counts_the_days_between_and_after(learner):
    act(learner, occurred_at=ago(days=9))
    assert read(learner, "longest_gap_days", 14) == 9, "eight whole days and today"
    act(learner, occurred_at=ago(days=3))
    assert read(learner, "longest_gap_days", 14) == 5
    assert read(learner, "longest_gap_days", 7) == 3


def test_gap_deviation_is_that_of_the_textbook(learner):
    for days in (0, 2, 6):
        act(learner, occurred_at=ago(days=days))
    # The times are 4 and 2 days: mean 3, squares 1 + 1, divided by 1.
    assert read(learner, "gap_deviation", 14) == pytest.approx(2**0.5, abs=1e-15)
    assert read(learner, "gap_deviation", 6) is None, "only two active days"


def test_resources_are_divided_by_quiz_attempts(learner):
    act(learner, "PLAY_VIDEO", count=3)
    act(learner, "DOWNLOAD_RESOURCE", count=4)
    assert read(learner, "resource_to_assessment_ratio", 7) is None
    act(learner, "ATTEMPT_QUIZ", count=2)
    assert read(learner, "resource_to_assessment_ratio", 7) == 3.5
