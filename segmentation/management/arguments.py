"""Arguments that the commands of this app share: a course and an instant."""

from datetime import datetime

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet

from activity.access import COMMAND_LINE, for_user
from activity.models import Course
from common import clock
from common.stored_text import storable_text


def add_instant(parser: CommandParser) -> None:
    """Add the required argument --as-of. A default would hide which instant was used."""
    parser.add_argument(
        "--as-of",
        required=True,
        metavar="T",
        help="ISO 8601 with an offset: 2025-10-26T12:00+00:00",
    )


def read_instant(text: str) -> datetime:
    """Return the instant. Raise CommandError if it is unreadable or has no offset."""
    try:
        return clock.read_instant(text)
    except ValueError as error:
        raise CommandError(storable_text(str(error))) from None


def every_course() -> QuerySet[Course]:
    """Return the courses that a command may read."""
    return for_user(Course.objects.all(), COMMAND_LINE)


def find_course(key: str) -> Course:
    """Return the course. Raise CommandError if there is no course with this key."""
    # A text that cannot be stored cannot be a key, and the database would refuse the query.
    can_be = storable_text(key) == key
    course = every_course().filter(key=key).first() if can_be else None
    if course is None:
        raise CommandError(f"There is no course '{storable_text(key)}'.")
    return course
