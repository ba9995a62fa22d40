"""Ratios, adjusted outcomes and times.

A ratio of totals is compared by the delta method with the learner as unit. An adjusted outcome is
Lin's regression with an interaction and HC2 errors. A time is the mean up to the end of the window,
below the Kaplan-Meier curve.
"""

from itertools import pairwise

import numpy as np
import statsmodels.api as sm
from scipy import special

from experiments.exports.notebook.means import relative, welch
from experiments.exports.notebook.reading import Array


def compare_ratios(control: list[Array], arm: list[Array], level: float) -> dict[str, float]:
    """Return the difference of two ratios of totals. Each arm has numerators and denominators."""
    if not all(len(each[1]) and each[1].sum() > 0 for each in (control, arm)):
        return {}
    ratios = [float(top.sum() / bottom.sum()) for top, bottom in (control, arm)]
    found = {"difference": ratios[1] - ratios[0]}
    if ratios[0] > 0:
        found["relative_value"] = ratios[1] / ratios[0] - 1
    lines = [
        r + (top - r * bottom) / bottom.mean()
        for r, (top, bottom) in zip(ratios, (control, arm), strict=True)
    ]
    if any(is_uncertain(each[1], level) for each in (control, arm)):
        return found
    if any(np.ptp(values) <= 1e-9 for values in lines):
        return found
    by_welch = welch(lines[0], lines[1], level) | {"difference": found["difference"]}
    return by_welch | relative(lines[0], lines[1], by_welch, level)


def is_uncertain(bottom: Array, level: float) -> bool:
    """Return whether the mean of the denominator may be 0, so that there may be no ratio."""
    if bottom.size < 2:
        return True
    t = special.stdtrit(bottom.size - 1, (1 + level) / 2)
    return bool(t * t * bottom.var(ddof=1) / bottom.size >= bottom.mean() ** 2)


def compare_adjusted(control: list[Array], arm: list[Array], level: float) -> dict[str, float]:
    """Return the difference adjusted for a number before the draw, whose gaps are filled.

    A gap gets the mean, and a column more says that it was one. A column is left out if an arm does
    not vary in it, or if it singles a learner out.
    """
    if not control[0].size or not arm[0].size:
        return {}
    found = welch(control[0], arm[0], level)
    outcomes = np.concatenate([control[0], arm[0]])
    before = np.concatenate([control[1], arm[1]])
    is_arm = np.repeat([0.0, 1.0], [control[0].size, arm[0].size])
    columns = usable_columns(before, is_arm)
    smaller = min(control[0].size, arm[0].size)
    if "low" not in found or not columns or smaller < 4 * (len(columns) + 1):
        return found
    # One regression with interactions. With centered columns, the arm's coefficient is the effect.
    centered = [column - column.mean() for column in columns]
    design = np.column_stack(
        [np.ones_like(is_arm), is_arm, *centered, *(is_arm * each for each in centered)]
    )
    fit = sm.OLS(outcomes, design).fit(cov_type="HC2")
    value, error = float(fit.params[1]), float(fit.bse[1])
    if error <= 1e-9 * np.abs(outcomes).max():
        return {"difference": value}
    parts = [
        bell_mccaffrey(np.column_stack([np.ones(own.sum()), *(each[own] for each in centered)]),
                       outcomes[own])
        for own in (is_arm == 0, is_arm == 1)
    ]  # fmt: skip
    df = sum(part[0] for part in parts) ** 2 / sum(spread**2 / own for spread, own in parts)
    half = special.stdtrit(df, (1 + level) / 2) * error
    p = 2 * special.stdtr(df, -abs(value / error))
    return {
        "difference": value, "low": value - half, "high": value + half, "p_value": float(p),
        "df": df, "error": error,
    }  # fmt: skip


def usable_columns(before: Array, is_arm: Array) -> list[Array]:
    """Return the columns that both arms can have."""
    is_gap = np.isnan(before)
    if is_gap.all():
        return []
    filled = np.where(is_gap, before[~is_gap].mean(), before)
    kept: list[Array] = []
    for column in [filled, *([is_gap.astype(float)] if is_gap.any() else [])]:
        if all(is_usable([*kept, column], is_arm == side) for side in (0, 1)):
            kept.append(column)
    return kept


def is_usable(columns: list[Array], own: Array) -> bool:
    """Return whether the columns are independent within an arm and none is one learner's alone."""
    design = np.column_stack([np.ones(int(own.sum())), *(each[own] for each in columns)])
    if np.linalg.matrix_rank(design, tol=1e-9 * np.abs(design).max()) < design.shape[1]:
        return False
    hat = design @ np.linalg.pinv(design)
    return bool(hat.diagonal().max() < 1 - 1e-9)


def bell_mccaffrey(design: Array, outcomes: Array) -> tuple[float, float]:
    """Return the HC2 variance of the intercept and its degrees of freedom, by whole matrices."""
    inverse = np.linalg.inv(design.T @ design)
    hat = design @ inverse @ design.T
    rest = np.eye(len(design)) - hat
    weights = (inverse @ design.T)[0] / np.sqrt(1 - hat.diagonal())
    variance = float(((weights * (rest @ outcomes)) ** 2).sum())
    form = rest * weights @ (rest * weights).T
    eigenvalues = np.linalg.eigvalsh(form)
    return variance, float(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())


def compare_times(
    control: list[Array], arm: list[Array], horizon: float, level: float
) -> dict[str, float]:
    """Return the difference of mean times up to the horizon. Each arm has hours and events."""
    (value0, spread0, m0), (value1, spread1, m1) = (
        mean_time(each, horizon) for each in (control, arm)
    )
    found = {"difference": value1 - value0}
    if min(m0, m1) < 2 or not spread0 > 0 or not spread1 > 0:
        return found
    total = spread0 + spread1
    df = total**2 / (spread0**2 / (m0 - 1) + spread1**2 / (m1 - 1))
    half = special.stdtrit(df, (1 + level) / 2) * np.sqrt(total)
    p = 2 * special.stdtr(df, -abs(found["difference"]) / np.sqrt(total))
    return found | {
        "low": float(found["difference"] - half), "high": float(found["difference"] + half),
        "p_value": float(p), "df": df, "error": float(np.sqrt(total)),
    }  # fmt: skip


def mean_time(arm: list[Array], horizon: float) -> tuple[float, float, int]:
    """Return the area below the curve in days, its variance, and the learners followed up."""
    hours, happened = arm
    days = hours / 24
    if not days.size or (days.max() < horizon and (happened[days == days.max()] == 0).any()):
        return float("nan"), float("nan"), 0
    times = sorted({float(at) for at in days[(happened == 1) & (days < horizon)]})
    heights, at_risk, events = [1.0], [], []
    for at in times:
        at_risk.append(int((days >= at).sum()))
        events.append(int(((days == at) & (happened == 1)).sum()))
        heights.append(heights[-1] * (1 - events[-1] / at_risk[-1]))
    edges = [0.0, *times, horizon]
    areas = [
        height * (end - start)
        for height, (start, end) in zip(heights, pairwise(edges), strict=True)
    ]
    spread = sum(
        sum(areas[place + 1 :]) ** 2 * d / (n * (n - d))
        for place, (n, d) in enumerate(zip(at_risk, events, strict=True))
        if n > d
    )
    m = days.size - int(((happened == 0) & (days < horizon)).sum())
    return sum(areas), spread * m / (m - 1) if m > 1 else float("nan"), m
