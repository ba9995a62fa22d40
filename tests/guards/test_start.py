"""Every command and worker loads the project, and no library that only few of them use."""

import pytest

from tests.processes import run_python

LOAD_ALL = """
import sys
from django.core.management import call_command
import config.celery, config.wsgi
call_command("check", verbosity=0)
print(*sys.modules)
"""
# Each would take a third of a second or more; a report, an analysis or an import loads its own.
HEAVY = {"altair", "narwhals", "pandas", "scipy.optimize", "scipy.special", "statsmodels"}


@pytest.mark.slow
@pytest.mark.django_db
def test_no_process_loads_a_library_that_only_reports_need() -> None:
    loaded = set(run_python(LOAD_ALL).split())

    assert {"experiments.reporting.charts", "experiments.stats.score"} <= loaded
    assert not loaded & HEAVY
