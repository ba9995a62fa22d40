"""Keep every "no" that comes in, in the transaction that brings it, until it is applied."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from activity.canonical import shown
from activity.models import Learner, NoKind, NoSource, PendingNo
from activity.operations.roster_values import RosterError, instant_in, key_in
from common.addresses import comparable

OPT_OUT_FIELDS = frozenset({"email", "said_at"})
MAX_MAILBOX = 320


def keep_noes(fresh: str) -> str:
    """Return the SQL that keeps the noes among the new events of `fresh`."""
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
    """Keep that the roster has begun to say that the learner wants no messages."""
    PendingNo.objects.create(
        learner=learner,
        mailbox=comparable(learner.email or ""),
        kind=NoKind.OPT_OUT,
        source=NoSource.ROSTER,
        said_at=now,
    )


def keep_listed_no(values: Mapping[str, Any], *, now: datetime) -> PendingNo:
    """Keep an opt-out known elsewhere: `email`, and `said_at` where it is known."""
    unknown = sorted(set(values) - OPT_OUT_FIELDS)
    if unknown:
        raise RosterError(f"The field {shown(unknown[0])} is unknown.")
    mailbox = comparable(key_in(values, "email"))
    if "@" not in mailbox or len(mailbox) > MAX_MAILBOX:
        raise RosterError("email must be the address of whoever wants no messages.")
    return PendingNo.objects.create(
        mailbox=mailbox,
        kind=NoKind.OPT_OUT,
        source=NoSource.IMPORT,
        said_at=min(instant_in(values, "said_at") or now, now),
    )
