"""Shares of the arms by Thompson sampling, from the outcomes that are known. Pure.

Nothing is simulated: the same counts give the same shares, so a replay can compute them again.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Shares are whole numbers of buckets, so the chance of a draw is exactly its share.
_STEPS = 10_000
# Between these quantiles of all arms the integrand is smooth, so few points are enough.
_QUANTILES = np.array(
    [1e-9, 1e-5, 1e-3, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1 - 1e-3, 1 - 1e-5, 1 - 1e-9]
)
_POINTS = 10


def chances_to_be_best(counts: Sequence[tuple[int, int]]) -> list[float]:
    """Return for each arm the probability (0..1) that its rate is the highest.

    `counts` are successes and learners of each arm. The rates have independent posteriors
    Beta(1 + successes, 1 + failures). An arm is best with the integral of its density times the
    distribution functions of the others: Scott (2010), Applied Stochastic Models in Business and
    Industry 26:639, equation 11.
    """
    a, b = (np.array(each, dtype=np.float64)[:, np.newaxis] for each in _posteriors(counts))
    points, weights = _grid(a, b)
    below = scipy.special.betainc(a, b, points)
    logs = (a - 1) * np.log(points) + (b - 1) * np.log1p(-points) - scipy.special.betaln(a, b)
    density = np.exp(logs) * weights
    found = [
        float((density[arm] * np.delete(below, arm, axis=0).prod(axis=0)).sum())
        for arm in range(len(counts))
    ]
    return [each / sum(found) for each in found]


def adapted_shares(
    counts: Mapping[str, tuple[int, int]], *, floor: float, higher_is_better: bool = True
) -> dict[str, float]:
    """Return the shares of the arms, multiples of 0.0001 that sum to 1, none below the floor.

    An arm has the floor and its chance to be best of what the floors leave. Raise ValueError if
    the floors leave nothing.
    """
    left = 1 - floor * len(counts)
    if left <= 0:
        raise ValueError(f"{len(counts)} arms cannot each have a share of at least {floor:g}.")
    good = [(seen if higher_is_better else n - seen, n) for seen, n in counts.values()]
    shares = [floor + left * chance for chance in chances_to_be_best(good)]
    return dict(zip(counts, _rounded(shares), strict=True))


def arm_seed(seed: str) -> str:
    """Return the seed of the hash that draws the arm in an adaptive experiment.

    The hash of the experiment's own seed decides whether a unit takes part. If it also decided the
    arm, the units that a larger coverage adds would all get the arm at its end.
    """
    return f"{seed} arm"


def _posteriors(counts: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [1 + seen for seen, _ in counts], [1 + n - seen for seen, n in counts]


def _grid(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return points and weights of Gauss-Legendre between the quantiles of all posteriors."""
    quantiles = scipy.special.betaincinv(a, b, _QUANTILES)
    cuts = np.unique(np.concatenate([[0.0, 1.0], quantiles.ravel()]))
    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    half = np.diff(cuts)[:, np.newaxis] / 2
    points = cuts[:-1, np.newaxis] + half * (1 + nodes)
    return points.ravel(), (half * weights).ravel()


def _rounded(shares: Sequence[float]) -> Iterator[float]:
    """Yield the shares in whole steps. The largest remainders are rounded up."""
    whole = np.floor(np.array(shares) * _STEPS + 1e-6)
    rest = np.array(shares) * _STEPS - whole
    missing = _STEPS - int(whole.sum())
    whole[np.argsort(-rest, kind="stable")[:missing]] += 1
    yield from (int(each) / _STEPS for each in whole)
