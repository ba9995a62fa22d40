"""The whole report.

Each number is computed from the rows and set beside that of the report.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from statsmodels.stats.multitest import multipletests

from experiments.exports.notebook.adaptive import (
    by_period,
    guard_periods,
    of_weights,
    sizes_of_periods,
    tables_by_period,
)
from experiments.exports.notebook.any_time import any_time_interval
from experiments.exports.notebook.checks import (
    guard_rate,
    lee_bounds_of,
    left_p_value,
    reached_effect,
    sizes_always_p_value,
    sizes_p_value,
)
from experiments.exports.notebook.means import compare_means, welch
from experiments.exports.notebook.others import (
    compare_adjusted,
    compare_ratios,
    compare_times,
    mean_time,
)
from experiments.exports.notebook.rates import compare_rates
from experiments.exports.notebook.reading import Array, Data, Key, Outcome
from experiments.exports.notebook.sections import check_sections, compare_sections, guard_sections

Numbers = dict[str, float]
# The exact tests of rates search for the worst rates and for limits in small steps.
CLOSE, CLOSE_IF_EXACT = 1e-9, 1e-5


def recompute(data: Data) -> dict[Key, float]:
    """Return every number of the report that follows from the rows."""
    found = dict(of_sizes(data))
    for part, role in (("outcome", "primary"), ("outcome", "outcome"), ("from_message",) * 2):
        for outcome in data.outcomes(role):
            found.update(of_outcome(data, part, outcome))
    found.update(corrected(data, found))
    found.update(of_any_time(data, found))
    for outcome in data.outcomes("guardrail"):
        found.update(of_guardrail(data, outcome))
    found.update(corrected_guardrails(data, found))
    if data.periods:
        found.update(of_weights(data))
    if "left" in data.columns:
        found.update(of_left(data))
    if "reached" in data.columns:
        found.update(of_reached(data))
    return found


def of_sizes(data: Data) -> Iterator[tuple[Key, float]]:
    """Yield the arm sizes and their tests."""
    sizes = [int((data.arm_of == arm).sum()) for arm in data.arms]
    weights = [data.given("weight", arm) for arm in data.arms]
    for arm, size in zip(data.arms, sizes, strict=True):
        yield ("arms", "", arm, "drawn"), size
    primary = next(data.outcomes("primary"))
    if data.periods:
        periods = [data.columns["period"][data.arm_of == arm] for arm in data.arms]
        for name, value in sizes_of_periods(data, periods).items():
            yield ("arms", "", "", name), value
        periods = [data.counted(arm, [primary.names[0], "period"])[1] for arm in data.arms]
        for name, value in sizes_of_periods(data, periods).items():
            yield ("arms", primary.key, "", f"counted_{name}"), value
        return
    counted = [data.counted(arm, primary.names)[0].size for arm in data.arms]
    yield ("arms", primary.key, "", "counted_p_value"), sizes_p_value(counted, weights)
    if data.given("draws_sections"):
        sizes = [int(data.given("sections", arm)) for arm in data.arms]
    yield ("arms", "", "", "p_value"), sizes_p_value(sizes, weights)
    yield ("arms", "", "", "always_p_value"), sizes_always_p_value(sizes, weights)


def of_outcome(data: Data, part: str, outcome: Outcome) -> Iterator[tuple[Key, float]]:
    """Yield the numbers of an outcome: of each arm, and of its difference from the control."""
    key, kind, names, hours = outcome.key, outcome.kind, outcome.names, outcome.hours
    counted = {arm: data.counted(arm, names) for arm in data.arms}
    places = {arm: data.counted(arm, [names[0], "section", "stratum"])[1:] for arm in data.arms}
    if part == "outcome":
        for arm, columns in counted.items():
            yield (part, key, arm, "counted"), columns[0].size
            yield (part, key, arm, "total"), columns[1 if kind == "time" else 0].sum()
            yield (part, key, arm, "rate_or_mean"), level_of(kind, columns, hours)
    else:
        weights = [data.given("weight", arm) for arm in data.arms]
        sizes = [columns[0].size for columns in counted.values()]
        yield (part, "", "", "p_value"), sizes_p_value(sizes, weights)
    level, control = data.given("level"), data.control
    for arm in data.others:
        if data.periods:
            compared = by_period(data, outcome, arm)
        elif data.given("draws_sections"):
            own, other = ([*counted[each], places[each][0]] for each in (control, arm))
            compared = compare_sections(kind, own, other, level, hours / 24)
            if "low" in compared:
                own, other = ([*counted[each], *places[each]] for each in (control, arm))
                compared |= check_sections(kind, own, other, level, hours / 24)
        else:
            compared = compare(kind, counted[control], counted[arm], hours, level)
        for name, value in compared.items():
            yield (part, key, arm, name), value


def level_of(kind: str, columns: list[Array], hours: float) -> float:
    """Return the rate or mean of an arm."""
    if not columns[0].size:
        return float("nan")
    if kind == "ratio":
        return float(columns[0].sum() / columns[1].sum()) if columns[1].sum() else float("nan")
    return mean_time(columns, hours / 24)[0] if kind == "time" else float(columns[0].mean())


def compare(
    kind: str, control: list[Array], arm: list[Array], hours: float, level: float
) -> Numbers:
    """Return the comparison of an arm with the control in an outcome of the kind."""
    ways: dict[str, Callable[[], Numbers]] = {
        "binary": lambda: compare_rates(control[0], arm[0], level),
        "mean": lambda: compare_means(control[0], arm[0], level),
        "ratio": lambda: compare_ratios(control, arm, level),
        "adjusted": lambda: compare_adjusted(control, arm, level),
        "time": lambda: compare_times(control, arm, hours / 24, level),
    }
    return ways[kind]()


def of_any_time(data: Data, found: dict[Key, float]) -> Iterator[tuple[Key, float]]:
    """Yield the interval of the primary outcome that holds at any time."""
    primary, level = next(data.outcomes("primary")), data.given("level")
    expected = data.given("expected_learners")
    for arm in data.others:
        start = ("outcome", primary.key, arm)
        compared = {key[3]: value for key, value in found.items() if key[:3] == start}
        own, other = (data.counted(each, primary.names) for each in (data.control, arm))
        interval = any_time_interval(primary.kind, (own, other), compared, expected, level)
        for name, value in interval.items():
            yield ("any time", primary.key, arm, name), value


def corrected(data: Data, found: dict[Key, float]) -> Iterator[tuple[Key, float]]:
    """Yield the p-values corrected by Holm's method: the primary outcome's, and all others'."""
    primary = next(data.outcomes("primary")).key
    # Withheld comparisons are not in the report, but count among those that were made.
    all_of = [
        ("outcome", outcome.key, arm, "corrected_p_value")
        for role in ("primary", "outcome")
        for outcome in data.outcomes(role)
        for arm in data.others
    ]
    plain = {key: found.get((*key[:3], "p_value"), float("nan")) for key in all_of}
    for family in (
        [key for key in all_of if key[1] == primary],
        [key for key in all_of if key[1] != primary],
    ):
        # A planned comparison without a p-value counts like one that finds nothing.
        values = [1.0 if np.isnan(plain[key]) else plain[key] for key in family]
        if data.given("is_corrected") and values:
            values = multipletests(values, method="holm")[1]
        for key, value in zip(family, values, strict=True):
            if not np.isnan(plain[key]):
                yield key, value


