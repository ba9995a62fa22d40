"""Sample ratio mismatch: whether the arms came out as large as they were meant to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from math import comb, exp

import numpy as np
import scipy
from numpy.typing import NDArray

from experiments.stats.estimate import UNKNOWN

# How often a fair draw may raise the alarm over all the days on which somebody looks: it stops an
# experiment. Fabijan et al. (2019), KDD: Diagnosing sample ratio mismatch.
ALARM = 0.001
# Below this the sizes are worth a look, and no more.
SURPRISE = 0.01
# Cochran's rule: with fewer expected in an arm, the chi-square approximation is not trusted.
_LEAST_EXPECTED = 5
_MOST_OUTCOMES = 200_000
# How far off the draw may be, as the weight of the prior around the planned shares: from anything
# to a few in a thousand, so that small classes and large trials both have power.
_PRIORS = (2.0, 100.0, 10_000.0)


class Balance(StrEnum):
    """What the arm sizes say about the draw."""

    CONSISTENT = "consistent"
    SURPRISE = "a surprise"
    MISMATCH = "do not trust"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class SampleRatio:
    """Observed arm sizes beside the weights they were drawn with.

    `p_value` is that of one look; `always_p_value` holds however often somebody looks. `strays` are
    learners in arms of weight 0, which draw nobody.
    """

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    p_value: float
    always_p_value: float = UNKNOWN
    strays: int = 0
    reason: str = ""

    @property
    def state(self) -> Balance:
        """Return what the sizes say. A surprise is one look's word, and only of enough learners."""
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
        """Return whether the sizes can hardly be chance: then no result can be trusted."""
        return self.state is Balance.MISMATCH


def sample_ratio(observed: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    """Return the tests of the arm sizes against the weights (any positive scale).

    The chi-square test, or the exact multinomial one while fewer than 5 are expected in an arm. An
    arm with weight 0 is no degree of freedom; whoever is in it is a stray. Raise ValueError where
    the two differ in number.
    """
    pairs = list(zip(observed, weights, strict=True))
    drawn = [(count, weight) for count, weight in pairs if weight > 0]
    total, share = sum(count for count, _ in drawn), sum(weight for _, weight in drawn)
    expected = tuple(total * weight / share if weight > 0 else 0.0 for _, weight in pairs)
    strays = sum(count for count, weight in pairs if weight <= 0)
    if len(drawn) < 2 or not total:
        reason = "nobody is assigned yet" if len(drawn) > 1 else "only one arm has a weight"
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
    """Return a p-value that holds at every look: 1 over the evidence against the planned shares.

    The evidence is the Bayes factor of Lindon and Malek (2022), arXiv 2011.03567, equation 4, here
    averaged over priors of three weights around the shares. By Ville's inequality it exceeds 1/p
    ever, under the shares, with a chance of at most p.
    """
    null = sum(count * np.log(share) for count, share in zip(counts, shares, strict=True))
    logs = [log_marginal(counts, [weight * share for share in shares]) for weight in _PRIORS]
    evidence = float(scipy.special.logsumexp(logs)) - np.log(len(logs)) - null
    return min(1.0, exp(-max(evidence, 0.0)))


def log_marginal(counts: Sequence[int], prior: Sequence[float]) -> float:
    """Return the log chance of a sequence with these counts under a Dirichlet prior."""
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
    """Return the chance of a multinomial outcome that is no likelier than the one seen."""
    all_counts = np.array(list(_outcomes(sum(counts), len(counts))), dtype=np.float64)
    logs = _log_chances(all_counts, shares)
    seen = _log_chances(np.array([counts], dtype=np.float64), shares)[0]
    # Equally likely outcomes differ by rounding.
    return min(1.0, float(np.exp(logs[logs <= seen + 1e-9]).sum()))


def _log_chances(counts: NDArray[np.float64], shares: Sequence[float]) -> NDArray[np.float64]:
    total = counts.sum(axis=1)
    ways = scipy.special.gammaln(total + 1) - scipy.special.gammaln(counts + 1).sum(axis=1)
    found: NDArray[np.float64] = ways + counts @ np.log(np.asarray(shares))
    return found


def _outcomes(total: int, arms: int) -> Iterator[list[int]]:
    """Yield every way to put so many learners into so many arms (stars and bars)."""
    for bars in combinations(range(total + arms - 1), arms - 1):
        edges = (-1, *bars, total + arms - 1)
        yield [right - left - 1 for left, right in pairwise(edges)]
