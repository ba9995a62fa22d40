"""How evenly the arms share the strata within which they were drawn. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from experiments.design import COURSE, Covariate
from experiments.randomize.balance import DrawBalance
from experiments.reporting.figures import MISSING, p_text
from experiments.reporting.report import Report
from experiments.reporting.small_cells import kept_parts


@dataclass(frozen=True)
class StratumRow:
    """A stratum: its name, its learners by arm, and how far its share is apart."""

    name: str
    drawn: list[str]
    apart: str


@dataclass(frozen=True)
class StrataTable:
    """The strata that can be shown, and what their sizes and the hidden ones mean."""

    rows: list[StratumRow]
    text: str


def strata_table(
    report: Report, balance: DrawBalance, covariates: Sequence[Covariate]
) -> StrataTable | None:
    """Return the table of the strata; None with fewer than two, which balance nothing."""
    if len(balance.strata) < 2:
        return None
    sizes: dict[str | None, dict[str, int]] = {
        each.stratum: dict(zip(balance.arms, each.counts, strict=True)) for each in balance.strata
    }
    shown = set(kept_parts(sizes))
    keys = [arm.key for arm in report.arms]
    rows = [
        StratumRow(
            stratum_name(each.stratum, covariates),
            [f"{sizes[each.stratum][key]:,}" for key in keys],
            f"{each.difference:.2f}" if isfinite(each.difference) else MISSING,
        )
        for each in balance.strata
        if each.stratum in shown
    ]
    return StrataTable(rows, _text(balance, len(balance.strata) - len(rows)))


def _text(balance: DrawBalance, hidden: int) -> str:
    found = (
        f"The shares cannot be tested: {balance.reason}."
        if balance.reason
        else f"A draw without strata would differ more in {balance.p_value:.0%} of draws "
        f"(chi-square, {p_text(balance.p_value)})."
    )
    if not hidden:
        return found
    strata = "1 stratum is" if hidden == 1 else f"{hidden:,} strata are"
    return f"{found} {strata} not shown, as few learners are in an arm there."


def stratum_name(key: str, covariates: Sequence[Covariate]) -> str:
    """Return the stratum in words: `course: bio, attempts: part 2 of 3`."""
    try:
        values = json.loads(key or "[]")
    except ValueError:
        # A long key is named by its digest.
        return key
    pairs = zip(covariates, values, strict=False)
    return ", ".join(_label(covariate, value) for covariate, value in pairs) or "all"


def _label(covariate: Covariate, value: object) -> str:
    name = "course" if covariate.name == COURSE else covariate.name
    if value is None:
        return f"{name}: not known"
    return f"{name}: part {value} of {covariate.parts}" if covariate.parts else f"{name}: {value}"
