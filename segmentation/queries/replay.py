"""Read whom the saved and a typed rule of a segment hold on the last days of a course."""

# Every value is bound; only texts from the compiler are put into the statement.
# ruff: noqa: S608

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import F, Func, IntegerField, Q

from activity.models import Course
from common.clock import local_date, local_midnight
from segmentation.compiler import Reading, SegmentRules, compile_reading
from segmentation.models import (
    Membership,
    Override,
    OverrideKind,
    PlaybookMode,
    Segment,
    SegmentStatus,
)
from segmentation.queries.norms import norms_needed
from segmentation.queries.statements import fetched
from segmentation.replay import NOBODY, Follower, Ids, Moment, Replay, entries, follow
from segmentation.rules import Group, RuleError, parse
from segmentation.signals import needs_of

DAYS = 30
# So many are read on 31 days in a few seconds.
MOST_LEARNERS = 1_000
# The typed rule is not saved, so it has no segment of its own.
_TYPED = 0


@dataclass(frozen=True)
class TypedRules:
    """The rules typed for a segment, which may be unsaved. `saved` are those in force, if any."""

    segment: Segment
    rule: Group
    leave_rule: Group | None = None

    @property
    def saved(self) -> SegmentRules | None:
        """Return the rules as they are, None if nobody enters by them or they cannot be read."""
        return _rules_of(self.segment) if self.segment.status == SegmentStatus.ACTIVE else None

    @property
    def typed(self) -> SegmentRules:
        """Return the typed rules under a key of their own."""
        return SegmentRules(_TYPED, self.rule, self.leave_rule)


def replay_rule(
    tried: TypedRules, course: Course, *, until: datetime, out_of_time: Callable[[], bool]
) -> Replay:
    """Return the members by both rules at the end of each of the last 30 local days until then.

    The latest days are read first, and no more of them when `out_of_time` says so, but at least
    one. Of a large course 1,000 enrollments are read, chosen by chance. Items, due dates, traits
    and manual members are taken as they are today. One query a day, up to two more for its norms,
    and at most six others.
    """
    number, chosen = _enrollments(course)
    world = _World(tried, course, chosen)
    last = local_date(until, course.time_zone)
    moments: list[Moment] = []
    for back in range(DAYS + 1):
        moments.insert(0, world.moment(_end(last - timedelta(days=back), course, until)))
        if back and out_of_time():
            break
    days = [last - timedelta(days=back) for back in reversed(range(len(moments) - 1))]
    before, after = world.followed(moments)
    return Replay(days, before, after, number, chosen)


def entries_by_rule(
    segment: Segment,
    course: Course,
    *,
    since: datetime,
    until: datetime,
    out_of_time: Callable[[], bool],
) -> dict[int, datetime]:
    """Return by enrollment when the segment's rule would first have let it in since the instant.

    It is read as `replay_rule` does, on the 30 days until then. The instants are the ends of local
    days. Raise RuleError if the rule cannot be read.
    """
    leave_rule = None if segment.leave_rule is None else parse(segment.leave_rule)
    tried = TypedRules(segment, parse(segment.rule), leave_rule)
    found = replay_rule(tried, course, until=until, out_of_time=out_of_time)
    first: dict[int, datetime] = {}
    for enrollment_id, place in entries(found.after):
        at = _end(found.days[place - 1], course, until)
        if at >= since:
            first.setdefault(enrollment_id, at)
    return first


def would_enter(
    tried: TypedRules, course: Course, *, enrollment_ids: Sequence[int], at: datetime
) -> set[int]:
    """Return those whom the typed rules let enter at the instant. One query, or up to three."""
    reading = _reading([tried.typed], course, at=at, enrollment_ids=list(enrollment_ids))
    leaves = reading.leave_columns.get(_TYPED)
    sql = f"SELECT x.enrollment_id FROM ({reading.sql}) x WHERE x.{reading.rule_columns[_TYPED]}"
    if leaves:
        sql += f" AND x.{leaves} IS NOT TRUE"
    return {enrollment_id for (enrollment_id,) in fetched(sql, reading.params)}


