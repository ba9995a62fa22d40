"""The servers of this checkout, for machines that have none: PostgreSQL and Valkey under var/.

They outlive the process that starts them; `make stop` ends them.
"""

import os
from pathlib import Path
from types import ModuleType

from config.embedded import postgres, valkey
from config.embedded.errors import ServerError
from config.embedded.folders import only_one

__all__ = ["ServerError", "ensure", "owns_database", "stop"]

VAR = Path(__file__).resolve().parents[2] / "var"
SERVERS: dict[str, tuple[str, ModuleType]] = {
    "DATABASE_URL": ("postgres", postgres),
    "REDIS_URL": ("valkey", valkey),
}


def ensure(*, var: Path = VAR) -> None:
    """Have a server behind DATABASE_URL and REDIS_URL: start ours where a variable is not set.

    Sets the variables for this process and its children. May be called again to start a server
    anew that has died. Raises ServerError.
    """
    for variable, (name, server) in SERVERS.items():
        ours = server.address(var / name)
        # A child inherits our address from its parent, and must still watch over the server.
        if os.environ.get(variable, "").strip() in {"", ours}:
            if not server.answers(var / name):
                with only_one(var):
                    server.ensure_running(var / name)
            os.environ[variable] = ours


def owns_database(*, var: Path = VAR) -> bool:
    """Say whether DATABASE_URL names our own server, after `ensure`."""
    return os.environ.get("DATABASE_URL", "").strip() == postgres.address(var / "postgres")


def stop(*, var: Path = VAR) -> list[str]:
    """Stop our servers, and return the names of those that were running. Raises ServerError."""
    with only_one(var):
        return [name for name, server in SERVERS.values() if server.stop(var / name)]
