"""The chance that a fair draw ever raises the alarm of arm sizes, counted exactly."""

from collections.abc import Iterator, Sequence
from functools import cache, partial

import numpy as np

from experiments.stats.balance import ALARM, always_p_value
from experiments.stats.certificates.promise import Measured, Promise, Subject


def balance_promises(shares: Sequence[float], *, learners: int) -> Iterator[Promise]:
    """Yield promises on two arms, one with each of these shares, looked at after each learner."""
    for each in shares:
        what = f"shares {each:g} and {1 - each:g}, a look after each of {learners:,} learners"
        yield Promise(Subject.BALANCE, what, partial(_two_arms, each, learners), high=ALARM)


def three_arms_promises(*, learners: int) -> Iterator[Promise]:
    """Yield the promise on three equal arms."""
    what = f"three equal shares, a look after each of {learners:,} learners"
    yield Promise(Subject.BALANCE, what, partial(_three_arms, learners), high=ALARM)


def _two_arms(share: float, learners: int) -> Measured:
    """Carry the chances of all sizes without an alarm from learner to learner."""
    chances, alarm = np.ones(1), 0.0
    low = high = 0
    for n in range(1, learners + 1):
        before = chances
        chances = np.zeros(n + 1)
        chances[1:] = share * before
        chances[:-1] += (1 - share) * before
        # The sizes of an alarm lie at both ends. With one learner more, each end has at most a few
        # more of them, and never fewer.
        while low <= n and _is_alarm(low, n - low, share):
            low += 1
        while high <= n and _is_alarm(n - high, high, share):
            high += 1
        is_alarm = np.zeros(n + 1, dtype=bool)
        is_alarm[:low], is_alarm[n + 1 - high :] = True, True
        alarm += float(chances[is_alarm].sum())
        chances[is_alarm] = 0.0
    return Measured(alarm)


def _is_alarm(one: int, other: int, share: float) -> bool:
    return always_p_value([one, other], [share, 1 - share]) < ALARM


def _three_arms(learners: int) -> Measured:
    chances, alarm = np.ones((1, 1)), 0.0
    for n in range(1, learners + 1):
        before = chances / 3
        chances = np.zeros((n + 1, n + 1))
        chances[:n, :n] += before
        chances[1:, :n] += before
        chances[:n, 1:] += before
        for one, other in np.argwhere(chances).tolist():
            if _is_alarm_of_three(*sorted((one, other, n - one - other))):
                alarm += float(chances[one, other])
                chances[one, other] = 0.0
    return Measured(alarm)


@cache
def _is_alarm_of_three(*counts: int) -> bool:
    return always_p_value(counts, [1 / 3] * 3) < ALARM
