"""Say why a learner is or is not in a segment, and what passing time will change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from activity.access import Viewer
from activity.models import Course, Enrollment
from activity.queries import FeedHealth
from activity.texts import a_few, lower_first
from common.dates import instant_text
from interventions.models import Cadence
from interventions.queries.starts import cadences_by_segment
from segmentation.models import (
    OverrideKind,
    Segment,
    SegmentStatus,
    TransitionCause,
    TransitionKind,
)
from segmentation.operations import Change, forecast
from segmentation.queries.history import Moved
from segmentation.queries.standing import Standing, standings
from segmentation.rules import RuleError, Verdict, explain, parse, verdicts

_CAUSES = {
    TransitionCause.EVENT: "after something the learner did",
    TransitionCause.TIME: "because time passed",
    TransitionCause.MANUAL: "by hand",
    TransitionCause.BASELINE: "at the first evaluation",
    TransitionCause.EDIT: "after an edit of a rule, an item, the course or a trait",
    TransitionCause.COURSE_OVER: "because the course is over for the learner",
    TransitionCause.LATE: "after something the learner did, of which we heard late",
}
_HOLDS = {True: "is true", False: "is not true", None: "is unknown"}


@dataclass(frozen=True)
class ConditionLine:
    """A condition, whether it is true, and the value of its signal."""

    condition: str
    holds: str
    value: str
    decides: bool


@dataclass(frozen=True)
class SegmentLine:
    """A segment with a sentence, and the conditions of its rule now."""

    segment: Segment
    sentence: str
    conditions: list[ConditionLine] = field(default_factory=list)
    is_in: bool = False
    override: str = ""
    # What starts when the learner is added, as the end of a sentence.
    starts: str = ""
    # The segment that keeps the learner out of this one, also a learner who is added.
    ahead: str = ""
    in_scope: bool = True


def segment_lines(enrollment: Enrollment, *, as_of: datetime, viewer: Viewer) -> list[SegmentLine]:
    """Return a line for each segment of the enrollment's course, current ones first."""
    found = standings(enrollment, as_of=as_of, viewer=viewer)
    cadences = cadences_by_segment([each.segment.pk for each in found])
    return [
        SegmentLine(
            segment=each.segment,
            sentence=" ".join(_sentences(each, enrollment.course.time_zone)),
            conditions=[condition_line(verdict) for verdict in each.verdicts or ()],
            is_in=each.membership is not None,
            override=each.override.kind if each.override else "",
            starts=_starts(cadences.get(each.segment.pk, ()), enrollment, as_of),
            ahead=each.ahead.name if each.ahead else "",
            in_scope=each.in_scope,
        )
        for each in found
    ]


def _starts(cadences: Sequence[Cadence], enrollment: Enrollment, as_of: datetime) -> str:
    course = enrollment.course
    if course.clock_stopped_at is not None:
        return "Nothing starts from it, because the clock of this simulated course stands still"
    if course.live_since is None or course.live_since > as_of:
        return "Nothing starts from it, because the course is not live"
    names = a_few([f"“{each.name}”" for each in cadences], most=3)
    return f"{names} can start from it" if names else "No cadence starts from it"


def condition_line(verdict: Verdict) -> ConditionLine:
    """Return the condition in words."""
    return ConditionLine(verdict.condition, _HOLDS[verdict.holds], verdict.value, verdict.decides)


def _sentences(standing: Standing, zone: str) -> Iterator[str]:
    membership, segment = standing.membership, standing.segment
    if membership is not None:
        yield f"In {segment.name} since {instant_text(membership.entered_at, zone=zone)}."
        if segment.leave_rule is not None and standing.matches is not True:
            yield f"A member stays until this is true: {_rule(segment.leave_rule)}."
        if standing.waits:
            yield "No message starts before the other entries of that day are counted."
    else:
        yield f"Not in {segment.name}{_why_not(standing)}."
    if standing.is_frozen:
        yield "Its rule failed, so no learner enters or leaves it."
    if standing.override is not None:
        yield _made(standing, zone)


