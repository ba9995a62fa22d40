"""Plain functions that create playbooks, segments and rules, and return members."""

from collections.abc import Iterable
from datetime import datetime
from itertools import count
from typing import Any

from activity.models import Course, Due, Enrollment
from segmentation.models import Membership, Playbook, PlaybookMode, Segment, Transition
from segmentation.operations import SegmentFields, activate_segment, add_courses, create_segment
from segmentation.signals import SIGNALS_BY_NAME, SignalRef
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW

_numbers = count(1)


def where(field: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    """Return the JSON of a rule with one condition. `window` and arguments are keywords."""
    condition = {"field": field, "operator": operator, **more}
    if value is not None:
        condition["value"] = value
    return {"combinator": "and", "not": False, "rules": [condition]}


def identity(field: str, window: int | None = None, *args: str) -> str:
    """Return the identity of the signal in readings and memberships."""
    return SignalRef(SIGNALS_BY_NAME[field], window, args).identity


# Acting today causes transitions by event, and a week of inactivity causes them by time.
ACTED_TODAY = where("active_days", ">=", 1, window=1)
QUIET = where("days_since_activity", ">=", 7)


def make_playbook(*courses: Course, exclusive: bool = False, **fields: Any) -> Playbook:
    """Return a playbook kept for the courses."""
    number = next(_numbers)
    mode = PlaybookMode.EXCLUSIVE if exclusive else PlaybookMode.OVERLAPPING
    values = {"key": f"playbook-{number}", "name": f"Playbook {number}", "mode": mode}
    playbook = Playbook.objects.create(**{**values, **fields})
    add_courses(playbook.id, [course.id for course in courses])
    return playbook


def make_segment(
    playbook: Playbook,
    rule: dict[str, Any],
    *,
    active: bool = True,
    include_present: bool = False,
    now: datetime = NOW,
    **fields: Any,
) -> Segment:
    """Return a segment of the playbook, active by default."""
    number = next(_numbers)
    values = {"key": f"segment-{number}", "name": f"Segment {number}", "rule": rule}
    segment = create_segment(playbook.id, SegmentFields(**{**values, **fields}), now=now)
    if active:
        segment = activate_segment(segment.id, now=now, include_present=include_present)
    return segment


def members(segment: Segment) -> set[int]:
    """Return the enrollments that are in the segment."""
    current = Membership.objects.filter(segment=segment, left_at__isnull=True)
    return set(current.values_list("enrollment_id", flat=True))


def held_by(enrollment: Enrollment) -> set[int]:
    """Return the segments that the enrollment is in."""
    current = Membership.objects.filter(enrollment=enrollment, left_at__isnull=True)
    return set(current.values_list("segment_id", flat=True))


def transitions(
    segment: Segment, enrollment: Enrollment | None = None
) -> list[tuple[str, str, bool]]:
    """Return kind, cause and `starts` of each transition, in the order of writing."""
    found = Transition.objects.filter(segment=segment).order_by("id")
    if enrollment is not None:
        found = found.filter(enrollment=enrollment)
    return list(found.values_list("kind", "cause", "starts"))


def bring_up_to_date(now: datetime = NOW) -> None:
    """Evaluate what is due and delete the transitions, so that the test starts fresh."""
    evaluate_due(now=now)
    Transition.objects.all().delete()


def due_at(enrollment: Enrollment) -> datetime | None:
    """Return when the enrollment is next evaluated."""
    return Due.objects.get(enrollment=enrollment).due_at


def names(enrollments: Iterable[Enrollment]) -> set[int]:
    """Return the ids of the enrollments, to compare with `members`."""
    return {enrollment.id for enrollment in enrollments}
