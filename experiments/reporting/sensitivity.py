"""What an experiment of this size could have found, and what size would find more. Pure."""

from math import isnan
from statistics import mean

from experiments.reporting.report import Report, Row
from experiments.stats.designs import SectionDesign, needed_sections
from experiments.stats.power import detectable_difference, needed_per_arm

# As on the page that checks an experiment: the usual power of 80 %.
_OF_SUCH = "4 of 5 such experiments"


def sensitivity_text(report: Report, row: Row) -> str:
    """Return which difference would usually be noticed among so many learners; empty if not known.

    Without it, "not clear" reads as "there is no effect". The power is that of a rise from the
    control's rate, where single learners were drawn.
    """
    rate = _control_rate(report, row)
    if rate is None:
        return ""
    sizes = [report.primary.observed[each.key].n for each in (row.control, row.arm)]
    found = detectable_difference(*sizes, baseline=rate, level=report.facts.level)
    if found.reason:
        return f"So few learners show a difference only rarely: {found.reason}."
    return (
        f"With {sizes[1]:,} and {sizes[0]:,} learners, only a rise of about "
        f"{row.figures.size(found.rise)} or more would usually be noticed (in {_OF_SUCH})."
    )


def needed_text(report: Report, row: Row) -> str:
    """Return what a new experiment would need to find the smallest lift of the plan."""
    units = "sections" if report.facts.draws_sections else "learners"
    lift = report.facts.smallest_lift
    if report.facts.draws_sections and lift:
        return _needed_sections(report, row, lift) or f"would need more {units}"
    rate = _control_rate(report, row)
    if rate is None or not lift or not 0 < rate + lift < 1:
        return f"would need more {units}"
    number = needed_per_arm(baseline=rate, lift=lift, level=report.facts.level)
    return (
        f"would need about {number:,} learners in each arm to find a rise of "
        f"{row.figures.size(lift)} in {_OF_SUCH}"
    )


def _needed_sections(report: Report, row: Row, lift: float) -> str:
    """Return the sections that find the lift, by the function of `plan_sample`; empty if unknown.

    The sections are as large and as alike as those of this experiment.
    """
    checked, rate = report.primary.checks.get(row.arm.key), row.control_level
    is_share = row.metric.family.counts_learners and rate > 0 and rate + lift <= 1
    if not is_share or checked is None or isnan(checked.found.icc):
        return ""
    keys = {row.arm.key, row.control.key}
    parts = report.primary.by_part.values()
    size = mean(each.n for part in parts for key, each in part.items() if key in keys and each.n)
    icc = min(max(checked.found.icc, 0.0), 1.0)
    number = needed_sections(
        SectionDesign(2, 2, size, icc), baseline=rate, rise=lift, level=report.facts.level
    )
    return (
        f"would need about {number:,} sections of {size:.0f} learners in each arm to find a rise "
        f"of {row.figures.size(lift)} in {_OF_SUCH} (if learners of a section are as alike as here)"
    )


def _control_rate(report: Report, row: Row) -> float | None:
    """Return the control's rate, or None where the power is not that of two rates."""
    facts = report.facts
    if not row.metric.family.counts_learners or facts.draws_sections or facts.is_adaptive:
        return None
    return row.control_level if 0 < row.control_level < 1 else None
