"""What an error of the database says: that the server failed, that the work did, or who waits."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from common.tally import note

# Classes of SQLSTATE that speak of the server: connection, rollback (a deadlock), resources, locks,
# an operator's intervention, the system. 54, a limit exceeded, is not among them although Django
# raises it as an OperationalError too: a statement too complex fails each time it is tried.
_OUTAGES = ("08", "40", "53", "55", "57", "58", "XX")


_LOCK_NOT_AVAILABLE = "55P03"


def is_held(error: Exception) -> bool:
    """Return whether somebody held a row for longer than this connection waits for one.

    It is an outage too: nothing is wrong with the work.
    """
    return getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def note_held() -> None:
    """Count, for the line in the log, that something was passed over because somebody held it."""
    note("passed over", "held by another")


def wait_shortly() -> None:
    """Wait for a row for half a second at most, until the open transaction ends.

    For work on many at once, which is done again in parts where one of them is held.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '500ms'")


def check_references() -> None:
    """Have foreign keys checked now and not at the end of the transaction.

    So that an error comes out where a part can still be undone, and not in the commit of them all.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@contextmanager
def passing_over_held() -> Iterator[None]:
    """Leave the rest of the block to the next beat where somebody holds a row of it too long.

    Call it outside a transaction: one that is open would be broken.
    """
    try:
        yield
    except OperationalError as error:
        if not is_held(error):
            raise
        note_held()


def is_outage(error: Exception) -> bool:
    """Return whether the server failed, and not the work: trying a part of it would not help."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return False
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    if state is None:
        # The server never answered. Django itself raises its other errors without a state, as
        # when an UPDATE finds no row: those are the work's.
        return isinstance(error, OperationalError | InterfaceError)
    return state.startswith(_OUTAGES)
