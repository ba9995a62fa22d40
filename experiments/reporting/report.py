"""A report as data: each arm against the control, by intention to treat. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.reporting.compared import compared_arms, of_metric
from experiments.reporting.facts import (
    ArmFacts,
    ArmStart,
    DeliveryCounts,
    ExperimentFacts,
    Fate,
    first_result_at,
)
from experiments.reporting.figures import Figures
from experiments.reporting.guardrails import GuardrailRow, corrected_rows, guardrail_rows
from experiments.reporting.looking import Looking
from experiments.reporting.reach import Reach, reach
from experiments.reporting.share_periods import Adaptive
from experiments.reporting.small_cells import is_small
from experiments.reporting.staying import Staying, staying
from experiments.reporting.verdict import Verdict, broken_sizes, verdict
from experiments.stats.balance import SampleRatio, sample_ratio
from experiments.stats.by_section import CheckedSections
from experiments.stats.comparison import Comparison
from experiments.stats.estimate import UNKNOWN
from experiments.stats.multiplicity import holm

# How the note of a comparison begins that is adjusted for nothing.
_NOTHING = "Nothing was adjusted for"
_STILL_COUNTS = (
    "So this is the comparison without adjustment. As the plan named it, it still counts among the "
    "comparisons that are corrected together."
)


@dataclass(frozen=True)
class Row:
    """One arm against the control in one metric. Rates and their lifts are shares, 0..1."""

    metric: Metric
    arm: ArmFacts
    control: ArmFacts
    comparison: Comparison
    verdict: Verdict
    figures: Figures
    # The p-value corrected for the comparisons of its family; the plain one without correction.
    corrected_p: float = UNKNOWN

    @property
    def key(self) -> str:
        """Return the metric's key."""
        return self.metric.key

    @property
    def control_level(self) -> float:
        """Return the control's rate or mean."""
        return self.comparison.control_level

    @property
    def arm_level(self) -> float:
        """Return the arm's rate or mean."""
        return self.comparison.arm_level

    @property
    def lift(self) -> float:
        """Return the arm's level minus the control's; nan if either arm is empty."""
        return self.comparison.difference.value

    @property
    def low(self) -> float:
        """Return the lift interval's lower limit."""
        return self.comparison.difference.low

    @property
    def high(self) -> float:
        """Return the lift interval's upper limit."""
        return self.comparison.difference.high

    @property
    def p_value(self) -> float:
        """Return the p-value of the test of no difference."""
        return self.comparison.difference.p_value


@dataclass(frozen=True)
class MetricResult:
    """A metric's outcomes and waiting assignments by arm key, and its comparisons.

    An assignment waits until the metric's window has ended.
    """

    metric: Metric
    observed: Mapping[str, Observed]
    waiting: Mapping[str, int]
    rows: list[Row]
    # The outcomes by section or by period and arm key, where those are compared.
    by_part: Mapping[str, Mapping[str, Observed]] = field(default_factory=dict)
    # By arm key, what stands beside the comparison of its sections.
    checks: Mapping[str, CheckedSections] = field(default_factory=dict)

    def level(self, arm: ArmFacts) -> float:
        """Return the arm's rate or mean; nan if no learner is counted, or too few are."""
        if self.hides(arm):
            return UNKNOWN
        return self.metric.family.level(self.observed[arm.key].sums)

    def hides(self, arm: ArmFacts) -> bool:
        """Return whether the arm has so few counted learners that its numbers are hidden."""
        return is_small(self.observed[arm.key].n)

    @property
    def is_hiding(self) -> bool:
        """Return whether the numbers of any arm are hidden."""
        return any(is_small(each.n) for each in self.observed.values())

    @property
    def waits(self) -> int:
        """Return the number of assignments that are not counted yet."""
        return sum(self.waiting.values())


