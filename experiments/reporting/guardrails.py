"""Guardrails of a report: outcomes that must not become worse, each with its margin. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from experiments.metrics.definitions import LOWER, Metric
from experiments.metrics.observed import Observed
from experiments.reporting.facts import ArmFacts
from experiments.reporting.figures import Figures, level_text
from experiments.reporting.small_cells import hidden, is_small
from experiments.stats.estimate import UNKNOWN
from experiments.stats.margins import Guardrail, Margin, Verdict
from experiments.stats.multiplicity import holm


@dataclass(frozen=True)
class GuardrailRow:
    """One arm against the control in a guardrail. The levels are rates or means."""

    metric: Metric
    arm: ArmFacts
    control: ArmFacts
    guardrail: Guardrail
    arm_level: float
    control_level: float
    arm_observed: Observed
    control_observed: Observed
    # The levels are weighted means, not those of all counted learners.
    is_weighted: bool = False
    # The p-value of no difference among all guardrails; nan if the protocol corrects none.
    corrected_p: float = UNKNOWN

    @property
    def is_harmful(self) -> bool:
        """Return whether harm is shown, also after the correction that the protocol names."""
        return self.guardrail.verdict is Verdict.HARMFUL and not self.is_hint

    @property
    def is_hint(self) -> bool:
        """Return whether harm shows in this guardrail alone, and not after the correction."""
        is_seen = self.guardrail.verdict is Verdict.HARMFUL
        return is_seen and self.corrected_p > 1 - self.guardrail.difference.level

    @property
    def is_beyond_margin(self) -> bool:
        """Return whether the whole interval lies beyond the margin."""
        found, margin = self.guardrail.difference, self.guardrail.margin
        return min(margin.side * found.low, margin.side * found.high) >= margin.size

    @property
    def is_open(self) -> bool:
        """Return whether harm is neither shown nor ruled out."""
        return self.guardrail.verdict is Verdict.UNKNOWN or self.is_hint

    @property
    def is_unseen(self) -> bool:
        """Return whether no learner did it in either arm, which rules out no harm among few."""
        if not (self.metric.family.counts_learners and self.guardrail.difference.has_value):
            return False
        return self.is_open and not (self.arm_observed.tally[1] or self.control_observed.tally[1])

    @property
    def figures(self) -> Figures:
        """Return the format of its numbers."""
        return Figures.of_estimates([self.guardrail.difference], self.metric.family.unit)


def guardrail_rows(
    chosen: Sequence[tuple[Metric, float]],
    *,
    arms: Sequence[ArmFacts],
    observed: Mapping[str, Mapping[str, Observed]],
    level: float,
) -> list[GuardrailRow]:
    """Return each guardrail for each arm but the control. An empty arm has its reason."""
    control = next(arm for arm in arms if arm.is_control)
    others = [arm for arm in arms if not arm.is_control]
    return [
        _row(metric, size, (control, arm), observed, level)
        for metric, size in chosen
        for arm in others
    ]


def _row(
    metric: Metric,
    size: float,
    arms: tuple[ArmFacts, ArmFacts],
    observed: Mapping[str, Mapping[str, Observed]],
    level: float,
) -> GuardrailRow:
    margin = Margin(size, higher_is_worse=metric.better == LOWER)
    nobody = metric.observe({})
    outcomes = [observed.get(arm.key, {}).get(metric.key, nobody) for arm in arms]
    if metric.family.guard is None:
        raise ValueError(f"The metric {metric.key} has no test of a margin.")
    found = metric.family.guard(outcomes[0].sums, outcomes[1].sums, margin, level)
    return guardrail_row(metric, arms, outcomes, found)


def guardrail_row(
    metric: Metric,
    arms: tuple[ArmFacts, ArmFacts],
    outcomes: Sequence[Observed],
    found: Guardrail,
) -> GuardrailRow:
    """Return the row of the control and an arm, without numbers of too few learners."""
    levels = [UNKNOWN if is_small(o.n) else metric.family.level(o.sums) for o in outcomes]
    if found.difference.has_value and any(is_small(each.n) for each in outcomes):
        found = Guardrail(hidden(found.difference.level), found.margin, UNKNOWN)
    return GuardrailRow(
        metric, arms[1], arms[0], found, levels[1], levels[0], outcomes[1], outcomes[0]
    )


def corrected_rows(rows: Sequence[GuardrailRow], *, is_corrected: bool) -> list[GuardrailRow]:
    """Return the rows with their p-values corrected for their number by Holm's method.

    A planned guardrail without a p-value counts too. Without a correction in the protocol the rows
    stay as they are.
    """
    if not is_corrected:
        return list(rows)
    found = holm([row.guardrail.difference.p_value for row in rows], planned=len(rows))
    return [replace(row, corrected_p=each) for row, each in zip(rows, found, strict=True)]


def levels_text(
    metric: Metric,
    figures: Figures,
    arm: tuple[float, Observed],
    control: tuple[float, Observed],
    *,
    is_weighted: bool,
) -> str:
    """Return both levels in words, those of a share as learners: `8 of 220 learners ...`.

    The levels of an adaptive draw are weighted means over periods, and have no such numbers.
    """
    levels = [figures.level(level) for level, _ in (arm, control)]
    if is_weighted or not metric.family.counts_learners:
        return f"{levels[0]} {metric.words}, against {levels[1]}"
    (found, against), words = (arm[1], control[1]), metric.words.removeprefix("of ")
    return (
        f"{found.tally[1]:,} of {found.n:,} {words} ({levels[0]}), against "
        f"{against.tally[1]:,} of {against.n:,} ({levels[1]})"
    )


def state_text(row: GuardrailRow) -> str:
    """Return the state of the guardrail in a few words."""
    match row.guardrail.verdict:
        case Verdict.SAFE:
            return "no harm beyond what is accepted"
        case Verdict.HARMFUL if row.is_hint:
            return "perhaps worse"
        case Verdict.HARMFUL:
            return "worse than is accepted" if row.is_beyond_margin else "worse"
        case Verdict.UNKNOWN:
            return UNSEEN if row.is_unseen else "harm is not ruled out"


UNSEEN = "nobody did in either arm, too few learners to rule it out"


def open_harm_text(row: GuardrailRow) -> str:
    """Return how bad a harm may be that is not ruled out, as a clause."""
    found, margin, figures = row.guardrail.difference, row.guardrail.margin, row.figures
    if not found.has_interval:
        return f"of “{row.metric.name}” no limit is known"
    worst = figures.bound(max(margin.side * found.low, margin.side * found.high))
    accepted = figures.size(margin.size)
    return f"“{row.metric.name}” could be up to {worst} worse, and {accepted} are accepted"


def guardrail_text(row: GuardrailRow) -> str:
    """Return a sentence with the levels, the interval and the margin, or why there is none."""
    found, figures = row.guardrail.difference, row.figures
    if not found.has_value:
        return guardrail_levels(row)
    if row.is_unseen and found.has_interval:
        return f"{guardrail_levels(row)} {_unseen_text(row)}"
    accepted = f"Up to {figures.size(row.guardrail.margin.size)} worse is accepted."
    if not found.has_interval:
        return f"{guardrail_levels(row)} There is no interval: {found.reason}. {accepted}"
    value = figures.change_with_unit(found.value)
    limits = f"{level_text(found.level)} interval {figures.interval(found)}{figures.unit.points}"
    return f"{guardrail_levels(row)} The difference is {value} ({limits}). {accepted}"


def _unseen_text(row: GuardrailRow) -> str:
    found, margin = row.guardrail.difference, row.guardrail.margin
    worst = row.figures.bound(max(margin.side * found.low, margin.side * found.high))
    return (
        f"Nobody did in either arm; with so few learners, up to {worst} more cannot be excluded "
        f"({level_text(found.level)} interval). {row.figures.size(margin.size)} are accepted."
    )


def guardrail_levels(row: GuardrailRow) -> str:
    """Return a sentence with the levels of both arms, or why there are none."""
    if not row.guardrail.difference.has_value:
        return f"{row.metric.name}: {row.guardrail.difference.reason}."
    arm, control = (row.arm_level, row.arm_observed), (row.control_level, row.control_observed)
    levels = levels_text(row.metric, row.figures, arm, control, is_weighted=row.is_weighted)
    return f"{levels}."
