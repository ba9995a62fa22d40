"""Classify database errors, and limit the time of a reading."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.db.backends.postgresql.base import ServerBindingCursor, ServerSideCursor
from django.db.backends.utils import CursorWrapper
from psycopg.errors import FeatureNotSupported

from common.tally import note

# SQLSTATE classes of server failures: connection, rollback (a deadlock), resources, locks, operator
# intervention, system. Class 54 (limit exceeded) is not included, although Django raises it as an
# OperationalError too: a statement that is too complex fails at every attempt.
_OUTAGES = ("08", "40", "53", "55", "57", "58", "XX")
# Of all that PostgreSQL does not support, only a prepared statement whose columns have changed is
# an outage: the next attempt prepares it again. The server raises that error in this function,
# whatever the language of its messages.
_CACHED_PLAN = "RevalidateCachedQuery"

_LOCK_NOT_AVAILABLE = "55P03"
_CANCELED = "57014"
T = TypeVar("T")


def preparing_cursor() -> CursorWrapper:
    """Return a cursor for fixed statements that this process runs again and again.

    For a short statement with many joins, the server would else plan for longer than it executes.
    The values of the statement must have the types of its columns, or a cast.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    # Django's log of queries cannot read the text of a prepared statement.
    if database.queries_logged:
        return connection.cursor()
    database.ensure_connection()
    # By default Django never prepares. A statement that runs only once is not worth it.
    database.connection.prepare_threshold = 1
    # Not from Django's cursor, which would be made only to be replaced.
    cursor = ServerBindingCursor(database.connection)  # type: ignore[call-arg]
    return CursorWrapper(cursor, database)


def as_array(ids: Iterable[int | None]) -> str:
    """Return ids as the text of an array, for a parameter with a cast such as `::bigint[]`.

    psycopg looks at the members of a list one by one, which takes several times as long.
    """
    return "{" + ",".join("NULL" if each is None else str(each) for each in ids) + "}"


def holding_cursor(name: str) -> Any:
    """Return a cursor of the server for one statement, whose rows outlive the transaction.

    The program fetches them in batches, so many rows need no memory here. The server keeps them
    until the cursor is closed. A name is used once at a time in a connection.
    """
    connection.ensure_connection()
    return ServerSideCursor(  # type: ignore[call-arg]
        connection.connection, name=name, scrollable=False, withhold=True
    )


def read_one_state() -> None:
    """Let all statements of this transaction see the database as the first of them sees it.

    Call it before that one. Within another transaction it does nothing, as that one has begun.
    """
    if not connection.savepoint_ids:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def is_held(error: Exception) -> bool:
    """Return whether a lock on a row was not released before the timeout of this connection.

    Such an error is an outage too, because the statement itself has no fault.
    """
    return getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def note_held() -> None:
    """Count a skipped row, which another transaction holds, for the line in the log."""
    note("passed over", "held by another")


def in_time(read: Callable[[], T], *, seconds: float) -> T | str:
    """Return the result of `read`, or a sentence on why the database gave no result in time.

    All statements of `read` together may take so many seconds.
    """
    try:
        with transaction.atomic(), connection.execute_wrapper(_limited(monotonic() + seconds)):
            return read()
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) == _CANCELED:
            return f"The database could not answer within {seconds:g} seconds."
        # The database cannot compute the rule.
        return f"The database could not answer: {str(error).splitlines()[0]}."


def _limited(until: float) -> Callable[..., Any]:
    def limited(execute: Any, sql: Any, params: Any, many: Any, context: dict[str, Any]) -> Any:
        # 0 would stand for no limit.
        left = max(round((until - monotonic()) * 1000), 1)
        database = context["connection"]
        with database.wrap_database_errors, database.connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {left}")
        return execute(sql, params, many, context)

    return limited


def wait_shortly(*, milliseconds: int = 500) -> None:
    """Limit waiting for a locked row, by default to half a second, until the transaction ends.

    Use it for work on many rows. If one of them is locked, the work is repeated in smaller parts.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {milliseconds:d}")


def session_number() -> int:
    """Return the number of this database session. No query: the server gave it when it began."""
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def check_references() -> None:
    """Check foreign keys now and not at the end of the transaction.

    So an error is raised while a part can still be rolled back, and not in the commit of the whole.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@contextmanager
def passing_over_held() -> Iterator[None]:
    """Skip the rest of the block until the next beat if a row stays locked too long.

    Call it outside a transaction, because the error would break an open one.
    """
    try:
        yield
    except OperationalError as error:
        if not is_held(error):
            raise
        note_held()


def is_outage(error: Exception) -> bool:
    """Return whether the server failed and not the statement. Smaller parts would fail too."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return False
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    if state is None:
        # The server did not answer. Django raises some errors of its own without a state, for
        # example when an UPDATE finds no row. Those are not outages.
        return isinstance(error, OperationalError | InterfaceError)
    return state.startswith(_OUTAGES) or _is_of_changed_columns(error)


def _is_of_changed_columns(error: Exception) -> bool:
    cause = error.__cause__
    return isinstance(cause, FeatureNotSupported) and cause.diag.source_function == _CACHED_PLAN
