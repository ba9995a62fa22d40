"""Readings of a real course: known numbers, and SQL against Python over what is exported.

The whole run is imported, so that every day before its last is read from the event log.
"""

import csv
import json
from datetime import date, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from activity.models import Course
from common.clock import local_midnight
from segmentation.queries import preview
from segmentation.rules import evaluate, parse
from segmentation.signals import usual_refs
from tests.segmentation.test_playbooks import FIVE

# Also what makes pytest-django set up the test database at all.
pytestmark = pytest.mark.django_db

RUN, DAY_0, ZONE = "AAA_2013J", date(2013, 10, 5), "Europe/London"
RULES = {segment["key"]: parse(segment["rule"]) for segment in FIVE["segments"]}


def end_of_day(day):
    """Return the last microsecond of a day of the run."""
    return local_midnight(DAY_0 + timedelta(days=day + 1), ZONE) - timedelta(microseconds=1)


@pytest.fixture(scope="module")
def course(shared_data, django_db_setup, django_db_blocker):
    """Import the run once for all tests of this module, in a transaction undone at its end."""
    with django_db_blocker.unblock(), transaction.atomic():
        call_command("import_oulad", shared_data / "oulad", runs=RUN, json=True)
        # Once, here: each test would else check every row of the import again.
        connection.check_constraints()
        yield Course.objects.get(key=RUN)
        transaction.set_rollback(True)


@pytest.mark.parametrize("as_of", ["2013-11-04T23:59:59+00:00", "2013-11-05T05:29:59.5+05:30"])
def test_54_of_368_were_not_active_on_days_24_to_30(course, tmp_path, capsys, as_of):
    path = tmp_path / "rule.json"
    path.write_text('{"field": "active_days", "window": 7, "operator": "<", "value": 1}')
    call_command("preview_rule", path, "--course", course.key, "--as-of", as_of, "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["matches"], found["of"], len(found["learners"])) == (54, 368, 54)


def python_members(course, as_of, path):
    """Return the members by segment as plain Python decides over the exported signals."""
    arguments = ("--course", course.key, "--as-of", as_of.isoformat(), "--out", str(path))
    call_command("export_signals", *arguments)
    members = {key: set() for key in RULES}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            signals = {
                ref.identity: float(row[ref.column]) if row[ref.column] else None
                for ref in usual_refs()
            }
            for key, rule in RULES.items():
                if evaluate(rule, signals):
                    members[key].add(row["learner"])
    return members


@pytest.mark.parametrize("day", [30, 120])
def test_plain_python_over_an_export_decides_as_sql_does(course, tmp_path, day):
    as_of = end_of_day(day)
    compiled = {
        key: set(preview(rule, course, as_of=as_of).learners) for key, rule in RULES.items()
    }
    assert compiled == python_members(course, as_of, tmp_path / "signals.csv")
    assert sum(map(len, compiled.values())) > 100
