"""Measure ingest with both read models against a bare COPY of the same typed rows.

For each batch of 1,000 events, two things are timed in turns: ingest from canonical dicts, and one
COPY by write_row of the same rows into a table without indexes, with its commit. The benchmark
prints the ratio of the total times (aim: at most 10). It uses a separate database, which is dropped
at the end.

    python -m bench.ingest [--batches 100] [--profile]
"""

import argparse
import cProfile
import json
import pstats
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import Any

import django

from config.running.startup import prepare

prepare(default_settings="config.settings.test")
django.setup()

from django.db import connection  # noqa: E402

from activity.canonical import read_event  # noqa: E402
from activity.operations import (  # noqa: E402
    ingest,
    save_course,
    save_enrollment,
    save_item,
    save_learner,
)
from activity.operations.keys import EventRow, look_up  # noqa: E402

BATCH_SIZE = 1_000
AIM = 10.0
SEED = 20_250_901
LEARNERS = 2_000
MODULES = 10
BEGINNING = datetime(2025, 9, 1, 8, 0, tzinfo=UTC)
NOW = datetime(2025, 10, 26, tzinfo=UTC)
RIVAL_TABLE = """
CREATE TABLE bench_rival (enrollment_id bigint, item_id bigint, verb text,
    occurred_at timestamptz, received_at timestamptz, count int, score numeric(7, 6), passed bool,
    value numeric(20, 6), properties jsonb, source text, source_id text,
    sent_score float8)
"""
# The acts of a learner in one sitting of about ten minutes, in one module. Every tenth sitting ends
# with the completion of the module.
SITTING = (
    ("LOGIN", None),
    ("VIEW_MODULE", "module"),
    ("VIEW_ITEM", "page"),
    ("PLAY_VIDEO", "video"),
    ("DOWNLOAD_RESOURCE", "resource"),
    ("ATTEMPT_QUIZ", "quiz"),
    ("ATTEMPT_QUIZ", "quiz"),
)
FINISH = ("COMPLETE_MODULE", "module")


def main() -> int:
    """Run the benchmark, print the result, and return 1 if the aim is missed."""
    options = _options()
    with _own_database():
        make_roster()
        batches = list(make_batches(options.batches))
        profile = cProfile.Profile() if options.profile else None
        times = [measure(batch, profile) for batch in batches]
    report(times, json_only=options.json)
    if profile:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(25)
    return 0 if ratio(times) <= AIM else 1


def make_roster() -> None:
    """Create a course of ten modules and its learners."""
    course = {"key": "bench", "title": "Bench", "time_zone": "Europe/London"}
    save_course(course | {"starts_on": date(2025, 9, 1), "ends_on": date(2025, 10, 26)}, now=NOW)
    for number in range(MODULES):
        module = f"module-{number}"
        save_item({"course": "bench", "key": module, "kind": "module"}, now=NOW)
        for kind in ("video", "page", "resource", "quiz"):
            item = {"course": "bench", "key": f"{kind}-{number}", "kind": kind, "parent": module}
            save_item(item, now=NOW)
    for number in range(LEARNERS):
        save_learner({"external_id": f"learner-{number}"}, now=BEGINNING)
        save_enrollment({"course": "bench", "learner": f"learner-{number}"}, now=BEGINNING)


def make_batches(count: int) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of canonical events in order of time, as a learning platform sends them."""
    chance = random.Random(SEED)
    events: list[dict[str, Any]] = []
    while len(events) < count * BATCH_SIZE:
        events.extend(_sitting(chance))
    events.sort(key=lambda event: event["occurred_at"])
    for number in range(count):
        yield events[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]


def measure(
    batch: Sequence[dict[str, Any]], profile: cProfile.Profile | None
) -> tuple[float, float]:
    """Return the seconds of ingest and of the rival for the batch."""
    started = perf_counter()
    if profile:
        profile.enable()
    result = ingest(batch, now=NOW)
    if profile:
        profile.disable()
    ingested = perf_counter() - started
    if result.stored != BATCH_SIZE:
        raise SystemExit(
            f"Only {result.stored} of {BATCH_SIZE} events were stored: {result.rejected[:1]}"
        )
    rows = _typed_rows(batch)
    started = perf_counter()
    with connection.cursor() as cursor, cursor.copy("COPY bench_rival FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    # Outside a transaction block, the COPY commits by itself.
    return ingested, perf_counter() - started


def ratio(times: Sequence[tuple[float, float]]) -> float:
    """Return ingest's time divided by the rival's, over all batches."""
    return sum(ours for ours, _ in times) / sum(theirs for _, theirs in times)


def report(times: Sequence[tuple[float, float]], *, json_only: bool) -> None:
    """Print the measured times and their ratio."""
    ours, theirs = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
    if json_only:
        print(json.dumps({"ingest_ms": ours, "copy_ms": theirs, "ratio": ratio(times)}))
        return
    print(f"{len(times)} batches of {BATCH_SIZE:,} events")
    print(f"  ingest with both read models   {ours:8.1f} ms per batch (median)")
    print(f"  one COPY of the typed rows     {theirs:8.1f} ms per batch (median)")
    print(f"  ratio of the totals            {ratio(times):8.1f}    (aim: at most {AIM:.0f})")


def _sitting(chance: random.Random) -> Iterator[dict[str, Any]]:
    learner = chance.randrange(LEARNERS)
    module = chance.randrange(MODULES)
    at = BEGINNING + chance.random() * (NOW - BEGINNING - timedelta(hours=1))
    acts = [*SITTING, FINISH] if chance.random() < 0.1 else SITTING
    for verb, kind in acts:
        at += timedelta(seconds=chance.uniform(10, 180))
        yield {
            "course": "bench",
            "learner": f"learner-{learner}",
            "verb": verb,
            "item": kind and f"{kind}-{module}",
            "score": round(chance.random(), 4) if verb == "ATTEMPT_QUIZ" else None,
            "occurred_at": at.isoformat(),
            "properties": {"platform": "web"} if verb == "LOGIN" else {},
            "source": "bench",
            "source_id": f"{chance.getrandbits(128):032x}",
        }


def _typed_rows(batch: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    events = [read_event(event, now=NOW) for event in batch]
    keys = look_up(events)
    return [_typed(keys.resolve(event)) for event in events]


def _typed(row: EventRow) -> tuple[Any, ...]:
    return (*row[:4], NOW, *row[4:])


@contextmanager
def _own_database() -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = "nudgelab_bench_ingest"
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(RIVAL_TABLE)
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--profile", action="store_true", help="print a profile of ingest")
    parser.add_argument("--json", action="store_true", help="print only JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
