"""The result of a comparison in plain English: a difference, a range ruled out, or neither."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from experiments.reporting.figures import Figures, level_text, p_text
from experiments.stats.balance import Balance, SampleRatio
from experiments.stats.comparison import Comparison

# No draw is so close to the ideal that a rarer chance could be told from another one.
_RAREST = 0.001


class Finding(StrEnum):
    """The result of comparing an arm with the control on one outcome."""

    HIGHER = "higher"
    LOWER = "lower"
    HINT = "no difference after correction"
    DRAWN = "not clear by the draw"
    NOT_FOUND = "no difference found"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Verdict:
    """A finding, the sentences that describe it, and why a difference does not stand."""

    finding: Finding
    text: str
    hint: str = ""


def verdict(
    comparison: Comparison,
    *,
    outcome: str,
    figures: Figures,
    corrected_p: float | None = None,
    drawn_p: float | None = None,
) -> Verdict:
    """Return the verdict of the comparison, with its numbers formatted by `figures`.

    `outcome` follows a number: "of learners attempted a quiz" after a rate, "quiz attempts per
    learner" after a mean. `corrected_p` is the p-value corrected for several comparisons, and
    `drawn_p` that of the randomization test, where only it is to be quoted.
    """
    finding, hint = find(comparison, corrected_p=corrected_p), ""
    if finding is Finding.HINT and corrected_p is not None:
        hint = hint_text(corrected_p)
    elif (
        drawn_p is not None
        and comparison.difference.excludes_zero
        and drawn_p > 1 - comparison.difference.level
    ):
        finding, hint = Finding.DRAWN, draw_alone_text(drawn_p)
    text = _SENTENCES[finding](comparison, figures, outcome)
    return Verdict(finding, f"{text} {hint}".rstrip(), hint)


def draw_alone_text(drawn_p: float) -> str:
    """Return the sentence on a difference of so few sections that the draw alone can make it."""
    return (
        "The draw of so few sections can make such a difference by itself "
        f"({p_text(drawn_p)} by the draw, with the correction for several comparisons, if any)."
    )


def hint_text(corrected_p: float) -> str:
    """Return the sentence on a difference that does not stand among several comparisons."""
    return (
        f"Among all comparisons of this report, one such difference is no surprise "
        f"({p_text(corrected_p)} after correction)."
    )


def find(comparison: Comparison, *, corrected_p: float | None = None) -> Finding:
    """Return the finding. Test and interval belong to one family, so they always agree."""
    difference = comparison.difference
    if difference.excludes_zero and corrected_p is not None and corrected_p > 1 - difference.level:
        return Finding.HINT
    if not difference.has_interval:
        return Finding.UNKNOWN
    if not difference.excludes_zero:
        return Finding.NOT_FOUND
    return Finding.HIGHER if difference.low > 0 else Finding.LOWER


def balance_text(balance: SampleRatio) -> str:
    """Return a sentence on whether the arm sizes fit the draw."""
    match balance.state:
        case Balance.UNKNOWN:
            return f"The arm sizes cannot be tested: {balance.reason}."
        case Balance.MISMATCH:
            return (
                f"{_mismatch(balance)} Something other than the draw affects which learners are "
                "counted. Do not trust the results below until you have found the cause."
            )
        case Balance.SURPRISE:
            return (
                f"Arm sizes as far from the intended ones as these occur in {_one_of(balance)} "
                f"fair draws ({p_text(balance.p_value)}). Check whether learners are missing "
                "before you rely on the results."
            )
        case Balance.CONSISTENT:
            return f"The arms are about as large as intended ({p_text(balance.p_value)})."


def broken_sizes(balances: Iterable[tuple[str, SampleRatio]]) -> str:
    """Return which arm sizes can hardly be chance, as a clause; empty if all can."""
    found = [
        f"{name[:1].lower()}{name[1:]} ({_sign(each)})"
        for name, each in balances
        if each.is_mismatch
    ]
    return f"the arms are not as large as intended: {', '.join(found)}" if found else ""


def _sign(balance: SampleRatio) -> str:
    strays = balance.strays
    return f"{strays:,} in an arm with weight 0" if strays else p_text(balance.p_value)


def _one_of(balance: SampleRatio) -> str:
    """Return the p-value as one of so many, with the digits that a draw supports."""
    if balance.p_value < _RAREST:
        return f"fewer than one of {1 / _RAREST:,.0f}"
    return f"about one of {float(f'{1 / balance.p_value:.2g}'):,.0f}"


def _mismatch(balance: SampleRatio) -> str:
    if balance.strays:
        return f"{balance.strays:,} learners are in an arm with weight 0, which draws nobody."
    return f"The arms are not as large as intended ({p_text(balance.p_value)})."


def _shown(comparison: Comparison, figures: Figures, outcome: str) -> str:
    difference = comparison.difference
    more = "more" if difference.value > 0 else figures.unit.fewer
    apart = figures.size(figures.apart(comparison))
    return (
        f"{_levels(comparison, figures, outcome)}: {apart} {more} "
        f"({_interval(comparison, figures)}; {p_text(difference.p_value)}). "
        "Chance alone would rarely make so large a difference."
    )


def _hint(comparison: Comparison, figures: Figures, outcome: str) -> str:
    difference = comparison.difference
    return (
        f"{_levels(comparison, figures, outcome)} ({_interval(comparison, figures)}; "
        f"{p_text(difference.p_value)})."
    )


def _not_found(comparison: Comparison, figures: Figures, outcome: str) -> str:
    difference = comparison.difference
    return (
        f"{_levels(comparison, figures, outcome)}. No difference was found "
        f"({p_text(difference.p_value)}). Ruled out, with {level_text(difference.level)} "
        f"confidence: a rise of more than {figures.bound(difference.high)} and a fall of more than "
        f"{figures.bound(difference.low)}. Any effect in between is possible, also none."
    )


def _unknown(comparison: Comparison, figures: Figures, outcome: str) -> str:
    difference = comparison.difference
    if not difference.has_value:
        return f"Nothing can be said about {comparison.arm} yet: {difference.reason}."
    return (
        f"{_levels(comparison, figures, outcome)}. It is not known whether this is more than "
        f"chance: {difference.reason}."
    )


_SENTENCES = {
    Finding.HIGHER: _shown,
    Finding.LOWER: _shown,
    Finding.HINT: _hint,
    Finding.DRAWN: _hint,
    Finding.NOT_FOUND: _not_found,
    Finding.UNKNOWN: _unknown,
}


def _levels(comparison: Comparison, figures: Figures, outcome: str) -> str:
    found = figures.level(comparison.arm_level)
    against = figures.level(comparison.control_level)
    return f"{found} {outcome} in {comparison.arm}, against {against} in {comparison.control}"


def _interval(comparison: Comparison, figures: Figures) -> str:
    difference = comparison.difference
    return f"{level_text(difference.level)} interval {figures.interval(difference)}"
