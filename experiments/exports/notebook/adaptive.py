"""Adaptive draws.

The shares of the arms followed earlier outcomes, so learners are compared only with those who were
drawn by the same shares, in one period. The difference is the mean of the periods' differences with
weights sqrt(n0 n1 / (n0 + n1)): Zhang, Janson and Murphy (2020). Its test is the score test over
the periods: Miettinen and Nurminen (1985). The interval holds the differences that the test does
not reject.
"""

from collections.abc import Iterator

import numpy as np
from scipy import special, stats

from experiments.exports.notebook.rates import Table, cubic_rate, limit
from experiments.exports.notebook.reading import Array, Data, Key, Outcome

# Fewer learners in an arm are not compared.
FEWEST_OF_PERIODS = 10


def tables_of_periods(control: list[Array], arm: list[Array], periods: int) -> list[Table]:
    """Return the table of each period. Each arm has outcomes and the numbers of periods."""
    tables = []
    for period in range(1, periods + 1):
        own, other = (each[0][each[1] == period] for each in (control, arm))
        tables.append((int(own.sum()), own.size, int(other.sum()), other.size))
    return tables


def weight_of(table: Table) -> float:
    """Return the weight of a period before they are made to sum to 1."""
    _, n0, _, n1 = table
    return float(np.sqrt(n0 * n1 / (n0 + n1))) if n0 and n1 else 0.0


def compare_periods(tables: list[Table], level: float) -> dict[str, float]:
    """Return the difference of two rates over the periods."""
    used = [table for table in tables if table[1] and table[3]]
    sizes = [sum(table[place] for table in used) for place in (1, 3)]
    if min(sizes) < FEWEST_OF_PERIODS:
        return {}
    weights = np.array([weight_of(table) for table in used])
    rates = np.array([(x0 / n0, x1 / n1) for x0, n0, x1, n1 in used])
    rate0, rate1 = (weights @ rates / weights.sum()).tolist()
    quantile = float(special.ndtri((1 + level) / 2))
    low, high = (
        limit(lambda at, side=side: side * z_of_periods(used, at) - quantile,  # type: ignore[misc]
              end, rate1 - rate0, 0.0, 1e-13)
        for side, end in ((1, -1.0), (-1, 1.0))
    )  # fmt: skip
    return {
        "weighted_rate": rate1, "control_weighted_rate": rate0, "difference": rate1 - rate0,
        "low": low, "high": high,
        "p_value": float(2 * special.ndtr(-abs(z_of_periods(used, 0.0)))),
    }  # fmt: skip


def z_of_periods(tables: list[Table], value: float) -> float:
    """Return z of the hypothesis that the rates differ by the value in every period."""
    apart, variance = 0.0, 0.0
    for x0, n0, x1, n1 in tables:
        weight, n = weight_of((x0, n0, x1, n1)), n0 + n1
        rate0 = float(cubic_rate(n0, n1, np.array(x0), np.array(x1), value))
        rate1 = min(max(rate0 + value, 0.0), 1.0)
        spread = rate0 * (1 - rate0) / n0 + rate1 * (1 - rate1) / n1
        variance += weight**2 * spread * n / (n - 1)
        apart += weight * (x1 / n1 - x0 / n0 - value)
    if variance <= 0:
        return 0.0 if abs(apart) < 1e-12 else float(np.copysign(np.inf, apart))
    return float(apart / np.sqrt(variance))


def guard_periods(
    tables: list[Table], margin: float, is_lower_better: bool, level: float
) -> dict[str, float]:
    """Return the difference, and the score test of the margin over the periods."""
    found = compare_periods(tables, level)
    if found:
        side = 1 if is_lower_better else -1
        used = [table for table in tables if table[1] and table[3]]
        found["margin_p_value"] = float(special.ndtr(side * z_of_periods(used, side * margin)))
    return found


def weights_of_periods(tables: list[Table], learners: int, arms: int) -> dict[str, float]:
    """Return the weight of each period, and the precision relative to equal shares."""
    weights = np.array([weight_of(table) for table in tables])
    used = int((weights > 0).sum())
    if not used:
        return {}
    found = {f"weight_{place}": weight for place, weight in enumerate(weights / weights.sum(), 1)}
    equal = learners / (2 * arms)
    return found | {"precision": float(weights.sum() ** 2 / used / equal)}


def sizes_of_periods(data: Data, periods: list[Array]) -> dict[str, float]:
    """Return the tests of the arm sizes by the shares of each period, given each arm's periods."""
    drawn = [place for place, arm in enumerate(data.arms) if data.given("weight", arm) > 0]
    numbers = range(1, data.periods + 1)
    shares = np.array([[data.given(f"share_{n}", data.arms[at]) for at in drawn] for n in numbers])
    sizes = np.array([[(periods[at] == n).sum() for at in drawn] for n in numbers])
    if not sizes.sum():
        return {}
    apart, covariance, null = np.zeros(len(drawn)), np.zeros((len(drawn),) * 2), 0.0
    others = np.zeros(3)
    for size, share in zip(sizes, shares, strict=True):
        n = size.sum()
        apart += size - n * share
        covariance += n * (np.diag(share) - np.outer(share, share))
        null += stats.multinomial.logpmf(size, n, share) if n else 0.0
        for place, prior in enumerate((2.0, 100.0, 10_000.0)):
            if n:
                others[place] += stats.dirichlet_multinomial.logpmf(size, prior * share, n)
    kept = covariance[:-1, :-1]
    distance = float(apart[:-1] @ np.linalg.solve(kept, apart[:-1]))
    always = float(np.exp(null - special.logsumexp(others) + np.log(3)))
    return {
        "p_value": float(stats.chi2.sf(distance, len(drawn) - 1)),
        "always_p_value": min(1.0, always),
    }


def by_period(data: Data, outcome: Outcome, arm: str) -> dict[str, float]:
    """Return the comparison of an adaptive draw. Only rates have one."""
    if outcome.kind != "binary":
        return {}
    return compare_periods(tables_by_period(data, outcome, arm), data.given("level"))


def tables_by_period(data: Data, outcome: Outcome, arm: str) -> list[Table]:
    """Return the table of each period, of the control and the arm."""
    names = [outcome.names[0], "period"]
    own, other = (data.counted(each, names) for each in (data.control, arm))
    return tables_of_periods(own, other, data.periods)


def of_weights(data: Data) -> Iterator[tuple[Key, float]]:
    """Yield the weight of each period in the primary comparison, and the precision."""
    primary = next(data.outcomes("primary"))
    sizes = [data.counted(arm, primary.names)[0].size for arm in data.arms]
    arms = sum(data.given("weight", arm) > 0 for arm in data.arms)
    for arm in data.others:
        tables = tables_by_period(data, primary, arm)
        for name, value in weights_of_periods(tables, sum(sizes), arms).items():
            yield ("period", primary.key, arm, name), value
