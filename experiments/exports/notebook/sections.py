"""Whole sections.

If sections were drawn, they are the units: learners of one section are alike. The difference is per
learner, and its variance is the jackknife over sections (CRV3). Beside it stand the difference with
each section counted once, and the randomization test: the share of all ways to draw as many
sections of each stratum that give a difference at least as large. Outcomes adjusted for the time
before, and times, are not compared by section.
"""

from itertools import chain, combinations, product
from math import comb, prod

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiments.exports.notebook.means import welch
from experiments.exports.notebook.reading import Array

# With more ways to draw the sections, the report draws some of them at random.
MOST_WAYS = 20_000


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


def check_sections(
    kind: str, control: list[Array], arm: list[Array], level: float
) -> dict[str, float]:
    """Return what stands beside the comparison. The last columns are section and stratum."""
    sizes, means, strata, treated = [], [], [], []
    for place, columns in enumerate((control, arm)):
        own, sections = per_learner(kind, columns), np.nan_to_num(columns[-2], nan=-1)
        for name in np.unique(sections):
            of_section = sections == name
            sizes.append(int(of_section.sum()))
            means.append(float(own[of_section].mean()))
            strata.append(float(np.nan_to_num(columns[-1][of_section], nan=-1)[0]))
            treated.append(bool(place))
    is_treated, of_mean = np.array(treated), np.array(means)
    once = welch(of_mean[~is_treated], of_mean[is_treated], level)
    found = {"of_sections_value": once["difference"]}
    found |= {f"of_sections_{n}": once[n] for n in ("low", "high", "p_value") if n in once}
    ways = draw_p_value(np.array(sizes), of_mean, np.array(strata), is_treated)
    return found | ({} if ways is None else {"randomization_p_value": ways})


def draw_p_value(
    sizes: Array, means: Array, strata: Array, treated: NDArray[np.bool_]
) -> float | None:
    """Return the randomization test over all ways to draw; None if they are too many."""
    parts = [np.flatnonzero(strata == name) for name in np.unique(strata)]
    taken = [int(treated[part].sum()) for part in parts]
    if prod(comb(part.size, n) for part, n in zip(parts, taken, strict=True)) > MOST_WAYS:
        return None
    choices = [combinations(part, n) for part, n in zip(parts, taken, strict=True)]
    distances = []
    for chosen in product(*choices):
        drawn = np.zeros(sizes.size, dtype=bool)
        drawn[list(chain.from_iterable(chosen))] = True
        own, other = (np.average(means[each], weights=sizes[each]) for each in (drawn, ~drawn))
        distances.append(abs(own - other))
    seen = np.average(means[treated], weights=sizes[treated])
    seen = abs(seen - np.average(means[~treated], weights=sizes[~treated]))
    return float(np.mean(np.array(distances) >= seen - 1e-9 * np.abs(means).max()))


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
