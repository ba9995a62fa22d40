"""Measure what the plan stage takes for a step with many due runs, against few.

The cost of a step must not grow with the number of runs that wait, and neither may the memory of
the worker. Both sizes are measured with the same code in the same run, each for a few seconds.

    python -m bench.plan [--runs 1000000] [--few 20000] [--seconds 10] [--json]

Returns 1 if an aim is missed.
"""

import argparse
import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import django

from config.running.startup import prepare

prepare(default_settings="config.settings.test")
django.setup()

from django.db import connection  # noqa: E402
from django.db.models import Model  # noqa: E402

from activity.models import Enrollment, Learner  # noqa: E402
from bench.dispatch_world import NOW, counting, make_cadence, make_world  # noqa: E402
from interventions.models import Run  # noqa: E402
from interventions.stages.plan import plan_due  # noqa: E402

DATABASE = "bench_plan"
CADENCES = 10
AIM_COST = 1.3
AIM_MEGABYTES = 50.0
AIM_STATEMENTS = 0.1


@dataclass(frozen=True)
class Row:
    """One measurement, its aim (the highest allowed value), and details."""

    work: str
    value: float
    aim: float
    about: str = ""

    @property
    def is_met(self) -> bool:
        """Return whether the value is at most the aim."""
        return self.value <= self.aim


@dataclass(frozen=True)
class Cost:
    """The cost of a planned step, and by how much the memory of the process grew."""

    milliseconds: float
    statements: float
    megabytes: float
    steps: int


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
    # Twice the few, because the first ones pay for the first use of everything.
    make_runs(2 * options.few)
    cost(options.seconds)
    few = cost(options.seconds)
    make_runs(options.runs)
    many = cost(options.seconds)
    about = f"{many.milliseconds:.3f} ms against {few.milliseconds:.3f} ms with {options.few:,}"
    words = f"cost of a step with {options.runs:,} due runs, relative to few"
    yield Row(words, many.milliseconds / few.milliseconds, AIM_COST, about)
    about = f"{many.steps:,} steps planned"
    yield Row("growth of the memory, in MB", many.megabytes, AIM_MEGABYTES, about)
    yield Row("statements per step", many.statements, AIM_STATEMENTS)


def cost(seconds: float) -> Cost:
    """Plan for so many seconds, and return the cost of a step."""
    counted, before = [0], _megabytes()
    begun = perf_counter()
    with connection.execute_wrapper(counting(counted)):
        steps = plan_due(now=NOW, budget_seconds=seconds)
    taken = perf_counter() - begun
    return Cost(taken / steps * 1000, counted[0] / steps, _megabytes() - before, steps)


def make_runs(number: int) -> None:
    """Create so many due runs of new learners, in several cadences of one course."""
    Run.objects.all().delete()
    course, _ = make_world(key=f"plan-{number}")
    learner = Learner.objects.create(external_id=f"first-{number}", email="first@example.org")
    enrollment = Enrollment.objects.create(learner=learner, course=course, enrolled_at=NOW)
    each = number // CADENCES
    copy(learner, each, external_id=f"'many-{number}-' || number", email="number || '@example.org'")
    copy_of_learner = (
        f"(SELECT id FROM activity_learner WHERE external_id = 'many-{number}-' || number)"
    )
    copy(enrollment, each, learner_id=copy_of_learner, unit_key="gen_random_uuid()")
    for place in range(CADENCES):
        other = make_cadence(course, f"plan-{number}-{place}", priority=100)
        run = Run(cadence=other, enrollment=enrollment, started_at=NOW)
        run.next_at, run.next_position = NOW, 0
        run.save()
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO interventions_run ({_columns(Run)}) "
                f"SELECT {_columns(Run, enrollment_id='enrollment.id')} "
                "FROM interventions_run AS one JOIN activity_enrollment AS enrollment "
                "ON enrollment.course_id = %s AND enrollment.id <> one.enrollment_id "
                "WHERE one.id = %s",
                [course.pk, run.pk],
            )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def copy(row: Model, number: int, **values: str) -> None:
    """Insert copies of the row. `values` are SQL by column, with the `number` of the copy."""
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({_columns(type(row))}) "
            f"SELECT {_columns(type(row), **values)} FROM {table} AS one, "
            f"generate_series(1, {number}) AS number WHERE one.id = %s",
            [row.pk],
        )


def _columns(model: type[Model], **values: str) -> str:
    names = [field.column for field in model._meta.concrete_fields if not field.primary_key]
    shown = {name: f'"{name}"' for name in names}
    if values:
        shown = {name: values.get(name, f'one."{name}"') for name in names}
    return ", ".join(shown.values())


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _line(row: Row) -> str:
    about: Any = f"   {row.about}" if row.about else ""
    missed = "" if row.is_met else ", MISSED"
    return f"{row.work:62} {row.value:8.2f} (aim {row.aim:g}{missed}){about}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of planning, at each size")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
