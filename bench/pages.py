"""Measure the pages of a large course: opened, and with the numbers for which they then ask.

A course is made with a million learners, each with three stays in five segments over 100 days. The
pages of the course, of a segment and of the playbook are requested in turns without and with their
numbers. What is asked of a page is that it opens at once, whatever its numbers take.

    python -m bench.pages [--enrollments 1000000] [--rounds 3] [--keep] [--json]

Returns 1 if a page opens too slowly, or if its numbers take longer than a page waits for them.
"""

import argparse
import json
import sys
from collections.abc import Iterator
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
from django.core.cache import cache  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402

from activity.models import Course, Due, Enrollment, Learner  # noqa: E402
from bench.replicate import copy_rows  # noqa: E402
from config.views.counting import LONGEST_SECONDS  # noqa: E402
from segmentation.models import Playbook, Segment  # noqa: E402
from segmentation.operations import install_playbook  # noqa: E402

DATABASE = "nudgelab_bench_pages"
AIM_SECONDS = 0.5
BEGAN = datetime(2025, 9, 1, 0, 0, tzinfo=UTC)
AS_OF = BEGAN + timedelta(days=100)
# So many are made one by one, and then copied.
ORIGINALS = 1_000

_TABLES = {
    "activity_learner": {"id": "id", "external_id": "external_id || '#' || n"},
    "activity_enrollment": {"id": "id", "learner_id": "id", "unit_key": "gen_random_uuid()"},
    "activity_due": {"enrollment_id": "id"},
}
# Each learner stays in three different segments, one after the other. One in seven leaves the last.
_STAYS = """
INSERT INTO segmentation_membership
    (segment_id, enrollment_id, entered_at, left_at, version, signals)
SELECT (%(segments)s::bigint[])[1 + (learner.chance + number) %% 5], learner.id, entered, ended, 1,
    '{"active_days:7": 2}'
FROM (
    SELECT id, hashint8(id) & 2147483647 AS chance FROM activity_enrollment
) AS learner
CROSS JOIN LATERAL (VALUES
    (0, interval '0', chance %% 60 * interval '1 day'),
    (1, chance %% 60 * interval '1 day', (chance %% 60 + 3 + chance %% 31) * interval '1 day'),
    (2, (chance %% 60 + 3 + chance %% 31) * interval '1 day',
        CASE WHEN chance %% 7 = 0 THEN interval '95 days' END)
) AS stay (number, enters, leaves)
CROSS JOIN LATERAL (
    SELECT %(began)s + enters + chance %% 86400 * interval '1 second' AS entered,
        %(began)s + leaves + chance %% 86400 * interval '1 second' AS ended
) AS at
ORDER BY entered, learner.id
"""


def main() -> int:
    """Run the benchmark, print a line for each page, and return 1 if an aim is missed."""
    options = _options()
    with _own_database(options):
        if not Course.objects.exists():
            make_course(options.enrollments)
        client = Client()
        client.force_login(get_user_model().objects.get(username="bench"))
        rows = [
            measure(name, address, client, rounds=options.rounds)
            for name, address in _pages().items()
        ]
    for row in rows:
        print(_line(row), file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(rows, indent=2))
    return 0 if all(row["is_met"] for row in rows) else 1


def measure(name: str, address: str, client: Client, *, rounds: int) -> dict[str, Any]:
    """Return the median seconds of the page without and with its numbers."""
    opened, counted = [], []
    for turn in range(rounds + 1):
        # Numbers that were counted a moment ago would be shown again.
        cache.clear()
        seconds, text = _timed(client, address)
        assert "being counted" in text, address
        with_numbers, text = _timed(client, f"{address}?counted=1")
        assert "being counted" not in text, address
        assert "The database could not answer" not in text, address
        # The first round loads the plots and warms the caches of the database.
        if turn:
            opened.append(seconds)
            counted.append(with_numbers)
    page, numbers = median(opened), median(counted)
    is_met = page <= AIM_SECONDS and numbers <= LONGEST_SECONDS
    return {"page": name, "seconds": page, "with_numbers": numbers, "is_met": is_met}


def _timed(client: Client, address: str) -> tuple[float, str]:
    begun = perf_counter()
    response = client.get(address)
    seconds = perf_counter() - begun
    assert response.status_code == 200, (address, response.status_code)
    return seconds, response.content.decode()


def _pages() -> dict[str, str]:
    segment = Segment.objects.order_by("priority")[1]
    return {
        "course": reverse("course-home", args=(Course.objects.get().pk,)),
        "segment": reverse("segment", args=(segment.pk,)),
        "playbook": reverse("playbook", args=(Playbook.objects.get().pk,)),
    }


def make_course(enrollments: int) -> None:
    """Create the course with its learners, the five segments and the stays of the learners."""
    get_user_model().objects.create_superuser("bench")
    course = Course.objects.create(
        key="large",
        title="Large",
        starts_on=BEGAN.date(),
        ends_on=date(2026, 1, 31),
        clock_stopped_at=AS_OF,
    )
    learners = Learner.objects.bulk_create(
        Learner(external_id=f"l{number}", name=f"Learner {number}") for number in range(ORIGINALS)
    )
    rows = Enrollment.objects.bulk_create(
        Enrollment(course=course, learner=one, enrolled_at=BEGAN) for one in learners
    )
    Due.objects.bulk_create(Due(enrollment=one, due_at=None) for one in rows)
    install_playbook("five-segments", now=AS_OF)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        copy_rows(cursor, _TABLES, copies=-(-enrollments // ORIGINALS) - 1)
        segments = list(Segment.objects.values_list("pk", flat=True))
        cursor.execute(_STAYS, {"segments": segments, "began": BEGAN})
        cursor.execute("RESET session_replication_role")
        cursor.execute("VACUUM (ANALYZE)")


def _line(row: dict[str, Any]) -> str:
    missed = "" if row["is_met"] else ", MISSED"
    return (
        f"{row['page']:10} opens in {row['seconds']:.3f} s (aim {AIM_SECONDS:g}{missed}),"
        f" with its numbers {row['with_numbers']:.2f} s"
    )


@contextmanager
def _own_database(options: argparse.Namespace) -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = DATABASE
    connection.creation.create_test_db(
        verbosity=0, autoclobber=True, serialize=False, keepdb=options.keep
    )
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0, keepdb=options.keep)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--enrollments", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="after one round to warm up")
    parser.add_argument("--keep", action="store_true", help="keep the data for the next run")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
