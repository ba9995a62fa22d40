"""Hold sending and let it go on, and keep who did it and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.functions import Greatest

from interventions.models import Cadence, Delivery, DeliveryState, Pause, SitePause
from interventions.policy.decision import Reason


@dataclass(frozen=True)
class PauseNote:
    """Who holds or releases sending, by user name, and why."""

    by: str = ""
    reason: str = ""


@transaction.atomic
def pause_site(*, paused: bool, now: datetime, note: PauseNote = PauseNote()) -> None:
    """Hold or release all sending. What was held goes out as soon as it is released."""
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
    """Hold or release one cadence's messages."""
    Cadence.objects.filter(pk=cadence_id).update(paused=paused)
    _keep(cadence_id, paused=paused, now=now, note=note)
    if not paused:
        _release(Reason.CADENCE_PAUSED, now=now, run__cadence=cadence_id)


def _keep(cadence_id: int | None, *, paused: bool, now: datetime, note: PauseNote) -> None:
    # The switch's row is locked by now, so two who press it at once come here one after the other:
    # the first word stands.
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
    # In one order, and past what a dispatch is at: that one is being decided on anyway.
    rows = held.select_for_update(no_key=True, skip_locked=True, of=("self",)).order_by("pk")
    Delivery.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(send_at=now)
