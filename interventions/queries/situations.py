"""The situations of many learners at one instant, for pages. A claim reads that of one learner."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Lower

from activity.models import Learner
from common.addresses import comparable
from interventions.channels import CHANNELS
from interventions.models import Consent, LearnerPause, Suppression
from interventions.policy.caps import Counted, Message
from interventions.policy.consent import ConsentStatement
from interventions.queries.arms import capped_arms
from interventions.queries.facts import Situation
from interventions.queries.limits import Limits
from interventions.queries.pauses import site_is_paused
from interventions.queries.preferences import statement_of
from interventions.queries.tasks import talking_with

# Looked up one by one: for lists and joins the planner would read whole tables.
_COUNTED = """
SELECT asked.learner_id, counted.channel, counted.category_id,
    (SELECT course_id FROM activity_enrollment WHERE id = counted.enrollment_id),
    counted.of_learner, counted.ghost, counted.claimed_at, counted.id
FROM unnest(%(learners)s::bigint[], %(mailboxes)s::text[]) AS asked (learner_id, mailbox)
CROSS JOIN LATERAL (
    SELECT id, channel, category_id, enrollment_id, learner_id AS of_learner, ghost, claimed_at
    FROM interventions_delivery
    WHERE learner_id = ANY(ARRAY(
        SELECT id FROM activity_learner WHERE lower(email) = asked.mailbox
        UNION ALL SELECT asked.learner_id
    )) AND claimed_at > %(since)s
    UNION
    SELECT id, channel, category_id, enrollment_id, learner_id AS of_learner, ghost, claimed_at
    FROM interventions_delivery
    WHERE lower(address) = asked.mailbox AND claimed_at > %(since)s
) AS counted
ORDER BY counted.id
"""
# By person, which is a learner or a mailbox, then by the id of the row.
_Statements = dict[tuple[str, int | str | None], dict[int, Consent]]


def read_situations(
    learners: Sequence[Learner], *, limits: Limits, now: datetime
) -> Mapping[int, Situation]:
    """Return the situations by learner. Six queries.

    What passes by itself within moments is left out: an evaluation that is due, and messages that
    wait for one.
    """
    addresses = {
        learner.pk: {name: channel.address(learner) for name, channel in CHANNELS.items()}
        for learner in learners
    }
    suppressed = _suppressed(addresses)
    words = _statements(learners)
    counted = counted_messages(learners, since=now - limits.horizon)
    site_paused, paused = site_is_paused(), _paused(learners)
    talking = talking_with(learners, now=now)
    arms = capped_arms([learner.pk for learner in learners], limits=limits)
    return {
        learner.pk: Situation(
            site_paused=site_paused,
            learner_paused=learner.pk in paused,
            in_conversation=learner.pk in talking,
            addresses=addresses[learner.pk],
            suppressed=suppressed,
            evaluation_pending=frozenset(),
            words=tuple(_of(learner, words)),
            counted=counted[learner.pk],
            waiting=[],
            arms=arms,
        )
        for learner in learners
    }


def with_sharing(learners: Sequence[Learner], *, most: int) -> dict[int, Learner]:
    """Return the learners and those who share their mailboxes, and so their caps. One query.

    Of those who share them, at most so many are read.
    """
    mailboxes = _mailboxes(learners)
    rows = Learner.objects.annotate(mailbox=Lower("email")).filter(mailbox__in=mailboxes)
    others = rows[:most] if mailboxes else ()
    return {each.pk: each for each in (*learners, *others)}


def _suppressed(addresses: Mapping[int, Mapping[str, str]]) -> frozenset[str]:
    asked = {comparable(each) for of_one in addresses.values() for each in of_one.values()}
    found = Suppression.objects.filter(address__in=asked - {""})
    return frozenset(found.values_list("address", flat=True))


def _paused(learners: Sequence[Learner]) -> set[int]:
    held = LearnerPause.objects.filter(learner__in=learners, ended_at=None)
    return set(held.values_list("learner", flat=True))


def _statements(learners: Sequence[Learner]) -> _Statements:
    # The index holds only statements with a mailbox, so the condition must say the same.
    of_mailbox = Q(mailbox__in=_mailboxes(learners)) & ~Q(mailbox="")
    concerned = Q(learner__in=learners) | of_mailbox
    rows: _Statements = defaultdict(dict)
    for row in Consent.objects.filter(concerned).order_by("pk"):
        rows["learner", row.learner_id][row.pk] = row
        rows["mailbox", row.mailbox][row.pk] = row
    return rows


def counted_messages(learners: Sequence[Learner], *, since: datetime) -> dict[int, list[Counted]]:
    """Return the messages to each learner, or to the mailbox, that caps count. One query."""
    values: dict[str, Any] = {
        "learners": [learner.pk for learner in learners],
        "mailboxes": [comparable(learner.email or "") or None for learner in learners],
        "since": since,
    }
    rows: dict[int, list[Counted]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED, values)
        for learner_id, *message, at, delivery_id in cursor:
            rows[learner_id].append(Counted(Message(*message), at, delivery_id))
    return rows


def _of(learner: Learner, rows: _Statements) -> list[ConsentStatement]:
    """Return the statements of the learner and of the mailbox, each once."""
    mailbox = comparable(learner.email or "")
    of_mailbox = rows.get(("mailbox", mailbox), {}) if mailbox else {}
    found = rows.get(("learner", learner.pk), {}) | of_mailbox
    return [statement_of(row, mailbox) for row in found.values()]


def _mailboxes(learners: Sequence[Learner]) -> list[str]:
    return sorted({comparable(each.email) for each in learners if each.email})
