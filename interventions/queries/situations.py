"""The situations of many learners at one instant, for pages. A claim reads that of one learner."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from django.db.models import Q
from django.db.models.functions import Lower

from activity.models import Learner
from common.addresses import comparable
from interventions.channels import CHANNELS
from interventions.models import Consent, ConsentState, Delivery, LearnerPause, Suppression
from interventions.policy.caps import Counted
from interventions.policy.consent import ConsentStatement
from interventions.queries.facts import Situation, message_of
from interventions.queries.limits import Limits
from interventions.queries.pauses import site_is_paused

Value = TypeVar("Value")
# By person, which is a learner or a mailbox, then by the id of the row.
_Rows = dict[tuple[str, int | str | None], dict[int, Value]]


def read_situations(
    learners: Sequence[Learner], *, limits: Limits, now: datetime
) -> Mapping[int, Situation]:
    """Return the situations by learner. Five queries.

    What passes by itself within moments is left out: an evaluation that is due, and messages that
    wait for one.
    """
    addresses = {
        learner.pk: {name: channel.address(learner) for name, channel in CHANNELS.items()}
        for learner in learners
    }
    suppressed = _suppressed(addresses)
    words, counted = _statements(learners), _counted(learners, since=now - limits.horizon)
    site_paused, paused = site_is_paused(), _paused(learners)
    return {
        learner.pk: Situation(
            site_paused=site_paused,
            learner_paused=learner.pk in paused,
            addresses=addresses[learner.pk],
            suppressed=suppressed,
            evaluation_pending=frozenset(),
            words=tuple(_of(learner, words)),
            counted=_of(learner, counted),
            waiting=[],
        )
        for learner in learners
    }


def _suppressed(addresses: Mapping[int, Mapping[str, str]]) -> frozenset[str]:
    asked = {comparable(each) for of_one in addresses.values() for each in of_one.values()}
    found = Suppression.objects.filter(address__in=asked - {""})
    return frozenset(found.values_list("address", flat=True))


def _paused(learners: Sequence[Learner]) -> set[int]:
    held = LearnerPause.objects.filter(learner__in=learners, ended_at=None)
    return set(held.values_list("learner", flat=True))


def _statements(learners: Sequence[Learner]) -> _Rows[ConsentStatement]:
    # The index holds only statements with a mailbox, so the condition must say the same.
    of_mailbox = Q(mailbox__in=_mailboxes(learners)) & ~Q(mailbox="")
    concerned = Q(learner__in=learners) | of_mailbox
    rows: _Rows[ConsentStatement] = defaultdict(dict)
    for row in Consent.objects.filter(concerned).order_by("pk"):
        wants = row.state == ConsentState.IN
        statement = ConsentStatement(row.category_id, wants, row.changed_at)
        rows["learner", row.learner_id][row.pk] = statement
        rows["mailbox", row.mailbox][row.pk] = statement
    return rows


def _counted(learners: Sequence[Learner], *, since: datetime) -> _Rows[Counted]:
    # Two conditions that each have an index.
    mailbox = Lower("address")
    sent = Delivery.objects.filter(claimed_at__gt=since).annotate(mailbox=mailbox)
    concerned = sent.filter(Q(learner__in=learners) | Q(mailbox__in=_mailboxes(learners)))
    rows: _Rows[Counted] = defaultdict(dict)
    for row in concerned.select_related("enrollment").order_by("pk"):
        counted = Counted(message_of(row), row.claimed_at or since, row.pk)
        rows["learner", row.learner_id][row.pk] = counted
        rows["mailbox", row.mailbox][row.pk] = counted
    return rows


def _of(learner: Learner, rows: _Rows[Value]) -> list[Value]:
    """Return the values of the learner and of the mailbox, each row once."""
    mailbox = comparable(learner.email or "")
    of_mailbox = rows.get(("mailbox", mailbox), {}) if mailbox else {}
    return [*(rows.get(("learner", learner.pk), {}) | of_mailbox).values()]


def _mailboxes(learners: Sequence[Learner]) -> list[str]:
    return sorted({comparable(each.email) for each in learners if each.email})
