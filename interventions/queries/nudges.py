"""What the page of a nudge shows of a segment and its members, and the nudges not started yet."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet

from activity.access import Viewer, for_user, named, viewable
from activity.models import Course, Enrollment
from activity.texts import a_few
from interventions.models import Cadence, CadenceStatus, Category, Nudge, Trigger
from segmentation.models import (
    Membership,
    Segment,
    SegmentStatus,
    Transition,
    TransitionCause,
    TransitionKind,
    WaitingEntry,
)
from segmentation.queries import clock_of_playbook, courses_of_playbook, people_in_segment

MOST_COUNTED = 10_000
NAMED = 10
MOST_DRAFTS = 20
# The latest entries and leavings in which a usual week is looked for.
_LATEST = 2_000
_WEEKS = 4


@dataclass(frozen=True)
class Entries:
    """The members who entered in the last weeks, each once, and those of them who left again."""

    weeks: float
    entered: int
    gone: int

    def in_weeks(self, number: int, *, of: int) -> int:
        """Return about how many of this number so many usual weeks have."""
        return round(of * number / self.weeks)


@dataclass(frozen=True)
class Whom:
    """A segment as the page shows it. `entries` is None while too little is known.

    `members` counts enrollments, and `learners` the people among them. `as_of` is now, or the
    stopped clock of simulated courses.
    """

    segment: Segment
    as_of: datetime
    courses: list[Course]
    members: int
    learners: int
    named: list[Enrollment]
    entries: Entries | None

    @property
    def has_more(self) -> bool:
        """Return whether there are more members than were counted."""
        return self.members > MOST_COUNTED

    @property
    def names(self) -> list[str]:
        """Return the names of the first members, each learner once."""
        return [*{each.learner_id: str(each.learner) for each in self.named}.values()]

    @property
    def per_week(self) -> int | None:
        """Return about how many enter in a usual week. A learner who comes back counts once."""
        return None if self.entries is None else self.entries.in_weeks(1, of=self.entries.entered)

    def in_each_half(self, *, with_present: bool) -> int:
        """Return about how many members are in each half after four usual weeks.

        Each is drawn once. So those who enter and are in it now count only once, too.
        """
        if self.entries is None:
            return min(self.members, MOST_COUNTED) // 2 if with_present else 0
        new = self.entries.gone if with_present else self.entries.entered
        present = min(self.members, MOST_COUNTED) if with_present else 0
        return (present + self.entries.in_weeks(_WEEKS, of=new)) // 2

    @property
    def where(self) -> str:
        """Return the titles of the courses."""
        return a_few([str(course) for course in self.courses])


def segments_to_nudge(viewer: User) -> QuerySet[Segment]:
    """Return the active segments that the viewer may see, with the courses of their names."""
    active = Segment.objects.filter(status=SegmentStatus.ACTIVE).select_related("playbook")
    seen = viewable(active.order_by("playbook__name", "priority", "name"), viewer)
    return named(seen, viewer)


def categories_to_nudge(viewer: User) -> QuerySet[Category]:
    """Return the kinds of messages that the viewer may see."""
    return viewable(Category.objects.order_by("id"), viewer)


def whom(segment: Segment, *, viewer: User, now: datetime) -> Whom:
    """Return the segment's numbers and its first members. Six queries."""
    clock = clock_of_playbook(segment.playbook_id) or now
    size = people_in_segment(segment.pk, up_to=MOST_COUNTED, viewer=viewer)
    return Whom(
        segment=segment,
        as_of=clock,
        courses=list(courses_of_playbook(segment.playbook_id, viewer=viewer)),
        members=size.members,
        learners=size.learners,
        named=_named(segment.pk, viewer=viewer),
        entries=_entries(segment.pk, viewer=viewer, now=clock),
    )


def first_members(segment_id: int, *, viewer: User, most: int) -> list[Enrollment]:
    """Return the first current members with learner and course. One query."""
    current = for_user(Membership.objects.filter(segment=segment_id, left_at=None), viewer)
    rows = current.select_related("enrollment__learner", "enrollment__course")
    return [member.enrollment for member in rows.order_by("enrollment_id")[:most]]


def _named(segment_id: int, *, viewer: User) -> list[Enrollment]:
    if not viewer.has_perm("activity.view_learner"):
        return []
    return first_members(segment_id, viewer=viewer, most=NAMED)


def present_enrollments(
    segment_id: int | None, enrollment_ids: Collection[int], *, now: datetime
) -> QuerySet[Enrollment]:
    """Return those members whose course is live. Entries that staff hold back are left out."""
    live = Enrollment.objects.filter(
        pk__in=enrollment_ids, course__live_since__lte=now, course__clock_stopped_at=None
    )
    waiting = WaitingEntry.objects.filter(enrollment=OuterRef("pk"), segment=segment_id)
    loaded = live.filter(~Exists(waiting)).select_related("learner", "course")
    return loaded.order_by("pk")


def active_on_entry(segment_id: int) -> QuerySet[Cadence]:
    """Return the active cadences that start for learners who enter the segment."""
    entering = Cadence.objects.filter(segment=segment_id, trigger=Trigger.ENTER)
    return entering.filter(status=CadenceStatus.ACTIVE).order_by("priority", "name")[:MOST_DRAFTS]


def drafts(viewer: User) -> QuerySet[Nudge]:
    """Return the nudges that are not started, the last saved first."""
    rows = for_user(Nudge.objects.filter(made_at=None, version__gt=0), viewer)
    return rows.select_related("saved_by").order_by("-saved_at")[:MOST_DRAFTS]


def _entries(segment_id: int, *, viewer: Viewer, now: datetime) -> Entries | None:
    """Return the entries of the last weeks that could start messages; None for less than a week.

    Entries at a first evaluation, and those that an experiment writes at its start for present
    members, come all at once. No week has them again.
    """
    since = now - timedelta(weeks=_WEEKS)
    rows = for_user(Transition.objects.filter(segment=segment_id), viewer)
    columns = ("enrollment", "kind", "starts", "occurred_at", "cause")
    latest = list(rows.order_by("-id").values_list(*columns)[: _LATEST + 1])
    if not latest:
        return None
    first = max(since, min(at for *_, at, _ in latest))
    weeks = (now - first) / timedelta(weeks=1)
    entered = {
        who
        for who, kind, starts, at, cause in latest
        if kind == TransitionKind.ENTER
        and starts
        and cause != TransitionCause.BASELINE
        and first <= at <= now
    }
    # The latest come first.
    last = {who: kind for who, kind, *_ in reversed(latest)}
    gone = [who for who in entered if last[who] == TransitionKind.LEAVE]
    return Entries(weeks, len(entered), len(gone)) if weeks >= 1 else None
