"""Lock learners together with all others who share their mailbox. Caps and consent are per mailbox.

Rows of learners come first in the lock order, and several of them in the order of their ids.
"""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from activity.models import Learner
from common.addresses import comparable

_LOCK = """
SELECT learner.id FROM activity_learner AS learner
WHERE learner.id = %(learner)s OR lower(learner.email) = %(mailbox)s
ORDER BY learner.id
FOR NO KEY UPDATE
"""

# The count is read in the statement that locks. Most learners share with nobody, and a separate
# statement per message would cost more than the lock.
_CLAIM = """
SELECT learner.*, (
    SELECT count(*) FROM activity_learner AS sharer WHERE lower(sharer.email) = lower(learner.email)
) AS sharers, EXISTS (
    SELECT FROM activity_pendingno AS said
    WHERE said.learner_id = learner.id OR said.mailbox = lower(learner.email)
) AS has_said_no
FROM activity_learner AS learner WHERE learner.id = %(learner)s
FOR NO KEY UPDATE OF learner SKIP LOCKED
"""

_CLAIM_BEFORE = """
SELECT learner.id FROM activity_learner AS learner
WHERE lower(learner.email) = %(mailbox)s AND learner.id < %(learner)s
FOR NO KEY UPDATE SKIP LOCKED
"""

_LOCK_BEHIND = """
SELECT learner.id FROM activity_learner AS learner
WHERE lower(learner.email) = %(mailbox)s AND learner.id > %(learner)s
ORDER BY learner.id
FOR NO KEY UPDATE
"""


@dataclass(frozen=True)
class Mailbox:
    """A learner, the mailbox (empty without address), and the ids of all its learners, locked."""

    learner_id: int | None
    address: str
    learner_ids: list[int]


@dataclass(frozen=True)
class Claimed:
    """A locked learner, and whether the learner or the mailbox has a pending opt-out."""

    learner: Learner
    has_said_no: bool


def lock_mailbox(learner_id: int) -> Mailbox | None:
    """Lock the learner and all who share the mailbox. Return None if the learner does not exist."""
    email = Learner.objects.filter(pk=learner_id).values_list("email", flat=True).first()
    while True:
        locked = lock_address(comparable(email or ""), learner_id=learner_id)
        if learner_id not in locked.learner_ids:
            return None
        now_email = Learner.objects.values_list("email", flat=True).get(pk=learner_id)
        if now_email == email:
            return locked
        # The address changed while we waited, so learners with the new address are not locked yet.
        email = now_email


def lock_address(address: str, *, learner_id: int | None = None) -> Mailbox:
    """Lock all learners with the mailbox, and the learner."""
    mailbox = comparable(address)
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"learner": learner_id, "mailbox": mailbox or None})
        return Mailbox(learner_id, mailbox, [row[0] for row in cursor.fetchall()])


def claim_learner(learner_id: int) -> Claimed | None:
    """Lock the learner and all who share the mailbox, or return None if one is already locked.

    It takes one statement for a learner who shares with nobody.
    """
    learner = next(iter(Learner.objects.raw(_CLAIM, {"learner": learner_id})), None)
    if learner is None:
        return None
    sharers, has_said_no = vars(learner)["sharers"], vars(learner)["has_said_no"]
    claimed = Claimed(learner, has_said_no)
    if sharers <= 1:
        return claimed
    values: dict[str, Any] = {"learner": learner_id, "mailbox": comparable(learner.email or "")}
    with connection.cursor() as cursor:
        # The worker with the lowest id waits for the others, and the others give up. If all gave
        # up, no worker might ever succeed. If all waited, they would deadlock.
        cursor.execute(_CLAIM_BEFORE, values)
        before = len(cursor.fetchall())
        cursor.execute(_LOCK_BEHIND, values)
        return claimed if before + 1 + len(cursor.fetchall()) == sharers else None
