"""Commands and workers do not load libraries that only a few of them use."""

import pytest

from tests.processes import run_python

LOAD_ALL = """
import sys
from django.core.management import call_command
import config.celery, config.wsgi
call_command("check", verbosity=0)
print(*sys.modules)
"""
# Each takes a third of a second or more. Reports, analyses and imports load what they need.
HEAVY = {"altair", "narwhals", "pandas", "scipy.optimize", "scipy.special", "statsmodels"}


@pytest.mark.slow
@pytest.mark.django_db
def test_no_process_loads_a_library_that_only_reports_need() -> None:
    loaded = set(run_python(LOAD_ALL).split())

    assert {"experiments.reporting.charts", "experiments.stats.score"} <= loaded
    assert not loaded & HEAVY
