"""A channel goes more slowly when its other side asks for it, and keeps its limit per second."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from smtplib import SMTPDataError

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from interventions.channels import Answer, Channel, Result
from interventions.channels.email import classify
from interventions.channels.memory import ACCEPTED, MemoryConnection, MemoryMessage, memory_channel
from interventions.channels.smtp import Stage
from interventions.models import ChannelPace, Delivery, Step
from interventions.operations.pace import LONGEST, give_back, slow_down, take
from interventions.operations.waiting import CANDIDATES
from interventions.stages import dispatch as stage
from interventions.stages.dispatch import dispatch_due
from tests.factories import NOW
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
)
from tests.interventions.test_dispatch import state_of

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


def make_messages(number: int) -> list[Delivery]:
    course, cadence = make_live_course(), make_cadence()
    return [make_delivery(make_evaluated(course), cadence) for _ in range(number)]


def channel_of(connection: MemoryConnection, **fields: Callable[[], float]) -> Channel:
    return replace(memory_channel(connection), **fields)


def too_many(message: MemoryMessage) -> Answer:
    return Answer(Result.NOT_ACCEPTED, "429 slow down", retry_after=timedelta(seconds=90))


def test_a_channel_is_left_alone_for_as_long_as_its_other_side_asks() -> None:
    first, second = make_messages(2)
    assert dispatch(answer=too_many)[0] == []
    assert state_of(first) == ("planned", "not_accepted")
    assert first.send_at == NOW + timedelta(seconds=90)
    # The second message was not tried, so it waits as it is.
    assert state_of(second) == ("planned", "")

    assert dispatch(NOW + timedelta(seconds=89))[0] == []
    sent, _ = dispatch(NOW + timedelta(seconds=90))

    assert {each.address for each in sent} == {first.learner.email, second.learner.email}


def test_an_answer_cannot_stop_a_channel_for_days() -> None:
    (delivery,) = make_messages(1)
    days = timedelta(days=3)

    dispatch(answer=lambda message: Answer(Result.NOT_ACCEPTED, "429", retry_after=days))

    assert state_of(delivery) == ("planned", "not_accepted")
    assert delivery.send_at == NOW + LONGEST
    assert len(dispatch(NOW + LONGEST)[0]) == 1


def test_each_further_request_in_a_row_makes_a_longer_wait() -> None:
    waits = [
        (slow_down("email", at_once=8, after=None, now=NOW) - NOW).total_seconds() for _ in range(4)
    ]

    assert waits == [5, 10, 20, 40]


@pytest.mark.slow
def test_a_channel_sends_half_as_much_at_once_after_a_request_and_recovers_slowly() -> None:
    at_once: list[int] = []
    number = count()

    def answer(message: MemoryMessage) -> Answer:
        # The loop doubles from 1 to 8. The other side refuses once in the turn of 8.
        return Answer(Result.HANDED_OFF, asks_for_less=next(number) == 10)

    channel = channel_of(MemoryConnection(answer), connections=lambda: 8)
    make_messages(40)
    for beat in range(6):
        at = NOW + beat * timedelta(seconds=10)
        dispatch_due(clock=lambda at=at: at, channels={"email": channel}, budget_seconds=60)
        pace = ChannelPace.objects.get()
        at_once.append(pace.at_once or 8)

    assert at_once[:2] == [4, 5]
    assert Delivery.objects.filter(state="handed_off").count() == 40


def test_all_workers_share_the_limit_per_second() -> None:
    taken = [take("email", 8, per_second=10, now=NOW) for _ in range(3)]
    assert taken == [8, 2, 0]
    assert take("email", 8, per_second=10, now=NOW + SECOND / 2) == 5

    give_back("email", 3, per_second=10)
    assert take("email", 8, per_second=10, now=NOW + SECOND / 2) == 3


def test_a_limit_below_one_per_second_allows_one_message_at_a_time() -> None:
    assert [take("email", 8, per_second=0.5, now=NOW) for _ in range(2)] == [1, 0]
    assert take("email", 8, per_second=0.5, now=NOW + 2 * SECOND) == 1


def test_a_loop_sends_no_more_than_the_limit_and_waits_for_the_next_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "SECONDS_TO_WAIT", 0.001)
    make_messages(7)
    # Each reading of the clock is a tenth of a second later.
    instants = (NOW + step * SECOND / 10 for step in count())
    sent_at: list[float] = []
    now = [NOW]

    def clock():
        now[0] = next(instants)
        return now[0]

    def answer(message: MemoryMessage) -> Answer:
        sent_at.append((now[0] - NOW).total_seconds())
        return ACCEPTED

    channel = channel_of(MemoryConnection(answer), per_second=lambda: 2)
    dispatch_due(clock=clock, channels={"email": channel})

    assert len(sent_at) == 7
    # In the first second the burst of one second is free.
    assert all(at >= (place - 2) / 2 for place, at in enumerate(sent_at))


@pytest.mark.parametrize(
    ("code", "words", "asks"),
    [
        (421, "4.7.28 unusual rate of mail", True),
        (454, "4.7.0 Throttling failure: Maximum sending rate exceeded", True),
        (451, "4.3.0 try again later", False),
        (550, "5.7.1 no such user", False),
    ],
)
def test_a_reply_about_the_rate_is_recognized(code: int, words: str, asks: bool) -> None:
    answer = classify(SMTPDataError(code, words.encode()), Stage.END)

    assert answer.is_throttling is asks


def test_a_less_important_message_does_not_overtake_one_that_waits_for_a_limit() -> None:
    learner = make_evaluated().learner
    urgent, lesser = (
        make_delivery(make_evaluated(make_live_course(), learner), make_cadence(priority=each))
        for each in (1, 2)
    )
    Delivery.objects.filter(pk=lesser.pk).update(channel="task")
    other = make_delivery(channel="task")
    Step.objects.filter(pk=lesser.step_id).update(channel="task")
    now = [NOW]
    order: list[tuple[str, str]] = []

    def channel(name: str, per_second: float) -> Channel:
        def answer(message: MemoryMessage) -> Answer:
            order.append((name, message.message_id))
            return ACCEPTED

        return channel_of(MemoryConnection(answer), per_second=lambda: per_second)

    def clock():
        now[0] += SECOND / 4
        return now[0]

    take("email", 1, per_second=0.5, now=NOW)
    channels = {"email": channel("email", 0.5), "task": channel("task", 0)}
    counts = dispatch_due(clock=clock, channels=channels)

    assert counts == {"handed_off": 3}
    mine = [name for name, message_id in order if str(other.key) not in message_id]
    assert mine == ["email", "task"]
    # The other learner did not wait for the limit.
    assert str(other.key) in order[0][1]
    assert state_of(urgent) == state_of(lesser) == ("handed_off", "")


@pytest.mark.slow
def test_a_loop_rests_while_all_messages_wait_for_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    turns: list[str] = []

    def note_turn(execute, sql, params, many, context):
        turns.extend(["turn"] * ("FOR NO KEY UPDATE OF first" in sql))
        return execute(sql, params, many, context)

    monkeypatch.setattr(stage.time, "sleep", rests.append)
    # More than a turn looks at, so that it goes through the list again and again.
    make_messages(CANDIDATES + 8)
    limited = channel_of(MemoryConnection(lambda message: ACCEPTED), per_second=lambda: 1)
    # This channel has room all the time, but no message.
    free = memory_channel(MemoryConnection(lambda message: ACCEPTED))
    with connection.execute_wrapper(note_turn):
        dispatch_due(
            clock=lambda: NOW,
            channels={"email": limited, "in_app": free},
            budget_seconds=2,
            is_stopping=lambda: len(rests) >= 20,
        )

    assert Delivery.objects.filter(state="handed_off").count() == 1
    assert len(turns) <= len(rests) + 3


@pytest.mark.parametrize(("slowed", "often"), [(1, "once"), (3, "3 times in a row")])
def test_list_says_how_often_the_other_side_asked(
    admin_client: Client, slowed: int, often: str
) -> None:
    ChannelPace.objects.create(channel="email", slowed=slowed)

    page = admin_client.get(reverse("admin:interventions_channelpace_changelist")).text

    assert f"the other side asked {often} for less" in page
