"""Say in a sentence which server cannot be reached, why, and what to do; never its password."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import DatabaseError, OperationalError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

SECONDS_TO_ANSWER = 5
# PostgreSQL's state for a table that is not there.
NO_SUCH_TABLE = "42P01"
LOGIN_WORDS = ("authentication failed", "role ", "no password supplied", "pg_hba.conf")


def database_fault(error: DatabaseError, at: Mapping[str, Any]) -> str | None:
    """Return why the database is away or empty, or None for an error of another kind.

    An error that comes from within a running database, such as a deadlock, is none of these.
    """
    state = getattr(error.__cause__, "sqlstate", None)
    if state == NO_SUCH_TABLE:
        return (
            f"The database {at['NAME']} lacks tables of this release: run "
            ".venv/bin/python manage.py migrate (make serve does too), then start again."
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
    """Return why the Redis or Valkey of the address does not answer; empty if it does.

    Gives up after about so many seconds.
    """
    # Once: the client would try three times more, with pauses, before it says what is wrong.
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
            f"The Redis or Valkey at {server} does not answer ({reason}): start it,"
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
