"""Send messages with the code of the measured folder to a running mail server.

bench.dispatch runs this file with the code of different commits, so it uses only what all of them
have: the models and `dispatch_due`.

    python bench/dispatch_world.py send|workers|slow|held NUMBER     prints JSON
"""

import json
import os
import resource
import smtplib
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from time import perf_counter, process_time
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
# Importing Celery's app starts the servers, by the same module name in every commit.
import_module("config.celery")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from activity.models import Course, Due, Enrollment, Learner  # noqa: E402
from interventions.models import (  # noqa: E402
    Cadence,
    Category,
    Delivery,
    FrequencyCap,
    MessageTemplate,
    QuietHours,
    Run,
    Step,
    TemplateText,
)

# Imported by the name in the tasks module, which is the same in every commit.
from interventions.tasks import dispatch_due  # noqa: E402
from segmentation.models import Playbook, Segment  # noqa: E402

NOW = datetime(2025, 10, 22, 12, 0, tzinfo=UTC)
DATABASE = "bench_dispatch"
# Of a handful of rounds, the median itself varies by a fifth on a virtual machine.
ROUNDS = 15
WARM_UP = 50
WORKERS = 6
FAR_WORKERS = 4
MOST_BEATS = 40
BODY = """
<h1>Hello {{ learner.first_name | default: 'there' }}</h1>
<p>You are in the middle of <b>{{ course.title }}</b>. Half an hour is enough for the next step.</p>
<ul><li>Read the page</li><li>Try the quiz</li><li>Look at what you got wrong</li></ul>
<p><a href="https://courses.example.org/next">Go on where you left off</a></p>
"""

Sent = list[tuple[str, str, bytes]]


def main() -> int:
    """Create the test data, run the chosen measurement and print JSON."""
    work, number = sys.argv[1], int(sys.argv[2])
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = DATABASE
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        print(
            json.dumps({"send": send, "workers": workers, "slow": slow, "held": held}[work](number))
        )
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    return 0


def send(number: int) -> list[dict[str, float]]:
    """Return for each round our time and the time of a bare loop with the same mails."""
    course, cadence = _warm_world()
    return [_round(course, cadence, number) for _ in range(ROUNDS)]


def workers(number: int) -> dict[str, float]:
    """Return per message the processor time and the statements of one worker and of six."""
    course, cadence = _warm_world()
    found = {}
    for count in (1, WORKERS):
        make_messages(course, cadence, number)
        before = _children_seconds()
        statements = sum(_fork(count))
        found[str(count)] = (_children_seconds() - before) / number * 1000
        found[f"statements {count}"] = statements / number
        _expect_all_sent()
    return found


def slow(number: int) -> dict[str, float]:
    """Return the messages a second of one worker and of four, with a mail server far away."""
    course, cadence = _warm_world()
    found = {}
    for count in (1, FAR_WORKERS):
        make_messages(course, cadence, number)
        begun = perf_counter()
        _fork(count)
        found[str(count)] = number / (perf_counter() - begun)
        _expect_all_sent()
    return found


def held(number: int) -> dict[str, float]:
    """Return how long an urgent message takes that was planned after `number` held messages."""
    course, cadence = make_world()
    paused = make_cadence(course, "paused", priority=50)
    make_messages(course, paused, number)
    Cadence.objects.filter(pk=paused.pk).update(paused=True)
    make_messages(course, cadence, 1)
    urgent = Delivery.objects.get(run__cadence=cadence)
    begun = perf_counter()
    for beat in range(1, MOST_BEATS + 1):
        dispatch_due(clock=lambda: NOW)
        urgent.refresh_from_db()
        if urgent.state == "handed_off":
            return {"beats": beat, "seconds": perf_counter() - begun}
    raise SystemExit("the urgent message was never sent")


def _round(course: Course, cadence: Cadence, number: int) -> dict[str, float]:
    make_messages(course, cadence, number)
    sent: Sent = []
    counted = [0]
    with _Recorder(sent), connection.execute_wrapper(counting(counted)):
        begun, cpu = perf_counter(), process_time()
        dispatch()
        ours, ours_cpu = perf_counter() - begun, process_time() - cpu
    _expect_all_sent()
    begun = perf_counter()
    with smtplib.SMTP(settings.EMAIL_HOST, settings.EMAIL_PORT) as client:
        for sender, recipient, mail in sent:
            client.sendmail(sender, [recipient], mail)
    return {
        "ours": ours / number * 1000,
        "bare": (perf_counter() - begun) / number * 1000,
        "statements": counted[0] / number,
        "cpu": ours_cpu / number * 1000,
    }


def _warm_world() -> tuple[Course, Cadence]:
    """Return a world, after all has been done once that a process does only once.

    Workers live for long. It would be counted as many times as there are workers, against once. The
    first link of a mail alone loads all pages, which Celery loads before it forks its workers.
    """
    course, cadence = make_world()
    make_messages(course, cadence, WARM_UP)
    dispatch()
    return course, cadence


