"""Hold and resume sending, and record by whom and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.functions import Greatest

from activity.models import Learner
from interventions.models import (
    Cadence,
    Delivery,
    DeliveryState,
    LearnerPause,
    Pause,
    SitePause,
)
from interventions.policy.decision import Reason


@dataclass(frozen=True)
class PauseNote:
    """The user name of the person who holds or resumes sending, and the reason."""

    by: str = ""
    reason: str = ""


@transaction.atomic
def pause_site(*, paused: bool, now: datetime, note: PauseNote = PauseNote()) -> None:
    """Hold or resume all sending. Held messages go out as soon as sending is resumed."""
    SitePause.objects.get_or_create(pk=1)
    SitePause.objects.filter(pk=1).update(paused=paused)
    _keep(None, paused=paused, now=now, note=note)
    if not paused:
        _release(Reason.SITE_PAUSED, now=now)


@transaction.atomic
def pause_cadence(
    cadence_id: int,
    *,
    paused: bool,
    now: datetime,
    note: PauseNote = PauseNote(),
) -> None:
    """Hold or resume the messages of one cadence."""
    Cadence.objects.filter(pk=cadence_id).update(paused=paused)
    _keep(cadence_id, paused=paused, now=now, note=note)
    if not paused:
        _release(Reason.CADENCE_PAUSED, now=now, run__cadence=cadence_id)


@transaction.atomic
def pause_learner(
    learner_id: int, *, paused: bool, now: datetime, note: PauseNote = PauseNote()
) -> None:
    """Hold or resume all messages to one learner. A message that is being handed off goes out."""
    # Dispatch claims under this lock, so after the commit nothing more is claimed. Two people who
    # press the button at once come one after the other.
    list(Learner.objects.select_for_update(no_key=True).filter(pk=learner_id).values("pk"))
    current = LearnerPause.objects.filter(learner=learner_id, ended_at=None)
    if not paused:
        current.update(ended_at=Greatest("began_at", now), ended_by=note.by)
        _release(Reason.LEARNER_PAUSED, now=now, learner=learner_id)
    elif not current.exists():
        LearnerPause.objects.create(
            learner_id=learner_id, began_at=now, began_by=note.by, reason=note.reason
        )


def _keep(cadence_id: int | None, *, paused: bool, now: datetime, note: PauseNote) -> None:
    # The switch's row is locked here, so two people who press it at once come one after the other.
    # The note of the first one stays.
    under_way = Pause.objects.filter(cadence=cadence_id, ended_at=None)
    if not paused:
        under_way.update(ended_at=Greatest("began_at", now), ended_by=note.by)
    elif not under_way.exists():
        Pause.objects.create(
            cadence_id=cadence_id, began_at=now, began_by=note.by, reason=note.reason
        )


def _release(reason: Reason, *, now: datetime, **of: Any) -> None:
    held = Delivery.objects.filter(
        state=DeliveryState.PLANNED, reason=reason, send_at__gt=now, **of
    )
    # Locked in the order of their ids. Messages locked by dispatch are skipped, because it is
    # deciding on them anyway.
    rows = held.select_for_update(no_key=True, skip_locked=True, of=("self",)).order_by("pk")
    Delivery.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(send_at=now)
