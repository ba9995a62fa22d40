"""Check out earlier commits, to measure them beside this one."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def without_ours() -> dict[str, str]:
    """Return the environment in which another checkout starts servers of its own."""
    return {name: value for name, value in os.environ.items() if name not in _OURS}
