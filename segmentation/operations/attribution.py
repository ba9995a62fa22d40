"""Find the cause of transitions after late events: time, a recent act, or the late events."""

from collections.abc import Mapping
from dataclasses import replace

from activity.models import Due
from segmentation.models import TransitionCause
from segmentation.operations.definitions import Definitions
from segmentation.operations.differences import Batch, Pair, read_moves
from segmentation.signals import LeftOut

# The cause by enrollment and segment.
Attributed = Mapping[Pair, TransitionCause]


def attribute(definitions: Definitions, batch: Batch) -> Attributed:
    """Return the cause of each transition of the enrollments that received a late event.

    The batch is read again without the events received since the last evaluation, or without some
    of them. A transition that happens nevertheless needs no late event. Courses that are not live
    are not examined.
    """
    live = _live(batch)
    if not live.parts or not definitions.active:
        return {}
    late = live.only(_with_late_events(live))
    moves = read_moves(definitions, late) if late.enrollment_ids else set()
    if not moves:
        return {}
    # From here on the event log is read, so only enrollments with a transition are included.
    part = late.only({enrollment_id for enrollment_id, _ in moves})
    by_time, with_fresh, with_late = (
        read_moves(definitions, part, left_out=left_out)
        for left_out in (LeftOut.ALL, LeftOut.LATE, LeftOut.FRESH)
    )
    return {pair: _cause(pair, by_time, with_fresh, with_late) for pair in sorted(moves)}


def _cause(
    pair: Pair, by_time: set[Pair], with_fresh: set[Pair], with_late: set[Pair]
) -> TransitionCause:
    if pair in by_time:
        return TransitionCause.TIME
    # The cause is the recent act if it suffices alone, or if it is needed beside a late event.
    if pair in with_fresh or pair not in with_late:
        return TransitionCause.EVENT
    return TransitionCause.LATE


def _with_late_events(batch: Batch) -> set[int]:
    # At a first evaluation the cause is always "first evaluation".
    rows = Due.objects.filter(pk__in=batch.enrollment_ids, rules_revision__isnull=False)
    return set(rows.filter(late_since__isnull=False).values_list("pk", flat=True))


def _live(batch: Batch) -> Batch:
    since = ((part, part.course.live_since) for part in batch.parts)
    parts = [part for part, at in since if at is not None and at <= batch.as_of]
    return replace(batch, parts=parts)
