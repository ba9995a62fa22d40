"""Signals of general activity. Pure."""

from segmentation.signals.shared import DAILY, days_since, exact_days, sum_of
from segmentation.signals.sources import Sources
from segmentation.signals.types import Compiled, Signal, SignalKind, SignalRef, Window


def _active_days(ref: SignalRef, sources: Sources) -> Compiled:
    days = sources.sum_of_day("count(nullif(a.acts, 0))", ref.window)
    return Compiled(f"coalesce({days}, 0)")


def _last_act(sources: Sources) -> str:
    return sources.sum_of_day("max(a.last_act_at)", None)


def _enrolled(_: SignalRef, sources: Sources) -> Compiled:
    return exact_days("s.began_at", sources)


ENROLLED = Signal(
    name="days_enrolled",
    kind=SignalKind.DAYS,
    window=Window.NONE,
    label="days since the beginning",
    sentence="began {amount} ago",
    help="Exact 24-hour days since the later of the enrollment and the course start.",
    needs=frozenset(),
    sql=_enrolled,
)

ACTIVITY = (
    Signal(
        name="active_days",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="days active",
        sentence="active on {amount} of the last {days}",
        within_window=True,
        help="How many of the last N days have at least one act. A login is an act.",
        needs=DAILY,
        sql=_active_days,
    ),
    Signal(
        name="logins",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="logins",
        sentence="logged in {amount} {when}",
        unit=("time", "times"),
        help="Logins in the last N days.",
        needs=DAILY,
        sql=sum_of("a.logins"),
    ),
    Signal(
        name="content_views",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="content views",
        sentence="had {amount} {when}",
        unit=("content view", "content views"),
        help="Views of modules and items, video plays and downloads in the last N days.",
        needs=DAILY,
        sql=sum_of("a.views::bigint + a.plays + a.downloads"),
    ),
    Signal(
        name="video_plays",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="video plays",
        sentence="played videos {amount} {when}",
        unit=("time", "times"),
        help="Video plays in the last N days.",
        needs=DAILY,
        sql=sum_of("a.plays"),
    ),
    Signal(
        name="downloads",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="downloads",
        sentence="downloaded {amount} {when}",
        unit=("resource", "resources"),
        help="Downloads of resources in the last N days.",
        needs=DAILY,
        sql=sum_of("a.downloads"),
    ),
    Signal(
        name="assignments_started",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="assignments started",
        sentence="started {amount} {when}",
        unit=("assignment", "assignments"),
        help="Assignments started in the last N days.",
        needs=DAILY,
        sql=sum_of("a.starts"),
    ),
    Signal(
        name="days_since_activity",
        kind=SignalKind.DAYS,
        window=Window.NONE,
        label="days since the last activity",
        sentence="last active {amount} ago",
        help="Exact 24-hour days since the latest of: the last act, the enrollment, the course "
        "start.",
        needs=DAILY,
        sql=days_since(_last_act),
    ),
)
