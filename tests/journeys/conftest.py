"""Fixtures of the tests of whole paths."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def coverage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for the intervals of all seeds, shared by all workers."""
    base = tmp_path_factory.getbasetemp()
    # With pytest-xdist each worker has its own folder inside the folder of the run.
    folder = (base.parent if base.name.startswith("popen-") else base) / "demo-coverage"
    folder.mkdir(exist_ok=True)
    return folder
