"""What learners say they want: unsubscribing and preferences, by signed link."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from activity.models import Enrollment
from activity.operations import append_own_event
from common.rows import create_or_change
from interventions.models import Category, Consent, ConsentSource, ConsentState
from interventions.operations.mailboxes import Mailbox, lock_mailbox
from interventions.operations.noes import No, exit_unwanted, say_no
from interventions.queries.preferences import statements_of, wanted_of
from interventions.render.links import LinkOwner

OPTED_OUT = "opted_out"


@transaction.atomic
def unsubscribe(owner: LinkOwner, *, source: str, now: datetime) -> bool:
    """Stop every message to the mailbox, in all courses. Return False if they had stopped already.

    The UNSUBSCRIBED event goes to the enrollment whose message carried the link. A link of a
    learner who is no longer there does nothing.
    """
    # Dispatch holds the same locks while it decides: what it claims later sees the new word.
    mailbox = lock_mailbox(owner.learner_id)
    if mailbox is None:
        return False
    return _stop(owner, mailbox, source=source, now=now)


@transaction.atomic
def unsubscribe_as_said(owner: LinkOwner, *, source: str, at: datetime, now: datetime) -> bool:
    """Apply a no that was said at an earlier instant; return False without such a learner.

    It counts from then on: a yes that the learner has said since stands.
    """
    mailbox = lock_mailbox(owner.learner_id)
    if mailbox is None:
        return False
    if _wants_anything(mailbox):
        _write_event(owner, now=at)
        say_no(mailbox, No(ConsentSource(source), at), now=now)
    return True


@transaction.atomic
def save_preferences(
    owner: LinkOwner, *, wanted: Collection[int], source: str, now: datetime
) -> None:
    """Keep which categories (ids) the learner wants; all others they do not want.

    A no to every kind that there is means every kind that there will be, too.
    """
    mailbox = lock_mailbox(owner.learner_id)
    if mailbox is None:
        return
    every = set(Category.objects.values_list("pk", flat=True))
    kept = every & set(wanted)
    if not kept:
        _stop(owner, mailbox, source=source, now=now)
        return
    _set_words(mailbox, kept, ConsentState.IN, source=source, now=now)
    _set_words(mailbox, every - kept, ConsentState.OUT, source=source, now=now)
    exit_unwanted(mailbox, kept, reason=OPTED_OUT, now=now)


def _stop(owner: LinkOwner, mailbox: Mailbox, *, source: str, now: datetime) -> bool:
    if not _wants_anything(mailbox):
        return False
    _write_event(owner, now=now)
    said = No(ConsentSource(source), _after_all_words(mailbox, now))
    say_no(mailbox, said, now=now)
    return True


def _wants_anything(mailbox: Mailbox) -> bool:
    words = statements_of(mailbox.learner_id, mailbox.address)
    said_no = any(word.category_id is None for word in words)
    return not said_no or bool(wanted_of(mailbox.learner_id, mailbox.address))


def _write_event(owner: LinkOwner, *, now: datetime) -> None:
    if not Enrollment.objects.filter(pk=owner.enrollment_id, learner=owner.learner_id).exists():
        return
    append_own_event(
        owner.enrollment_id,
        "UNSUBSCRIBED",
        # Once a link: who ticks and unticks all day is still one learner who unsubscribed.
        source_id=f"unsubscribed:{owner.delivery_key}",
        properties={"delivery": str(owner.delivery_key)},
        now=now,
    )


def _set_words(
    mailbox: Mailbox,
    category_ids: Iterable[int],
    state: ConsentState,
    *,
    source: str,
    now: datetime,
) -> None:
    at = _after_all_words(mailbox, now)
    values = {"state": state, "changed_at": at, "source": source}
    for category_id in category_ids:
        whose: dict[str, Any] = {
            "learner_id": mailbox.learner_id,
            "mailbox": mailbox.address,
            "category_id": category_id,
        }
        create_or_change(Consent.objects.all(), values, **whose)


def _after_all_words(mailbox: Mailbox, now: datetime) -> datetime:
    """Return an instant later than all that was said: the last word counts on any clock."""
    words = statements_of(mailbox.learner_id, mailbox.address)
    latest = max((word.at for word in words), default=None)
    return now if latest is None or latest < now else latest + timedelta(microseconds=1)
