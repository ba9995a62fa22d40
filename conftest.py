"""Runs before all tests: start the servers and set the settings before Django loads."""

import gc
import os

import pytest
from django.urls import get_resolver

from config.running.startup import prepare

# Modules are loaded by the hundred and none is given up: to look for garbage among them again and
# again takes a third of the time to collect the tests.
gc.disable()

prepare(default_settings="config.settings.test")


def pytest_collection() -> None:
    """Load the pages, because tests are made for each of the admin."""
    assert get_resolver().url_patterns


# First: with pytest-xdist, the hook of the worker runs all tests and no other is asked after it.
@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Look for garbage again, but not among what was loaded."""
    gc.freeze()
    gc.enable()
    # What a page makes is most often given up by itself: by default a tenth of the time to show it
    # goes into looking again and again among what is still in use.
    gc.set_threshold(50_000)


def pytest_unconfigure() -> None:
    """Look for garbage once at the end, where pytest would look at all objects five times."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one worker more than there are cores if slow tests run: some of them wait.

    Each takes ten seconds of a core before its first test, and a server and a browser of its own.
    """
    waits = config.getoption("markexpr") != "not slow"
    return (os.cpu_count() or 1) + waits
