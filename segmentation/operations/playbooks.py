"""Set the courses and the mode of playbooks, and install a shipped playbook."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction

from activity.models import Course, DueCause
from activity.operations import pull_course
from segmentation.models import Playbook, PlaybookCourse, PlaybookMode, Segment, SegmentStatus
from segmentation.operations.errors import SegmentationError
from segmentation.operations.revisions import next_revision, note_change
from segmentation.operations.segments import (
    EVALUATED,
    SegmentFields,
    activate_segment,
    create_segment,
)

PLAYBOOKS = Path(__file__).resolve().parents[1] / "playbooks"


def shipped_playbooks() -> list[str]:
    """Return the names of the playbooks that `install_playbook` can install."""
    return sorted(path.stem for path in PLAYBOOKS.glob("*.json"))


@transaction.atomic
def install_playbook(
    name: str,
    *,
    now: datetime,
    course_keys: Sequence[str] | None = None,
    activate: bool = True,
    key: str | None = None,
) -> Playbook:
    """Create the shipped playbook with its segments for the courses (None: all), and return it.

    A second installation adds missing rows and keeps edited ones. Learners who are in a segment
    already are not drawn or messaged. Another `key` creates a separate playbook, whose cadences
    affect only its courses. Raise SegmentationError for an unknown name or course.
    """
    shape = read_shipped(name)
    courses = _courses(course_keys)
    values = {"name": shape["name"], "mode": shape["mode"]}
    found, _ = Playbook.objects.get_or_create(key=key or shape["key"], defaults=values)
    # Of two installations at once, the second finds the segments of the first.
    playbook = Playbook.objects.select_for_update(no_key=True).get(pk=found.pk)
    add_courses(playbook.id, [course.id for course in courses])
    for fields in shape["segments"]:
        segment = _create_once(playbook, SegmentFields(**fields), now=now)
        if activate and segment.status == SegmentStatus.DRAFT:
            activate_segment(segment.id, now=now)
    return playbook


@transaction.atomic
def add_courses(playbook_id: int, course_ids: Iterable[int]) -> None:
    """Keep the playbook for these courses too. Learners already in a segment are not messaged."""
    known = PlaybookCourse.objects.filter(playbook_id=playbook_id).values_list(
        "course_id", flat=True
    )
    new = sorted(set(course_ids) - set(known))
    if not new:
        return
    number = next_revision()
    links = [
        PlaybookCourse(playbook_id=playbook_id, course_id=course, added_revision=number)
        for course in new
    ]
    # Two transactions may add the same course. The number of the first one is kept.
    PlaybookCourse.objects.bulk_create(links, ignore_conflicts=True)


@transaction.atomic
def remove_course(playbook_id: int, course_id: int, *, now: datetime) -> None:
    """Stop keeping the playbook for the course. The next evaluation ends its memberships there."""
    gone, _ = PlaybookCourse.objects.filter(playbook_id=playbook_id, course_id=course_id).delete()
    if gone:
        pull = partial(pull_course, course_id, at=now, cause=DueCause.EDIT)
        transaction.on_commit(pull)


def lock_segments_of(playbook_id: int) -> None:
    """Lock the playbook's segments before the playbook, as an edit of one of them does.

    In the other order, an edit at the same time would be a deadlock.
    """
    segments = Segment.objects.filter(playbook=playbook_id).order_by("pk")
    list(segments.select_for_update(no_key=True).values("pk"))


@transaction.atomic
def set_mode(playbook_id: int, mode: PlaybookMode) -> None:
    """Set whether a learner can be in several segments or only in the first that matches."""
    lock_segments_of(playbook_id)
    playbook = Playbook.objects.select_for_update(no_key=True).get(id=playbook_id)
    if playbook.mode == mode:
        return
    Playbook.objects.filter(id=playbook_id).update(mode=mode)
    # The resulting transitions have the cause edit and start no messages.
    number = note_change(playbook_id)
    segments = Segment.objects.filter(playbook_id=playbook_id, status__in=EVALUATED)
    segments.update(changed_revision=number, include_present=False)


def read_shipped(name: str) -> dict[str, Any]:
    """Return the file of a shipped playbook. Raise SegmentationError for an unknown name."""
    if name not in shipped_playbooks():
        known = ", ".join(shipped_playbooks())
        raise SegmentationError(f"There is no playbook '{name}'. The playbooks are: {known}.")
    shape: dict[str, Any] = json.loads((PLAYBOOKS / f"{name}.json").read_text(encoding="utf-8"))
    return shape


def _courses(keys: Sequence[str] | None) -> list[Course]:
    if keys is None:
        return list(Course.objects.all())
    courses = list(Course.objects.filter(key__in=keys))
    missing = sorted(set(keys) - {course.key for course in courses})
    if missing:
        raise SegmentationError(f"There is no course '{missing[0]}'.")
    return courses


def _create_once(playbook: Playbook, fields: SegmentFields, *, now: datetime) -> Segment:
    present = Segment.objects.filter(playbook=playbook, key=fields.key).first()
    return present or create_segment(playbook.id, fields, now=now)
