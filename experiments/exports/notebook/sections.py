"""Whole sections.

If sections were drawn, they are the units: learners of one section are alike. The difference is per
learner, and its variance is the jackknife over sections (CRV3). Outcomes adjusted for the time
before, and times, are not compared by section.
"""

import numpy as np
from scipy import special

from experiments.exports.notebook.reading import Array


def compare_sections(
    kind: str, control: list[Array], arm: list[Array], level: float
) -> dict[str, float]:
    """Return the difference of two arms. The last column of each is the section of a learner."""
    if kind not in ("binary", "mean", "ratio"):
        return {}
    values = [per_learner(kind, columns) for columns in (control, arm)]
    if not all(each.size for each in values):
        return {}
    found = {"difference": float(values[1].mean() - values[0].mean())}
    numbers, squares = [], 0.0
    for own, columns in zip(values, (control, arm), strict=True):
        # Learners without a section count as one.
        sections = np.nan_to_num(columns[-1], nan=-1)
        names = np.unique(sections)
        numbers.append(len(names))
        if len(names) > 1:
            left_out = [own[sections != name].mean() - own.mean() for name in names]
            squares += sum(change**2 for change in left_out)
    error = float(np.sqrt((sum(numbers) - 1) / sum(numbers) * squares))
    if min(numbers) < 2 or error <= 1e-12 * max(np.abs(each).max() for each in values):
        return found
    a, b = (1 / (number - 1) for number in numbers)
    df = (a + b) ** 2 / (a**3 + b**3) + 1
    half = float(special.stdtrit(df, (1 + level) / 2)) * error
    value = found["difference"]
    return found | {
        "low": value - half, "high": value + half, "df": df, "error": error,
        "p_value": float(2 * special.stdtr(df, -abs(value / error))),
    }  # fmt: skip


def per_learner(kind: str, columns: list[Array]) -> Array:
    """Return a number of each learner whose mean is the arm's rate, mean or ratio."""
    if kind != "ratio":
        return columns[0]
    top, bottom = columns[:2]
    if not bottom.sum():
        return np.empty(0)
    r = top.sum() / bottom.sum()
    numbers: Array = r + (top - r * bottom) / bottom.mean()
    return numbers


def guard_sections(found: dict[str, float], margin: float, side: int) -> dict[str, float]:
    """Return the difference of a guardrail with the p-value of the margin."""
    if "error" in found:
        t = (side * found["difference"] - margin) / found["error"]
        found["margin_p_value"] = float(special.stdtr(found["df"], t))
    return found
