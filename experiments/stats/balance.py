"""Sample ratio mismatch: whether the arms came out as large as they were meant to."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from experiments.stats.estimate import UNKNOWN

# Far stricter than a test of an effect: it is looked at daily, and an alarm stops an experiment.
# Fabijan et al. (2019), KDD: Diagnosing sample ratio mismatch in online controlled experiments.
ALARM = 0.0005


@dataclass(frozen=True)
class SampleRatio:
    """The chi-square test of observed arm sizes against the weights they were drawn with."""

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    p_value: float
    reason: str = ""

    @property
    def is_mismatch(self) -> bool:
        """Return whether the sizes can hardly be chance: then no result can be trusted."""
        return self.p_value < ALARM


def sample_ratio(observed: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    """Return the test of the arm sizes against the weights (any positive scale).

    Arms with weight 0 expect nobody and count neither as a degree of freedom nor in the total.
    Raise ValueError where the two differ in number.
    """
    pairs = list(zip(observed, weights, strict=True))
    drawn = [(count, weight) for count, weight in pairs if weight > 0]
    total, share = sum(count for count, _ in drawn), sum(weight for _, weight in drawn)
    expected = tuple(total * weight / share if weight > 0 else 0.0 for _, weight in pairs)
    if len(drawn) < 2 or not total:
        reason = "nobody is assigned yet" if len(drawn) > 1 else "only one arm has a weight"
        return SampleRatio(tuple(observed), expected, UNKNOWN, reason)
    distance = sum(
        (count - wanted) ** 2 / wanted
        for count, wanted in zip(observed, expected, strict=True)
        if wanted
    )
    return SampleRatio(tuple(observed), expected, float(special.chdtrc(len(drawn) - 1, distance)))
