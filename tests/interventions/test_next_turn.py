"""The next turn is decided while messages are on their way, and claimed when they are recorded."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from interventions.channels import Answer, Result
from interventions.channels.lines import SECONDS_BETWEEN_SWITCHES
from interventions.channels.memory import ACCEPTED, MemoryConnection, MemoryMessage, memory_channel
from interventions.models import Delivery
from interventions.operations import save_cap
from interventions.stages import dispatch as stage
from interventions.stages.dispatch import dispatch_due
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
)
from tests.interventions.test_outage import refuse

pytestmark = pytest.mark.django_db

CLAIM = "FOR NO KEY UPDATE OF first"


class Server:
    """Another side that takes two messages at once, with an own answer to some addresses.

    The loop begins with one message. So the second and the third are the first two in flight.
    """

    def __init__(self, **answers: Callable[[], Answer]) -> None:
        self.got: Counter[str] = Counter()
        self.answers: Mapping[str, Callable[[], Answer]] = answers

    def answer(self, message: MemoryMessage) -> Answer:
        """Note the message and answer."""
        self.got[message.address] += 1
        return self.answers.get(message.address.lower(), lambda: ACCEPTED)()

    def dispatch(self, **options: Any) -> Counter[str]:
        """Run the dispatch stage once."""
        channel = replace(memory_channel(MemoryConnection(self.answer)), connections=lambda: 2)
        return dispatch_due(clock=lambda: NOW, channels={"email": channel}, **options)


def make_messages(number: int) -> list[Delivery]:
    """Return messages that are sent in this order."""
    course, cadence = make_live_course(), make_cadence()
    return [make_delivery(make_evaluated(course), cadence) for _ in range(number)]


def states() -> list[tuple[str, int]]:
    return [*Delivery.objects.order_by("pk").values_list("state", "attempts")]


def test_next_turn_is_decided_before_the_answers_have_come() -> None:
    messages, decided, waited = make_messages(5), threading.Semaphore(0), []

    def note(execute: Callable[..., Any], sql: str, *given: Any) -> Any:
        if CLAIM in sql:
            decided.release()
        return execute(sql, *given)

    def wait() -> Answer:
        # The turns of one, of this message, and the next one.
        waited.append(all(decided.acquire(timeout=5) for _ in range(3)))
        return ACCEPTED

    server = Server(**{messages[1].learner.email: wait})
    with connection.execute_wrapper(note), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "SECONDS_TO_HOLD", 5.0)
        server.dispatch()

    assert waited == [True]
    assert states() == [("handed_off", 1)] * 5
    assert set(server.got.values()) == {1}


def test_no_turn_is_claimed_after_an_answer_that_stops_the_channel() -> None:
    messages = make_messages(6)
    doubt = Answer(Result.IN_DOUBT, "it hung up")
    server = Server(**{messages[2].learner.email: lambda: doubt})

    assert server.dispatch() == {"handed_off": 2, "in_doubt": 1}

    assert states()[3:] == [("planned", 0)] * 3
    assert server.got.total() == 3


def test_no_turn_is_claimed_after_a_stop() -> None:
    messages, stopping = make_messages(6), threading.Event()

    def stop() -> Answer:
        stopping.set()
        return ACCEPTED

    server = Server(**{messages[2].learner.email: stop})

    assert server.dispatch(is_stopping=stopping.is_set) == {"handed_off": 3}
    assert states()[3:] == [("planned", 0)] * 3


def test_learners_are_not_kept_locked_for_a_slow_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SECONDS_TO_HOLD", 0.05)
    messages, written = make_messages(5), []

    def note(execute: Callable[..., Any], sql: str, *given: Any) -> Any:
        if sql.startswith("ROLLBACK"):
            written.append(len(server.got))
        return execute(sql, *given)

    def take_long() -> Answer:
        time.sleep(0.3)
        return ACCEPTED

    server = Server(**{messages[1].learner.email: take_long})
    with connection.execute_wrapper(note):
        server.dispatch()

    # The claim of the fourth message was given up, and made again later.
    assert written == [3]
    assert states() == [("handed_off", 1)] * 5
    assert set(server.got.values()) == {1}


def test_a_learner_who_fails_meanwhile_delays_no_other() -> None:
    messages = make_messages(6)
    bad = messages[3]
    refuse("interventions_delivery", "UPDATE", f"NEW.id = {bad.pk} AND NEW.state = 'claimed'")
    server = Server()

    assert server.dispatch() == {"handed_off": 5}

    bad.refresh_from_db()
    assert (bad.state, bad.reason) == ("planned", "error")
    assert set(server.got.values()) == {1}


def test_a_message_without_its_answer_uses_up_no_cap_of_its_mailbox() -> None:
    save_cap("one a day", limit=1, window="rolling_days", length=1)
    messages = make_messages(3)
    # Its learner shares the mailbox of one of the pair.
    learner = make_learner(email=messages[1].learner.email.upper())
    enrollment = make_evaluated(messages[1].enrollment.course, learner)
    make_delivery(enrollment, messages[1].run.cadence, priority=999)
    refused = Answer(Result.REFUSED, "550 no such user")
    answers = iter([refused, ACCEPTED])
    server = Server(**{messages[1].learner.email: lambda: next(answers)})

    counts = server.dispatch()

    assert counts == {"handed_off": 3, "failed": 1}, states()


def test_threads_interrupt_each_other_seldom_only_while_messages_are_sent() -> None:
    (message,), before, during = make_messages(1), sys.getswitchinterval(), []

    def note() -> Answer:
        during.append(sys.getswitchinterval())
        return ACCEPTED

    Server(**{message.learner.email: note}).dispatch()

    assert during == [pytest.approx(SECONDS_BETWEEN_SWITCHES)]
    assert sys.getswitchinterval() == before
