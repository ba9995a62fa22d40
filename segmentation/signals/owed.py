"""Signals of owed activities: those whose due day and days of grace are over. Pure."""

# Every value is bound; only constants of this package are put into the text.
# ruff: noqa: S608

from dataclasses import dataclass

from segmentation.signals.needs import Need
from segmentation.signals.shared import rate
from segmentation.signals.sources import Sources
from segmentation.signals.types import Compiled, Signal, SignalKind, SignalRef, Window


@dataclass(frozen=True)
class _Owed:
    """SQL for the number of activities that an enrollment owes, and how many are completed."""

    owed: str
    done: str


def _owed(window: int | None, sources: Sources) -> _Owed:
    """Return the activities owed over the last N days before the course's grace (None: all)."""
    last = "c.day_on - c.grace_days"
    owed_on = "coalesce(i.due_on, i.assigned_on)"
    known = sources.norm("completed_items")
    within = f"i.kind <> 'module' AND i.id = ANY({known}) AND {owed_on} <= {last}"
    counted = "p.owed_on >= p.enrolled_on AND p.first_completed_at IS NOT NULL"
    counted += f" AND p.owed_on <= {sources.fact(last)}"
    if window is not None:
        within += f" AND {owed_on} > {last} - {sources.days(window)}"
        counted += f" AND p.owed_on > {sources.fact(f'{last} - {sources.days(window)}')}"
    done = sources.of_progress(f"count(*) FILTER (WHERE {counted})", items=within)
    days = sources.fact(
        f"ARRAY(SELECT {owed_on} - c.day_on FROM activity_item i"
        f" WHERE i.course_id = c.id AND {within} ORDER BY 1)"
    )
    # The sorted days of the owed activities. An enrollment does not owe those before its own date.
    before = f"width_bucket(s.enrolled_on - {sources.day()} - 1, {days})"
    return _Owed(f"(cardinality({days}) - {before})", f"coalesce({done}, 0)")


def _activities_completed_rate(ref: SignalRef, sources: Sources) -> Compiled:
    activities = _owed(ref.window, sources)
    return Compiled(rate(activities.done, activities.owed))


def _activities_overdue(_: SignalRef, sources: Sources) -> Compiled:
    activities = _owed(None, sources)
    return Compiled(f"({activities.owed} - {activities.done})")


OWED = (
    Signal(
        name="activities_completed_rate",
        kind=SignalKind.RATE,
        window=Window.OPTIONAL,
        label="share of owed activities completed",
        sentence="completed {amount} of the activities owed {when}",
        help="The share completed by now among the activities owed in the last N days. An activity "
        "is owed when the course's days of grace after its due day are over. Activities due before "
        "the enrollment, and those that nobody in the course had completed before today, are not "
        "owed. Unknown if none is owed.",
        unknown="no activity was owed {when}",
        needs=frozenset({Need.NORMS, Need.PROGRESS}),
        sql=_activities_completed_rate,
    ),
    Signal(
        name="activities_overdue",
        kind=SignalKind.COUNT,
        window=Window.NONE,
        label="overdue activities",
        sentence="has {amount}",
        unit=("overdue activity", "overdue activities"),
        help="How many of all activities owed so far are not completed.",
        needs=frozenset({Need.NORMS, Need.PROGRESS}),
        sql=_activities_overdue,
    ),
)
