"""Save the content mapping of a course as one table."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from hashlib import sha256

from django.db import transaction

from activity.models import Course
from interventions.models import ContentMapping
from interventions.operations.errors import InterventionError

CHANGED = (
    "Somebody else changed the table meanwhile. Nothing was saved. Open the page in another "
    "window, compare, and enter your changes there."
)


@dataclass(frozen=True)
class MappedThing:
    """A row of the table by the ids of its segment, module and item. None: every, or none."""

    segment_id: int | None = None
    module_id: int | None = None
    topic: str = ""
    item_id: int | None = None
    title: str = ""
    url: str = ""
    minutes: int | None = None

    @property
    def place(self) -> tuple[int | None, int | None, str]:
        """Return whom and where the row is for. There is one row for a place."""
        return self.segment_id, self.module_id, self.topic


def thing_of(row: ContentMapping) -> MappedThing:
    """Return the stored row."""
    names = MappedThing.__dataclass_fields__
    return MappedThing(**{name: getattr(row, name) for name in names})


def state_of_mappings(rows: Sequence[ContentMapping]) -> str:
    """Return a short text that changes with any row."""
    things = sorted(repr(astuple(thing_of(row))) for row in rows)
    return sha256("\n".join(things).encode()).hexdigest()[:16]


@transaction.atomic
def save_mappings(course_id: int, things: Sequence[MappedThing], *, seen: str) -> None:
    """Make these the rows of the course's table. Rows that stay the same are not written.

    `seen` is the state of the table that the editor saw. Raise InterventionError if it has changed
    since.
    """
    Course.objects.select_for_update(no_key=True).get(pk=course_id)
    stored = {thing_of(row): row for row in ContentMapping.objects.filter(course=course_id)}
    if state_of_mappings([*stored.values()]) != seen:
        raise InterventionError(CHANGED)
    gone = [row.pk for thing, row in stored.items() if thing not in things]
    ContentMapping.objects.filter(pk__in=gone).delete()
    ContentMapping.objects.bulk_create(
        ContentMapping(course_id=course_id, **vars(thing))
        for thing in things
        if thing not in stored
    )
