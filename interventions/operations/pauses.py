"""Hold and resume sending, and record by whom and why."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Greatest

from activity.models import Learner
from interventions.models import (
    Cadence,
    LearnerPause,
    Pause,
    SitePause,
)


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
