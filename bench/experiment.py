"""Measure a report on many assignments against reading their rows, and draws against the formula.

The rival of the report reads one row per assignment with the numbers of all outcomes into numpy.
The rival of the draws is the published formula in plain Python, one id after the other.

    python -m bench.experiment [--assignments 1000000] [--rounds 3] [--json]

Returns 1 if an aim is missed.
"""

# Only numbers of our own and column names are put into the SQL.

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from statistics import median
from time import perf_counter
from uuid import NAMESPACE_URL, uuid5

import django

from config.running.startup import prepare

prepare(default_settings="config.settings.test")
django.setup()

import numpy as np  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from activity.models import Enrollment, Learner  # noqa: E402
from bench.dispatch_world import NOW, make_world  # noqa: E402
from bench.plan import copy  # noqa: E402
from experiments.analyses import OUTCOMES  # noqa: E402
from experiments.models import Arm, Experiment  # noqa: E402
from experiments.operations import snapshot_due  # noqa: E402
from experiments.protocol import read_protocol  # noqa: E402
from experiments.queries import report  # noqa: E402
from experiments.queries.outcome_sql import (  # noqa: E402
    DRAWN,
    ZONES,
    columns_sql,
    event_joins,
    parameters,
)
from experiments.randomize.hash import bucket_of, bucket_of_many  # noqa: E402
from experiments.starting import lock_protocol_and_run  # noqa: E402
from segmentation.models import Segment  # noqa: E402

DATABASE, SEED = "bench_experiment", "3f9c02d7a1b84e65"
AIM_REPORT, AIM_PAGE_SECONDS, AIM_DRAWS = 2.0, 0.3, 15.0
DRAWN_AT = NOW - timedelta(days=40)


@dataclass(frozen=True)
class Row:
    """One measurement, its aim, and details. `is_least`: the aim is the lowest allowed value."""

    work: str
    value: float
    aim: float
    about: str = ""
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        """Return whether the aim is met."""
        return self.value >= self.aim if self.is_least else self.value <= self.aim


def main() -> int:
    """Measure, print, and return 1 if an aim is missed."""
    options = _options()
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = DATABASE
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        rows = list(_measured(options))
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    if options.json:
        print(json.dumps([asdict(row) | {"met": row.is_met} for row in rows], indent=2))
    else:
        print("\n".join(map(_line, rows)))
    return 0 if all(row.is_met for row in rows) else 1


def _measured(options: argparse.Namespace) -> Iterator[Row]:
    experiment = make_experiment(options.assignments)
    protocol = read_protocol(experiment.protocol)
    number = len(protocol.metrics) + len(protocol.guardrails)
    ours = _seconds(lambda: report(experiment, as_of=NOW), options.rounds)
    rival = _seconds(lambda: _rows_into_numpy(experiment), options.rounds)
    words = f"report of {number} outcomes on {options.assignments:,} assignments"
    yield Row(
        f"{words}, relative to reading their rows", ours / rival, AIM_REPORT,
        f"{ours:.2f} s against {rival:.2f} s",
    )  # fmt: skip
    snapshot_due(now=NOW, budget=1000)
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("bench"))
    kept = experiment.ledger.get(kind="snapshot").position
    address = f"/reports/{experiment.key}/kept/{kept}/"
    page = _seconds(lambda: client.get(address), options.rounds + 1)
    yield Row("page of the last kept report, in seconds", page, AIM_PAGE_SECONDS)
    yield _draws(options.rounds)


def _draws(rounds: int) -> Row:
    # A seed of an experiment has 16 characters.
    ids = [str(uuid5(NAMESPACE_URL, str(each))) for each in range(200)]
    # Each takes a thousandth of a second, so that one of them alone says little.
    often = 100 * rounds
    plain = _seconds(lambda: [bucket_of(each, seed=SEED) for each in ids], often)
    bulk = _seconds(lambda: bucket_of_many(ids, seed=SEED), often)
    formula = _seconds(lambda: [_formula(SEED, each) for each in ids], often)
    about = f"a batch of 200; one by one ours is {formula / plain:.1f} times as fast"
    words = "draws, how many times as fast as the formula"
    return Row(words, formula / bulk, AIM_DRAWS, about, is_least=True)


def _formula(seed: str, unit: str) -> int:
    """Return the bucket by the specification's formula, character by character."""
    return _fnv(str(_fnv(seed + unit))) % 10_000