class _World:
    """The segments that decide about members, with what does not change from day to day."""

    def __init__(self, tried: TypedRules, course: Course, chosen: list[int] | None) -> None:
        self._tried, self._course, self._chosen = tried, course, chosen
        self._earlier, frozen = _earlier(tried.segment)
        self._rules = [*self._earlier, *([tried.saved] if tried.saved else []), tried.typed]
        self._taken = _held(frozen, course)

    def moment(self, at: datetime) -> Moment:
        """Read the rules at the instant."""
        reading = _reading(self._rules, self._course, at=at, enrollment_ids=self._chosen)
        columns = {"matches": reading.rule_columns, "leaves": reading.leave_columns}
        names = [name for kind in columns.values() for name in kind.values()]
        wanted = ", ".join(["x.enrollment_id", *(f"x.{name}" for name in names)])
        rows = list(
            fetched(f"SELECT {wanted} FROM ({reading.sql}) x WHERE x.in_scope", reading.params)
        )
        true = {
            name: frozenset(row[0] for row in rows if row[place])
            for place, name in enumerate(names, 1)
        }
        in_scope = frozenset(row[0] for row in rows)
        by_key = {
            kind: {key: true[name] for key, name in found.items()}
            for kind, found in columns.items()
        }
        return Moment(at, in_scope, by_key["matches"], by_key["leaves"])

    def followed(self, moments: Sequence[Moment]) -> tuple[list[Ids], list[Ids]]:
        """Return the members at each moment, as it is and with the change."""
        made = _overrides(self._tried.segment, self._earlier, self._course)
        held = self._held_at(moments[0].at)
        earlier = [_follower(one, made) for one in self._earlier]

        def along(rules: SegmentRules) -> list[Ids]:
            chain = [*earlier, _follower(rules, made)]
            return follow(chain, moments, held=held, taken=self._taken)

        saved = self._tried.saved
        return along(saved) if saved else [NOBODY] * len(moments), along(self._tried.typed)

    def _held_at(self, at: datetime) -> dict[int, Ids]:
        """Return who really was a member at the instant, where a leave rule keeps members."""
        own = self._tried.segment.pk
        keeping = {one.segment_id or own for one in self._rules if one.leave_rule} - {None}
        if not keeping:
            return {}
        stays = Membership.objects.filter(Q(left_at=None) | Q(left_at__gt=at), entered_at__lte=at)
        found = _by_segment(stays.filter(segment__in=keeping, enrollment__course=self._course))
        return found | {_TYPED: found.get(own, NOBODY)}


def _end(day: date, course: Course, until: datetime) -> datetime:
    # At midnight the next day has begun, and "the last 7 days" end with it.
    midnight = local_midnight(day + timedelta(days=1), course.time_zone)
    return min(midnight - timedelta(microseconds=1), until)


def _enrollments(course: Course) -> tuple[int, list[int] | None]:
    """Return how many enrollments the course has, and those to replay, None for all."""
    rows = course.enrollments.order_by()
    number = rows.count()
    if number <= MOST_LEARNERS:
        return number, None
    # The order of a hash is the same at the next try, so that two rules can be compared.
    by_chance = Func(F("pk"), function="hashint8", output_field=IntegerField())
    return number, list(rows.order_by(by_chance, "pk").values_list("pk", flat=True)[:MOST_LEARNERS])


def _reading(
    rules: Sequence[SegmentRules],
    course: Course,
    *,
    at: datetime,
    enrollment_ids: list[int] | None,
) -> Reading:
    needs = needs_of(each.ref for one in rules for each in one.conditions())
    norms = norms_needed(course, needs, as_of=at)
    return compile_reading(
        rules, course_id=course.pk, as_of=at, enrollment_ids=enrollment_ids, norms=norms
    )


def _earlier(segment: Segment) -> tuple[list[SegmentRules], list[int]]:
    """Return the segments of an exclusive playbook that come first, and those that are frozen."""
    if segment.playbook.mode != PlaybookMode.EXCLUSIVE:
        return [], []
    kept = Segment.objects.filter(playbook=segment.playbook_id).exclude(pk=segment.pk)
    place = (segment.priority, segment.key)
    rules: list[SegmentRules] = []
    frozen = []
    for one in kept.filter(status__in=("active", "frozen")).order_by("priority", "key"):
        read = _rules_of(one) if one.status == SegmentStatus.ACTIVE else None
        if read is None:
            # It keeps its members, whatever its place.
            frozen.append(one.pk)
        elif (one.priority, one.key) < place:
            rules.append(read)
    return rules, frozen


def _rules_of(segment: Segment) -> SegmentRules | None:
    try:
        leave_rule = None if segment.leave_rule is None else parse(segment.leave_rule)
        return SegmentRules(segment.pk, parse(segment.rule), leave_rule)
    except RuleError:
        return None


def _held(segment_ids: list[int], course: Course) -> Ids:
    """Return the present members of the segments."""
    if not segment_ids:
        return NOBODY
    stays = Membership.objects.filter(segment__in=segment_ids, left_at=None)
    return frozenset(stays.filter(enrollment__course=course).values_list("enrollment", flat=True))


def _by_segment(stays: Any) -> dict[int, Ids]:
    return _grouped(stays.values_list("segment", "enrollment"))


def _overrides(
    segment: Segment, earlier: Iterable[SegmentRules], course: Course
) -> dict[tuple[int, str], Ids]:
    """Return the manual members by segment and kind. Those of the segment are also of the typed."""
    ids = [one.segment_id for one in earlier] + ([segment.pk] if segment.pk else [])
    rows = Override.objects.filter(segment__in=ids, enrollment__course=course)
    return _grouped(
        ((key, kind), enrollment_id)
        for pk, kind, enrollment_id in rows.values_list("segment", "kind", "enrollment")
        for key in ((pk, _TYPED) if pk == segment.pk else (pk,))
    )


def _grouped(pairs: Iterable[tuple[Any, int]]) -> dict[Any, Ids]:
    found: dict[Any, set[int]] = {}
    for key, enrollment_id in pairs:
        found.setdefault(key, set()).add(enrollment_id)
    return {key: frozenset(ids) for key, ids in found.items()}


def _follower(rules: SegmentRules, made: dict[tuple[int, str], Ids]) -> Follower:
    return Follower(
        rules.segment_id,
        keeps=rules.leave_rule is not None,
        added=made.get((rules.segment_id, OverrideKind.ADDED), NOBODY),
        removed=made.get((rules.segment_id, OverrideKind.REMOVED), NOBODY),
    )
