"""Lock learners together with all others who share their mailbox. Caps and consent are per mailbox.

Rows of learners come first in the lock order, and several of them in the order of their ids.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import Learner
from common.addresses import comparable
from common.database import as_array, preparing_cursor
from interventions.queries.due import in_order_of_messages
from interventions.queries.joined import Joined

_LOCK = """
SELECT learner.id FROM activity_learner AS learner
WHERE learner.id = %(learner)s OR lower(learner.email) = %(mailbox)s
ORDER BY learner.id
FOR NO KEY UPDATE
"""

# The first learner of a mailbox stands for all of it. If each worker began with another one, two
# workers could each get a part, and both would give up. Locked learners are skipped, so workers
# that take from one list share it, and none of them waits. "+ 0" keeps the planner from searching
# the first id of all learners for one with the address.
_TAKE = """
SELECT learner.id, first.id
FROM unnest(%(candidates)s::bigint[]) WITH ORDINALITY AS candidate (id, position)
JOIN activity_learner AS learner ON learner.id = candidate.id
JOIN activity_learner AS first ON first.id = COALESCE((
    SELECT min(sharer.id + 0) FROM activity_learner AS sharer
    WHERE lower(sharer.email) = lower(learner.email)
), learner.id)
WHERE EXISTS (
    SELECT FROM interventions_delivery AS delivery
    WHERE delivery.learner_id = learner.id AND delivery.state = 'planned'
        AND delivery.send_at <= %(now)s AND delivery.channel = ANY(%(channels)s)
)
ORDER BY candidate.position
LIMIT %(limit)s
FOR NO KEY UPDATE OF first SKIP LOCKED
"""

_OF_A_LEARNER = Joined(learner=Learner)

# Read in a statement after the one that locks, because that one sees the rows as they were before.
_READ = f"""
SELECT {_OF_A_LEARNER.columns}, ARRAY(
    SELECT sharer.id FROM activity_learner AS sharer
    WHERE lower(sharer.email) = lower(learner.email)
), EXISTS (
    SELECT FROM activity_pendingno AS said
    WHERE said.learner_id = learner.id OR said.mailbox = lower(learner.email)
)
FROM activity_learner AS learner WHERE learner.id = ANY(%(learners)s::bigint[])
"""  # noqa: S608

_LOCK_OTHERS = """
SELECT learner.id FROM activity_learner AS learner
WHERE learner.id = ANY(%(others)s)
ORDER BY learner.id
FOR NO KEY UPDATE SKIP LOCKED
"""


@dataclass(frozen=True)
class Mailbox:
    """A learner, the mailbox (empty without address), and the ids of all its learners, locked."""

    learner_id: int | None
    address: str
    learner_ids: list[int]


@dataclass(frozen=True)
class Claimed:
    """A locked learner, and the ids of all learners with the mailbox, who are locked too.

    `has_said_no` means that the learner or the mailbox has a pending opt-out.
    """

    learner: Learner
    sharers: frozenset[int]
    has_said_no: bool


@dataclass(frozen=True)
class Taken:
    """Claimed learners, and the candidates after the last one that there was room for.

    `instead_of` names the candidates for whom another learner of their mailbox was taken.
    """

    claimed: list[Claimed]
    rest: list[int]
    instead_of: Mapping[int, int] = field(default_factory=dict)


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


def claim_learners(
    candidates: Sequence[int], *, channels: Collection[str], now: datetime, limit: int
) -> Taken:
    """Lock the first learners among the candidates with a due message, and their mailboxes.

    Learners whose mailbox another worker has are skipped. A learner of the same mailbox with a more
    important message is taken instead: the worker may have skipped that learner just before. It
    takes two statements, and three more if learners share a mailbox. It never waits for a lock.
    """
    values: dict[str, Any] = {"candidates": as_array(candidates), "channels": list(channels)}
    with preparing_cursor() as cursor:
        cursor.execute(_TAKE, {**values, "now": now, "limit": limit})
        taken = dict(cursor.fetchall())
    if not taken:
        return Taken([], [])
    place = {learner_id: number for number, learner_id in enumerate(taken)}
    claimed = sorted(_read(place), key=lambda each: place[each.learner.pk])
    # With fewer than the limit, all other candidates are with other workers or have nothing due.
    after = candidates.index(list(taken)[-1]) + 1
    rest = list(candidates[after:]) if len(taken) == limit else []
    whole = _whole(claimed, set(taken.values()))
    instead_of = _more_important(whole, channels=channels, now=now)
    if not instead_of:
        return Taken(whole, rest)
    others = {each.learner.pk: each for each in _read(set(instead_of.values()))}
    chosen = [others.get(instead_of.get(each.learner.pk, 0), each) for each in whole]
    once = {each.learner.pk: each for each in chosen}
    return Taken([*once.values()], rest, instead_of)


def _more_important(
    claimed: Sequence[Claimed], *, channels: Collection[str], now: datetime
) -> dict[int, int]:
    """Return by learner who of the same mailbox has a more important message."""
    sharing = [each for each in claimed if len(each.sharers) > 1]
    if not sharing:
        return {}
    ids = frozenset().union(*(each.sharers for each in sharing))
    order = in_order_of_messages(ids, now=now, channels=channels)
    firsts = {
        each.learner.pk: next((pk for pk in order if pk in each.sharers), each.learner.pk)
        for each in sharing
    }
    return {pk: first for pk, first in firsts.items() if pk != first}


def _read(learner_ids: Iterable[int]) -> list[Claimed]:
    with preparing_cursor() as cursor:
        cursor.execute(_READ, {"learners": as_array(learner_ids)})
        return [_claimed(*row) for row in cursor.fetchall()]


def _claimed(*row: Any) -> Claimed:
    *columns, sharers, has_said_no = row
    (learner,) = _OF_A_LEARNER.objects(columns)
    return Claimed(learner, frozenset((*sharers, learner.pk)), has_said_no)


def _whole(claimed: list[Claimed], locked: set[int]) -> list[Claimed]:
    """Lock the others with the mailboxes, and return those whose mailbox this worker has."""
    others = {pk for each in claimed for pk in each.sharers} - locked
    if others:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK_OTHERS, {"others": sorted(others)})
            locked = locked | {learner_id for (learner_id,) in cursor.fetchall()}
    return [each for each in claimed if each.sharers <= locked]
