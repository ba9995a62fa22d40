"""Scores of recency and frequency: the fifths of a small class, by hand."""

from datetime import timedelta

import pytest

from activity.models import PastChange
from activity.operations import ingest
from segmentation.models import Norms
from segmentation.norms import norms_of
from segmentation.operations.norms import renew_norms
from segmentation.queries import compute_norms, read_signals
from segmentation.rules import RuleError, check_ranges, explain, parse
from segmentation.signals import Need
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_course, make_enrollment, make_event
from tests.segmentation.factories import make_playbook, make_segment, members, where
from tests.segmentation.test_signals import ref

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
SCORES = norms_of({Need.SCORES})
RECENCY, FREQUENCY = ref("recency_score"), ref("frequency_score")


@pytest.fixture
def course():
    return make_course(time_zone="UTC")


def scores(course, *, as_of=NOW):
    """Return recency and frequency of each learner, in the order of enrollment."""
    rows = read_signals(course, [RECENCY, FREQUENCY], as_of=as_of)
    return [(row.signals[RECENCY.identity], row.signals[FREQUENCY.identity]) for row in rows]


def make_class(course, *lives):
    """Make a learner of each pair: days since the last act, number of acts (one a day)."""
    found = []
    for last, number in lives:
        learner = make_enrollment(course, enrolled_at=NOW - 30 * DAY)
        for place in range(number):
            act(learner, occurred_at=NOW - (last + place) * DAY)
        found.append(learner)
    return found


def test_ten_learners_are_two_in_each_fifth(course):
    make_class(course, *((day, day) for day in range(1, 11)))
    fifths = [(5, 1), (5, 1), (4, 2), (4, 2), (3, 3), (3, 3), (2, 4), (2, 4), (1, 5), (1, 5)]
    assert scores(course) == fifths


def test_seven_learners_are_cut_by_the_smallest_value_not_below_each_fifth(course):
    make_class(course, *((1, number) for number in range(1, 8)))
    # The cuts are the values at the places 2, 3, 5 and 6 of seven.
    assert compute_norms(course.pk, NOW.date(), SCORES).frequency_cuts == [2, 3, 5, 6]
    assert [frequency for _, frequency in scores(course)] == [1, 1, 2, 3, 3, 4, 5]


def test_equal_learners_all_have_score_one_and_one_without_an_act_too(course):
    make_class(course, (2, 3), (2, 3), (2, 3), (9, 0))
    assert scores(course) == [(1, 1)] * 4


def test_a_class_in_which_nobody_has_done_anything_has_no_scores(course):
    make_class(course, (9, 0))
    assert scores(course) == [(None, None)]


def test_what_is_done_today_counts_against_the_cuts_of_the_morning(course):
    learners = make_class(course, *((day, day) for day in range(1, 11)))
    act(learners[9], occurred_at=NOW - timedelta(minutes=1))
    assert scores(course)[9] == (5, 5)
    # The day after, the cuts have moved: its eleven acts are still the most.
    assert scores(course, as_of=NOW + DAY)[9] == (5, 5)
    assert scores(course, as_of=NOW + DAY)[1] == (4, 1)


def test_a_past_instant_has_the_cuts_of_its_own_day(course):
    make_class(course, *((day, 1) for day in range(1, 11)))
    # Five days ago, five of them had done nothing yet, and the others are one in each fifth.
    assert [recency for recency, _ in scores(course, as_of=NOW - 5 * DAY)] == [
        *[1] * 4, 5, 5, 4, 3, 2, 1,
    ]  # fmt: skip


def test_only_the_norms_that_a_rule_needs_are_stored_and_others_are_added(course):
    make_class(course, (1, 2), (3, 4))
    playbook = make_playbook(course)
    segment = make_segment(playbook, where("frequency_score", ">=", 2))
    evaluate_due(now=NOW)
    assert len(members(segment)) == 1
    (row,) = Norms.objects.filter(course=course)
    assert set(row.figures) == set(SCORES)
    kept = dict(row.figures)

    make_segment(playbook, where("pace_percentile", "<", 0.5))
    evaluate_due(now=NOW)

    row.refresh_from_db()
    assert set(row.figures) == {*SCORES, *norms_of({Need.NORMS})}
    assert kept.items() <= row.figures.items()


def test_a_late_login_moves_the_cuts_of_later_days(course):
    learners = make_class(course, *((day, day) for day in range(1, 6)))
    segment = make_segment(make_playbook(course), where("frequency_score", "=", 5))
    evaluate_due(now=NOW)
    assert members(segment) == {learners[4].pk}

    late = [make_event(learners[0], occurred_at=NOW - (9 + place) * DAY) for place in range(6)]
    ingest(late, now=NOW)
    assert PastChange.objects.filter(course=course).exists()
    renew_norms(now=NOW)
    evaluate_due(now=NOW)

    assert members(segment) == {learners[0].pk}


@pytest.mark.parametrize("value", [0, 6, 60])
def test_a_score_is_from_one_to_five(value):
    with pytest.raises(RuleError, match="must be a score from 1 to 5"):
        check_ranges(parse(where("recency_score", ">=", value)))


def test_a_score_is_explained():
    assert explain(parse(where("recency_score", "<", 3))) == "Recency score less than 3 of 5"