def _fnv(text: str) -> int:
    value = 0x811C9DC5
    for character in text:
        value = ((value ^ ord(character)) * 0x01000193) & 0xFFFFFFFF
    return value


def _rows_into_numpy(experiment: Experiment) -> NDArray[np.float64]:
    """Read the numbers of all outcomes of each assignment."""
    protocol = read_protocol(experiment.protocol)
    metrics = [*protocol.chosen_metrics(), *(each for each, _ in protocol.chosen_guardrails())]
    sql = f"""
WITH {ZONES}
SELECT assigned.arm_id, {columns_sql(metrics)}
FROM {DRAWN} assigned {event_joins(metrics)}
WHERE assigned.experiment_id = %(experiment_id)s AND assigned.assigned_at <= %(as_of)s
GROUP BY assigned.id, assigned.arm_id, assigned.assigned_at
"""
    with connection.cursor() as cursor:
        cursor.execute(sql, {"experiment_id": experiment.pk, **parameters(metrics, NOW)})
        return np.array(cursor.fetchall(), dtype=np.float64)


def make_experiment(number: int) -> Experiment:
    """Return a running experiment with all outcomes, so many assignments, and three events each."""
    course, _ = make_world()
    learner = Learner.objects.create(external_id="first", email="first@example.org")
    one = Enrollment.objects.create(
        learner=learner, course=course, enrolled_at=DRAWN_AT - timedelta(days=30)
    )
    experiment = Experiment.objects.create(
        key="bench", name="Bench", segment=Segment.objects.get(key="bench-urgent"),
        other_outcomes=[*OUTCOMES], expected_learners=number, differs_outside=True,
    )  # fmt: skip
    for position, key in enumerate(("control", "nudge")):
        Arm.objects.create(
            experiment=experiment, key=key, weight="0.5", is_control=not position,
            position=position,
        )  # fmt: skip
    experiment = lock_protocol_and_run(experiment.pk, now=DRAWN_AT)
    copy(learner, number - 1, external_id="'many-' || number", email="number || '@example.org'")
    copy(
        one, number - 1, unit_key="gen_random_uuid()",
        learner_id="(SELECT id FROM activity_learner WHERE external_id = 'many-' || number)",
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_ASSIGN, {"experiment": experiment.pk, "at": DRAWN_AT})
        for verb, share, hours in _HAPPENED:
            scored = verb == "ATTEMPT_QUIZ"
            cursor.execute(
                _EVENTS, {"verb": verb, "share": share, "hours": hours, "scored": scored}
            )
        cursor.execute("ANALYZE")
    return experiment


_ASSIGN = """
INSERT INTO experiments_assignment
    (experiment_id, arm_id, enrollment_id, unit_key, bucket, assigned_at)
SELECT arm.experiment_id, arm.id, enrollment.id, enrollment.unit_key, 0,
    %(at)s::timestamptz + random() * interval '20 days'
FROM activity_enrollment enrollment
JOIN experiments_arm arm ON arm.experiment_id = %(experiment)s
    AND arm.position = enrollment.id %% 2
"""
# From a day before the draw to so many hours after it.
_EVENTS = """
INSERT INTO activity_event (enrollment_id, verb, occurred_at, received_at, count, score, passed,
    properties, source, source_id)
SELECT enrollment_id, %(verb)s, assigned_at + interval '1 hour' * (random() * %(hours)s - 24),
    assigned_at + interval '1 hour' * %(hours)s, 1, CASE WHEN %(scored)s THEN 0.5 END,
    CASE WHEN %(scored)s THEN random() < 0.5 END, '{}', %(verb)s, enrollment_id::text
FROM experiments_assignment WHERE random() < %(share)s
"""
_HAPPENED = (("ATTEMPT_QUIZ", 0.6, 40), ("LOGIN", 0.9, 300), ("COMPLETE_MODULE", 0.2, 500))


def _seconds(work: Callable[[], object], rounds: int) -> float:
    work()
    taken = []
    for _ in range(rounds):
        begun = perf_counter()
        work()
        taken.append(perf_counter() - begun)
    return median(taken)


def _line(row: Row) -> str:
    about = f"   {row.about}" if row.about else ""
    sign, missed = "at least " if row.is_least else "", "" if row.is_met else ", MISSED"
    return f"{row.work:76} {row.value:8.2f} (aim {sign}{row.aim:g}{missed}){about}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--assignments", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