def _why_not(standing: Standing) -> str:
    if standing.override is not None and standing.override.kind == OverrideKind.REMOVED:
        return ""
    if not standing.in_scope:
        return ": the course has not begun or is over for the learner"
    if standing.verdicts is None:
        return ": its rule cannot be read"
    if standing.is_frozen:
        return ""
    if standing.override is not None:
        return f": {_behind(standing.ahead)}" if standing.ahead else ""
    if standing.matches:
        return _though_true(standing)
    deciding = [each for each in standing.verdicts if each.decides]
    return f": {_values(deciding)}" if deciding else ""


def _though_true(standing: Standing) -> str:
    if standing.leaving:
        leave = _rule(standing.segment.leave_rule)
        return f": its rule is true, but so is its rule for leaving, {leave}"
    if standing.ahead is None:
        return " yet: its rule is true, and the next evaluation decides"
    return f": its rule is true, but {_behind(standing.ahead)}"


def _behind(ahead: Segment) -> str:
    if ahead.status == SegmentStatus.FROZEN:
        return f"{ahead.name}, whose rule failed, keeps its members"
    return f"{ahead.name} comes first"


def _values(deciding: list[Verdict]) -> str:
    return ", ".join(dict.fromkeys(lower_first(each.value) for each in deciding))


def _made(standing: Standing, zone: str) -> str:
    made = standing.override
    if made is None:
        return ""
    by = f" by {made.created_by}" if made.created_by else ""
    what = "Added" if made.kind == OverrideKind.ADDED else "Removed"
    # A frozen segment is not evaluated.
    is_settled = made.applied_at or standing.is_frozen
    waits = "" if is_settled else " The next evaluation applies it, within seconds."
    return f"{what} by hand{by} on {instant_text(made.created_at, zone=zone)}.{waits}"


def _rule(shape: object) -> str:
    try:
        return f"“{explain(parse(shape))}”"
    except RuleError:
        return "a rule that cannot be read"


def moved_sentence(moved: Moved) -> str:
    """Return what the learner entered or left, and why."""
    transition = moved.transition
    if moved.was_in:
        return f"Was in {transition.segment.name} already when an experiment began for its members."
    did = "Entered" if transition.kind == TransitionKind.ENTER else "Left"
    cause = _CAUSES[TransitionCause(transition.cause)]
    return f"{did} {transition.segment.name} {cause}."


@dataclass(frozen=True)
class Outlook:
    """What passing time alone will change, in sentences, and until when this is known."""

    lines: list[str]
    until: str


def outlook(enrollment: Enrollment, *, as_of: datetime, viewer: Viewer) -> Outlook:
    """Return what the learner will enter and leave by passing time alone."""
    segments = {
        each.segment.pk: each.segment for each in standings(enrollment, as_of=as_of, viewer=viewer)
    }
    zone = enrollment.course.time_zone
    found = forecast(enrollment, now=as_of)
    lines = [line for change in found.changes for line in _foreseen(change, segments, zone)]
    return Outlook(lines, instant_text(found.until, zone=zone))


def silence_sentence(feed: FeedHealth, course: Course) -> str:
    """Return what holds the changes of the forecast: a silent feed, or a clock that has stopped.

    It is empty if nothing holds them.
    """
    if course.clock_stopped_at is not None:
        return (
            "This would come next. The clock of this simulated course stands still, so nothing"
            " changes any more."
        )
    if feed.status == "ok":
        return ""
    since = f" since {instant_text(feed.since, zone=course.time_zone)}" if feed.since else ""
    return (
        f"The events of {course.title} do not come as usual{since}. {feed.sentence} Until they do,"
        " passing time moves nobody, because a learner may have acted without our knowing."
    )


def _foreseen(change: Change, segments: Mapping[int, Segment], zone: str) -> Iterator[str]:
    at = instant_text(change.at, zone=zone)
    for pk in change.left:
        if pk in segments:
            yield f"{at}: leaves {segments[pk].name}{_then(segments[pk], change)}."
    for pk in change.entered:
        if pk in segments:
            yield f"{at}: enters {segments[pk].name}{_then(segments[pk], change)}."


def _then(segment: Segment, change: Change) -> str:
    """Return the values that decide the rule at the instant of the change."""
    if not change.in_scope:
        return ": the course is over for the learner"
    try:
        found = verdicts(parse(segment.rule), change.signals)
    except RuleError:
        return ""
    deciding = [each for each in found if each.decides]
    return f": {_values(deciding)}" if deciding else ""
