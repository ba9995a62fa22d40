"""How many learners the plan expected, and how many were drawn. Pure."""

from datetime import timedelta

from experiments.reporting.report import Report

_WEEK = timedelta(days=7)


def expected_text(report: Report) -> str:
    """Return how many learners the plan reckons with, and how many were drawn in a mean week.

    Return an empty text for a protocol that plans no number.
    """
    expected, drawn = report.facts.expected_learners, report.assigned
    if expected is None:
        return ""
    text = f"The plan reckons with {expected:,} learners in all, and {drawn:,} were drawn"
    text += " so far" if report.is_open else ""
    weeks = _weeks(report)
    if weeks < 1 or not drawn:
        return f"{text}."
    days = "since the start" if report.is_open else "from the start to the last draw"
    pace = (
        f"In the {round(weeks, 1):g} weeks {days}, that makes a mean of {drawn / weeks:,.0f} new "
        "learners per week."
    )
    return f"{text}. {pace} {_when(report, expected, weeks)}".rstrip()


def _weeks(report: Report) -> float:
    """Return the weeks in which learners were drawn: from the start to the last draw or to now."""
    started = report.facts.started_at
    if started is None:
        return 0.0
    # Between the last draw and the end nobody may have been left to draw.
    drawn = (arm.last_at for arm in report.arms if arm.last_at is not None)
    until = report.facts.as_of if report.is_open else max(drawn, default=started)
    return (until - started) / _WEEK


def _when(report: Report, expected: int, weeks: float) -> str:
    left = expected - report.assigned
    if not report.is_open or left <= 0 or not report.assigned:
        return ""
    more = left / (report.assigned / weeks)
    if more > 520:
        return "At this pace it takes years to reach that number."
    number = max(1, round(more))
    return f"At this pace it takes {number:,} more week{'s' if number > 1 else ''}."
