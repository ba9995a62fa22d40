"""The queries of the learner's page, and how many statements each takes."""

from datetime import timedelta
from typing import Any

import pytest

from activity.access import COMMAND_LINE
from activity.queries.acts import acts_on
from interventions.operations import save_cap
from interventions.queries.expected_messages import used_up_at, waiting_messages
from interventions.queries.learner_messages import (
    active_runs,
    manual_cadences,
    messages_between,
)
from interventions.queries.reach import barrier_of
from interventions.queries.starts import startable_cadences
from segmentation.queries.history import moves_between
from segmentation.queries.standing import standings
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast, make_item, make_learner
from tests.interventions.factories import (
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
    make_transition,
)
from tests.segmentation.factories import QUIET, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def test_acts_are_summed_by_day_verb_and_item(django_assert_num_queries: Any) -> None:
    cast = make_cast()
    for hours in (1, 2, 25):
        act(cast.bo, "PLAY_VIDEO", item=cast.videos[0], occurred_at=NOW - hours * HOUR)
    act(cast.bo, "ATTEMPT_QUIZ", item=cast.quizzes[0], score=0.4)
    act(cast.bo, "ATTEMPT_QUIZ", item=cast.quizzes[0], score=0.8)
    midnights = [NOW.replace(hour=0) - DAY, NOW.replace(hour=0)]

    with django_assert_num_queries(2):
        found = acts_on(cast.bo.pk, midnights, until=NOW)
        parents = {each.item.parent for each in found if each.item}

    assert parents == {cast.modules[0]}
    assert {(each.place, each.verb, each.count) for each in found} == {
        (0, "PLAY_VIDEO", 1),
        (1, "PLAY_VIDEO", 2),
        (1, "ATTEMPT_QUIZ", 2),
    }
    (quiz,) = (each for each in found if each.verb == "ATTEMPT_QUIZ")
    assert (float(quiz.score or 0), quiz.passed) == (0.8, True)


def test_standings_take_as_many_queries_for_many_segments(django_assert_num_queries: Any) -> None:
    enrollment = make_evaluated()
    playbook = make_playbook(enrollment.course)
    rules = (QUIET, where("pace_percentile", "<", 0.5))
    for rule in rules * 4:
        make_segment(playbook, rule)
    act(enrollment, occurred_at=NOW - 9 * DAY)
    evaluate_due(now=NOW)

    with django_assert_num_queries(6):
        found = standings(enrollment, as_of=NOW, viewer=COMMAND_LINE)

    assert [each.membership is not None for each in found] == [True] * 4 + [False] * 4
    assert found[0].matches is True
    assert found[-1].matches is None


def test_history_takes_three_queries(django_assert_num_queries: Any) -> None:
    enrollment = make_evaluated()
    for _ in range(3):
        make_segment(make_playbook(enrollment.course), QUIET)
    act(enrollment, occurred_at=NOW - 9 * DAY)
    evaluate_due(now=NOW)

    with django_assert_num_queries(3):
        found = moves_between(enrollment.pk, NOW - DAY, NOW + DAY)
        segments = {str(each.transition.segment) for each in found}

    assert len(segments) == 3
    assert all(each.verdicts[0].decides for each in found)
    assert moves_between(enrollment.pk, NOW - DAY, NOW) == []


def test_messages_take_a_fixed_number_of_queries(django_assert_num_queries: Any) -> None:
    save_cap("1 a day", limit=1, window="rolling_days", length=1, on_exceed="defer")
    ana = make_evaluated()
    make_counted(ana, NOW - HOUR)
    for _ in range(4):
        make_delivery(ana)

    # The learners of the mailbox are read first: one statement for both would read all that waits.
    with django_assert_num_queries(7):
        found = waiting_messages(ana.learner, now=NOW, viewer=COMMAND_LINE)
    # Each waits a day longer, because the one before it counts too.
    instants = [each.expectation.at for each in found]
    assert instants == [NOW - HOUR + days * DAY for days in (1, 2, 3, 4)]
    assert [each.used_by[0].at for each in found] == [NOW - HOUR + days * DAY for days in range(4)]
    assert [each.used_by[0].is_to_come for each in found] == [False, True, True, True]

    with django_assert_num_queries(1):
        ended = messages_between(ana.pk, NOW - DAY, NOW + DAY)
        names = {each.step.template.name for each in ended}
    assert len(names) == 5
    with django_assert_num_queries(5):
        used = used_up_at(found[0].delivery, "1 a day", at=NOW, viewer=COMMAND_LINE)
    assert [each.at for each in used] == [NOW - HOUR]
    other = make_evaluated(learner=make_learner(email=ana.learner.email.upper()))
    make_counted(other, NOW - HOUR / 2)
    used = used_up_at(found[0].delivery, "1 a day", at=NOW, viewer=COMMAND_LINE)
    assert [each.delivery.learner for each in used] == [other.learner]
    assert used_up_at(found[0].delivery, "renamed", at=NOW, viewer=COMMAND_LINE) == []


def test_what_could_start_takes_few_queries(django_assert_num_queries: Any) -> None:
    ana = make_evaluated(make_live_course())
    segment = make_segment(make_playbook(ana.course), QUIET)
    for _ in range(3):
        make_run(ana, make_cadence(segment=segment))
    for _ in range(2):
        make_cadence(trigger="manual", steps=2)
    entry = make_transition(ana, segment)

    with django_assert_num_queries(3):
        assert len(startable_cadences(entry)) == 3
    with django_assert_num_queries(2):
        runs = active_runs(ana.pk)
        assert [len(run.cadence.steps.all()) for run in runs] == [1, 1, 1]
    with django_assert_num_queries(2):
        assert len(manual_cadences(ana.course_id, viewer=COMMAND_LINE)) == 2
    with django_assert_num_queries(3):
        assert barrier_of(ana.learner) is None


def test_items_of_other_learners_are_not_read() -> None:
    cast = make_cast()
    act(cast.cy, "PLAY_VIDEO", item=make_item(cast.course, "video"))

    assert acts_on(cast.bo.pk, [NOW - DAY], until=NOW) == []
