"""Save a nudge as it is typed, and make its templates, cadence and experiment in one save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import transaction

from activity.access import COMMAND_LINE, Viewer
from common.rows import free_key
from experiments.models import Arm, Experiment
from experiments.operations import draft_halves
from experiments.protocol import ProtocolError
from experiments.queries import running_experiments
from interventions.models import (
    Cadence,
    CadenceStatus,
    Category,
    MessageTemplate,
    Nudge,
    Run,
)
from interventions.operations.cadence_checks import StepFields
from interventions.operations.cadences import CadenceFields, lock_keys, save_cadence
from interventions.operations.errors import InterventionError
from interventions.operations.experiments import start_experiment
from interventions.operations.runs import Start, new_run
from interventions.operations.templates import save_template
from interventions.queries.nudges import present_enrollments
from interventions.queries.populations import lock_segments
from interventions.queries.runs import zone_of
from interventions.queries.texts import DEFAULT_LOCALE
from segmentation.models import Segment, SegmentStatus
from segmentation.operations import lock_members
from segmentation.queries import segment_size

# All runs of those already in are written in the one transaction of the save.
MOST_PRESENT = 10_000
BETWEEN_TESTS = timedelta(seconds=30)

STALE = (
    "The nudge was changed in another window meanwhile. Nothing was started. Read the summary "
    "again."
)
_GONE = (
    "The segment “{segment}” is no longer active: it was archived or frozen meanwhile. Nothing was "
    "started, and your texts are kept. Choose another segment."
)
_TOO_MANY = (
    "The segment has more than {most:,} members, and no more can be started at once. Take the "
    "tick from “Also those already in”: it then starts for those who enter from now on."
)


@dataclass(frozen=True)
class NudgeSave:
    """One save of the page: what was typed, in which tab, and the version that the tab showed."""

    key: UUID
    tab: str
    version: int
    answers: Mapping[str, str]
    name: str = ""
    segment: Segment | None = None
    # A save while typing. It must not undo a later save of the same tab that overtook it.
    is_while_typing: bool = False


@dataclass(frozen=True)
class NudgeMessage:
    """One message: the Liquid of its subject and body, and the delay after the one before."""

    subject: str
    body: str
    delay: timedelta = timedelta(0)


@dataclass(frozen=True)
class NudgeFields:
    """The checked answers of a nudge."""

    name: str
    segment: Segment
    category: Category
    messages: Sequence[NudgeMessage]
    why_now: str = ""
    window_from: time | None = None
    window_until: time | None = None
    hold_back: bool = False
    hypothesis: str = ""
    include_present: bool = False
    locales: Sequence[str] = field(default=(DEFAULT_LOCALE,))


@transaction.atomic
def save_nudge(save: NudgeSave, *, by: User, now: datetime) -> Nudge:
    """Save the answers and return their nudge, which is another one if two tabs disagree.

    A nudge that is already made is returned unchanged.
    """
    nudge = _locked_or_new(save.key, now)
    if nudge.version != save.version and nudge.tab != save.tab and nudge.made_at is None:
        # The same key each time, so that the tab goes on in its own nudge.
        nudge = _locked_or_new(uuid5(save.key, save.tab), now)
    overtaken = save.is_while_typing and nudge.version > save.version and nudge.tab == save.tab
    if nudge.made_at is None and not overtaken:
        nudge.answers, nudge.name, nudge.segment = dict(save.answers), save.name, save.segment
        nudge.version, nudge.tab = nudge.version + 1, save.tab
        nudge.saved_at, nudge.saved_by = now, by
        nudge.save()
    return nudge


def _locked_or_new(key: UUID, now: datetime) -> Nudge:
    # Without the segment: a join would show none where another tab has changed it meanwhile.
    rows = Nudge.objects.select_for_update(no_key=True)
    nudge = rows.filter(key=key).first()
    if nudge is None:
        Nudge.objects.get_or_create(key=key, defaults={"saved_at": now})
        nudge = rows.get(key=key)
    return nudge


@transaction.atomic
def create_nudge(
    key: UUID, *, version: int, fields: NudgeFields, viewer: Viewer, now: datetime
) -> Nudge:
    """Make and start what the nudge describes, in one transaction. Do nothing if it is made.

    Templates, cadence, and with `hold_back` a running experiment, whose control half gets ghosts.
    Raise InterventionError with a sentence and the field that it is about. It names only courses
    that the viewer may see.
    """
    nudge = Nudge.objects.select_for_update(no_key=True).get(key=key)
    if nudge.made_at is not None:
        return nudge
    if nudge.version != version:
        raise InterventionError(STALE)
    _check_number(fields)
    # Due rows are locked before segments, as at the start of an experiment.
    present = lock_members([fields.segment.pk]) if fields.include_present else []
    _check_population(fields)
    lock_keys()
    arms = _drafted_arms(fields) if fields.hold_back else None
    nudge.cadence = _save_cadence(fields, arms)
    if arms is not None:
        nudge.experiment = _started(arms[0].experiment, fields, viewer, now)
    elif present:
        _start_present(nudge.cadence, present, now)
    nudge.made_at = now
    nudge.save()
    return nudge


def delete_nudge(key: UUID) -> bool:
    """Delete a nudge that is not made, and return whether it was.

    What was made of one stays, and so does the nudge.
    """
    gone, _ = Nudge.objects.filter(key=key, made_at=None).delete()
    return gone > 0


def note_test(key: UUID, *, by: User, now: datetime) -> None:
    """Record that the user sends test mails. Raise InterventionError soon after the last ones."""
    with transaction.atomic():
        # Two requests of one user at once wait for each other here.
        User.objects.select_for_update(no_key=True).get(pk=by.pk)
        if Nudge.objects.filter(saved_by=by, tested_at__gt=now - BETWEEN_TESTS).exists():
            seconds = int(BETWEEN_TESTS.total_seconds())
            raise InterventionError(
                f"You sent a test mail less than {seconds} seconds ago. Wait a moment, then try "
                "again."
            )
        Nudge.objects.filter(key=key).update(tested_at=now, saved_by=by)


def _check_number(fields: NudgeFields) -> None:
    """Refuse too many of those already in, before any of them is locked."""
    if not fields.include_present:
        return
    number = segment_size(fields.segment.pk, up_to=MOST_PRESENT, viewer=COMMAND_LINE)
    if number > MOST_PRESENT:
        raise InterventionError(_TOO_MANY.format(most=MOST_PRESENT), field="include_present")


def _check_population(fields: NudgeFields) -> None:
    lock_segments([fields.segment.pk])
    fields.segment.refresh_from_db(fields=["status"])
    if fields.segment.status != SegmentStatus.ACTIVE:
        raise InterventionError(_GONE.format(segment=fields.segment.name), field="segment")
    running = running_experiments([fields.segment.pk])[fields.segment.pk]
    if running and not fields.hold_back:
        raise InterventionError(beside_an_experiment(running[0]), field="segment")


def beside_an_experiment(experiment: Experiment) -> str:
    """Return why a nudge for everybody cannot start while the experiment runs."""
    return (
        f"The experiment “{experiment}” runs among these learners. A message to all of them would "
        "also reach those who are held back. Hold back half here too, stop that experiment, or "
        "choose another segment."
    )


def _drafted_arms(fields: NudgeFields) -> tuple[Arm, Arm]:
    key = free_key(Experiment.objects.all(), fields.name, fallback="nudge")
    name = f"Effect of {fields.name}"[:200]
    return draft_halves(key, name=name, hypothesis=fields.hypothesis, segment=fields.segment)


def _save_cadence(fields: NudgeFields, arms: tuple[Arm, Arm] | None) -> Cadence:
    control, treatment = arms or (None, None)
    cadence = CadenceFields(
        name=fields.name,
        category=fields.category,
        segment=fields.segment,
        arm=treatment,
        ghost_for=control,
        why_now=fields.why_now,
        window_from=fields.window_from,
        window_until=fields.window_until,
        status=CadenceStatus.ACTIVE,
    )
    steps = [
        StepFields(_save_template(fields, number), message.delay)
        for number, message in enumerate(fields.messages, start=1)
    ]
    key = free_key(Cadence.objects.all(), fields.name, fallback="nudge")
    return save_cadence(key, fields=cadence, steps=steps)


def _save_template(fields: NudgeFields, number: int) -> MessageTemplate:
    message = fields.messages[number - 1]
    name = fields.name if len(fields.messages) == 1 else f"{fields.name[:185]}, message {number}"
    key = free_key(MessageTemplate.objects.all(), name, fallback="message")
    # English is the text for learners whose language has none.
    locales = {DEFAULT_LOCALE, *fields.locales}
    texts = dict.fromkeys(locales, (message.subject, message.body))
    return save_template(key, name=name, category=fields.category, texts=texts)


def _started(
    experiment: Experiment, fields: NudgeFields, viewer: Viewer, now: datetime
) -> Experiment:
    present = fields.include_present
    try:
        return start_experiment(experiment.pk, now=now, draw_present=present, viewer=viewer)
    except ProtocolError as error:
        raise InterventionError(str(error), field="hold_back") from None


def _start_present(cadence: Cadence, enrollment_ids: Sequence[int], now: datetime) -> None:
    """Start runs of this cadence alone. Entries would start the segment's other cadences too."""
    with_steps: Any = Cadence.objects.prefetch_related("steps").get(pk=cadence.pk)
    enrollments = present_enrollments(cadence.segment_id, enrollment_ids, now=now)
    runs = [
        new_run(with_steps, Start(each.pk, zone=zone_of(each)), last=None, now=now)
        for each in enrollments
    ]
    Run.objects.bulk_create([run for run in runs if run is not None], batch_size=1_000)
