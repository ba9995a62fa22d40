"""Whole sections.

The sections were put in the order of their size, and chance shared the arms out within each block
of neighbors in that order. A block is a stratum of `rows.csv`, and the codebook says how many draws
were possible.

If sections were drawn, they are the units: learners of one section are alike. The difference is per
learner, and its variance is the jackknife over sections (CRV3). Beside it stand the difference with
each section counted once, and the randomization test: the share of all ways to draw as many
sections of each stratum that give a difference at least as large. A time is a learner's part in
the mean time of the arm. An adjusted outcome is a regression that is made anew without each
section, and its randomization test is of what the time before leaves unexplained.
"""

from itertools import chain, combinations, product
from math import comb, prod

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiments.exports.notebook.means import welch
from experiments.exports.notebook.others import mean_time
from experiments.exports.notebook.reading import Array

# With more ways to draw the sections, the report draws some of them at random.
MOST_WAYS = 20_000


def compare_sections(
    kind: str, control: list[Array], arm: list[Array], level: float, horizon: float = 0.0
) -> dict[str, float]:
    """Return the difference of two arms. The last column of each is the section of a learner.

    Times are compared up to the horizon in days.
    """
    if kind == "adjusted":
        return adjusted_sections(control, arm, level)
    values = [per_learner(kind, columns, horizon) for columns in (control, arm)]
    if not all(each.size and np.isfinite(each).all() for each in values):
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
    return found | by_t(found["difference"], error, numbers, level)


def by_t(value: float, error: float, numbers: list[int], level: float) -> dict[str, float]:
    """Return the interval and the p-value by the t for arms of so many sections."""
    a, b = (1 / (number - 1) for number in numbers)
    df = (a + b) ** 2 / (a**3 + b**3) + 1
    half = float(special.stdtrit(df, (1 + level) / 2)) * error
    return {
        "low": value - half, "high": value + half, "df": df, "error": error,
        "p_value": float(2 * special.stdtr(df, -abs(value / error))),
    }  # fmt: skip


def adjusted_sections(control: list[Array], arm: list[Array], level: float) -> dict[str, float]:
    """Return the coefficient of the arm, with a regression without each section for its error."""
    if not control[0].size or not arm[0].size:
        return {}
    outcomes, design, sections = fitted(control, arm)
    names = np.unique(sections, axis=0)
    numbers = [int((names[:, 0] == side).sum()) for side in (0, 1)]
    if min(numbers) < 2:
        return {}
    value = float(np.linalg.lstsq(design, outcomes, rcond=None)[0][1])
    changes = []
    for name in names:
        kept = (sections != name).any(axis=1)
        changes.append(np.linalg.lstsq(design[kept], outcomes[kept], rcond=None)[0][1] - value)
    error = float(np.sqrt((len(names) - 1) / len(names) * np.square(changes).sum()))
    if error <= 1e-9 * np.abs(outcomes).max():
        return {"difference": value}
    return {"difference": value} | by_t(value, error, numbers, level)


def fitted(control: list[Array], arm: list[Array]) -> tuple[Array, Array, Array]:
    """Return the outcomes, the columns of the regression, and arm and section of each learner."""
    outcomes, before, own = (np.concatenate([control[place], arm[place]]) for place in (0, 1, 2))
    is_arm = np.repeat([0.0, 1.0], [control[0].size, arm[0].size])
    sections = np.column_stack([is_arm, np.nan_to_num(own, nan=-1)])
    names, design = np.unique(sections, axis=0), np.column_stack([np.ones_like(is_arm), is_arm])
    is_gap = np.isnan(before)
    if min((names[:, 0] == side).sum() for side in (0, 1)) < 3 or is_gap.all():
        return outcomes, design, sections
    filled = np.where(is_gap, before[~is_gap].mean(), before)
    for column in [filled, *([is_gap.astype(float)] if is_gap.any() else [])]:
        wider = np.column_stack([design, column - column.mean()])
        parts = [wider, *(wider[(sections != name).any(axis=1)] for name in names)]
        if all(np.linalg.matrix_rank(part) == wider.shape[1] for part in parts):
            design = wider
    return outcomes, design, sections


def unexplained(control: list[Array], arm: list[Array]) -> list[Array]:
    """Return what the time before leaves unexplained in each arm, by a fit without the arms."""
    outcomes, design, _ = fitted(control, arm)
    known = np.delete(design, 1, axis=1)
    rest = outcomes - known @ np.linalg.lstsq(known, outcomes, rcond=None)[0]
    return [rest[: control[0].size], rest[control[0].size :]]


def check_sections(
    kind: str, control: list[Array], arm: list[Array], level: float, horizon: float = 0.0
) -> dict[str, float]:
    """Return what stands beside the comparison. The last columns are section and stratum."""
    if kind == "adjusted":
        both = unexplained(control, arm)
    else:
        both = [per_learner(kind, columns, horizon) for columns in (control, arm)]
    sizes, means, strata, treated = [], [], [], []
    for place, columns in enumerate((control, arm)):
        own, sections = both[place], np.nan_to_num(columns[-2], nan=-1)
        for name in np.unique(sections):
            of_section = sections == name
            sizes.append(int(of_section.sum()))
            means.append(float(own[of_section].mean()))
            strata.append(float(np.nan_to_num(columns[-1][of_section], nan=-1)[0]))
            treated.append(bool(place))
    is_treated, of_mean = np.array(treated), np.array(means)
    found: dict[str, float] = {}
    if kind != "adjusted":
        once = welch(of_mean[~is_treated], of_mean[is_treated], level)
        found["of_sections_value"] = once["difference"]
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


def per_learner(kind: str, columns: list[Array], horizon: float = 0.0) -> Array:
    """Return a number of each learner whose mean is the arm's rate, mean, ratio or mean time."""
    if kind == "time":
        return time_values(columns[0] / 24, columns[1], horizon)
    if kind != "ratio":
        return columns[0]
    top, bottom = columns[:2]
    if not bottom.sum():
        return np.empty(0)
    r = top.sum() / bottom.sum()
    numbers: Array = r + (top - r * bottom) / bottom.mean()
    return numbers


def time_values(days: Array, happened: Array, horizon: float) -> Array:
    """Return each learner's part in the mean time: the mean, and how far the learner moves it."""
    values: Array = np.full(days.size, mean_time([days * 24, happened], horizon)[0])
    times = sorted({float(at) for at in days[(happened == 1) & (days < horizon)]})
    height, heights = 1.0, []
    for at in times:
        gone = ((days == at) & (happened == 1)).sum() / (days >= at).sum()
        height *= 1 - gone
        heights.append(height)
    widths = np.diff([*times, horizon])
    for place, at in enumerate(times):
        is_event, is_there = (days == at) & (happened == 1), days >= at
        n, d = is_there.sum(), is_event.sum()
        if n > d:
            beyond = float((np.array(heights[place:]) * widths[place:]).sum())
            values -= days.size * beyond / (n - d) * (is_event - is_there * d / n)
    return values


def guard_sections(found: dict[str, float], margin: float, side: int) -> dict[str, float]:
    """Return the difference of a guardrail with the p-value of the margin."""
    if "error" in found:
        t = (side * found["difference"] - margin) / found["error"]
        found["margin_p_value"] = float(special.stdtr(found["df"], t))
    return found
