"""What the plan said of the end, of the smallest effect that matters, and of looking. Pure."""

from collections.abc import Iterator

from common.dates import day_text
from experiments.reporting.figures import Figures, level_text, p_text
from experiments.reporting.report import Report

_NO_RULE = "No end, no largest number and no look was planned"
_BY_RESULTS = (
    "If the end was chosen after looking at the results, intervals and p-values above are too "
    "sure of themselves"
)


def plan_texts(report: Report) -> Iterator[str]:
    """Yield the smallest difference that was to matter, and when the experiment was to end."""
    if report.facts.smallest_lift:
        metric = report.primary.metric
        smallest = Figures(metric.family.unit).size(report.facts.smallest_lift)
        yield f"The smallest difference in “{metric.name}” that was to matter: {smallest}."
    else:
        yield "The plan names no smallest difference that matters."
    yield f"{_end_text(report)}."


def any_time_texts(report: Report) -> Iterator[str]:
    """Yield the intervals that hold however often somebody looks, and when to read them."""
    if report.is_withheld or not report.assigned or report.is_young:
        return
    facts, looking = report.facts, report.looking
    if looking is None:
        if not facts.has_end and not facts.is_adaptive:
            yield f"{_NO_RULE}. {_BY_RESULTS}, and there is no interval for any time by section."
        return
    if not facts.has_end:
        yield f"{_NO_RULE}. {_BY_RESULTS}: then quote the interval for any time, which follows."
    for row in report.primary.rows:
        found = looking.sequences.get(row.arm.key)
        if found is None or not found.has_interval or report.withheld_reason(row.arm):
            continue
        yield (
            f"Interval for any time: however often somebody looks, in {level_text(found.level)} of "
            f"such experiments the true difference of “{row.arm.name}” in “{row.metric.name}” lies "
            f"within it on all days together. It goes from "
            f"{row.figures.showing(found).interval(found)}"
            f"{row.figures.unit.points} ({p_text(found.p_value)})."
        )


def layer_text(report: Report, *, outside: int | None) -> str:
    """Return who is left out by an exclusion layer; empty without one."""
    share = report.facts.layer_share
    if share is None:
        return ""
    text = (
        f"Only {share:.4g}% of learners can be drawn: its part of an exclusion layer. The others "
        "are kept for other experiments"
    )
    if outside is None:
        return f"{text}."
    verb = "is" if outside == 1 else "are"
    return f"{text}; {outside:,} of today's members {verb} among them."


def _end_text(report: Report) -> str:
    facts, ends = report.facts, []
    if facts.ends_at is not None:
        ends.append(f"on {day_text(facts.ends_at, zone=facts.zone)}")
    if facts.most_learners is not None:
        ends.append(f"with {facts.most_learners:,} learners")
    if facts.most_sections is not None:
        ends.append(f"with {facts.most_sections:,} sections")
    days = [day_text(each, zone=facts.zone) for each in facts.looks]
    if ends:
        looks = f"; looks were planned on {', '.join(days)}" if days else ""
        return f"It was to end {' or '.join(ends)}{looks}"
    if days:
        return f"It was to end with its last look; looks were planned on {', '.join(days)}"
    return _NO_RULE
