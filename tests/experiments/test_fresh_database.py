"""A ledger that is restored in a database of its own, by real processes, verifies bit by bit."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import call_command

from activity.models import Course, Section
from experiments.analyses import OUTCOMES
from experiments.models import ExclusionLayer, Experiment
from experiments.operations import (
    draw_arms,
    draw_present_sections,
    name_winner,
    note_state,
    seal_draws,
    snapshot_due,
    stop_experiment,
)
from experiments.queries import verify_experiment
from experiments.starting import lock_protocol_and_run
from tests import template_database
from tests.experiments.factories import make_experiment, make_segment
from tests.factories import NOW, act, make_course, make_enrollment
from tests.processes import database_url, finish, run_python, start_forked

DAY, WEEK = timedelta(days=1), timedelta(days=7)
DESIGNS: dict[str, dict[str, Any]] = {
    "hash": {"layer_start": "0.1", "layer_end": "1"},
    "blocks": {"method": "blocks", "strata": "trait group"},
    "sections": {"method": "cluster", "unit": "section"},
}
# Runs in the other database, and prints what it holds and what it finds of each fault.
READ = """
import json
import sys
from pathlib import Path
from django.core.management import call_command
from django.db import connection, transaction
from experiments.models import Experiment
from experiments.queries import verify_experiment
from tests.experiments.test_fresh_database import contents

def fault(key, sql):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(sql, {"key": key})
            assert cursor.rowcount == 1
        found = verify_experiment(key).difference
        transaction.set_rollback(True)
    return found

FIRST = '''id = (
    SELECT drawn.id FROM experiments_assignment drawn
    JOIN experiments_experiment own ON own.id = drawn.experiment_id
    WHERE own.key = %(key)s ORDER BY drawn.unit_key LIMIT 1
)'''
FAULTS = {
    "row": "UPDATE experiments_assignment SET assigned_at = assigned_at + interval '1 s' WHERE "
    + FIRST,
    "arm": "UPDATE experiments_assignment changed SET arm_id = (SELECT other.id FROM"
    " experiments_arm other WHERE other.experiment_id = changed.experiment_id"
    " AND other.id <> changed.arm_id) WHERE " + FIRST,
    "plan": "UPDATE experiments_experiment SET protocol ="
    " replace(protocol, '\\"level\\":0.95', '\\"level\\":0.9') WHERE key = %(key)s",
    "winner": "UPDATE experiments_experiment SET winner = '' WHERE key = %(key)s",
}
for key in sys.argv[2:]:
    call_command("export_ledger", key, out=Path(sys.argv[1]) / f"again-{key}", stdout=sys.stderr)
print(json.dumps({
    key: [contents(key), {name: fault(key, sql) for name, sql in FAULTS.items()}]
    for key in sys.argv[2:]
}))
"""


@pytest.fixture
def fresh(django_db_setup: None) -> Iterator[dict[str, str]]:
    """Return the environment of processes on another database, which holds nothing."""
    here = database_url()
    name = urlsplit(here).path[1:]
    other = f"{name}_fresh"
    with psycopg.connect(here, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{other}"')
        server.execute(f'CREATE DATABASE "{other}" TEMPLATE "{template_database.name()}"')
        yield {"DATABASE_URL": here.replace(f"/{name}?", f"/{other}?")}
        server.execute(f'DROP DATABASE "{other}" WITH (FORCE)')


def contents(key: str) -> dict[str, Any]:
    """Return all draws, facts and verified numbers of the experiment as plain data."""
    experiment = Experiment.objects.get(key=key)
    draws = experiment.assignments.order_by("unit_key").values_list(
        "unit_key", "arm__key", "bucket", "assigned_at", "stratum__key", "position",
        "section_draw__unit", "layer_unit", "entry__position",
    )  # fmt: skip
    sections = experiment.section_draws.order_by("unit").values_list(
        "unit", "arm__key", "bucket", "stratum__key", "position", "size", "at"
    )
    facts = ("protocol", "protocol_sha256", "name", "coverage", "started_at", "stopped_at",
             "ended_because", "winner")  # fmt: skip
    found = {
        "draws": list(draws),
        "sections": list(sections),
        "facts": [getattr(experiment, name) for name in facts],
        "verified": verify_experiment(key).result,
    }
    return dict(json.loads(json.dumps(found, default=str)))


def stopped(key: str, course: Course) -> Experiment:
    """Return an experiment with draws, a wider coverage, a kept report, an end and a winner."""
    design = dict(DESIGNS[key])
    if "layer_start" in design:
        design["layer"] = ExclusionLayer.objects.create(key=key, name=key)
    experiment = make_experiment(
        key=key, segment=make_segment(course), coverage="0.9", afterwards="winner",
        other_outcomes=[*OUTCOMES], **design,
    )  # fmt: skip
    lock_protocol_and_run(experiment.pk, now=NOW)
    draw_present_sections(experiment.pk, now=NOW)
    learners = list(course.enrollments.order_by("pk").values_list("pk", flat=True))
    draw_arms(experiment.pk, learners[:9], now=NOW)
    seal_draws(experiment.pk, now=NOW)
    Experiment.objects.filter(pk=experiment.pk).update(coverage="1")
    note_state(experiment.pk, now=NOW)
    draw_arms(experiment.pk, learners, now=NOW)
    return experiment


@pytest.mark.django_db(transaction=True)
def test_a_ledger_restored_in_a_fresh_database_verifies_bit_by_bit_and_names_each_fault(
    fresh: dict[str, str], tmp_path: Path
) -> None:
    course = make_course(live_since=NOW - WEEK)
    sections = [Section.objects.create(course=course, key=f"s{place}") for place in range(4)]
    for place in range(16):
        enrollment = make_enrollment(
            course, section=sections[place % 4], traits={"group": place % 2}
        )
        for _ in range(place % 3):
            act(enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + DAY, score=0.5, passed=place < 8)
    experiments = [stopped(key, course) for key in DESIGNS]
    snapshot_due(now=NOW + WEEK, budget=60)
    for each in experiments:
        stop_experiment(each.pk, now=NOW + WEEK + DAY)
        name_winner(each.pk, "nudge", now=NOW + WEEK + DAY)
        call_command("export_ledger", each.key, out=tmp_path / each.key)
        command = ("manage.py", "restore_ledger", str(tmp_path / each.key))
        restored = finish(start_forked(*command, env=fresh))
        assert restored.output == f"The experiment {each.key} is restored, stopped.\n"

    found = json.loads(run_python(READ, str(tmp_path), *DESIGNS, env=fresh))

    for key, (there, faults) in found.items():
        assert there == contents(key)
        assert there["verified"]["difference"] == ""
        assert there["verified"]["snapshots"] == 1
        assert len(there["draws"]) == there["verified"]["draws"] > 9
        assert (tmp_path / f"again-{key}").read_bytes() == (tmp_path / key).read_bytes()
        unit = there["draws"][0][0]
        assert f"The draw of the unit {unit} has the at '2025" in faults["row"]
        assert f"The draw of the unit {unit} has the arm '" in faults["arm"]
        assert "level is 0.9, and was 0.95 at the start" in faults["plan"]
        assert (
            faults["winner"]
            == "The experiment has the winner '', but 'nudge' was sealed in its ledger."
        )
