"""Create, edit, activate, archive, freeze and thaw segments."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from common.tally import note
from segmentation import rules
from segmentation.models import Freeze, Segment, SegmentStatus, SegmentVersion
from segmentation.operations.errors import SegmentationError
from segmentation.operations.revisions import note_change
from segmentation.queries import known_names

EVALUATED = (SegmentStatus.ACTIVE, SegmentStatus.FROZEN)


@dataclass(frozen=True, kw_only=True)
class SegmentFields:
    """The fields of a segment that an admin edits. `rule` and `leave_rule` are parsed JSON."""

    key: str
    name: str
    rule: Any
    leave_rule: Any = None
    priority: int = 100
    description: str = ""

    @classmethod
    def of(cls, segment: Segment) -> "SegmentFields":
        """Return the current fields of the segment. Use `dataclasses.replace` to edit them."""
        return cls(**{name: getattr(segment, name) for name in cls.__dataclass_fields__})


@transaction.atomic
def create_segment(
    playbook_id: int, fields: SegmentFields, *, now: datetime, by: User | None = None
) -> Segment:
    """Save a draft with its first version. Raise RuleError, with the path to the fault."""
    segment = Segment(playbook_id=playbook_id, **_checked(fields))
    segment.save()
    _keep_version(segment, now=now, by=by)
    return segment


@transaction.atomic
def edit_segment(
    segment_id: int,
    fields: SegmentFields,
    *,
    now: datetime,
    include_present: bool = False,
    by: User | None = None,
) -> Segment:
    """Save the segment's new texts and rules. Raise RuleError, with the path to the fault.

    New rules create a new version and thaw a frozen segment. Memberships stay until the next
    evaluation, which starts no run and draws no arm unless `include_present` is set.
    """
    segment = _locked(segment_id)
    before = SegmentFields.of(segment)
    for name, value in _checked(fields).items():
        setattr(segment, name, value)
    after = SegmentFields.of(segment)
    other_rules = (before.rule, before.leave_rule) != (after.rule, after.leave_rule)
    if other_rules:
        segment.version += 1
        _keep_version(segment, now=now, by=by)
    if other_rules or before.priority != after.priority:
        _note_edit(segment, include_present=include_present, now=now)
    segment.save()
    return segment


@transaction.atomic
def activate_segment(segment_id: int, *, now: datetime, include_present: bool = False) -> Segment:
    """Evaluate the segment from now on. Activating an active segment changes nothing.

    Members of the first evaluation start no run and are not drawn unless `include_present` is set.
    """
    segment = _locked(segment_id)
    if segment.status in EVALUATED:
        return segment
    for rule in (segment.rule, segment.leave_rule):
        if rule is not None:
            rules.parse(rule)
    segment.status = SegmentStatus.ACTIVE
    segment.error = ""
    segment.include_present = include_present
    segment.activated_revision = segment.changed_revision = note_change(segment.playbook_id)
    segment.save()
    return segment


@transaction.atomic
def archive_segment(segment_id: int, *, now: datetime) -> Segment:
    """Stop evaluating the segment. The next evaluation ends its memberships and starts nothing."""
    segment = _locked(segment_id)
    if segment.status in EVALUATED:
        segment.changed_revision = note_change(segment.playbook_id)
    _end_freeze(segment, now=now)
    segment.status, segment.include_present = SegmentStatus.ARCHIVED, False
    segment.save()
    return segment


@transaction.atomic
def thaw_segment(segment_id: int, *, now: datetime) -> Segment:
    """Evaluate a frozen segment again. The resulting transitions start no run and draw no arm."""
    segment = _locked(segment_id)
    if segment.status != SegmentStatus.FROZEN:
        raise SegmentationError(f"The segment '{segment.key}' is not frozen.")
    _note_edit(segment, include_present=False, now=now)
    segment.save()
    return segment


def freeze_segment(segment_id: int, *, version: int, error: str, now: datetime) -> bool:
    """Freeze the segment: its members stay as they are, and the error is shown.

    Return False if this version is no longer active, because an edit may have corrected the rule.
    """
    frozen = Segment.objects.filter(id=segment_id, version=version, status=SegmentStatus.ACTIVE)
    changed = frozen.update(status=SegmentStatus.FROZEN, error=error[:2000])
    note("segments frozen", f"segment {segment_id}", count=changed)
    if changed:
        # Two workers may fail at once. The update lets only one of them pass.
        Freeze.objects.create(
            segment_id=segment_id, version=version, error=error[:2000], frozen_at=now
        )
    return bool(changed)


def _end_freeze(segment: Segment, *, now: datetime) -> None:
    Freeze.objects.filter(segment=segment, thawed_at__isnull=True).update(thawed_at=now)


def _locked(segment_id: int) -> Segment:
    return Segment.objects.select_for_update(no_key=True).get(id=segment_id)


def _note_edit(segment: Segment, *, include_present: bool, now: datetime) -> None:
    """Number the edit of an evaluated segment and thaw it. Do nothing for a draft."""
    if segment.status not in EVALUATED:
        return
    _end_freeze(segment, now=now)
    segment.status = SegmentStatus.ACTIVE
    segment.error = ""
    segment.include_present = include_present
    segment.changed_revision = note_change(segment.playbook_id)


def _checked(fields: SegmentFields) -> dict[str, Any]:
    """Return the values to save, with the rules in their canonical form."""
    known, leave_rule = known_names(), fields.leave_rule
    if leave_rule is not None:
        leave_rule = rules.canonical_rule(leave_rule, known)
    values = {name: getattr(fields, name) for name in fields.__dataclass_fields__}
    return values | {"rule": rules.canonical_rule(fields.rule, known), "leave_rule": leave_rule}


def _keep_version(segment: Segment, *, now: datetime, by: User | None) -> None:
    SegmentVersion.objects.create(
        segment=segment,
        version=segment.version,
        rule=segment.rule,
        leave_rule=segment.leave_rule,
        created_at=now,
        created_by=by,
    )
