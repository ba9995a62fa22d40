"""Outcomes with and without the message, against the same world played twice."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import isnan
from random import Random
from statistics import mean

import pytest

from activity.simulation.course import SimulatedCourse
from activity.simulation.history import course_ends_at
from activity.simulation.learners import Coin, draw_learner
from activity.simulation.outcomes import (
    Draw,
    Outcome,
    Trace,
    added_attempt_at,
    added_event,
    outcomes,
    true_lift,
)
from activity.simulation.world import simulate
from tests.long import longer

COURSE = SimulatedCourse("demo", "Demo", 28)
ASSIGNED_AT = datetime(2025, 10, 6, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def make_trace(*attempts, completions=(), shows_one=True, delay=5 * HOUR) -> Trace:
    learner = draw_learner(COURSE, 0, seed=1, probability=0.5)
    coin = Coin(shows_one=shows_one, delay=delay, score=0.8)
    events = [{"verb": "ATTEMPT_QUIZ", "occurred_at": at} for at in attempts]
    events += [{"verb": "COMPLETE_MODULE", "occurred_at": at} for at in completions]
    return Trace(
        replace(learner, coin=coin), sorted(events, key=lambda event: event["occurred_at"])
    )


def test_coin_of_one_adds_one_attempt_after_the_hand_off():
    got = outcomes(make_trace(), Draw(ASSIGNED_AT, ASSIGNED_AT + DAY))
    assert got.without == Outcome(
        quiz_attempted_7d=False, quiz_attempts_7d=0, module_completed_7d=False
    )
    assert got.messaged == Outcome(
        quiz_attempted_7d=True, quiz_attempts_7d=1, module_completed_7d=False
    )


@pytest.mark.parametrize(
    ("trace", "handed_off_at"),
    [
        pytest.param(make_trace(shows_one=False), ASSIGNED_AT + DAY, id="coin of zero"),
        pytest.param(make_trace(), None, id="never handed off"),
        pytest.param(
            make_trace(), ASSIGNED_AT + 7 * DAY, id="handed off when the window has ended"
        ),
        pytest.param(make_trace(delay=30 * DAY), ASSIGNED_AT, id="course over before"),
    ],
)
def test_nothing_is_added(trace, handed_off_at):
    draw = Draw(ASSIGNED_AT, handed_off_at)
    got = outcomes(trace, draw)
    assert got.messaged == got.without
    assert added_attempt_at(trace, draw) is None
    assert added_event(COURSE, trace, draw) is None


def test_attempt_added_after_the_window_exists_but_does_not_count():
    trace = make_trace(delay=2 * DAY)
    draw = Draw(ASSIGNED_AT, ASSIGNED_AT + 6 * DAY)
    assert added_attempt_at(trace, draw) == ASSIGNED_AT + 8 * DAY
    assert outcomes(trace, draw).messaged.quiz_attempts_7d == 0


def test_who_attempts_anyway_gains_an_attempt_but_no_lift_in_attempted():
    got = outcomes(make_trace(ASSIGNED_AT + DAY), Draw(ASSIGNED_AT, ASSIGNED_AT))
    assert (got.without.quiz_attempts_7d, got.messaged.quiz_attempts_7d) == (1, 2)
    assert got.without.quiz_attempted_7d


def test_window_holds_its_beginning_and_not_its_end():
    trace = make_trace(ASSIGNED_AT - HOUR, ASSIGNED_AT, ASSIGNED_AT + 7 * DAY, shows_one=False)
    assert outcomes(trace, Draw(ASSIGNED_AT, None)).without.quiz_attempts_7d == 1


def test_completion_is_the_same_with_and_without():
    got = outcomes(make_trace(completions=[ASSIGNED_AT + DAY]), Draw(ASSIGNED_AT, ASSIGNED_AT))
    assert got.without.module_completed_7d is got.messaged.module_completed_7d is True


def test_added_event_names_the_quiz_of_its_day_and_the_drawn_score():
    event = added_event(COURSE, make_trace(), Draw(ASSIGNED_AT, ASSIGNED_AT))
    assert COURSE.module_on(date(2025, 10, 6)).number == 2
    assert (event["item"], event["score"]) == ("quiz-2", 0.8)
    assert event["occurred_at"] == ASSIGNED_AT + 5 * HOUR


def test_lift_over_nobody_is_nan():
    assert all(isnan(value) for value in true_lift([]).values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [0, *longer("test_true_lift_equals_the_same_world_played_twice", 1, 2, 3, 4)]
)
def test_true_lift_equals_the_same_world_played_twice(seed):
    world = simulate(COURSE, 100, seed=seed)
    draws = {trace.learner.external_id: _some_draw(seed, trace) for trace in world.traces}
    nobody = list(world.events())
    everybody = nobody + [
        event
        for name, trace in world.by_learner.items()
        if (event := added_event(COURSE, trace, draws[name]))
    ]
    by_hand = {
        metric: mean(
            count(everybody, name, draws[name].assigned_at)
            - count(nobody, name, draws[name].assigned_at)
            for name in draws
        )
        for metric, count in COUNTS.items()
    }
    got = true_lift(outcomes(trace, draws[name]) for name, trace in world.by_learner.items())
    assert got == pytest.approx(by_hand)
    assert 0.05 < got["quiz_attempted_7d"] <= got["quiz_attempts_7d"]
    assert got["module_completed_7d"] == 0


def _some_draw(seed, trace) -> Draw:
    random = Random(f"{seed}:{trace.learner.index}")
    assigned_at = course_ends_at() - random.uniform(7, 27) * DAY
    waited = random.choice([None, 0 * DAY, random.uniform(0, 9) * DAY])
    return Draw(assigned_at, None if waited is None else assigned_at + waited)


def _number(events, name, assigned_at, verb):
    """Count by the plain definition, from event dicts alone."""
    return sum(
        event["learner"] == name
        and event["verb"] == verb
        and assigned_at <= event["occurred_at"] < assigned_at + timedelta(days=7)
        for event in events
    )


COUNTS = {
    "quiz_attempted_7d": lambda *which: _number(*which, "ATTEMPT_QUIZ") > 0,
    "quiz_attempts_7d": lambda *which: _number(*which, "ATTEMPT_QUIZ"),
    "module_completed_7d": lambda *which: _number(*which, "COMPLETE_MODULE") > 0,
}