@dataclass(frozen=True)
class Report:
    """All data that a report page, its file and the demo show."""

    facts: ExperimentFacts
    arms: list[ArmFacts]
    balance: SampleRatio
    results: list[MetricResult]
    guardrails: list[GuardrailRow] = field(default_factory=list)
    staying: Staying | None = None
    reach: Reach | None = None
    looking: Looking | None = None
    # Only in a report on an adaptive draw.
    adaptive: Adaptive | None = None
    # Only if sections were drawn: how many of each block got each arm, in the order of the arms.
    blocks: Sequence[Sequence[int]] = ()

    @property
    def assigned(self) -> int:
        """Return the number of assignments in all arms."""
        return sum(arm.assigned for arm in self.arms)

    @property
    def rows(self) -> list[Row]:
        """Return every comparison, metric by metric."""
        return [row for result in self.results for row in result.rows]

    @property
    def primary(self) -> MetricResult:
        """Return the primary outcome: the first one of the protocol."""
        return self.results[0]

    @property
    def is_mismatch(self) -> bool:
        """Return whether arm sizes can hardly be chance: drawn, counted or reached."""
        return any(balance.is_mismatch for _, balance in self.balances)

    @cached_property
    def balances(self) -> list[tuple[str, SampleRatio]]:
        """Return each test of arm sizes with the learners that it is about."""
        if self.facts.draws_sections:
            # Learners of one section are not drawn one by one.
            return [("Sections drawn", self.balance)]
        if self.adaptive is not None:
            return [("Learners drawn", self.balance), ("Learners counted", self.adaptive.counted)]
        counted = [self.primary.observed[arm.key].n for arm in self.arms]
        found = [
            ("Learners drawn", self.balance),
            ("Learners counted", sample_ratio(counted, [arm.weight for arm in self.arms])),
        ]
        if self.reach and sum(self.reach.balance.observed):
            found.append(("Learners with a message or a ghost", self.reach.balance))
        return found

    @property
    def is_withheld(self) -> bool:
        """Return whether no arm is compared with the control."""
        return all(self.withheld_reason(arm) for arm in self.arms if not arm.is_control)

    def withheld_reason(self, arm: ArmFacts) -> str:
        """Return why the arm is not compared with the control, as a clause; empty if it is.

        Page and files ask only this. Broken arm sizes concern every arm, and learners who left
        only their own.
        """
        return self.broken_sizes or (self.staying.reason_of(arm) if self.staying else "")

    @cached_property
    def broken_sizes(self) -> str:
        """Return which arm sizes can hardly be chance, as a clause; empty if all can."""
        return broken_sizes(self.balances)

    @property
    def is_open(self) -> bool:
        """Return whether more learners may come, so that these numbers are not the last ones."""
        return self.facts.is_running and not self.facts.is_over

    @property
    def is_final(self) -> bool:
        """Return whether these numbers are the last ones: nobody waits to be counted."""
        waits = any(result.waits for result in self.results)
        return not self.is_open and (self.facts.is_over or not waits)

    @property
    def is_young(self) -> bool:
        """Return whether learners were drawn, but nothing can be compared yet."""
        levels = (row.comparison.difference for row in self.rows)
        return self.assigned > 0 and not any(each.has_value for each in levels)

    @property
    def first_result_at(self) -> datetime | None:
        """Return when the first learners of two arms are counted; None while an arm is empty."""
        starts = [ArmStart(arm.name, arm.is_control, arm.first_at) for arm in self.arms]
        return first_result_at(starts, window=min(each.metric.window for each in self.results))

    @property
    def all_counted_at(self) -> datetime | None:
        """Return when every learner drawn until now is counted; None if no learner was drawn."""
        lasts = [arm.last_at for arm in self.arms if arm.last_at]
        window = max(each.metric.window for each in self.results)
        return max(lasts) + window if lasts else None


def build_report(
    facts: ExperimentFacts,
    *,
    arms: Sequence[ArmFacts],
    metrics: Sequence[Metric],
    observed: Mapping[str, Mapping[str, Observed]],
    deliveries: Mapping[str, Mapping[Fate, DeliveryCounts]],
) -> Report:
    """Return the report from outcomes by arm and metric key, and deliveries by arm and fate.

    An arm without outcomes is an empty arm.
    """
    full = [replace(arm, deliveries=deliveries.get(arm.key, {})) for arm in arms]
    by_metric = [of_metric(metric, full, observed) for metric in metrics]
    compared = [
        compared_arms(metric, full, outcomes, level=facts.level)
        for metric, outcomes in zip(metrics, by_metric, strict=True)
    ]
    balance = sample_ratio([arm.assigned for arm in full], [arm.weight for arm in full])
    return Report(facts, full, balance, metric_results(facts, full, metrics, by_metric, compared))


