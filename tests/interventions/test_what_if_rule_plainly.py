"""The replay of an unsaved rule against a plain reading of each learner, day by day."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from activity.models import Course, Enrollment
from activity.operations import ingest
from common.clock import local_date, local_midnight
from interventions.models import Delivery
from segmentation.proof.log import Act
from segmentation.proof.plain import LearnerReading, World
from segmentation.rules import conditions, evaluate, parse
from tests.factories import make_enrollment, make_event, make_item
from tests.interventions.factories import make_cadence
from tests.interventions.test_what_if_rule import (
    DAY,
    HOUR,
    NOW,
    OFTEN,
    QUIET,
    RARE,
    TODAY,
    effect,
    make_days,
    make_message,
    numbers,
)
from tests.segmentation.factories import make_playbook, make_segment, where

pytestmark = pytest.mark.django_db


@dataclass
class Plain:
    """Evaluates the rules of the segments for one learner at an instant, from the list of acts."""

    worlds: dict[int, World]
    zone: str = "Europe/London"
    known: dict[Any, bool] = field(default_factory=dict)

    def is_true(self, rule: Any, one: Enrollment, at: datetime) -> bool:
        if rule is None:
            return False
        key = (json.dumps(rule), one.pk, at)
        if key not in self.known:
            reading = LearnerReading(self.worlds[one.pk], one, at)
            parsed = parse(rule)
            signals = {
                each.ref.identity: getattr(reading, each.ref.signal.name)(each.ref.window)
                for each in conditions(parsed)
            }
            self.known[key] = reading.began_at <= at and evaluate(parsed, signals) is True
        return self.known[key]

    def stays(self, chain: list[tuple[Any, Any]], one: Enrollment) -> list[bool]:
        """Return whether the learner is in the last segment of the chain at the end of each day."""
        last = local_date(NOW, self.zone)
        held, found = [False] * len(chain), []
        for back in range(30, -1, -1):
            at = local_midnight(last - timedelta(days=back - 1), self.zone)
            at = min(at - timedelta(microseconds=1), NOW)
            is_taken = False
            for place, (rule, leave) in enumerate(chain):
                stays = held[place] and leave is not None
                wanted = stays or self.is_true(rule, one, at)
                held[place] = wanted and not self.is_true(leave, one, at) and not is_taken
                is_taken = is_taken or held[place]
            found.append(held[-1])
        return found


def of_learner(world: World, one: Enrollment) -> World:
    """Return the world of one learner. No signal of the rules here looks at others."""
    return World(world.course, world.items, [each for each in world.acts if each.enrollment == one])


def entered(stays: list[bool]) -> list[int]:
    return [day for day in range(1, len(stays)) if stays[day] and not stays[day - 1]]


def is_alone(mine: list[bool], other: list[bool], day: int) -> bool:
    while day < len(mine) and mine[day]:
        if other[day]:
            return False
        day += 1
    return True


def expected_fate(
    plain: Plain, before: list[bool], after: list[bool], message: Delivery, typed: tuple[Any, Any]
) -> str:
    entry = message.run.transition
    first = local_date(NOW, plain.zone) - timedelta(days=30)
    day = (local_date(entry.occurred_at, plain.zone) - first).days
    rule, leave = typed
    if after[day]:
        return "sooner" if after[day - 1] and not before[day - 1] else "same"
    lets_in = plain.is_true(rule, message.enrollment, entry.occurred_at)
    if lets_in and not plain.is_true(leave, message.enrollment, entry.occurred_at):
        return "same"
    return "never" if is_alone(before, after, day) else "later"


def make_world(rng: Random, course: Course) -> World:
    modules = [make_item(course, "module") for _ in range(2)]
    quizzes = [make_item(course, "quiz", parent=module) for module in modules]
    learners = [make_enrollment(course) for _ in range(9)]
    begin = NOW - timedelta(days=44)
    acts = []
    for one in learners:
        pace = rng.uniform(0.3, 1.2)
        for day in range(44):
            for _ in range(rng.random() < pace and rng.choice((1, 1, 3))):
                at = begin + day * DAY + timedelta(minutes=rng.randrange(1440))
                verb, item = rng.choice((("LOGIN", None), ("ATTEMPT_QUIZ", rng.choice(quizzes))))
                score = rng.choice((0.2, 0.8)) if item else None
                acts.append(Act(one, verb, at, item, 1, score))
    ingest(
        [
            make_event(each.enrollment, each.verb, item=each.item, occurred_at=each.occurred_at,
                       score=each.score)
            for each in acts
        ],
        now=NOW,
    )  # fmt: skip
    return World(course, [*modules, *quizzes], acts)


def make_messages(rng: Random, cadence: Any, world: World) -> Iterator[Delivery]:
    """Let messages go out to learners at random instants, often just after something they did."""
    begin = local_midnight(local_date(NOW, "Europe/London") - timedelta(days=29), "Europe/London")
    recent = [each for each in world.acts if begin < each.occurred_at < NOW - 2 * HOUR]
    for each in rng.sample(recent, 30):
        yield make_message(each.enrollment, cadence, each.occurred_at)


CASES = {
    "stricter": ((OFTEN, None), (RARE, None), None),
    "looser": ((RARE, None), (OFTEN, None), None),
    "of today": ((TODAY, None), (where("logins", ">=", 1, window=1), None), None),
    "leave rule": ((OFTEN, None), (RARE, QUIET), None),
    "other leave rule": ((RARE, QUIET), (RARE, where("active_days", "<", 2, window=7)), None),
    "exclusive": ((OFTEN, None), (RARE, None), (where("quiz_attempts", ">=", 4, window=7), None)),
    "exclusive with a leave rule": (
        (OFTEN, None),
        (where("active_days", ">=", 2, window=7), QUIET),
        (where("quiz_pass_rate", "<", 0.5, window=7), QUIET),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.sampled(2)
def test_replay_says_what_a_plain_reading_of_each_learner_and_day_says(name: str) -> None:
    saved, typed, earlier = CASES[name]
    rng = Random(name)
    course = make_days()
    world = make_world(rng, course)
    playbook = make_playbook(course, exclusive=earlier is not None)
    if earlier:
        make_segment(playbook, earlier[0], leave_rule=earlier[1], priority=1)
    segment = make_segment(playbook, saved[0], leave_rule=saved[1], priority=2)
    make_segment(playbook, OFTEN, priority=3)
    cadence = make_cadence(segment=segment)
    messages = list(make_messages(rng, cadence, world))
    learners = list(course.enrollments.all())
    plain = Plain({one.pk: of_learner(world, one) for one in learners})
    first = [earlier] if earlier else []
    before = {one.pk: plain.stays([*first, saved], one) for one in learners}
    after = {one.pk: plain.stays([*first, typed], one) for one in learners}
    fates = Counter(
        expected_fate(plain, before[each.enrollment_id], after[each.enrollment_id], each, typed)
        for each in messages
    )
    extra = [
        pk for pk in after for day in entered(after[pk]) if is_alone(after[pk], before[pk], day)
    ]
    missing = [
        pk for pk in before for day in entered(before[pk]) if is_alone(before[pk], after[pk], day)
    ]
    had = {each.enrollment_id for each in messages}

    found = effect(segment, *typed)

    assert numbers(found) == (
        sum(bool(entered(each)) for each in before.values()),
        sum(bool(entered(each)) for each in after.values()),
        len({*extra, *missing}),
        len(messages),
        fates["never"],
        fates["later"],
        fates["sooner"],
        # The cadence runs once for each learner.
        len(set(extra) - had),
    )
    assert found.learners + found.fewer + found.later + found.sooner > 0
    assert len(found.replay.days) == 30
