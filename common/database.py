"""What an error of the database says: that the server failed, or that the work did."""

from django.db import DatabaseError, InterfaceError, OperationalError

# Classes of SQLSTATE that speak of the server: connection, rollback (a deadlock), resources, locks,
# an operator's intervention, the system. 54, a limit exceeded, is not among them although Django
# raises it as an OperationalError too: a statement too complex fails each time it is tried.
_OUTAGES = ("08", "40", "53", "55", "57", "58", "XX")


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
