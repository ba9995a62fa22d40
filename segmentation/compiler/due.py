"""When a rule's answer for an enrollment could next change although nothing happens."""

# Every value is bound; what is put into the text are constants of this package.
# ruff: noqa: S608

from collections.abc import Iterator, Mapping

from segmentation.rules import Condition
from segmentation.signals import Compiled
from segmentation.signals.sources import Sources

_MICROSECONDS_A_DAY = 86_400 * 10**6
# No course lasts a century: a threshold beyond it is never reached, and its instant may not exist.
_FAR = 36_525 * _MICROSECONDS_A_DAY


def next_due(
    conditions: list[Condition], compiled: Mapping[str, Compiled], sources: Sources
) -> str:
    """Return SQL for the next instant at which a condition or the scope could change.

    Null where nothing can change any more. Exact for the thresholds of "days since" signals;
    where a signal depends on the local date, the next local midnight.
    """
    candidates = ["r.withdrew_at", "r.completed_at", "(SELECT over_at FROM course)"]
    if any(compiled[condition.ref.identity].daily for condition in conditions):
        candidates.append("(SELECT next_day_at FROM course)")
    candidates += sorted(set(_thresholds(conditions, compiled, sources)))
    candidates.append(_later_event(sources))
    later = ", ".join(f"CASE WHEN {at} > {sources.as_of} THEN {at} END" for at in candidates)
    return (
        "CASE WHEN r.over THEN NULL"
        " WHEN NOT r.in_scope THEN least(r.began_at, (SELECT over_at FROM course))"
        f" ELSE least({later}) END"
    )


def _later_event(sources: Sources) -> str:
    """Return SQL for the first event after the instant read at, where there is one already."""
    # A stage reads its clock once: what a learner does while it works is stored, pulls nothing
    # forward of a row that is due anyway, and would wait for midnight after that row's evaluation.
    return (
        "CASE WHEN r.is_past THEN (SELECT min(v.occurred_at) FROM activity_event v"
        f" WHERE v.enrollment_id = r.enrollment_id AND v.occurred_at > {sources.as_of}) END"
    )


def _thresholds(
    conditions: list[Condition], compiled: Mapping[str, Compiled], sources: Sources
) -> Iterator[str]:
    for condition in conditions:
        signal = compiled[condition.ref.identity]
        if signal.anchor is None:
            continue
        for operand in condition.operands:
            for micros in flips(float(operand)):
                after = f"{sources.params.bind(micros, 'bigint')} * interval '1 microsecond'"
                yield f"(r.{signal.since} + {after})"


def flips(days: float) -> tuple[int, ...]:
    """Return the microseconds after the anchor at which comparing with `days` can turn.

    The first is where the duration reaches the threshold (>= and < turn), the next one where it
    passes it (> and <= turn). Whatever the signal's float rounding, the turns are at these two.
    """
    exact = days * _MICROSECONDS_A_DAY
    if not 0 <= exact < _FAR:
        return ()
    reached = round(exact)
    return (reached, reached + 1)
