"""The simulated world: the same for the same seed, made of canonical events within the course."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import mean

import pytest

from activity.simulation.course import SimulatedCourse, item_lines
from activity.simulation.history import course_ends_at
from activity.simulation.learners import HABITS, Kind
from activity.simulation.world import World, lines, simulate
from common.clock import local_midnight

pytestmark = pytest.mark.slow

SEED = 7


@pytest.fixture(scope="module")
def course() -> SimulatedCourse:
    return SimulatedCourse("demo", "Demo", 56)


@pytest.fixture(scope="module")
def world(course) -> World:
    return simulate(course, 400, seed=SEED)


def test_eight_weeks_run_from_september_first_to_the_day_the_clocks_go_back(course):
    assert (course.starts_on, course.modules[-1].ends_on) == (date(2025, 9, 1), date(2025, 10, 26))
    assert len(course.modules) == 8


def test_last_day_of_the_course_has_twenty_five_hours():
    begins_at = local_midnight(date(2025, 10, 26), "Europe/London")
    assert course_ends_at() - begins_at == timedelta(hours=24, minutes=59)


def test_four_weeks_start_later_and_end_on_the_same_day():
    course = SimulatedCourse("demo", "Demo", 28)
    assert (course.starts_on, course.modules[-1].ends_on) == (date(2025, 9, 29), date(2025, 10, 26))


def test_course_that_is_no_whole_weeks_cuts_its_last_module():
    last = SimulatedCourse("demo", "Demo", 10).modules[-1]
    assert (last.starts_on, last.ends_on) == (date(2025, 10, 24), date(2025, 10, 26))


def test_every_module_comes_before_its_items_and_no_item_is_due_before_it_opens(course):
    seen = set()
    for line in item_lines(course):
        assert line.get("parent") is None or line["parent"] in seen
        assert line["assigned_on"] <= line["due_on"] <= "2025-10-26"
        seen.add(line["key"])
    assert len(seen) == 8 * 6


def test_same_seed_gives_the_same_world(course, world):
    assert simulate(course, 400, seed=SEED) == world


def test_other_seed_gives_another_world(course, world):
    assert simulate(course, 400, seed=SEED + 1).traces != world.traces


def test_learner_stays_the_same_when_more_take_part(course, world):
    assert simulate(course, 30, seed=SEED).traces == world.traces[:30]


def test_probability_changes_the_coins_and_nothing_else(course, world):
    sure = simulate(course, 400, seed=SEED, probability=1.0)
    assert all(trace.learner.coin.shows_one for trace in sure.traces)
    assert [trace.events for trace in sure.traces] == [trace.events for trace in world.traces]


def test_coins_show_one_about_as_often_as_asked(world):
    shown = mean(trace.learner.coin.shows_one for trace in world.traces)
    assert shown == pytest.approx(0.35, abs=0.07)


def test_unit_keys_follow_from_the_seed_and_differ(course, world):
    keys = {trace.learner.unit_key for trace in world.traces}
    assert len(keys) == 400
    assert keys.isdisjoint(t.learner.unit_key for t in simulate(course, 9, seed=SEED + 1).traces)


def test_kinds_have_about_their_shares(world):
    counts = Counter(trace.learner.kind for trace in world.traces)
    for kind, habits in HABITS.items():
        assert counts[kind] / 400 == pytest.approx(habits.share, abs=0.07)
    assert sum(habits.share for habits in HABITS.values()) == pytest.approx(1)


def test_events_lie_within_enrollment_and_course(world):
    for trace in world.traces:
        enrolled_at = local_midnight(trace.learner.enrolled_on, "Europe/London")
        for event in trace.events:
            assert enrolled_at < event["occurred_at"] < course_ends_at()


def test_no_event_lies_on_a_whole_hour(world):
    assert all(
        event["occurred_at"].minute or event["occurred_at"].second for event in world.events()
    )


def test_events_come_in_order_with_source_ids_of_their_own(world):
    events = list(world.events())
    instants = [event["occurred_at"] for event in events]
    assert instants == sorted(instants)
    assert len({event["source_id"] for event in events}) == len(events) > 10_000


def test_nobody_completes_a_module_twice_or_before_viewing_it(world):
    for trace in world.traces:
        of_module = [event for event in trace.events if str(event.get("item")).startswith("module")]
        for event in of_module:
            same = [e["verb"] for e in of_module if e["item"] == event["item"]]
            assert same in (["VIEW_MODULE"], ["VIEW_MODULE", "COMPLETE_MODULE"])


def test_scores_lie_between_zero_and_one_and_only_where_something_is_scored(world):
    for event in world.events():
        scored = event["verb"] in {"ATTEMPT_QUIZ", "SUBMIT_ASSIGNMENT"}
        assert ("score" in event) == scored
        assert 0 <= event.get("score", 0) <= 1


def test_each_kind_does_what_it_is_named_for(world):
    attempts = _mean_of(world, lambda trace: len(trace.instants("ATTEMPT_QUIZ")))
    scores = _mean_of(world, _average_score)
    silence = _mean_of(world, _longest_silence)
    assert attempts[Kind.VIDEO_ONLY] < 0.3 * attempts[Kind.ACTIVE]
    assert scores[Kind.STRUGGLING] < 0.5 < 0.85 < scores[Kind.VETERAN]
    assert max(silence, key=silence.get) is Kind.STALLED
    assert silence[Kind.STALLED] > 14


def test_some_learners_come_back_after_a_pause(world):
    stalled = [trace for trace in world.traces if trace.learner.kind is Kind.STALLED]
    late = datetime(2025, 10, 20, tzinfo=UTC)
    back = [trace for trace in stalled if trace.events and trace.events[-1]["occurred_at"] > late]
    assert 0 < len(back) < len(stalled)


def test_lines_are_json_with_the_roster_before_the_events(world):
    kinds = [json.loads(json.dumps(line))["type"] for line in lines(world)]
    order = [kinds.index(kind) for kind in ("course", "section", "item", "learner", "event")]
    assert order == sorted(order)
    assert kinds.index("event") > len(kinds) - 1 - kinds[::-1].index("enrollment")


def _mean_of(world, measure):
    values = {}
    for trace in world.traces:
        value = measure(trace)
        if value is not None:
            values.setdefault(trace.learner.kind, []).append(value)
    return {kind: mean(of_kind) for kind, of_kind in values.items()}


def _average_score(trace):
    scores = [event["score"] for event in trace.events if event["verb"] == "ATTEMPT_QUIZ"]
    return mean(scores) if scores else None


def _longest_silence(trace):
    instants = [event["occurred_at"] for event in trace.events] + [course_ends_at()]
    return max(((b - a).days for a, b in pairwise(instants)), default=None)
