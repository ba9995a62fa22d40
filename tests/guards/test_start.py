"""Commands and workers do not load libraries that only a few of them use."""

import sys

import pytest
from django.contrib import admin

from tests.processes import PREAMBLE, finish, start_command

LOAD_ALL = """
import sys
print("---")
from django.core.management import call_command
import config.celery, config.wsgi
call_command("check", verbosity=0)
print(*sys.modules)
"""
# Each takes a third of a second or more. Reports, analyses and imports load what they need.
HEAVY = {"altair", "narwhals", "pandas", "scipy.optimize", "scipy.special", "statsmodels"}


WITHOUT_PAGES = """
from django.contrib import admin
import interventions.stages.dispatch, segmentation.stages.evaluate
from config.apps import check_pages
print(len(admin.site._registry), check_pages(None), len(admin.site._registry))
"""


def started(code: str) -> list[str]:
    """Return the words that a process prints, one that has loaded nothing before."""
    finished = finish(start_command(sys.executable, "-c", PREAMBLE + code))
    assert finished.status == 0, finished.errors
    return finished.output.split()


# One process for both: to start one takes longest.
@pytest.mark.slow
@pytest.mark.django_db
def test_pages_are_loaded_to_show_or_check_them_and_libraries_of_reports_never() -> None:
    said = started(WITHOUT_PAGES + LOAD_ALL)
    before, found, after = said[: said.index("---")]
    loaded = {*said[said.index("---") :]}

    assert (before, found) == ("0", "[]")
    assert int(after) == len(admin.site._registry) > 30
    assert {"experiments.reporting.charts", "experiments.stats.score"} <= loaded
    assert not loaded & HEAVY
