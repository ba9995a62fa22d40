"""Handle events that repeat a stored (source, source_id): add a grade, or list a conflict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import transaction

from activity.canonical import CanonicalEvent, Reason, Refused, read_event, shown
from activity.models import RejectedEvent
from activity.operations.binary import fetch_binary
from activity.operations.due import pull_due
from activity.operations.keys import EventRow, log_columns, look_up, sent_arrays
from activity.operations.read_models import rebuild_enrollments
from activity.operations.rejected import Refusal, keep_rejected

_KEPT = """
SELECT event.source, event.source_id, event.id, event.enrollment_id, event.item_id, event.verb,
    event.occurred_at, event.count, event.score, event.passed, event.value
FROM unnest(%(source)b::text[], %(source_id)b::text[]) AS sent (source, source_id)
JOIN activity_event AS event USING (source, source_id)
"""

_CORRECTED = (
    "item_id",
    "verb",
    "occurred_at",
    "total",
    "score",
    "passed",
    "value",
    "sent_score",
)
_COLUMNS = log_columns(_CORRECTED)
_CORRECT = f"""
UPDATE activity_event AS event
SET {", ".join(f"{column} = sent.{column}" for column in _COLUMNS)}, corrected_at = %(now)b
FROM unnest(%(id)b::bigint[], {sent_arrays(_CORRECTED)}) AS sent (id, {", ".join(_COLUMNS)})
WHERE event.id = sent.id
RETURNING event.id
"""  # noqa: S608


class Sent(NamedTuple):
    """An event of a batch: its place, its raw form, its typed form, and its row for the log."""

    place: int
    raw: object
    event: CanonicalEvent
    row: EventRow


class Kept(NamedTuple):
    """The stored event of a key."""

    id: int
    enrollment_id: int
    item_id: int | None
    verb: str
    occurred_at: datetime
    total: int
    score: Decimal | None
    passed: bool | None
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class Repeats:
    """How many repeats added a grade, and which repeats differ from the stored event."""

    graded: int = 0
    conflicts: list[Refusal] = field(default_factory=list)


# The content that must be equal for two events to be the same, by its name in messages.
_CONTENT: Mapping[str, Callable[[Kept | EventRow], object]] = {
    "learner or course": lambda event: event.enrollment_id,
    "item": lambda event: event.item_id,
    "verb": lambda event: event.verb,
    "occurred_at": lambda event: event.occurred_at,
    "count": lambda event: event.total,
    "value": lambda event: event.value,
}


def apply_repeats(sent: Sequence[Sent], *, now: datetime) -> Repeats:
    """Apply the grades that repeats add, and keep repeats with other content as conflicts.

    A repeat without a grade changes nothing. So it does not matter whether the event with the grade
    or the event without it arrives first. The caller holds the Due rows.
    """
    kept = _kept([each.row for each in sent])
    grades: dict[int, Sent] = {}
    conflicts = []
    for each in sent:
        stored = kept[each.row.source, each.row.source_id]
        differing = _differing(stored, each)
        if differing == ["grade"]:
            grades[stored.id] = each
            kept[each.row.source, each.row.source_id] = _graded(stored, each.row)
        elif differing:
            refused = _conflict(stored, each, differing)
            same_as = ("conflict", each.row.source, each.row.source_id)
            conflicts.append(Refusal(each.place, each.raw, refused, same_as))
    _correct({pk: each.row for pk, each in grades.items()}, now=now)
    keep_rejected(conflicts, now=now)
    return Repeats(len(grades), conflicts)


@transaction.atomic
def correct_events(ids: Iterable[int], *, now: datetime) -> int:
    """Replace stored events by the content of these conflicts, and return how many were replaced.

    `ids` are those of RejectedEvent. A conflict that names another learner or course is skipped,
    because it would remove an event from a learner's history.
    """
    rows = RejectedEvent.objects.filter(
        pk__in=list(ids), reason=Reason.CONFLICT, replayed_at__isnull=True
    )
    found = {}
    for rejected in rows.order_by("pk").select_for_update(no_key=True):
        correction = _correction(rejected, now=now)
        if correction is not None:
            found[rejected.pk] = correction
    pull_due({row.enrollment_id for _, row in found.values()}, at=now)
    _correct(dict(found.values()), now=now)
    RejectedEvent.objects.filter(pk__in=found).update(replayed_at=now)
    return len(found)


def _correction(rejected: RejectedEvent, *, now: datetime) -> tuple[int, EventRow] | None:
    """Return the stored event's id and its new content, None if the conflict cannot be applied."""
    try:
        event = read_event(rejected.payload, now=now)
        row = look_up([event]).resolve(event)
    except Refused:
        return None
    stored = _kept([row]).get((row.source, row.source_id))
    if stored is None or stored.enrollment_id != row.enrollment_id:
        return None
    return stored.id, row


def _kept(rows: Sequence[EventRow]) -> dict[tuple[str, str], Kept]:
    keys = {"source": [row.source for row in rows], "source_id": [row.source_id for row in rows]}
    found = fetch_binary(_KEPT, keys)
    return {(source, source_id): Kept(*content) for source, source_id, *content in found}


def _differing(stored: Kept, sent: Sent) -> list[str]:
    """Return the names of what differs. It is ["grade"] if only a missing grade is added."""
    names = [name for name, of in _CONTENT.items() if of(stored) != of(sent.row)]
    if stored.score is None and stored.passed is None:
        has_grade = sent.row.score is not None or sent.row.passed is not None
        return names + ["grade"] * has_grade
    if sent.row.score is not None and sent.row.score != stored.score:
        names.append("score")
    # Compare `passed` only if it was sent: a computed value depends on the pass mark of its time.
    if sent.event.passed is not None and sent.event.passed != stored.passed:
        names.append("passed")
    return names


def _graded(stored: Kept, row: EventRow) -> Kept:
    return stored._replace(score=row.score, passed=row.passed)


def _conflict(stored: Kept, sent: Sent, differing: Sequence[str]) -> Refused:
    row = sent.row
    message = f"Event {shown(row.source_id)} of source {shown(row.source)} is stored already with"
    message += f" another {', another '.join(differing)}"
    if "score" in differing:
        message += f" ({stored.score}, not {row.score})"
    return Refused(Reason.CONFLICT, f"{message}. It counts once, as it was.")


def _correct(rows: Mapping[int, EventRow], *, now: datetime) -> None:
    if not rows:
        return
    # Sorted, as in every bulk write, so that two corrections cannot deadlock.
    ordered = dict(sorted(rows.items()))
    columns = zip(*ordered.values(), strict=True)
    values = dict(zip(EventRow._fields, map(list, columns), strict=True))
    fetch_binary(_CORRECT, {**values, "id": list(ordered), "now": now})
    rebuild_enrollments(sorted({row.enrollment_id for row in ordered.values()}))
