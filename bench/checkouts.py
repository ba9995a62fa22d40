"""Check out earlier commits, to measure them beside this one."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# What this process has set for its own servers and settings.
_OURS = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PYTHONPATH")


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check out the commit into a temporary folder for the duration of the block."""
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "worktree"]
        place = Path(folder, commit)
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def rows_of(commit: str, module: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the rows that the benchmark of the commit prints as JSON, on servers of its own."""
    env = {name: value for name, value in os.environ.items() if name not in _OURS}
    command = [sys.executable, "-m", module, "--json", *arguments]
    stop = [sys.executable, "-c", "from config import embedded; embedded.stop()"]
    with checked_out(commit) as folder:
        try:
            # No check: an aim of its own that it misses is no fault.
            run = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, env=env, check=False)
        finally:
            subprocess.run(stop, cwd=folder, env=env, capture_output=True, check=False)
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found
