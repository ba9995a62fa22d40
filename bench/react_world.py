"""React once to many transitions of one enrollment, and print the seconds.

bench.react runs this file with the code of different commits, so it uses only what all of them
have: the models and `react_due`.
"""

import os
import sys
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from time import perf_counter
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
# Importing Celery's app starts the servers, by the same module name in every commit.
import_module("config.celery")
django.setup()

from django.db import connection  # noqa: E402

from activity.models import Course, Due, Enrollment, Learner  # noqa: E402
from interventions.models import (  # noqa: E402
    Cadence,
    Category,
    MessageTemplate,
    Run,
    Step,
)

# Imported by the name in the tasks module, which is the same in every commit.
from interventions.tasks import react_due  # noqa: E402
from segmentation.models import Playbook, Segment, Transition  # noqa: E402

NOW = datetime(2025, 10, 26, 12, 0, tzinfo=UTC)
DATABASE = "bench_react"


def main() -> int:
    """Create the test data, react to it and print the seconds."""
    transitions = int(sys.argv[1])
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = DATABASE
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        print(measure(transitions))
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    return 0


def measure(transitions: int) -> float:
    """Return the seconds that it takes to handle all transitions of the enrollment."""
    enrollment, segment = make_world()
    # Entries and leavings alternate: each entry starts a run, and each leaving ends it.
    Transition.objects.bulk_create(
        Transition(
            enrollment=enrollment,
            segment=segment,
            kind="leave" if number % 2 else "enter",
            cause="event",
            starts=True,
            version=1,
            occurred_at=NOW,
            next_attempt_at=NOW,
        )
        for number in range(transitions)
    )
    started = perf_counter()
    handled = react_due(now=NOW, budget_seconds=3600)
    seconds = perf_counter() - started
    runs = Run.objects.filter(status="exited").count()
    if (handled, runs) != (transitions, transitions // 2):
        raise SystemExit(f"handled {handled} of {transitions}, with {runs} runs")
    return seconds


def make_world() -> tuple[Enrollment, Segment]:
    """Return an enrollment, and a segment whose cadence starts again each time it is entered."""
    live: dict[str, Any] = {"live_since": NOW - timedelta(days=20)}
    live |= {"starts_on": date(2025, 9, 1), "ends_on": date(2025, 12, 1)}
    course = Course.objects.create(key="bench", title="Bench", **live)
    learner = Learner.objects.create(external_id="ana", email="ana@example.org")
    enrollment = Enrollment.objects.create(learner=learner, course=course, enrolled_at=NOW)
    Due.objects.create(enrollment=enrollment)
    playbook = Playbook.objects.create(key="bench", name="Bench")
    segment = Segment.objects.create(playbook=playbook, key="in", name="In", rule={})
    category = Category.objects.create(key="bench", name="Bench")
    template = MessageTemplate.objects.create(key="bench", name="Bench", category=category)
    cadence = Cadence.objects.create(
        key="bench", name="Bench", category=category, segment=segment, trigger="enter",
        status="active", reentry="cooldown", cooldown=timedelta(0),
    )  # fmt: skip
    Step.objects.create(cadence=cadence, position=0, template=template, delay=timedelta(0))
    return enrollment, segment


if __name__ == "__main__":
    sys.exit(main())
