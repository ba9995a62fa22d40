"""One function for every "no": an opt-out, a complaint or a bounce, from any source.

A no that comes with a feed event, the roster or a list of opt-outs is stored in the same
transaction as a pending opt-out (PendingNo). The recover stage applies it, and so does a claim
before it decides. So no message goes out in between.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from activity.models import Enrollment, Learner, NoKind, NoSource, PendingNo
from common.addresses import comparable
from common.database import is_held, is_outage, note_held
from common.tally import note
from interventions.models import Channel, Consent, ConsentSource, ConsentState, Delivery
from interventions.operations.limits import suppress
from interventions.operations.mailboxes import Mailbox, lock_address
from interventions.operations.runs import exit_runs, lock_active_runs
from interventions.policy.consent import is_complaint, is_hard_bounce
from interventions.queries.preferences import wanted_of

BATCH_SIZE = 500
AFTER_ERROR = timedelta(minutes=5)
AFTER_HELD = timedelta(seconds=30)
UNSUBSCRIBED = "unsubscribed"
COMPLAINED = "complained"
BOUNCED = "bounced"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class No:
    """A no: its kind, its source and its instant.

    `address` is the recipient of the mail that bounced or was complained about.
    """

    source: ConsentSource
    at: datetime
    kind: NoKind = NoKind.OPT_OUT
    address: str = ""


def say_no(mailbox: Mailbox, no: No, *, now: datetime) -> None:
    """Apply a no. The mailbox must be locked.

    An opt-out stops every kind of message and ends the runs. A complaint does the same and also
    suppresses the address for good. A bounce only suppresses the address.
    """
    if no.kind != NoKind.OPT_OUT and (no.address or mailbox.address):
        reason = COMPLAINED if no.kind == NoKind.COMPLAINT else BOUNCED
        suppress(no.address or mailbox.address, reason=reason, now=now)
    if no.kind == NoKind.BOUNCE:
        return
    _store_no(mailbox, no)
    wanted = wanted_of(mailbox.learner_id, mailbox.address)
    reason = COMPLAINED if no.kind == NoKind.COMPLAINT else UNSUBSCRIBED
    exit_unwanted(mailbox, wanted, reason=reason, now=now)


def exit_unwanted(mailbox: Mailbox, wanted: Collection[int], *, reason: str, now: datetime) -> None:
    """End the runs of all learners with the mailbox, except those of wanted categories (ids)."""
    enrollments = Enrollment.objects.filter(learner__in=mailbox.learner_ids)
    runs = lock_active_runs(list(enrollments.values_list("pk", flat=True)))
    leaving = [run for run in runs if run.cadence.category_id not in wanted]
    exit_runs(leaving, reason=reason, now=now)


def apply_noes(*, now: datetime) -> None:
    """Apply all pending opt-outs. One that fails is postponed, and staff see its error."""
    while True:
        waiting = PendingNo.objects.exclude(retry_at__gt=now).order_by("pk")
        ids = list(waiting.values_list("pk", flat=True)[:BATCH_SIZE])
        for pk in ids:
            _try(pk, now=now)
        if len(ids) < BATCH_SIZE:
            return


def hear(learner_id: int, *, now: datetime) -> None:
    """Apply now the pending opt-outs of the learner and their mailbox. Raise if one fails."""
    email = Learner.objects.filter(pk=learner_id).values_list("email", flat=True).first()
    concerned = Q(learner=learner_id)
    if email:
        concerned |= Q(mailbox=comparable(email))
    pending = PendingNo.objects.filter(concerned).order_by("pk")
    for pk in list(pending.values_list("pk", flat=True)):
        _apply(pk, now=now)


def _try(pk: int, *, now: datetime) -> None:
    try:
        _apply(pk, now=now)
    except Exception as error:
        if is_held(error):
            note_held()
            PendingNo.objects.filter(pk=pk).update(retry_at=now + AFTER_HELD)
            return
        if is_outage(error):
            raise
        log.exception("The no %s cannot be applied", pk)
        values = {"retry_at": now + AFTER_ERROR, "error": str(error)[:300]}
        PendingNo.objects.filter(pk=pk).update(**values)
        note("noes put off", type(error).__name__)


@transaction.atomic
def _apply(pk: int, *, now: datetime) -> None:
    found = PendingNo.objects.filter(pk=pk).first()
    if found is None:
        return
    mailbox = lock_address(found.mailbox, learner_id=found.learner_id)
    # Read again under the lock, because another worker may have applied it meanwhile.
    waiting = PendingNo.objects.select_related("event").filter(pk=pk).first()
    if waiting is None:
        return
    if _is_meant(waiting) and not _is_known(waiting):
        no = No(ConsentSource(waiting.source), waiting.said_at, NoKind(waiting.kind))
        say_no(mailbox, replace(no, address=_address_of(waiting)), now=now)
    waiting.delete()


def _is_meant(waiting: PendingNo) -> bool:
    if waiting.event is None:
        # Judged where it came in.
        return True
    properties = waiting.event.properties
    match waiting.kind:
        case NoKind.COMPLAINT:
            return is_complaint(properties)
        case NoKind.BOUNCE:
            return is_hard_bounce(properties)
    return True


def _is_known(waiting: PendingNo) -> bool:
    # A list that is imported again holds no new opt-out, and the learner may have opted in since.
    is_listed = waiting.source == ConsentSource.IMPORT
    words = Consent.objects.filter(mailbox=waiting.mailbox, source=ConsentSource.IMPORT)
    return is_listed and words.exists()


def _address_of(waiting: PendingNo) -> str:
    """Return the recipient of the mail in the event. The learner may have another address now."""
    if waiting.kind == NoKind.OPT_OUT:
        return ""
    if waiting.source == NoSource.WEBHOOK:
        return waiting.mailbox
    named = str((waiting.event.properties if waiting.event else {}).get("address", ""))
    if "@" in named:
        return named
    # These events concern mails, so later messages on other channels do not count.
    sent = Delivery.objects.filter(
        learner=waiting.learner_id, channel=Channel.EMAIL, claimed_at__lte=waiting.said_at
    )
    last = sent.exclude(address="").order_by("-claimed_at")
    return last.values_list("address", flat=True).first() or ""


def _store_no(mailbox: Mailbox, no: No) -> None:
    """Store the no to everything, unless a later one is stored."""
    owner = {"learner_id": mailbox.learner_id, "mailbox": mailbox.address, "category": None}
    rows = Consent.objects.select_for_update(no_key=True).filter(**owner).order_by("-changed_at")
    kept = rows.first()
    if kept is None:
        kept = Consent(**owner)
    elif kept.changed_at >= no.at:
        return
    kept.state, kept.changed_at, kept.source = ConsentState.OUT, no.at, no.source
    kept.save()
