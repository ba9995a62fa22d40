"""What happened to a learner in a course, in sentences by local day, the newest first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from django.contrib.auth.models import AnonymousUser, User

from activity.models import Enrollment
from activity.queries.acts import acts_on, last_event_before
from common.clock import local_date, local_midnight
from common.dates import instant_text
from config.views.learner.acts import day_sentence
from config.views.learner.segments import ConditionLine, condition_line, moved_sentence
from experiments.queries import assignments_of
from interventions.models import DeliveryState
from interventions.queries.archive import FEWEST_DAYS
from interventions.queries.learner_messages import (
    archived_between,
    last_message_before,
    manual_starts,
    messages_between,
)
from interventions.queries.pauses import pauses_between
from interventions.sentences import (
    ended_at,
    ended_sentence,
    message_name,
    of_control,
    trace_lines,
)
from segmentation.queries.history import Moved, last_move_before, moves_between

DAYS = 7
Staff = User | AnonymousUser


@dataclass(frozen=True)
class Entry:
    """One sentence of the timeline. `details` and `conditions` are shown on demand.

    `message_id` names the message that can be read as it was sent.
    """

    at: datetime
    sentence: str
    details: Sequence[str] = ()
    conditions: Sequence[ConditionLine] = ()
    message_id: int | None = None


@dataclass(frozen=True)
class Day:
    """A local day with its sentences."""

    day: date
    entries: list[Entry]


@dataclass(frozen=True)
class Timeline:
    """Some days, and the day before which the older ones begin."""

    days: list[Day]
    older: date | None


@dataclass(frozen=True)
class _Stretch:
    """Some local days of an enrollment."""

    enrollment: Enrollment
    first: date
    until: datetime
    now: datetime

    @property
    def zone(self) -> str:
        return self.enrollment.course.time_zone

    @property
    def since(self) -> datetime:
        return local_midnight(self.first, self.zone)

    @property
    def is_old(self) -> bool:
        """Return whether some of it may be in the archive, which is never younger than this."""
        return self.since <= self.now - timedelta(days=FEWEST_DAYS)

    def midnights(self) -> list[datetime]:
        days = (self.first + timedelta(days=each) for each in range(DAYS))
        return [local_midnight(day, self.zone) for day in days]


def timeline(
    enrollment: Enrollment, *, viewer: Staff, now: datetime, before: date | None = None
) -> Timeline:
    """Return the seven days up to the last day on which something happened before `before`.

    At most 14 queries, and four more for days long ago. Learner and course must be loaded.
    """
    zone = enrollment.course.time_zone
    until = now + timedelta(microseconds=1) if before is None else local_midnight(before, zone)
    newest = _newest(enrollment, until, viewer)
    if newest is None:
        return Timeline([], None)
    first = local_date(newest, zone) - timedelta(days=DAYS - 1)
    stretch = _Stretch(enrollment, first, until, now)
    entries = [each for source in SOURCES for each in source(stretch, viewer)]
    entries.sort(key=lambda each: each.at, reverse=True)
    days = [
        Day(day, list(found))
        for day, found in groupby(entries, key=lambda each: local_date(each.at, zone))
    ]
    has_older = _newest(enrollment, stretch.since, viewer) is not None
    return Timeline(days, first if has_older else None)


def _newest(enrollment: Enrollment, until: datetime, viewer: Staff) -> datetime | None:
    """Return when the last thing before the instant happened."""
    found = [last(enrollment.pk, until) for right, last in _LAST if viewer.has_perm(right)]
    found.append(enrollment.enrolled_at if enrollment.enrolled_at < until else None)
    return max((at for at in found if at is not None), default=None)


_LAST: tuple[tuple[str, Callable[[int, datetime], datetime | None]], ...] = (
    ("activity.view_event", last_event_before),
    ("segmentation.view_transition", last_move_before),
    ("interventions.view_delivery", last_message_before),
)


def _enrolled(stretch: _Stretch, viewer: Staff) -> Iterator[Entry]:
    del viewer
    instants = (
        (stretch.enrollment.enrolled_at, "Enrolled in the course."),
        (stretch.enrollment.withdrew_at, "Left the course."),
        (stretch.enrollment.completed_at, "Completed the course."),
    )
    for at, sentence in instants:
        if at is not None and stretch.since <= at < stretch.until:
            yield Entry(at, sentence)


def _acts(stretch: _Stretch, viewer: Staff) -> Iterator[Entry]:
    if not viewer.has_perm("activity.view_event"):
        return
    found = acts_on(stretch.enrollment.pk, stretch.midnights(), until=stretch.until)
    for _, of_day in groupby(sorted(found, key=lambda each: each.place), lambda each: each.place):
        acts = list(of_day)
        sentence = day_sentence(acts)
        if sentence:
            yield Entry(max(each.last_at for each in acts), sentence)


def _moves(stretch: _Stretch, viewer: Staff) -> Iterator[Entry]:
    if not viewer.has_perm("segmentation.view_transition"):
        return
    for moved in _moved(stretch):
        yield Entry(
            moved.transition.occurred_at,
            moved_sentence(moved),
            conditions=[condition_line(each) for each in moved.verdicts],
        )


def _moved(stretch: _Stretch) -> list[Moved]:
    about = (stretch.enrollment.pk, stretch.since, stretch.until)
    found = moves_between(*about)
    return [*found, *moves_between(*about, archived=True)] if stretch.is_old else found


def _messages(stretch: _Stretch, viewer: Staff) -> Iterator[Entry]:
    if not viewer.has_perm("interventions.view_delivery"):
        return
    about = (stretch.enrollment.pk, stretch.since, stretch.until)
    archived = archived_between(*about) if stretch.is_old else []
    for delivery in [*messages_between(*about), *archived]:
        if delivery.state == DeliveryState.PLANNED and delivery.ghost:
            sentence = of_control(message_name(delivery), delivery.run)
        elif delivery.state == DeliveryState.PLANNED:
            sentence = f"{message_name(delivery)} was planned and waits."
        else:
            sentence = ended_sentence(delivery, zone=stretch.zone)
        lines = trace_lines(delivery, zone=stretch.zone)
        kept = delivery.pk if delivery.is_kept else None  # type: ignore[attr-defined]
        yield Entry(ended_at(delivery), sentence, lines, message_id=kept)


def _starts(stretch: _Stretch, viewer: Staff) -> Iterator[Entry]:
    if viewer.has_perm("interventions.view_run"):
        for run in manual_starts(stretch.enrollment.pk, stretch.since, stretch.until):
            yield Entry(run.started_at, f"“{run.cadence.name}” was started by hand.")


def _draws(stretch: _Stretch, viewer: Staff) -> Iterator[Entry]:
    if not viewer.has_perm("experiments.view_assignment"):
        return
    for drawn in assignments_of([stretch.enrollment.pk]):
        if stretch.since <= drawn.assigned_at < stretch.until:
            arm = drawn.arm.own_name
            sentence = f"Drawn into the arm “{arm}” of the experiment “{drawn.experiment}”."
            yield Entry(drawn.assigned_at, sentence)


def _pauses(stretch: _Stretch, viewer: Staff) -> Iterator[Entry]:
    if not viewer.has_perm("interventions.view_learnerpause"):
        return
    learner_id = stretch.enrollment.learner_id
    for pause in pauses_between(learner_id, stretch.since, stretch.until):
        by = f" by {pause.began_by}" if pause.began_by else ""
        why = f": {pause.reason}" if pause.reason else ""
        until = "now"
        if pause.ended_at is not None:
            until = instant_text(pause.ended_at, zone=stretch.zone)
        yield Entry(pause.began_at, f"All messages were held{by} until {until}{why}.")


SOURCES: tuple[Callable[[_Stretch, Staff], Iterator[Entry]], ...] = (
    _enrolled,
    _acts,
    _moves,
    _draws,
    _starts,
    _messages,
    _pauses,
)
