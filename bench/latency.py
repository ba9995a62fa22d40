"""From an event to the hand-off of its mail, while 200 events a second come in.

Real workers and a real beat on a database of 100,000 enrollments in 20 courses, with the five
segments and one that learners enter by a purchase, for which a mail goes out at once. Every 50th
event is a purchase. Measured is the time from the arrival of the purchase to the moment at which
the mail server has accepted the mail. With --beat-only nothing is woken, as before.

    python -m bench.latency [--enrollments N] [--seconds N] [--rate N] [--beat-only] [--json]
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from random import Random
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote, urlencode

import django

from config.running.startup import prepare

prepare(default_settings="config.settings.test")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from activity.models import Course, Due, Enrollment, Event, Learner  # noqa: E402
from activity.operations import ingest  # noqa: E402
from bench.dispatch import sink as mail_server  # noqa: E402
from common.clock import utc_now  # noqa: E402
from config.models import StageRun  # noqa: E402
from config.running.workers import STAGES, celery_command, worker_commands  # noqa: E402
from interventions.models import Category, Delivery, FrequencyCap, QuietHours  # noqa: E402
from interventions.operations import (  # noqa: E402
    CadenceFields,
    StepFields,
    save_cadence,
    save_template,
)
from segmentation.models import Playbook  # noqa: E402
from segmentation.operations import (  # noqa: E402
    SegmentFields,
    activate_segment,
    add_courses,
    create_segment,
    install_playbook,
)
from segmentation.stages.evaluate import evaluate_due  # noqa: E402

DATABASE = "bench_latency"
COURSES = 20
BATCHES_A_SECOND = 10
PURCHASE_EVERY = 50
AIM_SECONDS = 5.0
SECONDS_TO_FINISH = 60.0
BOUGHT = {
    "combinator": "and",
    "not": False,
    "rules": [
        {"field": "event_count", "verb": "PURCHASE", "window": 1, "operator": ">=", "value": 1}
    ],
}


def main() -> int:
    """Measure, print, and return 1 if the aim is missed."""
    options = _options()
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = DATABASE
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        _make_world(options.enrollments)
        with mail_server() as port, _running(port, beat_only=options.beat_only):
            _send_events(options)
            found = sorted(_waits())
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    _say(found, options)
    return 0 if found and _at(found, 0.95) <= AIM_SECONDS else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enrollments", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=200, help="events a second")
    parser.add_argument("--beat-only", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _say(found: Sequence[float], options: argparse.Namespace) -> None:
    numbers = {"mails": len(found)} | {f"p{q}": _at(found, q / 100) for q in (50, 95, 100)}
    if options.json:
        print(json.dumps(numbers | {"aim": AIM_SECONDS}))
        return
    words = ", ".join(f"{name} {value:.2f} s" for name, value in numbers.items() if name != "mails")
    way = "by the beat alone" if options.beat_only else "woken"
    print(
        f"{options.enrollments:,} enrollments, {options.rate} events a second, {way}: "
        f"{len(found)} mails handed off after {words} (aim of p95: {AIM_SECONDS:.0f} s)"
    )


def _at(found: Sequence[float], share: float) -> float:
    """Return the smallest value with at least this share of the sorted values at or below it."""
    return found[max(0, -int(-len(found) * share // 1) - 1)] if found else float("nan")


def _make_world(number: int) -> None:
    now = utc_now()
    live: dict[str, Any] = {
        "starts_on": now.date() - timedelta(days=20),
        "ends_on": now.date() + timedelta(days=60),
        "live_since": now - timedelta(days=20),
    }
    courses = [
        Course.objects.create(key=f"bench-{one}", title="Bench", **live) for one in range(COURSES)
    ]
    learners = Learner.objects.bulk_create(
        [Learner(external_id=f"l{one}", email=f"l{one}@example.org") for one in range(number)],
        batch_size=5_000,
    )
    enrolled = Enrollment.objects.bulk_create(
        [
            Enrollment(learner=each, course=courses[place % COURSES], enrolled_at=now)
            for place, each in enumerate(learners)
        ],
        batch_size=5_000,
    )
    Due.objects.bulk_create([Due(enrollment=each, due_at=now) for each in enrolled], 5_000)
    keys = [course.key for course in courses]
    install_playbook("five-segments", now=now, course_keys=keys)
    _make_cadence([course.pk for course in courses], now)
    # The time of the day must not decide when a mail may go out.
    QuietHours.objects.all().delete()
    FrequencyCap.objects.all().delete()
    evaluate_due(now=utc_now(), budget_seconds=3600)


def _make_cadence(courses: list[int], now: datetime) -> None:
    playbook = Playbook.objects.create(key="buyers", name="Buyers")
    add_courses(playbook.pk, courses)
    segment = create_segment(
        playbook.pk, SegmentFields(key="bought", name="Bought today", rule=BOUGHT), now=now
    )
    segment = activate_segment(segment.pk, now=now)
    category = Category.objects.create(key="thanks", name="Thanks")
    texts = {"en": ("Thank you", "<p>Your course is open.</p>")}
    template = save_template("thanks", name="Thanks", category=category, texts=texts)
    fields = CadenceFields(name="Thanks", category=category, segment=segment)
    save_cadence("thanks", fields=fields, steps=[StepFields(template)])


@contextmanager
def _running(port: int, *, beat_only: bool) -> Iterator[None]:
    """Run workers and the beat of one machine, and wait until each stage has run."""
    env = os.environ | {
        "DATABASE_URL": _address(),
        "REDIS_URL": settings.REDIS_URL,
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(port),
    }
    # The beat of before, by a name that it does not listen to.
    deaf = "from common import waking; waking.CHANNEL = 'nobody'; from celery.__main__ import main;"
    beat = celery_command("beat", "--pidfile=")
    if beat_only:
        beat = [sys.executable, "-c", f"{deaf} main()", *beat[3:]]
    with ExitStack() as stack:
        for command in (*worker_commands().values(), beat):
            running = subprocess.Popen(command, env=env)
            stack.callback(running.wait)
            stack.callback(running.terminate)
        deadline = monotonic() + SECONDS_TO_FINISH
        while StageRun.objects.exclude(ended_at=None).count() < len(STAGES):
            if monotonic() > deadline:
                raise SystemExit("the stages do not run")
            sleep(0.2)
        yield


def _address() -> str:
    at = connection.settings_dict
    options = {"host": at["HOST"], "port": at["PORT"], "password": at["PASSWORD"]} | at["OPTIONS"]
    given = {name: value for name, value in options.items() if value and isinstance(value, str)}
    query = urlencode(given, quote_via=quote)
    return f"postgresql://{quote(at['USER'])}@/{quote(at['NAME'], safe='')}?{query}"


def _send_events(options: argparse.Namespace) -> None:
    """Ingest batches of events at the rate, each of another learner by chance."""
    chance = Random(1)
    keys = list(
        Enrollment.objects.order_by("pk").values_list("course__key", "learner__external_id")
    )
    chance.shuffle(keys)
    size = options.rate // BATCHES_A_SECOND
    begun = monotonic()
    for batch in range(options.seconds * BATCHES_A_SECOND):
        sleep(max(0.0, begun + batch / BATCHES_A_SECOND - monotonic()))
        now = utc_now()
        events = []
        for place in range(batch * size, (batch + 1) * size):
            course, learner = keys[place % len(keys)]
            verb = "LOGIN" if place % PURCHASE_EVERY else "PURCHASE"
            events.append(
                {"course": course, "learner": learner, "verb": verb, "occurred_at": now,
                 "source": "bench", "source_id": str(place)}
            )  # fmt: skip
        result = ingest(events, now=now)
        if result.stored != len(events):
            raise SystemExit(f"not stored: {result.rejected[:1]}")
    late = monotonic() - begun - options.seconds
    if late > 1:
        print(f"the events took {late:.1f} s longer than planned", file=sys.stderr)


def _waits() -> Iterator[float]:
    """Yield the seconds from the arrival of each purchase to the hand-off of its mail."""
    bought = dict(Event.objects.filter(verb="PURCHASE").values_list("enrollment_id", "received_at"))
    deadline = monotonic() + SECONDS_TO_FINISH
    rows = Delivery.objects.filter(state="handed_off", enrollment__in=bought)
    while rows.count() < len(bought) and monotonic() < deadline:
        sleep(0.5)
    if rows.count() < len(bought):
        print(f"{len(bought) - rows.count()} mails were never sent", file=sys.stderr)
    for enrollment, at in rows.values_list("enrollment_id", "finished_at"):
        yield (at - bought[enrollment]).total_seconds()


if __name__ == "__main__":
    sys.exit(main())
