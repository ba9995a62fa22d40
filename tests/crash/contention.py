"""Many workers at once: several messages a learner, shared mailboxes, a cap of one a day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

from activity.models import Course, Due, Enrollment, Learner
from interventions.models import Cadence, Delivery, FrequencyCap, QuietHours, Run
from interventions.operations import save_cap
from tests.crash.verdict import Verdict, judge
from tests.crash.worker import HOLD, Orders, started
from tests.crash.world import Round, say_no_by_feed, say_no_by_page
from tests.factories import NOW
from tests.faulty_smtp import FaultySmtp, serve
from tests.interventions.factories import make_cadence, make_live_course

URGENT, USUAL, LATER = 10, 50, 90
MOST_BEATS = 40
# Each tenth learner shares a mailbox with the one before, and each third has nothing urgent.
SHARES, LACKS_URGENT = 10, 3
# One in so many learners, the last ones, say no while the workers run.
SAYS_NO = 20


@dataclass(frozen=True)
class Contention:
    """What came of it. `outranked` mailboxes got a mail before a more important one.

    Of the urgent mails of the first day, `urgent_late` came after as many mails as there are urgent
    ones: with several workers a few, because each is at another place of the list.
    """

    verdict: Verdict
    beats: int
    mailboxes: int
    outranked: int
    urgent_late: int
    deadlocks: int

    @property
    def broken(self) -> int:
        """Return the number of broken promises."""
        return self.verdict.faults + self.outranked + self.deadlocks


def contend(*, learners: int, workers: int) -> Contention:
    """Let so many workers send to so many learners, day by day, while some of them say no."""
    made = _make(learners)
    before = _deadlocks()
    with serve(FaultySmtp()) as sink:
        beats = _send_all(made, workers, sink)
    ranks = dict(Delivery.objects.exclude(message_id="").values_list("message_id", "priority"))
    ways = _priorities(sink, ranks)
    first_day = [ranks[str(mail["Message-ID"])] for _, mail in sink.accepted][: len(ways)]
    return Contention(
        verdict=judge(made, sink, kills=0),
        beats=beats,
        mailboxes=len(ways),
        outranked=sum(way != sorted(way) for way in ways.values()),
        urgent_late=first_day[first_day.count(URGENT) :].count(URGENT),
        deadlocks=_deadlocks() - before,
    )


def _send_all(made: Round, workers: int, sink: FaultySmtp) -> int:
    """Run beats with all workers, each day until nothing is due. Return their number."""
    rows = Delivery.objects.filter(run__in=made.runs, state="planned")
    now, beats = NOW, 0
    while rows.exists():
        _beat(made, [Orders(now, sink.port, ("dispatch",), act=HOLD)] * workers, first=not beats)
        beats += 1
        assert beats < MOST_BEATS, "messages are due after so many beats"
        if not rows.filter(send_at__lte=now).exists():
            now += timedelta(days=1)
    return beats


def _beat(made: Round, orders: list[Orders], *, first: bool) -> None:
    Due.objects.filter(enrollment__in=made.enrollments.values()).update(due_at=None)
    with started(*orders) as running:
        for worker in running:
            worker.wait("here")
        for worker in running:
            worker.line.send("go")
        if first:
            _say_no(made)
        for worker in running:
            assert worker.counts() is not None


def _say_no(made: Round) -> None:
    """Let learners say no from the last to the first, against the order of the workers."""
    number = len(made.enrollments) // SAYS_NO
    for place, name in enumerate(reversed(list(made.enrollments)[-number:])):
        say = say_no_by_page if place % 2 else say_no_by_feed
        say(made, name, now=NOW)


def _make(number: int) -> Round:
    QuietHours.objects.all().delete()
    FrequencyCap.objects.all().delete()
    save_cap("a day", limit=1, window="calendar_day")
    course = make_live_course()
    enrollments = _enroll(course, number)
    cadences = [make_cadence(priority=each) for each in (LATER, USUAL, URGENT)]
    return Round(
        {str(place): each for place, each in enumerate(enrollments)},
        [run for cadence in cadences for run in _make_due(cadence, enrollments)],
    )


def _enroll(course: Course, number: int) -> list[Enrollment]:
    learners = Learner.objects.bulk_create(
        Learner(
            external_id=f"{course.key}-{place}",
            email=_address(course.key, place),
            name=f"Ana {place}",
        )
        for place in range(number)
    )
    enrollments = Enrollment.objects.bulk_create(
        Enrollment(learner=each, course=course, enrolled_at=NOW - timedelta(days=20))
        for each in learners
    )
    Due.objects.bulk_create(Due(enrollment=each, due_at=None) for each in enrollments)
    return enrollments


def _address(course: str, place: int) -> str:
    if place % SHARES:
        return f"{course}-{place}@example.org"
    return f"{course}-{max(place - 1, 1)}@Example.org"


def _make_due(cadence: Cadence, enrollments: list[Enrollment]) -> Iterator[Run]:
    step = cadence.steps.get()
    chosen = [
        each
        for place, each in enumerate(enrollments)
        if cadence.priority != URGENT or place % LACKS_URGENT
    ]
    runs = Run.objects.bulk_create(
        Run(cadence=cadence, enrollment=each, started_at=NOW) for each in chosen
    )
    Delivery.objects.bulk_create(
        Delivery(
            run=run,
            step=step,
            learner=run.enrollment.learner,
            enrollment=run.enrollment,
            category=cadence.category,
            channel=step.channel,
            priority=cadence.priority,
            ghost=False,
            planned_at=NOW,
            send_at=NOW,
            expires_at=NOW + timedelta(days=7),
        )
        for run in runs
    )
    yield from runs


def _priorities(sink: FaultySmtp, ranks: dict[str, int]) -> dict[str, list[int]]:
    """Return for each mailbox the priorities of its mails, in the order in which they came."""
    ways: dict[str, list[int]] = {}
    for recipient, mail in sink.accepted:
        ways.setdefault(recipient.lower(), []).append(ranks[str(mail["Message-ID"])])
    return ways


def _deadlocks() -> int:
    with connection.cursor() as cursor:
        # Counted by each session when it ends, or now.
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
