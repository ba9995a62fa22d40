"""The summary of a nudge before it is started: who would get it, when, and who would not."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from activity.models import Enrollment
from common.dates import instant_text
from experiments.queries import running_experiments
from experiments.reporting.reasons import reason_text
from interventions.operations import NudgeFields
from interventions.policy.decision import Reason
from interventions.queries.forecast import (
    CLOCK_STOPPED,
    ENTRY_WAITS,
    MOST_FORECAST,
    Forecast,
    forecast,
)
from interventions.queries.nudge_line import Point
from interventions.queries.nudges import Whom, active_on_entry, first_members
from interventions.queries.runs import zone_of
from interventions.views.nudge_page import NudgePage

# After "1 learner" and after a larger number.
_WHY_NOT: dict[str, tuple[str, str]] = {
    Reason.NO_ADDRESS: ("has no address", "have no address"),
    Reason.OPTED_OUT: ("does not want it", "do not want it"),
    Reason.NOT_OPTED_IN: (
        "has not asked for this kind of message",
        "have not asked for this kind of message",
    ),
    Reason.SUPPRESSED: (
        "has an address that refuses our mail",
        "have an address that refuses our mail",
    ),
    Reason.WITHDRAWN: ("has left the course", "have left the course"),
    Reason.HOLDOUT: (
        "gets no messages, so that the whole programme can be measured",
        "get no messages, so that the whole programme can be measured",
    ),
    Reason.COURSE_OVER: (
        "has completed the course, or it is over",
        "have completed the course, or it is over",
    ),
    Reason.FREQUENCY_CAP: (
        "has had as many messages as a cap allows",
        "have had as many messages as a cap allows",
    ),
    Reason.COURSE_NOT_LIVE: (
        "is in a course that is not live yet",
        "are in a course that is not live yet",
    ),
    Reason.SITE_PAUSED: (
        "waits, because all messages are held",
        "wait, because all messages are held",
    ),
    Reason.LEARNER_PAUSED: (
        "gets nothing, because staff hold all messages to this learner",
        "get nothing, because staff hold all messages to them",
    ),
    ENTRY_WAITS: (
        "waits, because many learners entered on one day and nobody has decided on that yet",
        "wait, because many learners entered on one day and nobody has decided on that yet",
    ),
    CLOCK_STOPPED: (
        "is in a simulated course, which sends nothing",
        "are in a simulated course, which sends nothing",
    ),
}


@dataclass(frozen=True)
class Summary:
    """The sentences of the summary."""

    fields: NudgeFields
    whom: Whom
    reach: str
    why_not: list[str]
    line: list[Point]
    guards: list[str]
    sends: bool
    obstacles: list[str]
    cautions: list[str]
    findings: list[str]


def summary_of(page: NudgePage) -> Summary:
    """Return the summary of checked answers."""
    fields, whom = page.forms.fields(), page.whom
    assert whom is not None  # noqa: S101 - checked answers name a segment
    found = _forecast(page, fields)
    return Summary(
        fields=fields,
        whom=whom,
        reach=_reach(found, whom),
        why_not=[_why_not(reason, number) for reason, number in found.others],
        line=page.line,
        guards=page.guards,
        sends=page.sends,
        obstacles=page.obstacles,
        cautions=[*_twice(whom), *_cautions(fields)],
        findings=page.findings,
    )


def _twice(whom: Whom) -> Iterator[str]:
    """Yield that a learner may be in the segment more than once."""
    if whom.members > whom.learners:
        yield (
            "Some learners are in the segment with more than one course. Each of their courses "
            "counts by itself: it has its own messages and its own half."
        )


def _cautions(fields: NudgeFields) -> Iterator[str]:
    """Yield what else these learners get or take part in."""
    for cadence in active_on_entry(fields.segment.pk):
        yield f"Learners who enter also get “{cadence}”. The caps hold for both together."
    if fields.hold_back:
        for experiment in running_experiments([fields.segment.pk])[fields.segment.pk]:
            yield (
                f"The experiment “{experiment}” runs among these learners too. Each of them draws "
                "by itself, so a learner can get the messages of both."
            )


def _forecast(page: NudgePage, fields: NudgeFields) -> Forecast:
    members = first_members(fields.segment.pk, viewer=page.viewer, most=MOST_FORECAST)
    cadence = page.cadence()
    delay = fields.messages[0].delay if fields.messages else timedelta(0)
    assert cadence is not None  # noqa: S101 - checked answers name a category
    return forecast(members, cadence=cadence, delay=delay, limits=page.limits, now=page.now)


def _reach(found: Forecast, whom: Whom) -> str:
    if not found.members:
        return "nobody would get it, because nobody is in the segment now."
    among = "" if found.members >= whom.members else f" of the first {found.learners:,}"
    if not found.reached or found.first is None or found.first_at is None:
        first = "first " if among else ""
        return f"none of the {first}{found.learners:,} learners would get it."
    when = _when(found.first_at, found.first)
    number = "1 learner" if found.reached == 1 else f"{found.reached:,} learners"
    return f"{number}{among} would get it, the first on {when}."


def _when(at: datetime, member: Enrollment) -> str:
    zone, own = member.course.time_zone, zone_of(member)
    # Hours are those of the learner, so the course's hour alone could look wrong.
    there = "" if own == zone else f", {at.astimezone(ZoneInfo(own)):%H:%M} by that learner's clock"
    return f"{instant_text(at, zone=zone)}{there}"


def _why_not(reason: str, number: int) -> str:
    would_not = f"would not get it, because {reason_text(reason)}"
    one, several = _WHY_NOT.get(reason, (would_not, would_not))
    return f"1 learner {one}." if number == 1 else f"{number:,} learners {several}."