def of_guardrail(data: Data, outcome: Outcome) -> Iterator[tuple[Key, float]]:
    """Yield the numbers of a guardrail."""
    key, kind, names, hours = outcome.key, outcome.kind, outcome.names, outcome.hours
    level, control = data.given("level"), data.counted(data.control, names)
    for arm in data.arms:
        columns = data.counted(arm, names)
        yield ("guardrail", key, arm, "counted"), columns[0].size
        yield ("guardrail", key, arm, "total"), columns[0].sum()
        yield ("guardrail", key, arm, "rate_or_mean"), level_of(kind, columns, hours)
    for arm in data.others:
        margin, own = data.given("margin", arm, key), data.counted(arm, names)
        if data.periods:
            found = {}
            if kind == "binary":
                tables = tables_by_period(data, outcome, arm)
                found = guard_periods(tables, margin, outcome.better == "lower", level)
        elif data.given("draws_sections"):
            first, second = (
                data.counted(each, [*names, "section"]) for each in (data.control, arm)
            )
            side = 1 if outcome.better == "lower" else -1
            found = guard_sections(compare_sections(kind, first, second, level), margin, side)
        elif kind == "binary":
            found = guard_rate(control[0], own[0], margin, outcome.better == "lower", level)
        else:
            found = welch(control[0], own[0], level)
        for name, value in found.items():
            yield ("guardrail", key, arm, name), value


def corrected_guardrails(data: Data, found: dict[Key, float]) -> Iterator[tuple[Key, float]]:
    """Yield the p-values of the guardrails, corrected by Holm's method for all of them."""
    keys = [
        ("guardrail", outcome.key, arm) for outcome in data.outcomes("guardrail")
        for arm in data.others
    ]  # fmt: skip
    plain = [float(found.get((*key, "p_value"), float("nan"))) for key in keys]
    if data.given("is_corrected") and keys:
        # A planned guardrail without a p-value counts like one that finds nothing.
        values = multipletests([1.0 if np.isnan(p) else p for p in plain], method="holm")[1]
        for key, before, after in zip(keys, plain, values, strict=True):
            if not np.isnan(before):
                yield (*key, "corrected_p_value"), float(after)


