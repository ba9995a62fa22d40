"""The SQL of every signal: what it needs from the sources, and how it reads them."""

# Every value is bound; what is put into the text are constants of this package.
# ruff: noqa: S608

from collections.abc import Callable
from dataclasses import dataclass

from segmentation.compiler.sources import IS_ASSIGNED, IS_OPEN, Sources
from segmentation.signals import SignalRef

MODULES = "i.kind = 'module'"
QUIZZES = "i.kind = 'quiz'"
_OPEN = "p.is_module AND p.is_assigned AND p.first_completed_at IS NULL"
_DONE = "p.is_module AND p.is_assigned AND p.first_completed_at IS NOT NULL"


@dataclass(frozen=True)
class Compiled:
    """A signal's SQL over the aliases of the reading.

    `daily`: its value can change at local midnight without any event. `anchor`: for days since
    something, the SQL of that instant: its thresholds fall due at exact times after it. `alias` is
    the column that it becomes: a name of no more than letters and digits, whatever its arguments.
    """

    sql: str
    daily: bool = True
    anchor: str | None = None
    alias: str = ""

    @property
    def since(self) -> str:
        """Return the column of the anchor."""
        return f"{self.alias}_since"


def compile_signal(ref: SignalRef, sources: Sources) -> Compiled:
    """Return the SQL of the signal and note in `sources` what it needs."""
    return _SIGNALS[ref.signal.name](ref, sources)


def _rate(numerator: str, denominator: str) -> str:
    """Return the quotient as a float, null where there is nothing to divide by."""
    return f"({numerator})::float8 / nullif({denominator}, 0)::float8"


def _total(columns: str) -> Callable[[SignalRef, Sources], Compiled]:
    """Return the compiler of a signal that sums columns of the daily rows over its window."""

    def compiled(ref: SignalRef, sources: Sources) -> Compiled:
        total = sources.sum_of_day(f"sum({columns})", ref.window)
        return Compiled(f"coalesce({total}, 0)::bigint")

    return compiled


def _active_days(ref: SignalRef, sources: Sources) -> Compiled:
    days = sources.sum_of_day("count(nullif(a.acts, 0))", ref.window)
    return Compiled(f"coalesce({days}, 0)")


def _quiz_attempts_change(ref: SignalRef, sources: Sources) -> Compiled:
    window = ref.window or 0
    now = sources.sum_of_day("sum(a.attempts)", window)
    before = sources.sum_of_day("sum(a.attempts)", window, skip=window)
    return Compiled(f"(coalesce({now}, 0) - coalesce({before}, 0))::bigint")


def _share_of_scored(column: str) -> Callable[[SignalRef, Sources], Compiled]:
    """Return the compiler of a mean over the scored attempts of the window."""

    def compiled(ref: SignalRef, sources: Sources) -> Compiled:
        total = sources.sum_of_day(f"sum({column})", ref.window)
        scored = sources.sum_of_day("sum(a.scored)", ref.window)
        return Compiled(_rate(total, scored), daily=ref.window is not None)

    return compiled


def _quiz_attempt_rate(ref: SignalRef, sources: Sources) -> Compiled:
    since = sources.touched_since(ref.window or 0)
    # An attempt touches the quiz's module: those attempted are always among those counted.
    attempted = sources.of_progress(
        f"count(*) FILTER (WHERE p.is_quiz AND p.last_attempt_at >= {since})",
        items=QUIZZES,
    )
    offered = sources.of_progress(
        f"sum(p.quizzes) FILTER (WHERE p.is_module AND p.last_touched_at >= {since})",
        items=MODULES,
    )
    return Compiled(_rate(attempted, offered))


def _modules_completed(ref: SignalRef, sources: Sources) -> Compiled:
    within = "p.first_completed_at IS NOT NULL"
    if ref.window is not None:
        within = f"p.first_completed_at >= {sources.since(ref.window)}"
    done = sources.of_progress(f"count(*) FILTER (WHERE p.is_module AND {within})", items=MODULES)
    return Compiled(f"coalesce({done}, 0)", daily=ref.window is not None)


def _modules(sources: Sources, condition: str) -> str:
    """Return SQL for how many modules of the course meet the condition."""
    return sources.fact(
        "(SELECT count(*) FROM activity_item i WHERE i.course_id = c.id AND i.kind = 'module'"
        f" AND {condition})"
    )


def _completion_rate(_: SignalRef, sources: Sources) -> Compiled:
    done = sources.of_progress(f"count(*) FILTER (WHERE {_DONE})", items=MODULES)
    return Compiled(_rate(f"coalesce({done}, 0)", _modules(sources, IS_ASSIGNED)))


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


