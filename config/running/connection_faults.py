"""Sentences on a server that cannot be reached: which, why and what to do, without its password."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import DatabaseError, OperationalError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

SECONDS_TO_ANSWER = 5
# PostgreSQL's error code for a missing table.
NO_SUCH_TABLE = "42P01"
LOGIN_WORDS = ("authentication failed", "role ", "no password supplied", "pg_hba.conf")


def database_fault(error: DatabaseError, at: Mapping[str, Any]) -> str | None:
    """Return why the database is down or lacks tables, or None for any other error.

    An error of a running database, such as a deadlock, gives None.
    """
    state = getattr(error.__cause__, "sqlstate", None)
    if state == NO_SUCH_TABLE:
        return (
            f"The database {at['NAME']} lacks tables of this release. Run "
            ".venv/bin/python manage.py migrate (make serve does it too), then start again."
        )
    if state is not None or not isinstance(error, OperationalError):
        return None
    name, server = at["NAME"], f"{at['HOST'] or 'localhost'}:{at['PORT'] or 5432}"
    reason = _reason(str(error))
    return (
        f"The database {name} at {server} cannot be reached ({reason}): {_advice(reason, name)},"
        " then start again."
    )


def broker_fault(address: str, *, seconds: float = SECONDS_TO_ANSWER) -> str:
    """Return why Redis or Valkey at the address does not answer, or an empty text if it does.

    It gives up after about `seconds`.
    """
    # No retries: by default the client tries three more times before it reports the error.
    client = Redis.from_url(
        address,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
    except (RedisError, OSError) as error:
        url = urlsplit(address)
        server = f"{url.hostname}:{url.port or 6379}" if url.hostname else url.path
        reason = _reason(str(error))
        return (
            f"Redis or Valkey at {server} does not answer ({reason}). Start it,"
            " or correct REDIS_URL, then start again."
        )
    finally:
        client.close()
    return ""


def _reason(text: str) -> str:
    line = next(iter(text.splitlines()), "").rpartition(" failed: ")[2]
    return line.replace("FATAL:", "").strip().rstrip(".")


def _advice(reason: str, name: str) -> str:
    if "database " in reason and "does not exist" in reason:
        return f"create it (createdb {name}), or correct DATABASE_URL"
    if any(word in reason for word in LOGIN_WORDS):
        return "correct the user and the password in DATABASE_URL"
    return "start that PostgreSQL server, or correct DATABASE_URL"