def of_left(data: Data) -> Iterator[tuple[Key, float]]:
    """Yield who left, and the bounds of the effect on those who stayed."""
    primary = next(data.outcomes("primary"))
    name, kind = primary.names[0], primary.kind
    left = {arm: data.counted(arm, ["left"])[0] for arm in data.arms}
    for arm, values in left.items():
        yield ("left", "", arm, "learners"), values.sum()
    own = left[data.control]
    for arm in data.others:
        values = left[arm]
        p = left_p_value(int(own.sum()), own.size, int(values.sum()), values.size)
        yield ("left", "", arm, "p_value"), p
        if kind in ("binary", "mean") and own.size and values.size and (own.any() or values.any()):
            stayed = [
                data.counted(each, [name])[0][left[each] == 0] for each in (data.control, arm)
            ]
            bounds = lee_bounds_of(stayed[0], own.size, stayed[1], values.size, data.given("level"))
            for each, value in bounds.items():
                yield ("left", "", arm, each), value


def of_reached(data: Data) -> Iterator[tuple[Key, float]]:
    """Yield whom messages reached, and the effect on them."""
    primary = next(data.outcomes("primary"))
    key, columns = primary.key, [primary.names[0], "reached"]
    control = data.counted(data.control, columns)
    for arm in data.others:
        own = data.counted(arm, columns)
        yield ("reached", "", arm, "learners"), own[1].sum()
        for name, value in reached_effect(control, own, data.given("level")).items():
            yield ("reached", key, arm, name), value


def beside(data: Data) -> Iterator[tuple[Key, float, float, bool]]:
    """Yield each number's value in the report and from the rows, and whether they agree."""
    found = recompute(data)
    for key, there in data.reported.items():
        if key[0] != "given" and not is_hidden(key, data):
            here = float(found.get(key, float("nan")))
            close = CLOSE_IF_EXACT if is_searched(key, data) else CLOSE
            agrees = np.isclose(here, there, rtol=close, atol=close, equal_nan=True)
            yield key, there, here, bool(agrees)


def is_hidden(key: Key, data: Data) -> bool:
    """Return whether the number needs sections or strata of learners that are hidden."""
    if key[3] == "randomization_p_value" and data.given("hidden_strata"):
        return True
    of_learners = ("counted", "total", "rate_or_mean", "drawn")
    if data.periods and data.given("hidden_strata"):
        return key[3] not in of_learners
    if not (data.given("draws_sections") and data.given("hidden_sections")):
        return False
    return key[0] in ("outcome", "guardrail") and key[3] not in (*of_learners, "difference")


def is_searched(key: Key, data: Data) -> bool:
    """Return whether the number may come from an exact test of rates."""
    part, outcome, _, name = key
    if name == "corrected_p_value" or part == "left":
        # A corrected p-value may be that of another outcome.
        return name.endswith("p_value")
    kinds = {entry["outcome"]: entry["kind"] for entry in data.book}
    return (
        part in ("outcome", "from_message", "guardrail")
        and kinds.get(outcome) == "binary"
        and ("low" in name or "high" in name or "p_value" in name)
    )


def report_text(folder: Path) -> str:
    """Return each number of the report beside that from the rows, and whether all agree."""
    apart, data = 0, Data.read(folder)
    lines = [*simulated_texts(data), f"{'':60} {'report':>22} {'from the rows':>22}"]
    for key, there, here, agrees in beside(data):
        words = " ".join(filter(None, key))
        lines.append(f"{words:60} {there:22.12g} {here:22.12g}{'' if agrees else '  <-- differs'}")
        apart += not agrees
    if hidden := sum(is_hidden(key, data) for key in data.reported):
        what = "periods" if data.periods else "sections or strata"
        lines.append(f"Not computed, as they need {what} that are hidden: {hidden}.")
    lines.append(f"Numbers that differ: {apart}." if apart else "All numbers agree.")
    return "\n".join([*lines, *withheld_texts(data)])


def simulated_texts(data: Data) -> Iterator[str]:
    """Yield that the learners are simulated, if so."""
    if data.given("simulated"):
        some = "These" if data.given("simulated") == 1 else "Some of these"
        yield f"{some} learners are simulated."


def withheld_texts(data: Data) -> Iterator[str]:
    """Yield why a reader must not compare the arms, if so."""
    if not data.given("trusted"):
        yield (
            "DO NOT USE THE OUTCOMES: the arms are not as large as intended, so something other "
            "than the draw affects which learners are in them. No arm is compared with the control."
        )
        return
    for arm in data.others:
        if data.given("withheld", arm):
            yield (
                f"NO COMPARISON OF {arm} IS GIVEN: the arm changed which learners left the course. "
                "Why this matters is in README.txt."
            )
