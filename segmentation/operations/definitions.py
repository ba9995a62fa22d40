"""The segments of one course as an evaluation reads them: parsed, ranked and numbered."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from segmentation import rules
from segmentation.compiler import SegmentRules
from segmentation.models import PlaybookCourse, PlaybookMode, Segment, SegmentStatus
from segmentation.operations.revisions import current_revision
from segmentation.operations.segments import EVALUATED


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One active segment. `rank` orders the segments of all playbooks, the first going first.

    Revisions are RulesRevision numbers: `changed` the segment's own last change, `moved` the last
    change that could move anybody in or out of it, `added` when its playbook came to the course.
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
        """Return the identities of the signals that the rule itself asks for."""
        return sorted({part.ref.identity for part in rules.conditions(self.rules.rule)})


@dataclass(frozen=True)
class Fault:
    """A segment that could not be evaluated, and why."""

    segment_id: int
    version: int
    error: str


@dataclass(frozen=True)
class Definitions:
    """What holds for a course: its active segments, those frozen, and those that cannot be read."""

    revision: int
    active: tuple[Definition, ...] = ()
    frozen: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()

    def without(self, faults: Iterable[Fault]) -> "Definitions":
        """Return the same with the segments at fault taken for frozen."""
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
    # The number first: a change that commits in between is then met once more, as an edit. The
    # other way round its number would be noted for rules that were read before it.
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
        # Where only one segment can be held, an edit of one moves the members of another.
        moved=segment.playbook.changed_revision if is_exclusive else changed,
        added=added,
        include_present=segment.include_present,
    )
