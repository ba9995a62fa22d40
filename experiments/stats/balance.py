"""Sample ratio mismatch: tests whether the arm sizes fit the intended weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from math import comb, exp

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
# Cochran's rule: if an arm expects fewer, the chi-square approximation is not reliable.
_LEAST_EXPECTED = 5
_MOST_OUTCOMES = 200_000
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

    `p_value` is valid for a single look, `always_p_value` for any number of looks. `strays` is the
    number of learners in arms of weight 0, which should draw nobody.
    """

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    p_value: float
    always_p_value: float = UNKNOWN
    strays: int = 0
    reason: str = ""

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

    The test is chi-square, or the exact multinomial test if an arm expects fewer than 5. An arm
    with weight 0 is not a degree of freedom, and its learners are strays. Raise ValueError if the
    numbers of sizes and weights differ.
    """
    pairs = list(zip(observed, weights, strict=True))
    drawn = [(count, weight) for count, weight in pairs if weight > 0]
    total, share = sum(count for count, _ in drawn), sum(weight for _, weight in drawn)
    expected = tuple(total * weight / share if weight > 0 else 0.0 for _, weight in pairs)
    strays = sum(count for count, weight in pairs if weight <= 0)
    if len(drawn) < 2 or not total:
        reason = "no learner is assigned yet" if len(drawn) > 1 else "only one arm has a weight"
        return SampleRatio(tuple(observed), expected, UNKNOWN, UNKNOWN, strays, reason)
    counts = [count for count, _ in drawn]
    shares = [weight / share for _, weight in drawn]
    return SampleRatio(
        tuple(observed),
        expected,
        _one_look_p_value(counts, shares),
        always_p_value(counts, shares),
        strays,
    )


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


def log_marginal(counts: Sequence[int], prior: Sequence[float]) -> float:
    """Return the log probability of a sequence with these counts under a Dirichlet prior."""
    alpha, seen = np.asarray(prior, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    whole = scipy.special.gammaln(alpha.sum()) - scipy.special.gammaln(alpha.sum() + seen.sum())
    return float(whole + (scipy.special.gammaln(alpha + seen) - scipy.special.gammaln(alpha)).sum())


def _one_look_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    total = sum(counts)
    expected = [total * share for share in shares]
    if min(expected) < _LEAST_EXPECTED:
        outcomes = comb(total + len(counts) - 1, len(counts) - 1)
        if outcomes <= _MOST_OUTCOMES:
            return _exact_p_value(counts, shares)
    distance = sum(
        (count - wanted) ** 2 / wanted for count, wanted in zip(counts, expected, strict=True)
    )
    return float(scipy.special.chdtrc(len(counts) - 1, distance))


def _exact_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the probability of a multinomial outcome at most as likely as the observed one."""
    all_counts = np.array(list(_outcomes(sum(counts), len(counts))), dtype=np.float64)
    logs = _log_chances(all_counts, shares)
    seen = _log_chances(np.array([counts], dtype=np.float64), shares)[0]
    # Equally likely outcomes can differ by rounding.
    return min(1.0, float(np.exp(logs[logs <= seen + 1e-9]).sum()))


def _log_chances(counts: NDArray[np.float64], shares: Sequence[float]) -> NDArray[np.float64]:
    total = counts.sum(axis=1)
    ways = scipy.special.gammaln(total + 1) - scipy.special.gammaln(counts + 1).sum(axis=1)
    found: NDArray[np.float64] = ways + counts @ np.log(np.asarray(shares))
    return found


def _outcomes(total: int, arms: int) -> Iterator[list[int]]:
    """Yield every way to split `total` learners into arms (stars and bars)."""
    for bars in combinations(range(total + arms - 1), arms - 1):
        edges = (-1, *bars, total + arms - 1)
        yield [right - left - 1 for left, right in pairwise(edges)]
