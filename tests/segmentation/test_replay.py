"""Members followed from day to day under two rules, and what becomes of entries."""

from datetime import date, timedelta

import pytest

from segmentation.replay import Fate, Follower, Moment, Replay, follow
from tests.factories import NOW

ANA, BO, CY = 1, 2, 3
ALL = frozenset({ANA, BO, CY})
FIRST, SECOND = 10, 20
DAYS = [date(2025, 9, day) for day in (1, 2, 3, 4)]


def moment(matches, *, leaves=(), first=(), in_scope=ALL):
    by_key = {FIRST: frozenset(first), SECOND: frozenset(matches)}
    return Moment(NOW, in_scope, by_key, {SECOND: frozenset(leaves)})


def replay(before, after):
    return Replay(DAYS, *([frozenset(day) for day in each] for each in (before, after)), of=3)


def test_member_leaves_when_the_rule_is_no_longer_true() -> None:
    found = follow([Follower(SECOND)], [moment({ANA}), moment({BO}), moment(())])

    assert found == [{ANA}, {BO}, set()]


def test_leave_rule_keeps_members_and_lets_nobody_enter_while_it_is_true() -> None:
    moments = [moment({ANA}), moment(()), moment({BO}, leaves={ANA, BO}), moment({BO})]

    found = follow([Follower(SECOND, keeps=True)], moments, held={SECOND: frozenset({CY})})

    assert found == [{ANA, CY}, {ANA, CY}, {CY}, {BO, CY}]


def test_leave_rule_keeps_nobody_after_the_course() -> None:
    found = follow(
        [Follower(SECOND, keeps=True)], [moment({ANA}), moment((), in_scope=frozenset())]
    )

    assert found == [{ANA}, set()]


def test_segments_that_come_first_and_frozen_ones_keep_their_members() -> None:
    chain = [Follower(FIRST, keeps=True), Follower(SECOND)]

    found = follow(chain, [moment(ALL, first={ANA}), moment(ALL)], taken=frozenset({CY}))

    assert found == [{BO}, {BO}]


def test_manual_members_are_in_whatever_the_rule_says() -> None:
    chain = [Follower(SECOND, added=frozenset({ANA}), removed=frozenset({BO}))]

    assert follow(chain, [moment({BO, CY}), moment((), in_scope=frozenset())]) == [{ANA, CY}, set()]


@pytest.mark.parametrize(
    ("after", "fate"),
    [
        ([(), (), (ANA,), (), ()], Fate.SAME),
        ([(), (ANA,), (ANA,), (), ()], Fate.SOONER),
        ([(), (), (), (ANA,), ()], Fate.LATER),
        # By then the stay is over.
        ([(), (), (), (), (ANA,)], Fate.NEVER),
        ([(ANA,), (), (), (), ()], Fate.NEVER),
    ],
)
def test_fate_of_an_entry_is_looked_up_in_its_stay(after, fate) -> None:
    found = replay([(), (), (ANA,), (ANA,), ()], after)

    assert found.fate(ANA, DAYS[1]) is fate


def test_entry_within_a_stay_comes_no_sooner_with_the_change() -> None:
    # Between two ends of days the learner left and came back.
    stays = [(ANA,)] * 5

    assert replay(stays, stays).fate(ANA, DAYS[1]) is Fate.SAME


def test_stays_without_counterpart_are_found_on_both_sides() -> None:
    before = [(CY,), (ANA, CY), (ANA,), (), (BO,)]
    after = [(CY,), (CY,), (ANA, BO), (BO,), ()]

    found = replay(before, after)

    assert found.only_before == [(BO, DAYS[3])]
    assert found.only_after == [(BO, DAYS[1])]
    assert (found.entered_before, found.entered_after) == ({ANA, BO}, {ANA, BO})
    # Entries as of the first reading are not counted: they may be old.
    assert timedelta(days=len(found.days)) == DAYS[-1] - DAYS[0] + timedelta(days=1)
