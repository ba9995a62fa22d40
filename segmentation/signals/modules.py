"""Signals of modules: completed, open, stalled, and the pace. Pure."""

# Every value is bound; only constants of this package are put into the text.
# ruff: noqa: S608

from segmentation.signals.needs import Need
from segmentation.signals.shared import PROGRESS, days_since, rate
from segmentation.signals.sources import IS_ASSIGNED, IS_OPEN, MODULES, Sources
from segmentation.signals.types import Compiled, Signal, SignalKind, SignalRef, Window

_OPEN = "p.is_module AND p.is_assigned AND p.first_completed_at IS NULL"
_DONE = "p.is_module AND p.is_assigned AND p.first_completed_at IS NOT NULL"


def _modules_completed(ref: SignalRef, sources: Sources) -> Compiled:
    within = "p.first_completed_at IS NOT NULL"
    if ref.window is not None:
        within = f"p.first_completed_at >= {sources.since(ref.window)}"
    done = sources.of_progress(f"count(*) FILTER (WHERE p.is_module AND {within})", items=MODULES)
    return Compiled(f"coalesce({done}, 0)", daily=ref.window is not None)


def _modules(sources: Sources, condition: str) -> str:
    """Return SQL for the number of the course's modules that meet the condition."""
    return sources.fact(
        "(SELECT count(*) FROM activity_item i WHERE i.course_id = c.id AND i.kind = 'module'"
        f" AND {condition})"
    )


def _completion_rate(_: SignalRef, sources: Sources) -> Compiled:
    done = sources.of_progress(f"count(*) FILTER (WHERE {_DONE})", items=MODULES)
    return Compiled(rate(f"coalesce({done}, 0)", _modules(sources, IS_ASSIGNED)))


def _modules_open(_: SignalRef, sources: Sources) -> Compiled:
    closed = "p.is_module AND p.is_open AND p.first_completed_at IS NOT NULL"
    done = sources.of_progress(f"count(*) FILTER (WHERE {closed})", items=MODULES)
    return Compiled(f"({_modules(sources, IS_OPEN)} - coalesce({done}, 0))")


def _modules_stalled(ref: SignalRef, sources: Sources) -> Compiled:
    since = sources.touched_since(ref.window or 0)
    stalled = sources.of_progress(
        f"count(*) FILTER (WHERE {_OPEN} AND p.last_touched_at < {since})", items=MODULES
    )
    return Compiled(f"coalesce({stalled}, 0)")


def _last_completion(sources: Sources) -> str:
    return sources.of_progress(
        "max(p.first_completed_at) FILTER (WHERE p.is_module)", items=MODULES
    )


def _pace_percentile(_: SignalRef, sources: Sources) -> Compiled:
    paces, (pace, pace_before) = sources.norm("paces"), sources.pace()
    # Without ranks the array is null, and so is the result. width_bucket counts the bounds at or
    # below a value. Paces are rounded to billionths, so those below are the ones below half of one.
    total = f"cardinality({paces})::float8"
    below = f"width_bucket({pace} - 5e-10::float8, {paces})::float8"
    ties = f"(width_bucket({pace}, {paces}) - {below})"
    # The norms contain the learner's own pace from the beginning of the day, which is not counted.
    others = f"({ties} - CASE WHEN {pace_before} = {pace} THEN 1 ELSE 0 END)"
    return Compiled(f"CASE WHEN {pace} IS NOT NULL THEN ({below} + {others} / 2) / {total} END")


COMPLETED = (
    Signal(
        name="modules_completed",
        kind=SignalKind.COUNT,
        window=Window.OPTIONAL,
        label="modules completed",
        sentence="completed {amount} {when}",
        unit=("module", "modules"),
        help="Modules whose first completion is in the last N days.",
        needs=PROGRESS,
        sql=_modules_completed,
    ),
    Signal(
        name="completion_rate",
        kind=SignalKind.RATE,
        window=Window.NONE,
        label="share of modules completed",
        sentence="completed {amount} of the modules assigned so far",
        help="The share of completed modules among those assigned so far. Unknown if none is "
        "assigned.",
        unknown="no module is assigned yet",
        needs=PROGRESS,
        sql=_completion_rate,
    ),
)

MODULE = (
    Signal(
        name="days_since_completion",
        kind=SignalKind.DAYS,
        window=Window.NONE,
        label="days since the last module completion",
        sentence="last completed a module {amount} ago",
        help="Exact 24-hour days since the latest of: the last completion of a module, the "
        "enrollment, the course start.",
        needs=PROGRESS,
        sql=days_since(_last_completion),
    ),
    Signal(
        name="modules_open",
        kind=SignalKind.COUNT,
        window=Window.NONE,
        label="open modules",
        sentence="has {amount}",
        unit=("open module", "open modules"),
        help="Modules assigned so far and not completed, until 14 days after their due day.",
        needs=PROGRESS,
        sql=_modules_open,
    ),
    Signal(
        name="modules_stalled",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="stalled modules",
        sentence="has {amount} untouched for {days}",
        unit=("begun module", "begun modules"),
        help="Modules assigned, begun and not completed, without a touch in the last N days.",
        needs=PROGRESS,
        sql=_modules_stalled,
    ),
    Signal(
        name="pace_percentile",
        kind=SignalKind.RATE,
        window=Window.NONE,
        label="pace percentile",
        sentence="{amount} of the course completes modules faster",
        help="The rank of the learner's pace in the course as a share; 0 is the fastest. Half of "
        "the learners with the same pace count as faster. Unknown before the first completed "
        "module, and if more than half of the course has the same pace.",
        unknown="no module is completed yet, or more than half of the course has the same pace",
        needs=frozenset({Need.NORMS, Need.PACE}),
        sql=_pace_percentile,
    ),
)
