"""A database of an earlier release is migrated with its data, and prints the same results."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.processes import DJANGO, database_url, finish, run_python, start_forked

# A demo of 40 learners over three weeks with the ready-made groups, as pg_dump wrote it: plans that
# hold the keys of their metrics, signals under glued names, deliveries told as exposures.
DUMP = Path(__file__).with_name("databases") / "first_format.sql.gz"
# The output of that release for the database.
LIFTS = {
    "quiz_attempted_7d": [8, 13, 0.46153846153846156, 0.04019222854539168, 0.7551367852054836],
    "quiz_attempts_7d": [8, 13, 0.6923076923076923, None, None],
    "module_completed_7d": [8, 13, 0.019230769230769273, -0.3639856888021919, 0.45357899623861914],
}

READ = """
import json
from math import isfinite
from django.contrib.auth.models import Group
from common.clock import utc_now
from experiments.models import DeliveryOutcome, Experiment
from experiments.queries import clock_of, report
from segmentation.models import Membership

experiment = Experiment.objects.get()
found = report(experiment, as_of=clock_of(experiment, now=utc_now()))
known = lambda value: value if isfinite(value) else None
print(json.dumps({
    "lifts": {
        row.key: [
            *(result.observed[arm.key].n for arm in (row.control, row.arm)),
            *map(known, (row.lift, row.low, row.high)),
        ]
        for result in found.results for row in result.rows
    },
    "outcomes": DeliveryOutcome.objects.count(),
    "signals": sorted({name for signals in Membership.objects.values_list("signals", flat=True)
                       for name in signals}),
    "operators": sorted(Group.objects.get(name="Operators").permissions.filter(
        codename__contains="outcome").values_list("codename", flat=True)),
}))
"""


@pytest.fixture
def upgraded(django_db_setup: None) -> Iterator[dict[str, str]]:
    """Return the environment of processes on the old database, migrated."""
    here = database_url()
    name = urlsplit(here).path[1:]
    old = f"{name}_old"
    with psycopg.connect(here, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{old}"')
        server.execute(f'CREATE DATABASE "{old}"')
        address = here.replace(f"/{name}?", f"/{old}?")
        with psycopg.connect(address) as database:
            database.execute(gzip.decompress(DUMP.read_bytes()))
        env = {"DATABASE_URL": address}
        migrated = finish(start_forked("manage.py", "migrate", env=env))
        assert migrated.status == 0, migrated.errors
        yield env
        server.execute(f'DROP DATABASE "{old}" WITH (FORCE)')


# With the mark the test database is made, even if no other test of the run needs it.
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_earlier_database_prints_the_same_results_and_its_segments_are_proved(
    upgraded: dict[str, str],
) -> None:
    found = json.loads(run_python(READ, env=upgraded))

    assert found["lifts"] == {key: pytest.approx(numbers) for key, numbers in LIFTS.items()}
    assert found["outcomes"] == 42
    assert all(json.loads(name)["field"] for name in found["signals"])
    assert found["operators"] == ["view_deliveryoutcome"]

    # In the same test: another process of pytest-xdist would migrate the database once more.
    proof = finish(start_forked("manage.py", "prove_segments", env=upgraded, preload=DJANGO))
    assert proof.status == 0, proof.output + proof.errors
