"""The learners and messages of one round, and the beats after it until nothing is left to send."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from itertools import count

from django.db import transaction
from django.db.models import Min
from django.test.utils import override_settings

from activity.models import Due, Enrollment, Learner
from activity.operations import ingest
from interventions.models import Cadence, Delivery, FrequencyCap, QuietHours, Run
from interventions.operations import save_cap, save_quiet_hours, unsubscribe
from interventions.render.links import LinkOwner
from interventions.stages.dispatch import dispatch_due
from interventions.stages.plan import plan_due
from interventions.stages.recover import recover
from tests.factories import NOW, make_event, make_learner
from tests.faulty_smtp import FaultySmtp
from tests.interventions.factories import (
    make_cadence,
    make_evaluated,
    make_live_course,
    make_run,
    mark_evaluated,
)

MOST_BEATS = 60
MINUTE = timedelta(minutes=1)

_numbers = count(1)


@dataclass(frozen=True)
class Site:
    """The cadences of all rounds, by name. Caps: one message a day, three in seven days."""

    cadences: dict[str, Cadence]


@dataclass
class Said:
    """A no: its mailbox, and the messages that were claimed before it."""

    mailbox: str
    claimed: set[str]


@dataclass
class Round:
    """The runs of one round. `noes` are those that were said during it."""

    enrollments: dict[str, Enrollment]
    runs: list[Run]
    noes: list[Said] = field(default_factory=list)

    @property
    def deliveries(self) -> "Iterator[Delivery]":
        """Return the ledger rows of the round."""
        rows = Delivery.objects.filter(run__in=self.runs).select_related("learner")
        return rows.order_by("pk").iterator()


def make_site() -> Site:
    """Return a site with the guards of a new one and three cadences."""
    QuietHours.objects.all().delete()
    FrequencyCap.objects.all().delete()
    save_quiet_hours(begins=time(21), ends=time(8))
    save_cap("a day", limit=1, window="calendar_day")
    save_cap("a week", limit=3, window="rolling_days", length=7)
    return Site(
        {
            "urgent": make_cadence(priority=10),
            "usual": make_cadence(priority=50),
            "short": make_cadence(priority=50, max_age=10 * MINUTE),
        }
    )


def make_round(site: Site, *, plain: int = 3, now: datetime = NOW) -> Round:
    """Return learners whose first step is due: most of them plain, the others a hard case each."""
    course, number = make_live_course(), next(_numbers)
    family = f"family-{number}@example.org"
    learners = {f"plain {each}": make_learner() for each in range(plain)}
    learners |= {name: make_learner() for name in ("two", "short", "page no", "feed no", "ghost")}
    learners |= {name: make_learner() for name in ("withdrawn", "no before")}
    # Written in two ways: one mailbox.
    learners |= {f"family {each}": make_learner(email=each) for each in (family, family.title())}
    enrolled = {name: make_evaluated(course, each) for name, each in learners.items()}
    Enrollment.objects.filter(pk=enrolled["withdrawn"].pk).update(withdrew_at=now - MINUTE)
    usual, urgent, short = (site.cadences[name] for name in ("usual", "urgent", "short"))
    begun = {"started_at": now, "next_position": 0, "next_at": now}
    runs = [
        make_run(each, short if name == "short" else usual, ghost=name == "ghost", **begun)
        for name, each in enrolled.items()
    ]
    # The more important message of two is the later one.
    runs.append(make_run(enrolled["two"], urgent, **begun))
    made = Round(enrolled, runs)
    say_no_by_feed(made, "no before", now=now)
    return made


def say_no_by_feed(round_: Round, name: str, *, now: datetime) -> None:
    """Let a learner say no in the platform. The feed brings it as an event."""
    enrollment = round_.enrollments[name]
    result = ingest([make_event(enrollment, "UNSUBSCRIBED", occurred_at=now)], now=now)
    assert result.stored == 1
    mark_evaluated(enrollment)
    _note(round_, enrollment.learner)


def say_no_by_page(round_: Round, name: str, *, now: datetime) -> None:
    """Let a learner say no by the link of a message."""
    enrollment = round_.enrollments[name]
    delivery = Delivery.objects.filter(enrollment=enrollment).first()
    if delivery is not None:
        owner = LinkOwner(enrollment.learner_id, enrollment.pk, delivery.key)
        unsubscribe(owner, source="one_click", now=now)
        _note(round_, enrollment.learner)


def _note(round_: Round, learner: Learner) -> None:
    # A claim that had begun before the no has locked the learner: it ends before we look.
    with transaction.atomic():
        list(Learner.objects.select_for_update(no_key=True).filter(pk=learner.pk))
        # Those to all learners with the mailbox, because the no holds for all of them.
        rows = Delivery.objects.filter(learner__email__iexact=learner.email)
        claimed = set(rows.exclude(message_id="").values_list("message_id", flat=True))
    round_.noes.append(Said(str(learner.email).lower(), claimed))


@contextmanager
def sending_to(sink: FaultySmtp) -> Iterator[None]:
    """Let this process send to the mail server."""
    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
        EMAIL_HOST=sink.host,
        EMAIL_PORT=sink.port,
    ):
        yield


def settle(round_: Round, *, now: datetime) -> None:
    """Run beats, from each due instant to the next, until every message of the round has its end.

    Raise AssertionError if there is no end.
    """
    for _ in range(MOST_BEATS):
        Due.objects.filter(enrollment__in=round_.enrollments.values()).update(due_at=None)
        recover(now=now)
        plan_due(now=now)
        dispatch_due(clock=lambda now=now: now)
        rows = Delivery.objects.filter(run__in=round_.runs)
        planned = rows.filter(state="planned").aggregate(at=Min("send_at"))["at"]
        leased = rows.filter(state="claimed").aggregate(at=Min("lease_until"))["at"]
        waiting = [at for at in (planned, leased) if at is not None]
        if not waiting:
            return
        now = max(now + timedelta(seconds=5), min(waiting))
    left = list(Delivery.objects.filter(run__in=round_.runs, state__in=("planned", "claimed")))
    raise AssertionError(f"no end for {[(each.state, each.reason, each.send_at) for each in left]}")