@dataclass(frozen=True)
class _Owed:
    """SQL for how many activities an enrollment owes, and how many of them it has completed."""

    owed: str
    done: str


def _owed(window: int | None, sources: Sources) -> _Owed:
    """Return what is owed over the last N days before the course's grace, None: over all."""
    last = "c.day_on - c.grace_days"
    owed_on = "coalesce(i.due_on, i.assigned_on)"
    known = sources.params.bind(sources.subject.norms.completed_items, "bigint[]")
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
    # The days of what is owed, sorted: late enrollments do not owe those before their own date.
    before = f"width_bucket(s.enrolled_on - {sources.day()} - 1, {days})"
    return _Owed(f"(cardinality({days}) - {before})", f"coalesce({done}, 0)")


def _activities_completed_rate(ref: SignalRef, sources: Sources) -> Compiled:
    activities = _owed(ref.window, sources)
    return Compiled(_rate(activities.done, activities.owed))


def _activities_overdue(_: SignalRef, sources: Sources) -> Compiled:
    activities = _owed(None, sources)
    return Compiled(f"({activities.owed} - {activities.done})")


def _days_since(latest: Callable[[Sources], str]) -> Callable[[SignalRef, Sources], Compiled]:
    """Return the compiler of exact days since the latest of an instant and the start."""

    def compiled(_: SignalRef, sources: Sources) -> Compiled:
        anchor = f"greatest({latest(sources)}, s.began_at)"
        # Seconds first, then days: the same two roundings as total_seconds() / 86400 in Python.
        days = f"extract(epoch FROM {sources.as_of} - {anchor})::float8 / 86400"
        return Compiled(days, daily=False, anchor=anchor)

    return compiled


def _last_act(sources: Sources) -> str:
    return sources.sum_of_day("max(a.last_act_at)", None)


def _last_attempt(sources: Sources) -> str:
    return sources.sum_of_day("max(a.last_attempt_at)", None)


def _last_completion(sources: Sources) -> str:
    return sources.of_progress(
        "max(p.first_completed_at) FILTER (WHERE p.is_module)", items=MODULES
    )


def _pace_percentile(_: SignalRef, sources: Sources) -> Compiled:
    norms = sources.subject.norms
    if not norms.has_ranks:
        return Compiled("NULL::float8")
    sources.items.add(MODULES)
    sources.pace_since = sources.since(1)
    paces = sources.params.bind(norms.paces, "float8[]")
    # width_bucket counts the bounds at or below; over the negated paces, those at or above ours.
    negated = sources.params.bind([-pace for pace in reversed(norms.paces)], "float8[]")
    total = sources.params.bind(len(norms.paces), "float8")
    below = f"({total} - width_bucket(-w.pace, {negated}))"
    ties = f"(width_bucket(w.pace, {paces}) - {below})"
    # The norms hold the learner's own pace of this morning, which is no other tie.
    others = f"({ties} - CASE WHEN w.pace_before = w.pace THEN 1 ELSE 0 END)"
    return Compiled(f"CASE WHEN w.pace IS NOT NULL THEN ({below} + {others} / 2) / {total} END")


def _trait(ref: SignalRef, sources: Sources) -> Compiled:
    sources.needs_traits = True
    # The enrollment's own come last and so go first: the learner's row knows later runs too.
    value = f"(t.traits || s.traits) -> {sources.params.bind(ref.args[0], 'text')}"
    # Nothing and a list of nothing say nothing: unknown.
    return Compiled(f"nullif(nullif({value}, 'null'::jsonb), '[]'::jsonb)", daily=False)


_SIGNALS: dict[str, Callable[[SignalRef, Sources], Compiled]] = {
    "active_days": _active_days,
    "logins": _total("a.logins"),
    "content_views": _total("a.views::bigint + a.plays + a.downloads"),
    "video_plays": _total("a.plays"),
    "downloads": _total("a.downloads"),
    "assignments_started": _total("a.starts"),
    "days_since_activity": _days_since(_last_act),
    "quiz_attempts": _total("a.attempts"),
    "quiz_attempts_change": _quiz_attempts_change,
    "quiz_attempt_rate": _quiz_attempt_rate,
    "quiz_pass_rate": _share_of_scored("a.passed"),
    "average_score": _share_of_scored("a.score_sum"),
    "days_since_quiz_attempt": _days_since(_last_attempt),
    "modules_completed": _modules_completed,
    "completion_rate": _completion_rate,
    "activities_completed_rate": _activities_completed_rate,
    "activities_overdue": _activities_overdue,
    "days_since_completion": _days_since(_last_completion),
    "modules_open": _modules_open,
    "modules_stalled": _modules_stalled,
    "pace_percentile": _pace_percentile,
    "trait": _trait,
}
