"""The segments of one course as an evaluation uses them: parsed, ranked, with revisions."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from segmentation import rules
from segmentation.compiler import SegmentRules
from segmentation.models import PlaybookCourse, PlaybookMode, Segment, SegmentStatus
from segmentation.operations.revisions import current_revision
from segmentation.operations.segments import EVALUATED


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One active segment. `rank` orders the segments of all playbooks; the lowest comes first.

    Revisions are RulesRevision numbers. `changed` is the segment's own last change. `moved` is the
    last change that could make anybody enter or leave it. `added` is the addition of its playbook
    to the course.
    """

    rules: SegmentRules
    playbook_id: int
    is_exclusive: bool
    rank: int
    version: int
    activated: int
    changed: int
    moved: int
    added: int | None
    include_present: bool

    @property
    def segment_id(self) -> int:
        return self.rules.segment_id

    @property
    def signals(self) -> list[str]:
        """Return the identities of the signals in the rule, without those of the leave rule."""
        return sorted({part.ref.identity for part in rules.conditions(self.rules.rule)})


@dataclass(frozen=True)
class Fault:
    """A segment that could not be evaluated, and why."""

    segment_id: int
    version: int
    error: str


@dataclass(frozen=True)
class Definitions:
    """The segments of a course: active ones, frozen ones, and those that cannot be read."""

    revision: int
    active: tuple[Definition, ...] = ()
    frozen: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()

    def without(self, faults: Iterable[Fault]) -> "Definitions":
        """Return the same definitions with the faulty segments as frozen."""
        faults = tuple(faults)
        ids = {fault.segment_id for fault in faults}
        return Definitions(
            revision=self.revision,
            active=tuple(one for one in self.active if one.segment_id not in ids),
            frozen=(*self.frozen, *sorted(ids)),
            faults=(*self.faults, *faults),
        )


def read_definitions(course_id: int) -> Definitions:
    """Return the segments that are kept for the course."""
    # The revision is read first. A change that commits in between is then evaluated once more, as
    # an edit. In the other order, its number would be recorded for rules that were read before it.
    found = Definitions(current_revision())
    links = PlaybookCourse.objects.filter(course_id=course_id)
    added = dict(links.values_list("playbook_id", "added_revision"))
    kept = Segment.objects.filter(playbook__in=added, status__in=EVALUATED)
    ordered = kept.select_related("playbook").order_by("playbook_id", "priority", "key")
    for rank, segment in enumerate(ordered):
        found = _add(found, segment, rank=rank, added=added[segment.playbook_id])
    return found


def _add(found: Definitions, segment: Segment, *, rank: int, added: int | None) -> Definitions:
    if segment.status == SegmentStatus.FROZEN:
        return replace(found, frozen=(*found.frozen, segment.id))
    try:
        return replace(found, active=(*found.active, _definition(segment, rank, added)))
    except rules.RuleError as error:
        return found.without([Fault(segment.id, segment.version, str(error))])


def _definition(segment: Segment, rank: int, added: int | None) -> Definition:
    leave_rule = None if segment.leave_rule is None else rules.parse(segment.leave_rule)
    is_exclusive = segment.playbook.mode == PlaybookMode.EXCLUSIVE
    changed = segment.changed_revision or 0
    return Definition(
        rules=SegmentRules(segment.id, rules.parse(segment.rule), leave_rule),
        playbook_id=segment.playbook_id,
        is_exclusive=is_exclusive,
        rank=rank,
        version=segment.version,
        activated=segment.activated_revision or 0,
        changed=changed,
        # In an exclusive playbook, an edit of one segment can change the members of another.
        moved=segment.playbook.changed_revision if is_exclusive else changed,
        added=added,
        include_present=segment.include_present,
    )
