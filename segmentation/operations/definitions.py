"""The segments of courses as an evaluation uses them: parsed, ranked, with revisions."""

from collections.abc import Iterable, Mapping, Sequence
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
    last change that could make anybody enter or leave it.
    """

    rules: SegmentRules
    playbook_id: int
    is_exclusive: bool
    rank: int
    version: int
    activated: int
    changed: int
    moved: int
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
class Link:
    """A playbook that is kept for a course, and the RulesRevision of its addition."""

    course_id: int
    playbook_id: int
    added: int | None


@dataclass(frozen=True)
class Definitions:
    """The segments of courses with the same playbooks: active ones, frozen ones, unreadable ones.

    `links` are those of all these courses.
    """

    revision: int
    links: tuple[Link, ...] = ()
    active: tuple[Definition, ...] = ()
    frozen: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()

    def without(self, faults: Iterable[Fault]) -> "Definitions":
        """Return the same definitions with the faulty segments as frozen."""
        faults = tuple(faults)
        ids = {fault.segment_id for fault in faults}
        return replace(
            self,
            active=tuple(one for one in self.active if one.segment_id not in ids),
            frozen=(*self.frozen, *sorted(ids)),
            faults=(*self.faults, *faults),
        )


def read_definitions(course_id: int) -> Definitions:
    """Return the segments that are kept for the course. Three queries."""
    ((_, found),) = definitions_by_courses([course_id])
    return found


def definitions_by_courses(course_ids: Iterable[int]) -> list[tuple[list[int], Definitions]]:
    """Return the segments that are kept for the courses, once for all courses that keep the same.

    Three queries, for any number of courses.
    """
    # The revision is read first. A change that commits in between is then evaluated once more, as
    # an edit. In the other order, its number would be recorded for rules that were read before it.
    revision = current_revision()
    links: dict[int, list[Link]] = {course_id: [] for course_id in course_ids}
    rows = PlaybookCourse.objects.filter(course_id__in=links).order_by("playbook_id")
    for row in rows.values_list("course_id", "playbook_id", "added_revision"):
        links[row[0]].append(Link(*row))
    segments = _segments(links)
    groups: dict[tuple[int, ...], list[int]] = {}
    for course_id, own in links.items():
        groups.setdefault(tuple(link.playbook_id for link in own), []).append(course_id)
    return [
        (
            courses,
            _definitions(revision, segments, [one for each in courses for one in links[each]]),
        )
        for courses in groups.values()
    ]


def _segments(links: Mapping[int, Sequence[Link]]) -> list[Segment]:
    playbooks = {link.playbook_id for own in links.values() for link in own}
    kept = Segment.objects.filter(playbook__in=playbooks, status__in=EVALUATED)
    return list(kept.select_related("playbook").order_by("playbook_id", "priority", "key"))


def _definitions(revision: int, segments: Iterable[Segment], links: Sequence[Link]) -> Definitions:
    playbooks = {link.playbook_id for link in links}
    found = Definitions(revision, tuple(links))
    kept = (segment for segment in segments if segment.playbook_id in playbooks)
    for rank, segment in enumerate(kept):
        found = _add(found, segment, rank=rank)
    return found


def _add(found: Definitions, segment: Segment, *, rank: int) -> Definitions:
    if segment.status == SegmentStatus.FROZEN:
        return replace(found, frozen=(*found.frozen, segment.id))
    try:
        return replace(found, active=(*found.active, _definition(segment, rank)))
    except rules.RuleError as error:
        return found.without([Fault(segment.id, segment.version, str(error))])


def _definition(segment: Segment, rank: int) -> Definition:
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
        include_present=segment.include_present,
    )
