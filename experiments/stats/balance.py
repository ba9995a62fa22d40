"""Sample ratio mismatch: tests whether the arm sizes fit the intended weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, comb, exp

import numpy as np
import scipy
from numpy.typing import NDArray

from experiments.stats.estimate import UNKNOWN

# The chance that a fair draw ever raises the alarm, over all days on which somebody looks. It is
# small, because an alarm stops an experiment. Fabijan et al. (2019), KDD: Diagnosing sample ratio
# mismatch.
ALARM = 0.001
# Below this p-value the sizes deserve a look, but are no alarm.
SURPRISE = 0.01
# With fewer expected in an arm, a single look at few learners is no surprise.
_LEAST_EXPECTED = 5
# With more ways to share the learners, the exact test of three or more arms would take long.
_MOST_OUTCOMES = 200_000
_EXACT_BINOMIAL, _EXACT, APPROXIMATE = "exact binomial", "exact multinomial", "chi-square"
# As in scipy: chances that differ by less are equal but for rounding.
_TIE = 1e-7
_NOBODY = "no learner is assigned yet"
# Weights of the prior around the intended shares. They cover deviations from a few in a thousand up
# to any size, so that small classes and large trials both have power.
_PRIORS = (2.0, 100.0, 10_000.0)


class Balance(StrEnum):
    """Whether the arm sizes fit the intended weights."""

    CONSISTENT = "consistent"
    SURPRISE = "a surprise"
    MISMATCH = "do not trust"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class SampleRatio:
    """The observed and the expected arm sizes, with their tests.

    `p_value` is valid for a single look, and `test` is its name. `always_p_value` is valid for any
    number of looks. `strays` is the number of learners in arms of weight 0, which should draw
    nobody.
    """

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    p_value: float
    always_p_value: float = UNKNOWN
    strays: int = 0
    reason: str = ""
    test: str = "none"

    @property
    def state(self) -> Balance:
        """Return the balance. A surprise comes from a single look, if the arms are large enough."""
        if self.strays:
            return Balance.MISMATCH
        if self.reason:
            return Balance.UNKNOWN
        if self.always_p_value < ALARM:
            return Balance.MISMATCH
        is_large = min(each for each in self.expected if each) >= _LEAST_EXPECTED
        return Balance.SURPRISE if is_large and self.p_value < SURPRISE else Balance.CONSISTENT

    @property
    def is_mismatch(self) -> bool:
        """Return whether the sizes can hardly be chance, so that no result can be trusted."""
        return self.state is Balance.MISMATCH


def sample_ratio(observed: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    """Return the tests of the arm sizes against the weights (any positive scale).

    The test of two arms is the exact binomial one. That of more arms is the exact multinomial one,
    or chi-square if the learners can be shared in more than 200,000 ways (three arms of 630
    learners). An arm with weight 0 is not a degree of freedom, and its learners are strays. Raise
    ValueError if the numbers of sizes and weights differ.
    """
    pairs = list(zip(observed, weights, strict=True))
    drawn = [(count, weight) for count, weight in pairs if weight > 0]
    total, share = sum(count for count, _ in drawn), sum(weight for _, weight in drawn)
    expected = tuple(total * weight / share if weight > 0 else 0.0 for _, weight in pairs)
    strays = sum(count for count, weight in pairs if weight <= 0)
    if len(drawn) < 2 or not total:
        reason = _NOBODY if len(drawn) > 1 else "only one arm has a weight"
        return SampleRatio(tuple(observed), expected, UNKNOWN, UNKNOWN, strays, reason)
    counts = [count for count, _ in drawn]
    shares = [weight / share for _, weight in drawn]
    p_value, test = _one_look(counts, shares)
    always = always_p_value(counts, shares)
    return SampleRatio(tuple(observed), expected, p_value, always, strays, test=test)


def usual_p_value(balance: SampleRatio) -> float:
    """Return Pearson's p-value, which other tools print, or the exact one if an arm expects < 5."""
    drawn = [each for each in zip(balance.observed, balance.expected, strict=True) if each[1] > 0]
    if balance.reason or min(expected for _, expected in drawn) < _LEAST_EXPECTED:
        return balance.p_value
    total = sum(expected for _, expected in drawn)
    counts, shares = [count for count, _ in drawn], [expected / total for _, expected in drawn]
    return chi_square_p_value(counts, shares)


def sample_ratio_of_periods(
    observed: Sequence[Sequence[int]], shares: Sequence[Sequence[float]]
) -> SampleRatio:
    """Return the tests of arm sizes whose shares change from period to period.

    Both arguments have a row per period and a share above 0 for each arm. Given the shares of a
    period, which follow from what was known before it, its sizes are multinomial. So the sums over
    the periods minus their expected sums have the sum of the covariances, and their quadratic form
    is chi-square with arms - 1 degrees of freedom. `always_p_value` multiplies the evidence of
    `always_p_value` over the periods, which Ville's inequality allows too. Empty rows are allowed.
    """
    sizes, rows = np.array(observed, dtype=np.float64), np.array(shares, dtype=np.float64)
    drawn = tuple(map(int, sizes.sum(axis=0))) if sizes.size else ()
    if not sizes.sum():
        return SampleRatio(drawn, tuple(0.0 for _ in drawn), UNKNOWN, reason=_NOBODY)
    totals = sizes.sum(axis=1)
    expected = totals @ rows
    apart = (sizes.sum(axis=0) - expected)[:-1]
    covariance = (np.diag(expected) - (rows.T * totals) @ rows)[:-1, :-1]
    distance = float(apart @ np.linalg.solve(covariance, apart))
    return SampleRatio(
        drawn,
        tuple(map(float, expected)),
        float(scipy.special.chdtrc(len(drawn) - 1, distance)),
        _always_over_periods(sizes, rows),
        test=APPROXIMATE,
    )


