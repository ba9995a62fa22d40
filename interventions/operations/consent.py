"""What learners say they want: unsubscribing and preferences, by signed link."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import transaction

from activity.models import Enrollment, Learner
from activity.operations import append_own_event
from interventions.consent import is_wanted
from interventions.models import Category, Consent, ConsentState
from interventions.operations.runs import exit_runs, lock_active_runs
from interventions.queries.preferences import words_of
from interventions.render.links import LinkOwner

UNSUBSCRIBED = "unsubscribed"
OPTED_OUT = "opted_out"


@transaction.atomic
def unsubscribe(owner: LinkOwner, *, source: str, now: datetime) -> bool:
    """Stop every message to the learner, in all courses. Return False if they had stopped already.

    The UNSUBSCRIBED event goes to the enrollment whose message carried the link. A link of a
    learner who is no longer there does nothing.
    """
    if not _lock_learner(owner.learner_id) or not _wants_anything(owner.learner_id):
        return False
    _write_event(owner, now=now)
    _set_words(owner.learner_id, [None], ConsentState.OUT, source=source, now=now)
    _exit(owner.learner_id, reason=UNSUBSCRIBED, now=now)
    return True


@transaction.atomic
def save_preferences(
    owner: LinkOwner, *, wanted: Collection[int], source: str, now: datetime
) -> None:
    """Keep which categories (ids) the learner wants; all others they do not want."""
    if not _lock_learner(owner.learner_id):
        return
    words = words_of(owner.learner_id)
    had = {
        category.pk
        for category in Category.objects.all()
        if is_wanted(category.pk, words, needs_opt_in=category.needs_opt_in)
    }
    every = set(Category.objects.values_list("pk", flat=True))
    kept = every & set(wanted)
    out = every - kept
    if had and not kept:
        _write_event(owner, now=now)
    _set_words(owner.learner_id, kept, ConsentState.IN, source=source, now=now)
    # A no to every kind that there is means every kind that there will be, too.
    said_no = out if kept else {*out, None}
    _set_words(owner.learner_id, said_no, ConsentState.OUT, source=source, now=now)
    _exit(owner.learner_id, reason=OPTED_OUT, now=now, category_ids=out)


def _lock_learner(learner_id: int) -> bool:
    # Dispatch holds the same lock while it decides: what it claims later sees the new word.
    rows = Learner.objects.select_for_update(no_key=True).filter(pk=learner_id)
    return bool(rows.values_list("pk"))


def _wants_anything(learner_id: int) -> bool:
    words = words_of(learner_id)
    if not any(word.category_id is None for word in words):
        return True
    return any(
        is_wanted(category.pk, words, needs_opt_in=category.needs_opt_in)
        for category in Category.objects.all()
    )


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
    learner_id: int,
    category_ids: Iterable[int | None],
    state: ConsentState,
    *,
    source: str,
    now: datetime,
) -> None:
    at = _after_all_words(learner_id, now)
    for category_id in category_ids:
        Consent.objects.update_or_create(
            learner_id=learner_id,
            category=None if category_id is None else Category(pk=category_id),
            defaults={"state": state, "changed_at": at, "source": source},
        )


def _after_all_words(learner_id: int, now: datetime) -> datetime:
    """Return an instant later than all the learner said: the last word counts on any clock."""
    latest = max((word.at for word in words_of(learner_id)), default=None)
    return now if latest is None or latest < now else latest + timedelta(microseconds=1)


def _exit(
    learner_id: int,
    *,
    reason: str,
    now: datetime,
    category_ids: Collection[int] | None = None,
) -> None:
    enrollment_ids = Enrollment.objects.filter(learner=learner_id).values_list("pk", flat=True)
    runs = lock_active_runs(list(enrollment_ids))
    leaving = [
        run for run in runs if category_ids is None or run.cadence.category_id in category_ids
    ]
    exit_runs(leaving, reason=reason, now=now)
