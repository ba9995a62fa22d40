"""Measure the live count of a rule while typing, against the bare SQL of the same rule.

A course with 30,000 learners is made, with segments and members. Then in turns: the request of the
rule builder, whole, as the page sends it (login, faults, sentence, count, entries and leavings,
count of each condition, ten learners), and only the compiled SQL of the rule with two counts.

With --others, another course of the playbook has so many members beside.

    python -m bench.preview [--enrollments 30000] [--others 1000000] [--rounds 9] [--json]

Returns 1 if an aim is missed.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any

import django

from config.running.startup import prepare

prepare(default_settings="config.settings.test")
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402

from activity.models import (  # noqa: E402
    Course,
    DailyActivity,
    Due,
    Enrollment,
    Item,
    Learner,
    Progress,
)
from bench.replicate import copy_rows  # noqa: E402
from common.clock import local_date  # noqa: E402
from segmentation.compiler import Reading, SegmentRules, compile_reading  # noqa: E402
from segmentation.models import Membership, Segment  # noqa: E402
from segmentation.operations import ensure_norms, install_playbook  # noqa: E402
from segmentation.queries import norms_for  # noqa: E402
from segmentation.rules import parse  # noqa: E402

DATABASE = "nudgelab_bench_preview"
AIM = 1.5
SEED = 20_253
STARTS_ON = date(2025, 9, 1)
AS_OF = datetime(2025, 10, 20, 12, 0, tzinfo=UTC)
DAYS = 8
MODULES = 8
BATCH = 5_000


def main() -> int:
    """Run the benchmark, print a line for each rule, and return 1 if an aim is missed."""
    options = _options()
    with _own_database():
        course = make_course(options.enrollments)
        if options.others:
            make_others(course, options.others)
        client = Client()
        client.force_login(get_user_model().objects.create_superuser("bench"))
        rows = [
            measure(segment, course, client, rounds=options.rounds)
            for segment in Segment.objects.select_related("playbook")
        ]
    for row in rows:
        print(_line(row), file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(rows, indent=2))
    return 0 if all(row["ratio"] <= AIM for row in rows) else 1


def measure(segment: Segment, course: Course, client: Client, *, rounds: int) -> dict[str, Any]:
    """Return the median seconds of both, and the median of their ratio in each round."""
    reading = _bare(segment, course)
    typed = {"rule": json.dumps(segment.rule), "segment": segment.pk, "course": course.pk}
    pairs, said = [], ""
    for turn in range(rounds + 1):
        bare, (matches, of) = _timed(lambda: _run(reading))
        ours, answer = _timed(lambda: client.post(reverse("segmentation:count"), typed).json())
        said = answer["said"]
        assert said.startswith(f"{matches:,} of {of:,} learners"), (said, matches, of)
        # The first round warms both up.
        pairs += [(ours, bare)] if turn else []
    return {
        "rule": segment.key,
        "said": said,
        "seconds": median(ours for ours, _ in pairs),
        "bare_seconds": median(bare for _, bare in pairs),
        "ratio": median(ours / bare for ours, bare in pairs),
    }


def _bare(segment: Segment, course: Course) -> Reading:
    rules = SegmentRules(segment.pk, parse(segment.rule))
    norms = norms_for(course.pk, local_date(AS_OF, course.time_zone))
    reading = compile_reading(
        [rules], course_id=course.pk, as_of=AS_OF, enrollment_ids=None, norms=norms
    )
    column = reading.rule_columns[segment.pk]
    counts = f"count(*) FILTER (WHERE x.{column}), count(*)"
    sql = f"SELECT {counts} FROM ({reading.sql}) x WHERE x.in_scope"
    return Reading(sql, reading.params, {}, {}, {})


def _run(reading: Reading) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(reading.sql, reading.params)
        matches, of = cursor.fetchone()
    return matches, of


def make_course(enrollments: int) -> Course:
    """Create a course with the learners, their read models, the five segments and members."""
    chance = random.Random(SEED)
    course = Course.objects.create(
        key="large",
        title="Large",
        time_zone="Europe/London",
        starts_on=STARTS_ON,
        ends_on=STARTS_ON + timedelta(days=90),
        clock_stopped_at=AS_OF,
    )
    items = _make_items(course)
    for first in range(0, enrollments, BATCH):
        _make_learners(course, items, range(first, min(first + BATCH, enrollments)), chance)
    install_playbook("five-segments", now=AS_OF)
    _make_members(course, chance)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
    ensure_norms(course.pk, local_date(AS_OF, course.time_zone), now=AS_OF)
    return course


def _make_items(course: Course) -> list[Item]:
    items = []
    for number in range(MODULES):
        assigned = STARTS_ON + timedelta(days=7 * number)
        dates = {"assigned_on": assigned, "due_on": assigned + timedelta(days=6)}
        module = Item.objects.create(course=course, key=f"m{number}", kind="module", **dates)
        quiz = Item.objects.create(
            course=course, key=f"q{number}", kind="quiz", parent=module, **dates
        )
        items += [module, quiz]
    return items


def _make_learners(
    course: Course, items: list[Item], numbers: range, chance: random.Random
) -> None:
    learners = Learner.objects.bulk_create(
        Learner(external_id=f"l{number}", name=f"Learner {number}") for number in numbers
    )
    began = datetime.combine(STARTS_ON, datetime.min.time(), UTC)
    rows = Enrollment.objects.bulk_create(
        Enrollment(course=course, learner=one, enrolled_at=began, last_event_at=AS_OF)
        for one in learners
    )
    Due.objects.bulk_create(Due(enrollment=one, due_at=AS_OF) for one in rows)
    DailyActivity.objects.bulk_create(
        _daily(one, day, chance) for one in rows for day in chance.sample(range(50), DAYS)
    )
    Progress.objects.bulk_create(
        _progress(one, item, chance) for one in rows for item in chance.sample(items, MODULES)
    )


def _daily(enrollment: Enrollment, day: int, chance: random.Random) -> DailyActivity:
    on = STARTS_ON + timedelta(days=day)
    at = min(datetime.combine(on, datetime.min.time(), UTC) + timedelta(hours=9), AS_OF)
    attempts = chance.randrange(3)
    passed = chance.randrange(attempts + 1)
    return DailyActivity(
        enrollment=enrollment,
        day=on,
        acts=attempts + 3,
        last_act_at=at,
        views=2,
        plays=1,
        attempts=attempts,
        last_attempt_at=at if attempts else None,
        scored=attempts,
        passed=passed,
        score_sum=passed,
    )


def _progress(enrollment: Enrollment, item: Item, chance: random.Random) -> Progress:
    touched = AS_OF - timedelta(hours=chance.randrange(24 * 45) + 24)
    is_done = chance.random() < 0.5
    return Progress(
        enrollment=enrollment,
        item=item,
        first_touched_at=touched,
        last_touched_at=touched + timedelta(hours=20),
        last_attempt_at=touched if item.kind == "quiz" and is_done else None,
        first_completed_at=touched + timedelta(hours=chance.randrange(20)) if is_done else None,
    )


def _make_members(course: Course, chance: random.Random) -> None:
    """Make every learner a member of one segment or of none."""
    segments = [*Segment.objects.all(), None]
    chosen = [
        (enrollment_id, chance.choice(segments))
        for enrollment_id in course.enrollments.values_list("pk", flat=True)
    ]
    Membership.objects.bulk_create(
        (
            Membership(segment=segment, enrollment_id=pk, entered_at=AS_OF, version=1)
            for pk, segment in chosen
            if segment is not None
        ),
        batch_size=BATCH,
    )


def make_others(course: Course, number: int) -> None:
    """Copy the learners and their memberships into another course, about `number` of them."""
    other = Course.objects.create(
        key="other", title="Other", starts_on=STARTS_ON, ends_on=course.ends_on
    )
    tables = {
        "activity_learner": {"id": "id", "external_id": "external_id || '#' || n"},
        "activity_enrollment": {
            "id": "id",
            "learner_id": "id",
            "course_id": str(other.pk),
            "unit_key": "gen_random_uuid()",
        },
        "segmentation_membership": {"id": "id", "enrollment_id": "id"},
    }
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        copy_rows(cursor, tables, copies=-(-number // Membership.objects.count()))
        cursor.execute("RESET session_replication_role")
        cursor.execute("VACUUM (ANALYZE)")


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = perf_counter()
    result = work()
    return perf_counter() - begun, result


def _line(row: dict[str, Any]) -> str:
    missed = "" if row["ratio"] <= AIM else ", MISSED"
    times = f"{row['seconds']:.3f} s, bare SQL {row['bare_seconds']:.3f} s"
    return (
        f"{row['rule']:16} {times}, ratio {row['ratio']:.2f} (aim {AIM:g}{missed})  {row['said']}"
    )


@contextmanager
def _own_database() -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = DATABASE
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--enrollments", type=int, default=30_000)
    parser.add_argument("--others", type=int, default=0, help="members of another course beside")
    parser.add_argument("--rounds", type=int, default=9, help="after one round to warm up")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