def _always_over_periods(sizes: NDArray[np.float64], rows: NDArray[np.float64]) -> float:
    null = float((sizes * np.log(rows)).sum())
    logs = [
        sum(
            log_marginal(row.tolist(), (weight * of).tolist())
            for row, of in zip(sizes, rows, strict=True)
        )
        for weight in _PRIORS
    ]
    evidence = float(scipy.special.logsumexp(logs)) - np.log(len(logs)) - null
    return min(1.0, exp(-max(evidence, 0.0)))


def always_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return an always-valid p-value: 1 / the evidence against the intended shares.

    The evidence is the Bayes factor of Lindon and Malek (2022), arXiv 2011.03567, equation 4,
    averaged over priors of three weights around the shares. By Ville's inequality, under the
    intended shares it ever exceeds 1/p with a chance of at most p.
    """
    null = sum(count * np.log(share) for count, share in zip(counts, shares, strict=True))
    logs = [log_marginal(counts, [weight * share for share in shares]) for weight in _PRIORS]
    evidence = float(scipy.special.logsumexp(logs)) - np.log(len(logs)) - null
    return min(1.0, exp(-max(evidence, 0.0)))


def log_marginal(counts: Sequence[float], prior: Sequence[float]) -> float:
    """Return the log probability of a sequence with these counts under a Dirichlet prior."""
    alpha, seen = np.asarray(prior, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    whole = scipy.special.gammaln(alpha.sum()) - scipy.special.gammaln(alpha.sum() + seen.sum())
    return float(whole + (scipy.special.gammaln(alpha + seen) - scipy.special.gammaln(alpha)).sum())


def _one_look(counts: Sequence[int], shares: Sequence[float]) -> tuple[float, str]:
    """Return the p-value of a single look and the name of its test."""
    total = sum(counts)
    if len(counts) == 2:
        return _binomial_p_value(counts[0], total, shares[0]), _EXACT_BINOMIAL
    if comb(total + len(counts) - 1, len(counts) - 1) <= _MOST_OUTCOMES:
        return _exact_p_value(counts, shares), _EXACT
    return chi_square_p_value(counts, shares), APPROXIMATE


def chi_square_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return Pearson's p-value of arm sizes, as most tools give it. The shares sum to 1."""
    total = sum(counts)
    distance = sum(
        (count - total * share) ** 2 / (total * share)
        for count, share in zip(counts, shares, strict=True)
    )
    return float(scipy.special.chdtrc(len(counts) - 1, distance))


def _binomial_p_value(seen: int, total: int, share: float) -> float:
    """Return the probability of numbers at most as likely as the one seen: both tails."""
    if seen > total * share:
        seen, share = total - seen, 1 - share
    low, high = ceil(total * share), total + 1
    least = _log_binomial(seen, total, share) + _TIE
    # Above the mode, each number is less likely than the one before it.
    while low < high:
        middle = (low + high) // 2
        if _log_binomial(middle, total, share) <= least:
            high = middle
        else:
            low = middle + 1
    lower = float(scipy.special.bdtr(seen, total, share))
    upper = float(scipy.special.bdtrc(high - 1, total, share)) if high <= total else 0.0
    return min(1.0, lower + upper)


def _log_binomial(seen: int, total: int, share: float) -> float:
    counts = np.array([[seen, total - seen]], dtype=np.float64)
    return float(_log_chances(counts, (share, 1 - share))[0])


def _exact_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the probability of a multinomial outcome at most as likely as the observed one."""
    logs = _log_chances(_outcomes(sum(counts), len(counts)), shares)
    seen = _log_chances(np.array([counts], dtype=np.float64), shares)[0]
    return min(1.0, float(np.exp(logs[logs <= seen + _TIE]).sum()))


def _log_chances(counts: NDArray[np.float64], shares: Sequence[float]) -> NDArray[np.float64]:
    total = counts.sum(axis=1)
    ways = scipy.special.gammaln(total + 1) - scipy.special.gammaln(counts + 1).sum(axis=1)
    found: NDArray[np.float64] = ways + counts @ np.log(np.asarray(shares))
    return found


def _outcomes(total: int, arms: int) -> NDArray[np.float64]:
    """Return every way to share `total` learners among the arms, one per row."""
    found, left = np.empty((1, 0)), np.array([total])
    for _ in range(arms - 1):
        times = left + 1
        # Each row is repeated with 0, 1, ... learners in the next arm.
        first = np.repeat(np.cumsum(times) - times, times)
        here = np.arange(times.sum()) - first
        found = np.column_stack([np.repeat(found, times, axis=0), here])
        left = np.repeat(left, times) - here
    return np.column_stack([found, left]).astype(np.float64)
