"""Unsubscribe and save preferences of learners, by signed link."""

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
    """Stop all messages to the mailbox, in all courses. Return False if they were stopped before.

    The UNSUBSCRIBED event goes to the enrollment whose message had the link. The link of a deleted
    learner does nothing.
    """
    # Dispatch holds the same locks while it decides, so a later claim sees the new consent.
    mailbox = lock_mailbox(owner.learner_id)
    if mailbox is None:
        return False
    return _stop(owner, mailbox, source=source, now=now)


@transaction.atomic
def unsubscribe_as_said(owner: LinkOwner, *, source: str, at: datetime, now: datetime) -> bool:
    """Apply an opt-out of an earlier instant. Return False if the learner does not exist.

    It counts from that instant, so a later opt-in of the learner stays.
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
    """Save the categories (ids) that the learner wants. All other categories are not wanted.

    If no category is wanted, future categories are not wanted either.
    """
    mailbox = lock_mailbox(owner.learner_id)
    if mailbox is None:
        return
    every = set(Category.objects.values_list("pk", flat=True))
    kept = every & set(wanted)
    if not kept:
        _stop(owner, mailbox, source=source, now=now)
        return
    _save_statements(mailbox, kept, ConsentState.IN, source=source, now=now)
    _save_statements(mailbox, every - kept, ConsentState.OUT, source=source, now=now)
    exit_unwanted(mailbox, kept, reason=OPTED_OUT, now=now)


def _stop(owner: LinkOwner, mailbox: Mailbox, *, source: str, now: datetime) -> bool:
    if not _wants_anything(mailbox):
        return False
    _write_event(owner, now=now)
    opt_out = No(ConsentSource(source), _after_all_statements(mailbox, now))
    say_no(mailbox, opt_out, now=now)
    return True


def _wants_anything(mailbox: Mailbox) -> bool:
    statements = statements_of(mailbox.learner_id, mailbox.address)
    said_no = any(statement.category_id is None for statement in statements)
    return not said_no or bool(wanted_of(mailbox.learner_id, mailbox.address))


def _write_event(owner: LinkOwner, *, now: datetime) -> None:
    if not Enrollment.objects.filter(pk=owner.enrollment_id, learner=owner.learner_id).exists():
        return
    append_own_event(
        owner.enrollment_id,
        "UNSUBSCRIBED",
        # Once per link: a learner who unsubscribes repeatedly counts once.
        source_id=f"unsubscribed:{owner.delivery_key}",
        properties={"delivery": str(owner.delivery_key)},
        now=now,
    )


def _save_statements(
    mailbox: Mailbox,
    category_ids: Iterable[int],
    state: ConsentState,
    *,
    source: str,
    now: datetime,
) -> None:
    at = _after_all_statements(mailbox, now)
    values = {"state": state, "changed_at": at, "source": source}
    for category_id in category_ids:
        owner: dict[str, Any] = {
            "learner_id": mailbox.learner_id,
            "mailbox": mailbox.address,
            "category_id": category_id,
        }
        create_or_change(Consent.objects.all(), values, **owner)


def _after_all_statements(mailbox: Mailbox, now: datetime) -> datetime:
    """Return an instant after all earlier statements, even if one came from a fast clock."""
    statements = statements_of(mailbox.learner_id, mailbox.address)
    latest = max((statement.at for statement in statements), default=None)
    return now if latest is None or latest < now else latest + timedelta(microseconds=1)
