"""Fixtures that every folder of tests may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real course data; skip the test where it is missing."""
    folder = Path(os.environ.get("NUDGELAB_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        reason = f"no real data: {folder} is missing (NUDGELAB_SHARED_DATA names another folder)"
        # Where the data is known to be there, a skipped test would look like a passed one.
        if os.environ.get("NUDGELAB_REQUIRE_SHARED_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
