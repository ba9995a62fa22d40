"""Compute when the result of a rule could next change without any event."""

# Every value is bound; only constants of this package are put into the text.
# ruff: noqa: S608

from collections.abc import Iterator, Mapping

from segmentation.rules import Condition
from segmentation.signals import Compiled
from segmentation.signals.sources import Sources

_MICROSECONDS_A_DAY = 86_400 * 10**6
# No course lasts a century. A later threshold is never reached, and its instant may not exist.
_FAR = 36_525 * _MICROSECONDS_A_DAY


def next_due(
    conditions: list[Condition], compiled: Mapping[str, Compiled], sources: Sources
) -> str:
    """Return SQL for the next instant at which a condition or the scope could change.

    The result is null if nothing can change any more. It is exact for thresholds of "days since"
    signals. If a signal depends on the local date, it is the next local midnight.
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
    """Return SQL for the first stored event after as_of, if there is one."""
    # A stage reads its clock once, so an event may be stored while the stage works. Its pull does
    # not change a row that is due anyway. Without this instant, the event would then wait until
    # midnight, because the evaluation of the row ignores it.
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
    """Return the microseconds after the anchor at which a comparison with `days` can change.

    At the first one the duration reaches the threshold, where >= and < change. At the second one it
    passes the threshold, where > and <= change. The rounding of floats cannot move these two.
    """
    exact = days * _MICROSECONDS_A_DAY
    if not 0 <= exact < _FAR:
        return ()
    reached = round(exact)
    return (reached, reached + 1)
