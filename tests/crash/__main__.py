"""Start the servers of the crash test in a temporary folder, and the program on them."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from config.embedded import postgres, valkey
from tests.crash.outages import FOLDER

PROGRAM = (
    "import sys, django; django.setup()\nfrom tests.crash.program import main; sys.exit(main())"
)

# As in production: what PostgreSQL has confirmed must outlive its kill. Other tests do not wait.
DURABLE = f"&options={quote('-c synchronous_commit=on')}"


def main() -> int:
    """Run the program and stop the servers, whatever happened."""
    with tempfile.TemporaryDirectory(prefix="nudgelab-crash-") as folder:
        data, cache = Path(folder, "postgres"), Path(folder, "valkey")
        postgres.ensure_running(data)
        valkey.ensure_running(cache)
        env = {
            FOLDER: folder,
            "DATABASE_URL": postgres.address(data) + DURABLE,
            "REDIS_URL": valkey.address(cache),
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "KEPT_NOES_DIR": str(Path(folder, "noes")),
        }
        command = [sys.executable, "-c", PROGRAM, *sys.argv[1:]]
        try:
            return subprocess.run(command, env=os.environ | env, check=False).returncode
        finally:
            valkey.stop(cache)
            postgres.stop(data)


if __name__ == "__main__":
    sys.exit(main())
