"""The messages, runs and manual cadences of one enrollment, for staff."""

from datetime import datetime
from typing import Any, cast

from django.db.models import Exists, Max, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Coalesce

from activity.access import Viewer, for_user
from interventions.models import (
    ArchivedDelivery,
    Cadence,
    CadenceStatus,
    Delivery,
    DeliveryState,
    Run,
    RunStatus,
    SentMessage,
    Step,
    Trigger,
)

MOST_COUNTED = 100
MOST = 200
# Staff choose among these on one page.
MOST_OFFERED = 20

_ENDED = Coalesce("finished_at", "claimed_at", "planned_at")
RELATED = (
    "step__template",
    "step__cadence__segment__playbook",
    "run__cadence__segment__playbook",
    "run__assignment__arm__experiment",
    "category",
    "enrollment__course",
)


def number_waiting(learner_id: int) -> int:
    """Return how many messages to the learner wait, at most 100, without ghosts. One query."""
    planned = Delivery.objects.filter(learner=learner_id, state=DeliveryState.PLANNED, ghost=False)
    return planned.order_by()[:MOST_COUNTED].count()


def manual_cadences(course_id: int, *, viewer: Viewer) -> list[Cadence]:
    """Return the active cadences that staff can start for a learner of the course. Two queries."""
    here = Q(segment=None) | Q(segment__playbook__courses=course_id)
    rows = Cadence.objects.filter(
        here, trigger=Trigger.MANUAL, status=CadenceStatus.ACTIVE, arm=None
    )
    steps = Prefetch("steps", Step.objects.select_related("template"))
    found = for_user(rows.distinct().select_related("segment", "category"), viewer)
    return list(found.prefetch_related(steps).order_by("name", "pk")[:MOST_OFFERED])


def messages_between(enrollment_id: int, since: datetime, until: datetime) -> list[Delivery]:
    """Return the enrollment's messages that ended or were planned in the time. One query.

    `is_kept` tells of each whether it can be read as it was sent.
    """
    kept = Exists(SentMessage.objects.filter(delivery=OuterRef("pk")))
    rows = Delivery.objects.filter(enrollment=enrollment_id)
    rows = rows.annotate(ended_at=_ENDED, is_kept=kept)
    within = rows.filter(ended_at__gte=since, ended_at__lt=until)
    return list(within.select_related(*RELATED).order_by("-ended_at", "-pk")[:MOST])


def archived_between(enrollment_id: int, since: datetime, until: datetime) -> list[Delivery]:
    """Return the same of the enrollment's messages in the archive. One query."""
    rows = _archived(enrollment_id).filter(finished_at__gte=since, finished_at__lt=until)
    return [_as_delivery(row) for row in rows[:MOST]]


def last_message_before(enrollment_id: int, instant: datetime) -> datetime | None:
    """Return when the last message before the instant ended or was planned. One query."""
    rows = Delivery.objects.filter(enrollment=enrollment_id).annotate(ended_at=_ENDED)
    old = ArchivedDelivery.objects.filter(enrollment=enrollment_id, finished_at__lt=instant)
    # The two have no order between them: a message may be old and still open.
    lasts = rows.filter(ended_at__lt=instant).order_by().values("enrollment")
    last = lasts.annotate(at=Max("ended_at")).values_list("at")
    last_old = old.order_by().values("enrollment").annotate(at=Max("finished_at")).values_list("at")
    return max((at for (at,) in last.union(last_old)), default=None)


def last_ended_message(enrollment_id: int) -> Delivery | None:
    """Return the enrollment's message that was sent or ended last.

    One query, and one more if the ledger has none.
    """
    rows = Delivery.objects.filter(enrollment=enrollment_id).exclude(state=DeliveryState.PLANNED)
    ended = rows.annotate(ended_at=_ENDED).select_related(*RELATED)
    return ended.order_by("-ended_at", "-pk").first() or _last_archived(enrollment_id)


def _last_archived(enrollment_id: int) -> Delivery | None:
    row = _archived(enrollment_id).first()
    return None if row is None else _as_delivery(row)


def _archived(enrollment_id: int) -> QuerySet[ArchivedDelivery]:
    rows = ArchivedDelivery.objects.filter(enrollment=enrollment_id)
    related = rows.select_related("traced", "learner", *RELATED)
    return related.order_by("-finished_at", "-pk")


def _as_delivery(row: ArchivedDelivery) -> Delivery:
    found: Any = row.as_delivery()
    found.is_kept = row.kept_trace is not None and bool(row.kept_trace.sent)
    return cast(Delivery, found)


def active_runs(enrollment_id: int) -> list[Run]:
    """Return the enrollment's active runs with their cadences and steps. Two queries."""
    steps = Prefetch("cadence__steps", Step.objects.select_related("template"))
    rows = Run.objects.filter(enrollment=enrollment_id, status=RunStatus.ACTIVE)
    related = rows.select_related(
        "cadence__segment", "assignment__arm__experiment", "enrollment__course"
    )
    # Ghosts last: what the learner really gets is said first.
    return list(related.prefetch_related(steps).order_by("ghost", "pk"))


def manual_starts(enrollment_id: int, since: datetime, until: datetime) -> list[Run]:
    """Return the runs that staff started for the enrollment in the time. One query."""
    rows = Run.objects.filter(enrollment=enrollment_id, transition=None, assignment=None)
    within = rows.filter(
        started_at__gte=since, started_at__lt=until, cadence__trigger=Trigger.MANUAL
    )
    return list(within.select_related("cadence").order_by("-started_at", "-pk")[:MOST])
