"""Save what somebody typed on the page of a rule: a new segment, or an edit of the version seen."""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify

from common.json_text import canonical_json
from segmentation.models import Playbook, Segment
from segmentation.operations.errors import EditedMeanwhileError, SegmentationError
from segmentation.operations.segments import (
    EVALUATED,
    SegmentFields,
    activate_segment,
    create_segment,
    edit_segment,
)

_LONGEST_KEY = 90


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What was typed. `activate`: evaluate the segment from now on, if it is not yet."""

    name: str
    description: str
    rule: Any
    leave_rule: Any
    activate: bool = False
    include_present: bool = False


def state_of(segment: Segment) -> str:
    """Return a short text that changes with every edit of the segment and of its status."""
    fields = vars(SegmentFields.of(segment)) | {"status": segment.status}
    return sha256(canonical_json(fields).encode()).hexdigest()[:16]


@transaction.atomic
def save_new(playbook_id: int, typed: Typed, *, now: datetime, by: User) -> Segment:
    """Save a new segment with a key made from its name. Raise SegmentationError for a used name.

    A second save of the same page, such as a double click, returns the saved segment.
    """
    # The lock makes two saves at once one after the other.
    playbook = Playbook.objects.select_for_update(no_key=True).get(pk=playbook_id)
    present = Segment.objects.filter(playbook=playbook, name__iexact=typed.name).first()
    if present is not None and _is_saved(present, typed):
        return present
    if present is not None:
        raise SegmentationError(f"The playbook already has a segment “{typed.name}”.")
    fields = SegmentFields(key=_free_key(playbook_id, typed.name), **_texts(typed))
    segment = create_segment(playbook_id, fields, now=now, by=by)
    return _activated(segment, typed, now=now)


@transaction.atomic
def save_edit(segment_id: int, typed: Typed, *, seen: str, now: datetime, by: User) -> Segment:
    """Save an edit of the segment in the state `seen`. Raise EditedMeanwhileError for another.

    A second save of the same page, such as a double click, changes nothing.
    """
    segment = Segment.objects.select_for_update(no_key=True).get(pk=segment_id)
    if state_of(segment) != seen and _is_saved(segment, typed):
        return segment
    if state_of(segment) != seen:
        raise EditedMeanwhileError(f"The segment “{segment.name}” was changed meanwhile.")
    fields = replace(SegmentFields.of(segment), **_texts(typed))
    present = typed.include_present and not typed.activate
    segment = edit_segment(segment_id, fields, now=now, include_present=present, by=by)
    return _activated(segment, typed, now=now)


def _is_saved(segment: Segment, typed: Typed) -> bool:
    """Return whether the segment is as it would be after the save."""
    is_active = segment.status in EVALUATED or not typed.activate
    is_announced = segment.include_present or not typed.include_present
    stored = SegmentFields.of(segment)
    return is_active and is_announced and replace(stored, **_texts(typed)) == stored


def _texts(typed: Typed) -> dict[str, Any]:
    return {name: getattr(typed, name) for name in ("name", "description", "rule", "leave_rule")}


def _activated(segment: Segment, typed: Typed, *, now: datetime) -> Segment:
    if not typed.activate:
        return segment
    return activate_segment(segment.pk, now=now, include_present=typed.include_present)


def _free_key(playbook_id: int, name: str) -> str:
    wanted = slugify(name)[:_LONGEST_KEY] or "segment"
    used = Segment.objects.filter(playbook=playbook_id, key__startswith=wanted)
    keys = set(used.values_list("key", flat=True))
    numbered = (f"{wanted}-{number}" for number in range(2, len(keys) + 3))
    return next(key for key in (wanted, *numbered) if key not in keys)
