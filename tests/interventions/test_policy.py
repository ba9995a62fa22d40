"""The policy: its order, its denials and the ends of its deferrals."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from interventions.policy.caps import Cap, Counted, Message, Window
from interventions.policy.consent import ConsentStatement, is_wanted
from interventions.policy.decision import (
    HOLD,
    PASSES_WITHIN,
    TALKS_AT_LEAST,
    Allow,
    Defer,
    Deny,
    Facts,
    Reason,
    decide,
)
from interventions.policy.hours import ClosedHours
from interventions.policy.windows import SendWindow

NOW = datetime(2025, 9, 10, 21, 0, tzinfo=UTC)
MAIL = Message("email", 1, 1)
NOTHING_AGAINST = Facts(message=MAIL, zone="Europe/London")
ELSEWHERE = Message("email", 1, 2)
SENT_NOW = (Counted(MAIL, NOW), Counted(ELSEWHERE, NOW))
NIGHT = ClosedHours(time(22), time(8))
MORNING = datetime(2025, 9, 11, 7, 0, tzinfo=UTC)
DAILY = Cap("one a day", 1, Window.ROLLING_HOURS, 24)
DROPPING = replace(DAILY, name="hard", drops=True)

# Each fact alone with its decision, in the order of the policy.
OBJECTIONS: list[tuple[dict[str, Any], Any]] = [
    ({"withdrawn": True}, Deny(Reason.WITHDRAWN)),
    ({"run_ended": True}, Deny(Reason.RUN_ENDED)),
    ({"course_over": True}, Deny(Reason.COURSE_OVER)),
    ({"channel_changed": True}, Deny(Reason.CHANNEL_CHANGED)),
    ({"opted_out": True}, Deny(Reason.OPTED_OUT)),
    ({"not_opted_in": True}, Deny(Reason.NOT_OPTED_IN)),
    ({"suppressed": True}, Deny(Reason.SUPPRESSED)),
    ({"no_address": True}, Deny(Reason.NO_ADDRESS)),
    ({"held_out": "2026"}, Deny(Reason.HOLDOUT, "2026")),
    ({"held": Reason.COURSE_NOT_LIVE}, Defer(NOW + HOLD, Reason.COURSE_NOT_LIVE)),
    ({"held": Reason.SITE_PAUSED}, Defer(NOW + HOLD, Reason.SITE_PAUSED)),
    ({"held": Reason.CADENCE_PAUSED}, Defer(NOW + HOLD, Reason.CADENCE_PAUSED)),
    ({"held": Reason.SEGMENT_FROZEN}, Defer(NOW + HOLD, Reason.SEGMENT_FROZEN)),
    ({"held": Reason.FEED_SILENT}, Defer(NOW + HOLD, Reason.FEED_SILENT)),
    ({"conversation_open": True}, Defer(NOW + TALKS_AT_LEAST, Reason.CONVERSATION_OPEN)),
    ({"quiet_hours": NIGHT}, Defer(MORNING, Reason.QUIET_HOURS)),
    (
        {"send_window": SendWindow(time(9), time(17))},
        Defer(MORNING + timedelta(hours=1), Reason.SEND_WINDOW),
    ),
    ({"evaluation_pending": True}, Defer(NOW + PASSES_WITHIN, Reason.EVALUATION_PENDING)),
    ({"once_for_all_courses": True, "counted": SENT_NOW}, Deny(Reason.OTHER_COURSE)),
    (
        {"caps": (DROPPING,), "counted": SENT_NOW},
        Deny(Reason.FREQUENCY_CAP, "hard"),
    ),
    (
        {"caps": (DAILY,), "counted": SENT_NOW},
        Defer(NOW + timedelta(hours=24), Reason.FREQUENCY_CAP, "one a day"),
    ),
]
IDS = [next(iter(facts)) for facts, _ in OBJECTIONS]


def test_a_message_with_nothing_against_it_may_go() -> None:
    assert decide(NOTHING_AGAINST, now=NOW) == Allow()


@pytest.mark.parametrize(("facts", "decision"), OBJECTIONS, ids=IDS)
def test_each_fact_alone_decides(facts: dict[str, Any], decision: Any) -> None:
    assert decide(replace(NOTHING_AGAINST, **facts), now=NOW) == decision


@pytest.mark.parametrize("place", range(len(OBJECTIONS) - 1))
def test_the_first_objection_in_order_decides_whatever_follows(place: int) -> None:
    everything: dict[str, Any] = {}
    for facts, _ in reversed(OBJECTIONS[place:]):
        everything |= facts
    if place < len(OBJECTIONS) - 2:
        everything["caps"] = (DROPPING, DAILY)

    assert decide(replace(NOTHING_AGAINST, **everything), now=NOW) == OBJECTIONS[place][1]


@pytest.mark.parametrize(
    ("other", "hours", "decision"),
    [
        (ELSEWHERE, 0, Deny(Reason.OTHER_COURSE)),
        (ELSEWHERE, 23, Deny(Reason.OTHER_COURSE)),
        (ELSEWHERE, 24, Allow()),
        (MAIL, 0, Allow()),
        (replace(ELSEWHERE, category_id=2), 0, Allow()),
        (replace(ELSEWHERE, channel="task"), 0, Allow()),
        (replace(ELSEWHERE, learner_id=2), 0, Allow()),
        (replace(ELSEWHERE, ghost=True), 0, Allow()),
    ],
    ids=[
        "now",
        "23 hours ago",
        "a day ago",
        "this course",
        "another kind",
        "another channel",
        "to another learner of the mailbox",
        "a ghost",
    ],
)
def test_one_message_of_a_kind_is_enough_for_all_courses(
    other: Message, hours: int, decision: Any
) -> None:
    counted = (Counted(other, NOW - timedelta(hours=hours)),)
    facts = replace(NOTHING_AGAINST, once_for_all_courses=True, counted=counted)

    assert decide(facts, now=NOW) == decision


def test_a_message_lets_a_more_important_one_of_another_course_go_first() -> None:
    facts = replace(NOTHING_AGAINST, once_for_all_courses=True, ahead=(ELSEWHERE,))

    assert decide(facts, now=NOW) == Defer(NOW + PASSES_WITHIN, Reason.OUTRANKED)


def test_a_cap_that_drops_wins_over_one_that_defers() -> None:
    facts = replace(NOTHING_AGAINST, caps=(DAILY, DROPPING), counted=SENT_NOW)

    assert decide(facts, now=NOW) == Deny(Reason.FREQUENCY_CAP, "hard")


def test_a_cap_that_is_kept_does_not_drop() -> None:
    facts = replace(NOTHING_AGAINST, caps=(DROPPING,), counted=())

    assert decide(facts, now=NOW) == Allow()


def test_a_cap_of_zero_denies_even_if_it_defers() -> None:
    facts = replace(NOTHING_AGAINST, caps=(replace(DAILY, limit=0),))

    assert decide(facts, now=NOW) == Deny(Reason.FREQUENCY_CAP, "one a day")


def test_several_caps_defer_to_the_latest_of_their_instants() -> None:
    weekly = Cap("two a week", 2, Window.ROLLING_DAYS, 7)
    sent = (Counted(MAIL, NOW), Counted(MAIL, NOW - timedelta(days=3)))
    facts = replace(NOTHING_AGAINST, caps=(DAILY, weekly), counted=sent)

    assert decide(facts, now=NOW) == Defer(
        NOW + timedelta(days=4), Reason.FREQUENCY_CAP, "two a week"
    )


def says(category: int | None, said: str, hour: int) -> ConsentStatement:
    return ConsentStatement(category, said == "in", NOW + timedelta(hours=hour))


@pytest.mark.parametrize(
    ("words", "needs_opt_in", "wanted"),
    [
        ([], False, True),
        ([], True, False),
        ([says(1, "in", 0)], True, True),
        ([says(1, "out", 0)], False, False),
        ([says(2, "out", 0)], False, True),
        ([says(None, "out", 0)], False, False),
        ([says(1, "in", 0), says(None, "out", 1)], False, False),
        ([says(None, "out", 0), says(1, "in", 1)], False, True),
        ([says(None, "out", 0), says(2, "in", 1)], False, False),
        ([says(None, "out", 0), says(1, "in", 0)], False, False),
        ([says(None, "in", 0)], True, False),
    ],
    ids=[
        "silence",
        "silence, opt-in needed",
        "opted in",
        "opted out",
        "another category",
        "unsubscribed",
        "in, then unsubscribed",
        "unsubscribed, then in",
        "unsubscribed, then in elsewhere",
        "both at one instant",
        "yes to everything is no opt-in",
    ],
)
def test_the_latest_statement_counts(
    words: list[ConsentStatement], needs_opt_in: bool, wanted: bool
) -> None:
    assert is_wanted(1, words, needs_opt_in=needs_opt_in) is wanted
