"""The PostgreSQL and the Valkey of a crash test, in a temporary folder."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from config.embedded import postgres, valkey
from tests.crash.outages import FOLDER

# As in production: what PostgreSQL has confirmed must outlive its kill. Other tests do not wait.
DURABLE = f"&options={quote('-c synchronous_commit=on')}"


@contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Run both servers, and yield the environment of a process that uses them."""
    with tempfile.TemporaryDirectory(prefix="nudgelab-crash-") as folder:
        data, cache = Path(folder, "postgres"), Path(folder, "valkey")
        postgres.ensure_running(data)
        valkey.ensure_running(cache)
        try:
            yield os.environ | {
                FOLDER: folder,
                "DATABASE_URL": postgres.address(data) + DURABLE,
                "REDIS_URL": valkey.address(cache),
                "DJANGO_SETTINGS_MODULE": "config.settings.test",
                "KEPT_NOES_DIR": str(Path(folder, "noes")),
            }
        finally:
            valkey.stop(cache)
            postgres.stop(data)