def dispatch() -> None:
    """Send all due messages."""
    dispatch_due(clock=lambda: NOW, budget_seconds=3600)


def make_world(key: str = "bench") -> tuple[Course, Cadence]:
    """Return a live course and a cadence, with the guards of a new site."""
    QuietHours.objects.all().delete()
    FrequencyCap.objects.all().delete()
    QuietHours.objects.create(begins="21:00", ends="08:00")
    for name, window, length, limit in (
        ("day", "calendar_day", 1, 1),
        ("week", "rolling_days", 7, 3),
    ):
        FrequencyCap.objects.create(
            name=name, window=window, length=length, limit=limit, on_exceed="defer"
        )
    live: dict[str, Any] = {"live_since": NOW - timedelta(days=20)}
    live |= {"starts_on": date(2025, 9, 1), "ends_on": date(2025, 12, 1)}
    course = Course.objects.create(key=key, title="Bench", **live)
    return course, make_cadence(course, f"{key}-urgent", priority=10)


def make_cadence(course: Course, key: str, *, priority: int) -> Cadence:
    """Return an active cadence of one step."""
    playbook = Playbook.objects.create(key=key, name=key)
    playbook.courses.add(course)
    segment = Segment.objects.create(playbook=playbook, key=key, name=key, rule={})
    category = Category.objects.create(key=key, name=key)
    template = MessageTemplate.objects.create(key=key, name=key, category=category)
    TemplateText.objects.create(template=template, subject="Next in {{ course.title }}", body=BODY)
    cadence = Cadence.objects.create(
        key=key, name=key, category=category, segment=segment, trigger="enter",
        status="active", priority=priority,
    )  # fmt: skip
    Step.objects.create(cadence=cadence, position=0, template=template, delay=timedelta(0))
    return cadence


def make_messages(course: Course, cadence: Cadence, number: int) -> None:
    """Create this number of due messages, each for a different learner."""
    begin = Learner.objects.count()
    learners = Learner.objects.bulk_create(
        Learner(external_id=f"l{each}", email=f"l{each}@example.org", name=f"Ana {each}")
        for each in range(begin, begin + number)
    )
    enrollments = Enrollment.objects.bulk_create(
        Enrollment(learner=each, course=course, enrolled_at=NOW) for each in learners
    )
    Due.objects.bulk_create(Due(enrollment=each, due_at=None) for each in enrollments)
    runs = Run.objects.bulk_create(
        Run(cadence=cadence, enrollment=each, started_at=NOW) for each in enrollments
    )
    step = Step.objects.get(cadence=cadence)
    Delivery.objects.bulk_create(
        Delivery(
            run=run, step=step, learner=run.enrollment.learner, enrollment=run.enrollment,
            category=cadence.category, channel="email", priority=cadence.priority, ghost=False,
            planned_at=NOW, send_at=NOW, expires_at=NOW + timedelta(days=7),
        )
        for run in runs
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


class _Recorder:
    """Records each mail that is sent to the server."""

    def __init__(self, sent: Sent) -> None:
        self._sent, self._sendmail = sent, smtplib.SMTP.sendmail

    def __enter__(self) -> None:
        sendmail, sent = self._sendmail, self._sent

        def recording(
            client: smtplib.SMTP, sender: str, to: list[str], mail: bytes, *rest: Any
        ) -> Any:
            sent.append((sender, to[0], mail))
            return sendmail(client, sender, to, mail, *rest)

        smtplib.SMTP.sendmail = recording  # type: ignore[assignment]

    def __exit__(self, *about: object) -> None:
        smtplib.SMTP.sendmail = self._sendmail  # type: ignore[method-assign]


def counting(counted: list[int]) -> Callable[..., Any]:
    """Return a wrapper of statements that counts them in the list's only number."""

    def count(execute: Callable[..., Any], *given: Any) -> Any:
        counted[0] += 1
        return execute(*given)

    return count


def _fork(count: int) -> list[int]:
    """Dispatch in so many processes, and return the statements of each."""
    connection.close()
    read, write = os.pipe()
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            _work(write)
        children.append(child)
    for child in children:
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit("a worker failed")
    os.close(write)
    with os.fdopen(read) as lines:
        return [int(line) for line in lines]


def _work(tell: int) -> None:
    counted = [0]
    with connection.execute_wrapper(counting(counted)):
        dispatch()
    connection.close()
    os.write(tell, f"{counted[0]}\n".encode())
    os._exit(0)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _expect_all_sent() -> None:
    left = Delivery.objects.exclude(state="handed_off").values_list("state", "reason", "trace")[:3]
    if left:
        raise SystemExit(f"not sent: {list(left)}")


if __name__ == "__main__":
    sys.exit(main())
