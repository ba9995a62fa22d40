"""When a waiting message will go out, decided by the policy again and again. Words for reasons."""

import ast
from collections.abc import Iterator
from datetime import time, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from experiments.reporting.reasons import REASONS
from interventions.policy.caps import Cap, Counted, Message, Window
from interventions.policy.decision import Defer, Deny, Facts, Reason
from interventions.policy.expectation import (
    MOST_DECISIONS,
    Candidate,
    Expectation,
    expect,
    expect_in_turn,
    used_up_by,
)
from interventions.policy.hours import ClosedHours
from interventions.policy.words import words_of
from tests.factories import NOW
from tests.guards.code import name, parsed, python_files

MAIL = Message("email", 1, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ONE_A_DAY = Cap("1 a day", 1, Window.ROLLING_DAYS)
# NOW is noon, so the quiet hours begin eight hours later.
NIGHT = ClosedHours(time(20), time(8))


def expected(*, in_hours: int = 0, in_days: int = 7, **facts: Any) -> Expectation:
    given = Facts(message=MAIL, zone="UTC", **facts)
    return expect(given, send_at=NOW + in_hours * HOUR, expires_at=NOW + in_days * DAY)


def test_a_free_message_goes_out_at_its_instant() -> None:
    assert expected(in_hours=3) == Expectation(at=NOW + 3 * HOUR)


def test_one_wait_follows_another() -> None:
    # The cap ends at 22:00, in the quiet hours.
    counted = (Counted(MAIL, NOW - 14 * HOUR),)

    found = expected(caps=(ONE_A_DAY,), counted=counted, quiet_hours=NIGHT)

    assert found.at == NOW + 20 * HOUR
    assert [each.reason for each in found.waits] == [Reason.FREQUENCY_CAP, Reason.QUIET_HOURS]
    assert found.waits[0] == Defer(NOW + 10 * HOUR, Reason.FREQUENCY_CAP, "1 a day")


def test_a_hold_has_no_end_and_a_denial_is_for_good() -> None:
    held = expected(held=Reason.LEARNER_PAUSED)
    assert held.at is None
    assert isinstance(held.end, Defer)
    assert expected(no_address=True) == Expectation(end=Deny(Reason.NO_ADDRESS))


def test_what_passes_within_moments_is_left_out() -> None:
    assert expected(evaluation_pending=True, ahead=(MAIL,)).at == NOW


def test_a_message_that_waits_too_long_expires() -> None:
    counted = (Counted(MAIL, NOW),)
    week = Cap("1 a week", 1, Window.ROLLING_DAYS, length=7)

    found = expected(in_days=2, caps=(week,), counted=counted)

    assert (found.at, found.end) == (None, None)
    assert len(found.waits) == 1 < MOST_DECISIONS


def test_a_cap_is_used_up_by_the_latest_messages_that_it_covers() -> None:
    other = Counted(Message("email", 2, 1), NOW)
    old, first, last = (Counted(MAIL, NOW - hours * HOUR) for hours in (9, 2, 1))
    two = Cap("2 a day", 2, Window.ROLLING_DAYS, category_id=1)

    assert used_up_by(two, (old, first, other, last), before=NOW) == [last, first]
    assert used_up_by(two, (old, first, last), before=NOW - 2 * HOUR) == [first, old]


def test_in_the_morning_the_more_important_message_goes_first() -> None:
    facts = Facts(message=MAIL, zone="UTC", quiet_hours=NIGHT, caps=(ONE_A_DAY,))
    late, later = NOW + 9 * HOUR, NOW + 10 * HOUR
    week = NOW + 7 * DAY
    minor = Candidate(facts, late, week, (100, late, 1), delivery_id=1)
    major = Candidate(facts, later, week, (10, later, 2), delivery_id=2)

    first, second = expect_in_turn([minor, major])

    assert second.at == NOW + 20 * HOUR
    assert first.at == NOW + 44 * HOUR
    assert expect_in_turn([major, minor]) == [second, first]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_of_the_policy_has_words(reason: Reason) -> None:
    assert words_of(reason).because == REASONS[reason]


def test_a_reason_of_a_later_release_is_shown_as_it_is_stored() -> None:
    assert words_of("too_windy").because == "too windy"


def reasons_in(path: Path) -> Iterator[str]:
    """Yield the reasons that the file gives when it moves a delivery or ends a run."""
    tree = parsed(path)
    # Also those that the module imports.
    constants = vars(import_module(name(path).removesuffix(".py").replace("/", ".")))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = [each.value for each in call.keywords if each.arg == "reason"]
        if getattr(call.func, "id", "") == "Move":
            given += call.args[1:2]
        for each in given:
            if isinstance(each, ast.Constant) and each.value:
                yield str(each.value)
            if isinstance(each, ast.Name) and each.id in constants:
                yield str(constants[each.id])


def test_every_reason_that_the_stages_give_has_words() -> None:
    files = python_files("interventions/operations", "interventions/stages")
    found = {(reason, name(path)) for path in files for reason in reasons_in(path)}

    assert len(found) > 12
    assert {each for each in found if each[0] not in REASONS} == set()
