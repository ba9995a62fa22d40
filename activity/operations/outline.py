"""Save the modules and quizzes of a course from a table, or say per row what would happen."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import connection, transaction
from django.forms.models import model_to_dict

from activity.models import Course, Item
from activity.operations.effects import Effects, changing
from activity.operations.roster import change_item
from activity.operations.roster_values import RosterError
from activity.outline import OutlineRow

# The first number of our advisory locks; the second is the course's id.
_LOCK_SPACE = 20_260


class Outcome(StrEnum):
    """What saving does with a row."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "nothing changes"
    REFUSED = "not saved"


@dataclass(frozen=True)
class OutlineResult:
    """What happened to a row, with its item or its fault."""

    number: int
    title: str
    outcome: Outcome
    item: Item | None = None
    fault: str = ""


def save_outline(
    course: Course, rows: Iterable[OutlineRow], *, now: datetime, dry_run: bool
) -> list[OutlineResult]:
    """Create or change the items in one transaction. A faulty row does not affect the others.

    A dry run returns the same and stores nothing. Saving a table again changes nothing. The course
    is evaluated again, and nobody is messaged because of it.
    """
    if not dry_run:
        with changing(now=now) as effects:
            return _save(course, rows, effects, now)
    # The effects on the learners are left out: they would be rolled back too.
    with transaction.atomic():
        results = _save(course, rows, Effects(), now)
        transaction.set_rollback(True)
    return results


def stored_keys(course: Course) -> dict[tuple[str, str], str]:
    """Return the keys of the course's items by kind and title. One query."""
    items = course.items.exclude(title="").order_by("-id")
    return {(kind, title): key for kind, title, key in items.values_list("kind", "title", "key")}


def _save(
    course: Course, rows: Iterable[OutlineRow], effects: Effects, now: datetime
) -> list[OutlineResult]:
    _wait_for_other_tables(course)
    known = {item.key: model_to_dict(item) for item in course.items.all()}
    return [_result(row, known, effects, now) for row in rows]


def _wait_for_other_tables(course: Course) -> None:
    """Lock the course's outline until the transaction ends.

    Of two tables that are saved at once, the second one finds the items of the first. The course's
    row must not be locked for that: an edit of an item locks it after the item.
    """
    with connection.cursor() as cursor:
        key = [_LOCK_SPACE, course.pk % 2**31]
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", key)


def _result(
    row: OutlineRow, known: dict[str, dict[str, object]], effects: Effects, now: datetime
) -> OutlineResult:
    if row.fault:
        return OutlineResult(row.number, row.title, Outcome.REFUSED, fault=row.fault)
    try:
        item = change_item(row.values, effects, now)
    except RosterError as error:
        return OutlineResult(row.number, row.title, Outcome.REFUSED, fault=str(error))
    before, after = known.get(item.key), model_to_dict(item)
    known[item.key] = after
    outcome = Outcome.SAME if before == after else Outcome.CHANGED if before else Outcome.NEW
    return OutlineResult(row.number, row.title, outcome, item)
