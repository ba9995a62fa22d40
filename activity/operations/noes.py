"""Store opt-outs, complaints and bounces in the transaction that receives them.

They stay in PendingNo until dispatch or recover applies them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from activity.canonical import shown
from activity.models import Learner, NoKind, NoSource, PendingNo
from activity.operations.roster_values import RosterError, instant_in, key_in
from common.addresses import comparable

OPT_OUT_FIELDS = frozenset({"email", "said_at"})
MAX_MAILBOX = 320


def keep_noes(fresh: str) -> str:
    """Return the SQL that stores a PendingNo for each opt-out, complaint or bounce in `fresh`."""
    return f"""
    INSERT INTO activity_pendingno (learner_id, mailbox, kind, source, event_id, said_at, error)
    SELECT learner.id, COALESCE(lower(learner.email), ''), CASE {fresh}.verb
        WHEN 'UNSUBSCRIBED' THEN 'opt_out' WHEN 'EMAIL_COMPLAINED' THEN 'complaint'
        ELSE 'bounce' END, 'feed', {fresh}.id, {fresh}.occurred_at, ''
    FROM {fresh}
    JOIN activity_enrollment AS enrollment ON enrollment.id = {fresh}.enrollment_id
    JOIN activity_learner AS learner ON learner.id = enrollment.learner_id
    WHERE {fresh}.verb IN ('UNSUBSCRIBED', 'EMAIL_COMPLAINED', 'EMAIL_BOUNCED')
    """  # noqa: S608


def keep_roster_no(learner: Learner, *, now: datetime) -> None:
    """Store the opt-out of a learner whose `opted_out` has become true in the roster."""
    PendingNo.objects.create(
        learner=learner,
        mailbox=comparable(learner.email or ""),
        kind=NoKind.OPT_OUT,
        source=NoSource.ROSTER,
        said_at=now,
    )


def keep_listed_no(values: Mapping[str, Any], *, now: datetime) -> PendingNo:
    """Store an opt-out from another system: `email`, and `said_at` if it is known."""
    unknown = sorted(set(values) - OPT_OUT_FIELDS)
    if unknown:
        raise RosterError(f"The field {shown(unknown[0])} is unknown.")
    mailbox = comparable(key_in(values, "email"))
    if "@" not in mailbox or len(mailbox) > MAX_MAILBOX:
        raise RosterError("email must be the address that gets no messages from now on.")
    return PendingNo.objects.create(
        mailbox=mailbox,
        kind=NoKind.OPT_OUT,
        source=NoSource.IMPORT,
        said_at=min(instant_in(values, "said_at") or now, now),
    )


@dataclass(frozen=True)
class NoOfMessage:
    """A no that a mail provider reports about a message. The learner may be unknown."""

    kind: NoKind
    mailbox: str
    said_at: datetime
    learner_id: int | None = None


def keep_noes_of_messages(noes: Iterable[NoOfMessage]) -> None:
    """Store noes that a mail provider reports."""
    PendingNo.objects.bulk_create(
        PendingNo(
            learner_id=no.learner_id,
            mailbox=no.mailbox,
            kind=no.kind,
            source=NoSource.WEBHOOK,
            said_at=no.said_at,
        )
        for no in noes
    )
