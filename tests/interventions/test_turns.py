"""Of one priority the courses take turns, and a page of due learners costs the same at any size."""

from datetime import timedelta

import pytest
from django.db import connection

from interventions.channels import CHANNELS
from interventions.models import Cadence, Delivery
from interventions.operations.cache import DispatchCache
from interventions.operations.claim import Turn, claim_next
from interventions.operations.waiting import CANDIDATES, MOST_CANDIDATES, WaitingList
from interventions.queries import due
from interventions.queries.due import due_learners
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    claim,
    dispatch,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
)

pytestmark = pytest.mark.django_db


def test_a_small_course_does_not_wait_for_all_messages_of_a_large_one() -> None:
    cadence = make_cadence()
    large, small = make_live_course(), make_live_course()
    of_large = [make_delivery(make_evaluated(large), cadence) for _ in range(4)]
    of_small = [
        make_delivery(make_evaluated(small), cadence, planned_at=NOW - timedelta(seconds=1 - each))
        for each in range(2)
    ]

    sent, _ = dispatch()

    turns = [of_small[0], of_large[0], of_large[1], of_small[1], of_large[2], of_large[3]]
    assert [each.address for each in sent] == [each.learner.email for each in turns]


def test_a_more_important_message_goes_before_the_turn_of_another_course() -> None:
    course, other = make_live_course(), make_live_course()
    urgent = [make_delivery(make_evaluated(course), make_cadence(priority=1)) for _ in range(2)]
    make_delivery(make_evaluated(other), make_cadence(priority=2))

    found = due_learners(now=NOW, channels=["email"])

    assert list(found)[:2] == [each.learner_id for each in urgent]


def test_a_page_looks_only_at_the_messages_that_are_due_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(due, "LOOKED_AT", 2)
    cadence, course = make_cadence(), make_live_course()
    deliveries = [
        make_delivery(make_evaluated(course), cadence, send_at=NOW - timedelta(minutes=each))
        for each in range(4)
    ]

    found = due_learners(now=NOW, channels=["email"])

    assert set(found) == {each.learner_id for each in deliveries[2:]}
    # All of them go out all the same, page after page.
    assert len(dispatch()[0]) == 4


def test_the_longest_due_messages_of_a_step_are_found_by_an_index() -> None:
    make_delivery()
    values = {"now": NOW, "channels": ["email"], "passed_over": [], "limit": 1, "looked_at": 1}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {due._DUE}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "delivery_planned_of_step" in plan


def make_sharers(*, priorities: tuple[int, int]) -> list[Delivery]:
    """Return a due message of each of two learners with one mailbox."""
    course = make_live_course()
    learners = [make_learner(email=each) for each in ("us@example.org", "Us@Example.org")]
    return [
        make_delivery(make_evaluated(course, learner), make_cadence(priority=priority))
        for learner, priority in zip(learners, priorities, strict=True)
    ]


@pytest.mark.parametrize("priorities", [(1, 9), (9, 1)])
def test_the_more_important_message_to_a_mailbox_goes_first_whoever_is_taken(
    priorities: tuple[int, int],
) -> None:
    first, later = sorted(make_sharers(priorities=priorities), key=lambda each: each.priority)

    # The worker comes to this learner, because another had the other one for a moment.
    turn = claim(later.learner_id)

    assert [each.delivery.pk for each in turn.claims] == [first.pk]
    assert turn.again == [later.learner_id]


def test_a_more_important_message_that_is_held_lets_the_other_go() -> None:
    held, free = make_sharers(priorities=(1, 9))
    Cadence.objects.filter(pk=held.run.cadence_id).update(paused=True)

    assert [each.delivery.pk for each in claim(free.learner_id).claims] == [free.pk]


def test_a_learner_whose_mailbox_waits_for_room_waits_too() -> None:
    _, later = make_sharers(priorities=(1, 9))
    cache = DispatchCache(CHANNELS)

    turn = claim_next(
        {later.learner_id: "email"}, room={"email": 0, "task": 1}, now=NOW, cache=cache
    )

    assert not turn.claims
    assert not turn.again
    assert later.learner_id in turn.blocked


def test_a_learner_who_stands_in_the_list_twice_takes_no_place_of_another() -> None:
    one, two, three = (make_delivery().learner_id for _ in range(3))
    waiting = WaitingList()
    waiting.fill({one: "email", two: "email", three: "email"})
    waiting.advance(Turn(again=[one], rest=[one, two, three]))

    turn = claim_next(waiting.next, room={"email": 2}, now=NOW, cache=DispatchCache(CHANNELS))

    assert [each.delivery.learner_id for each in turn.claims] == [one, two]
    assert turn.rest == [three]


def test_no_more_learners_are_locked_than_their_channels_have_room_for() -> None:
    ids = [make_delivery().learner_id for _ in range(4)]
    room = {"email": 2, "in_app": 1, "task": 1}

    turn = claim_next(
        dict.fromkeys(ids, "email"), room=room, now=NOW, cache=DispatchCache(CHANNELS)
    )

    assert [each.delivery.learner_id for each in turn.claims] == ids[:2]
    # With the room of all channels, all four would be locked, and two of them for nothing.
    assert (turn.rest, turn.again) == (ids[2:], [])


def test_a_candidate_of_unknown_channel_is_looked_at() -> None:
    ids = [make_delivery().learner_id for _ in range(2)]

    turn = claim_next(
        {ids[0]: "task", ids[1]: ""}, room={"email": 2}, now=NOW, cache=DispatchCache(CHANNELS)
    )

    assert len(turn.claims) + len(turn.rest) == 2


def width_after(width: int, *, rest: int) -> int:
    """Return how many candidates the turn looks at that follows one with such a rest."""
    waiting = WaitingList(width=width)
    waiting.advance(Turn(rest=[0] * rest))
    return waiting.width


@pytest.mark.parametrize(
    ("width", "rest", "after"),
    [
        # Most are with other workers, so it looks further.
        (CANDIDATES, 0, 2 * CANDIDATES),
        (MOST_CANDIDATES, 0, MOST_CANDIDATES),
        # It found its learners only in the second half. At half the width it would find none.
        (128, 30, 128),
        # The first candidates were free.
        (128, 120, 64),
        (CANDIDATES, 24, CANDIDATES),
        (CANDIDATES, 31, CANDIDATES),
    ],
)
def test_a_turn_looks_as_far_as_other_workers_have_taken(width: int, rest: int, after: int) -> None:
    assert width_after(width, rest=rest) == after


def test_the_next_page_is_looked_at_as_far_as_the_last_one() -> None:
    waiting = WaitingList(width=128)
    waiting.fill(dict.fromkeys(range(500), "email"))
    assert len(waiting.next) == 128


def test_learners_behind_those_whose_channel_has_no_room_are_taken_in_the_same_turn() -> None:
    waiting = [make_delivery().learner_id for _ in range(2)]
    free = make_delivery(channel="task").learner_id
    candidates = dict.fromkeys(waiting, "email") | {free: "task"}

    turn = claim_next(
        candidates, room={"email": 0, "task": 3}, now=NOW, cache=DispatchCache(CHANNELS)
    )

    assert [each.delivery.learner_id for each in turn.claims] == [free]
    assert turn.blocked == waiting