def metric_results(
    facts: ExperimentFacts,
    arms: Sequence[ArmFacts],
    metrics: Sequence[Metric],
    observed: Sequence[Mapping[str, Observed]],
    compared: Sequence[Sequence[Comparison]],
) -> list[MetricResult]:
    """Return the results of the metrics, their p-values corrected if the protocol says so."""
    corrected = _corrected(compared) if facts.is_corrected else _plain(compared)
    compared = _told(compared) if facts.is_corrected else compared
    figures = _figures(metrics, compared)
    found = [list(zip(*each, strict=True)) for each in zip(compared, corrected, strict=True)]
    return [_result(*each, arms) for each in zip(metrics, observed, found, figures, strict=True)]


def _told(compared: Sequence[Sequence[Comparison]]) -> list[list[Comparison]]:
    """Return the comparisons, those that nothing adjusts with a note that they still count.

    What is known before the draw shows only in the data. A correction that followed it would let
    the data choose the number of comparisons, so the planned number stays.
    """
    is_alone = [len(of_one) < 2 for of_one in compared[:1]]
    is_alone += [sum(map(len, compared[1:])) < 2 for _ in compared[1:]]
    return [
        [each if alone else _with_count(each) for each in of_one]
        for alone, of_one in zip(is_alone, compared, strict=True)
    ]


def _with_count(comparison: Comparison) -> Comparison:
    found = comparison.difference
    if not found.note.startswith(_NOTHING):
        return comparison
    return replace(comparison, difference=replace(found, note=f"{found.note} {_STILL_COUNTS}"))


def _figures(metrics: Sequence[Metric], compared: Sequence[Sequence[Comparison]]) -> list[Figures]:
    """Return the format of each metric. Outcomes in the same words have the same decimals.

    A mean and the same mean adjusted stand below each other with the same levels.
    """
    found = [Figures.of(each) for each in compared]
    return [
        replace(
            own,
            decimals=max(
                other.decimals
                for other, each in zip(found, metrics, strict=True)
                if each.words == metric.words
            ),
        )
        for own, metric in zip(found, metrics, strict=True)
    ]


def with_checks(
    report: Report,
    *,
    guardrails: Sequence[tuple[Metric, float]],
    observed: Mapping[str, Mapping[str, Observed]],
    anchored: Mapping[str, Observed],
) -> Report:
    """Return the report with its guardrails, who left, and whom the messages reached.

    `observed` has the metrics of `staying_metric` and `reach_metric` too, and `anchored` the
    primary outcome from the first message or ghost on.
    """
    level, primary = report.facts.level, report.primary.metric
    guards = guardrail_rows(guardrails, arms=report.arms, observed=observed, level=level)
    return replace(
        report,
        guardrails=corrected_rows(guards, is_corrected=report.facts.is_corrected),
        staying=staying(report.arms, observed, level=level),
        reach=reach(primary, report.arms, observed=observed, anchored=anchored, level=level),
    )


def _plain(compared: Sequence[Sequence[Comparison]]) -> list[list[float]]:
    return [[each.difference.p_value for each in of_one] for of_one in compared]


def _corrected(compared: Sequence[Sequence[Comparison]]) -> list[list[float]]:
    """Return the p-values corrected by Holm's method: the primary outcome's, and all others'.

    A planned comparison without a p-value counts too. Else the family would shrink with the data.
    """
    plain = _plain(compared)
    families = plain[0], [each for of_one in plain[1:] for each in of_one]
    found = iter([each for family in families for each in holm(family, planned=len(family))])
    return [[next(found) for _ in of_one] for of_one in plain]


def _result(
    metric: Metric,
    observed: Mapping[str, Observed],
    compared: Sequence[tuple[Comparison, float]],
    figures: Figures,
    arms: Sequence[ArmFacts],
) -> MetricResult:
    control = next(arm for arm in arms if arm.is_control)
    by_key = {arm.key: arm for arm in arms}
    return MetricResult(
        metric,
        observed,
        {arm.key: arm.assigned - observed[arm.key].n for arm in arms},
        [
            _row(metric, (by_key[comparison.arm], control), comparison, figures, p_value)
            for comparison, p_value in compared
        ],
    )


def _row(
    metric: Metric,
    arms: tuple[ArmFacts, ArmFacts],
    comparison: Comparison,
    figures: Figures,
    corrected_p: float,
) -> Row:
    arm, control = arms
    named = replace(comparison, arm=arm.name, control=control.name)
    text = verdict(named, outcome=metric.words, figures=figures, corrected_p=corrected_p)
    return Row(metric, arm, control, comparison, text, figures, corrected_p)
