"""The embedded servers of this installation: PostgreSQL and Valkey under var/.

They keep running after the process that starts them. `make stop` ends them.
"""

import os
from pathlib import Path
from types import ModuleType

from config.embedded import postgres, valkey
from config.embedded.errors import ServerError
from config.embedded.folders import only_one
from config.places import VAR

__all__ = ["ServerError", "ensure", "owns_database", "stop"]

SERVERS: dict[str, tuple[str, ModuleType]] = {
    "DATABASE_URL": ("postgres", postgres),
    "REDIS_URL": ("valkey", valkey),
}


def ensure(*, var: Path = VAR) -> None:
    """Start our own server for each of DATABASE_URL and REDIS_URL that is not set.

    Sets the variables for this process and its children. It can be called again to restart a server
    that has died. Raises ServerError.
    """
    for variable, (name, server) in SERVERS.items():
        ours = server.address(var / name)
        # A child inherits our address from its parent, but must still restart the server.
        if os.environ.get(variable, "").strip() in {"", ours}:
            if not server.answers(var / name):
                with only_one(var):
                    server.ensure_running(var / name)
            os.environ[variable] = ours


def owns_database(*, var: Path = VAR) -> bool:
    """Return whether DATABASE_URL names our own server, after `ensure`."""
    return os.environ.get("DATABASE_URL", "").strip() == postgres.address(var / "postgres")


def stop(*, var: Path = VAR) -> list[str]:
    """Stop our servers and return the names of those that were running. Raises ServerError."""
    with only_one(var):
        return [name for name, server in SERVERS.values() if server.stop(var / name)]
