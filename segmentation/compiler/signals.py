"""The SQL of every signal: what it needs from the sources, and how it reads them."""

# Every value is bound; what is put into the text are constants of this package.
# ruff: noqa: S608

from collections.abc import Callable
from dataclasses import dataclass

from segmentation.compiler.sources import Sources
from segmentation.signals import SignalRef

MODULES = "i.kind = 'module'"
QUIZZES = "i.kind = 'quiz'"
_OPEN = "p.is_module AND p.is_assigned AND p.first_completed_at IS NULL"
_DONE = "p.is_module AND p.is_assigned AND p.first_completed_at IS NOT NULL"


@dataclass(frozen=True)
class Compiled:
    """A signal's SQL over the aliases of the reading.

    `daily`: its value can change at local midnight without any event. `anchor`: for days since
    something, the SQL of that instant: its thresholds fall due at exact times after it.
    """

    sql: str
    daily: bool = True
    anchor: str | None = None


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
    since = sources.since(ref.window or 0)
    # An attempt touches the quiz's module: those attempted are always among those counted.
    attempted = sources.of_progress(
        f"count(*) FILTER (WHERE p.is_quiz AND p.is_assigned AND p.last_attempt_at >= {since})",
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


def _modules_assigned(sources: Sources) -> str:
    return sources.fact(
        "(SELECT count(*) FROM activity_item i WHERE i.course_id = c.id AND i.kind = 'module'"
        " AND (i.assigned_on IS NULL OR i.assigned_on <= c.day_on))"
    )


def _completion_rate(_: SignalRef, sources: Sources) -> Compiled:
    done = sources.of_progress(f"count(*) FILTER (WHERE {_DONE})", items=MODULES)
    return Compiled(_rate(f"coalesce({done}, 0)", _modules_assigned(sources)))


def _modules_open(_: SignalRef, sources: Sources) -> Compiled:
    done = sources.of_progress(f"count(*) FILTER (WHERE {_DONE})", items=MODULES)
    return Compiled(f"({_modules_assigned(sources)} - coalesce({done}, 0))")


def _modules_stalled(ref: SignalRef, sources: Sources) -> Compiled:
    since = sources.since(ref.window or 0)
    stalled = sources.of_progress(
        f"count(*) FILTER (WHERE {_OPEN} AND p.last_touched_at < {since})", items=MODULES
    )
    return Compiled(f"coalesce({stalled}, 0)")


def _activities_completed_rate(ref: SignalRef, sources: Sources) -> Compiled:
    window = sources.days(ref.window or 0)
    day = sources.day()
    done = sources.of_progress(
        f"count(*) FILTER (WHERE p.owed_on >= {day} - {window} AND p.owed_on < {day}"
        " AND p.owed_on >= p.enrolled_on AND p.first_completed_at IS NOT NULL)",
        items="i.kind <> 'module' AND coalesce(i.due_on, i.assigned_on)"
        f" BETWEEN c.day_on - {window} AND c.day_on - 1",
    )
    # Element k counts what fell due on the k days before D: late enrollments owe fewer.
    owed = sources.fact(
        f"ARRAY(SELECT count(i.id) FROM generate_series(1, {window}) AS k"
        " LEFT JOIN activity_item i ON i.course_id = c.id AND i.kind <> 'module'"
        " AND coalesce(i.due_on, i.assigned_on) BETWEEN c.day_on - k AND c.day_on - 1"
        " GROUP BY k ORDER BY k)"
    )
    days = f"least({window}, {day} - s.enrolled_on)"
    return Compiled(_rate(f"coalesce({done}, 0)", f"({owed})[{days}]"))


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
    sources.items.add(MODULES)
    sources.needs_pace = True
    paces = sources.subject.norms.paces
    # width_bucket counts the bounds at or below; over the negated paces, those at or above ours.
    negated = sources.params.bind([-pace for pace in reversed(paces)], "float8[]")
    total = sources.params.bind(len(paces), "float8")
    return Compiled(
        f"CASE WHEN {total} > 0 AND w.pace IS NOT NULL"
        f" THEN ({total} - width_bucket(-w.pace, {negated})) / {total} END"
    )


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
    "days_since_completion": _days_since(_last_completion),
    "modules_open": _modules_open,
    "modules_stalled": _modules_stalled,
    "pace_percentile": _pace_percentile,
    "trait": _trait,
}
