"""Queries on pauses: whether sending is held, since when, by whom and why."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q, QuerySet

from activity.access import Viewer, for_user, named
from interventions.models import Delivery, DeliveryState, LearnerPause, Pause, SitePause

SHOWN = 50


def site_is_paused() -> bool:
    """Return whether all sending is held. One query."""
    return SitePause.objects.filter(paused=True).exists()


def site_pause() -> Pause | None:
    """Return the current pause of all sending. One query."""
    return Pause.objects.filter(cadence=None, ended_at=None).first()


def cadence_pause(cadence_id: int | None) -> Pause | None:
    """Return the current pause of the cadence. One query; none for an unsaved cadence."""
    if cadence_id is None:
        return None
    return Pause.objects.filter(cadence=cadence_id, ended_at=None).first()


def learner_pause(learner_id: int) -> LearnerPause | None:
    """Return the current pause of the learner's messages. One query."""
    return LearnerPause.objects.filter(learner=learner_id, ended_at=None).first()


def pauses_between(learner_id: int, since: datetime, until: datetime) -> list[LearnerPause]:
    """Return the learner's pauses that began in the time, the latest first. One query."""
    began = LearnerPause.objects.filter(began_at__gte=since, began_at__lt=until)
    return list(began.filter(learner=learner_id)[:SHOWN])


def latest_pauses(*, viewer: Viewer) -> QuerySet[Pause]:
    """Return the latest pauses that the viewer may see, the newest first."""
    rows = Pause.objects.select_related("cadence__segment__playbook")
    return named(for_user(rows, viewer), viewer)[:SHOWN]


def pauses_of(delivery: Delivery) -> Iterable[Pause]:
    """Return the pauses that held the message, the newest first. One query."""
    concerned = Q(cadence=None) | Q(cadence=delivery.run.cadence_id)
    held = Pause.objects.filter(concerned).exclude(ended_at__lt=delivery.planned_at)
    if delivery.state != DeliveryState.PLANNED:
        held = held.filter(began_at__lt=delivery.finished_at or delivery.claimed_at)
    return held.select_related("cadence")[:SHOWN]
