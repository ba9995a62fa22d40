"""Store what providers and our own links say about messages, and let it act once.

An event is stored first and acknowledged. It acts in a later transaction, which marks it as done.
If that one fails or the process dies, the recover stage tries again.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from common.back_off import BackOff
from common.database import is_held, is_outage
from interventions.models import Delivery, TrackingEvent
from interventions.operations.tracking_effects import act_on
from interventions.queries.tracking import match_deliveries, names_of
from interventions.tracking.reports import OWN_LINK, Report

BATCH_SIZE = 500
# Opens and clicks wait for others that show whether a machine made them.
SETTLE = timedelta(seconds=30)
_SETTLING = ("opened", "clicked")
# An event can come before our own record of the hand-off: within moments, or after the lease of a
# lost worker. Others are about mails that another program sent over the same account.
_UNKNOWN = BackOff(timedelta(seconds=10), timedelta(hours=6), factor=4)
KEPT_UNKNOWN = timedelta(days=3)
MOST_CLICKS = 200
AFTER_ERROR = timedelta(minutes=5)

_WRITE = """
UPDATE interventions_trackingevent AS event
SET delivery_id = one.delivery_id, machine = one.machine, retry_at = one.retry_at,
    attempts = one.attempts
FROM unnest(%(ids)s::bigint[], %(deliveries)s::bigint[], %(machines)s::boolean[],
    %(retries)s::timestamptz[], %(attempts)s::smallint[])
    AS one (id, delivery_id, machine, retry_at, attempts)
WHERE event.id = one.id
"""

log = logging.getLogger(__name__)


def record_reports(reports: Iterable[Report], *, now: datetime) -> int:
    """Store the reports and let the new ones act. Return how many were new.

    A report that is stored already changes nothing.
    """
    rows = {report.digest: _row(report, now) for report in reports}
    digests = sorted(rows)
    known = set(TrackingEvent.objects.filter(digest__in=digests).values_list("digest", flat=True))
    fresh = [digest for digest in digests if digest not in known]
    TrackingEvent.objects.bulk_create([rows[each] for each in fresh], ignore_conflicts=True)
    # A repeat may find events of a request that died before they could act.
    waiting = TrackingEvent.objects.filter(digest__in=digests, retry_at__lte=now + SETTLE)
    ids = sorted(waiting.values_list("pk", flat=True))
    for start in range(0, len(ids), BATCH_SIZE):
        _try(ids[start : start + BATCH_SIZE], now=now)
    return len(fresh)


def record_click(click: Report, *, now: datetime) -> None:
    """Store the use of one of our own links, unless its message was deleted."""
    if click.delivery_key is None:
        return
    delivery = Delivery.objects.filter(key=click.delivery_key).values_list("pk", flat=True).first()
    if delivery is None:
        return
    stored = TrackingEvent.objects.filter(delivery=delivery, provider=OWN_LINK)
    # Anybody who has the link can use it as often as they like.
    if stored.count() < MOST_CLICKS:
        record_reports([click], now=now)


def act_on_waiting(*, now: datetime) -> None:
    """Let the waiting events act whose time has come. Forget those of unknown messages in the end.

    Several workers may run it at once.
    """
    while True:
        waiting = TrackingEvent.objects.filter(retry_at__lte=now).order_by("retry_at", "pk")
        ids = sorted(waiting.values_list("pk", flat=True)[:BATCH_SIZE])
        handled = _try(ids, now=now) if ids else 0
        if len(ids) < BATCH_SIZE or not handled:
            return


def hurry(delivery_ids: Collection[int], *, now: datetime) -> None:
    """Let the events act at once that wait for the end of these hand-offs."""
    waiting = TrackingEvent.objects.filter(delivery__in=delivery_ids, retry_at__gt=now)
    waiting.update(retry_at=now)


def _row(report: Report, now: datetime) -> TrackingEvent:
    waits = SETTLE if report.kind in _SETTLING else timedelta(0)
    return TrackingEvent(
        digest=report.digest,
        provider=report.provider,
        message_id=report.message_id,
        delivery_key=report.delivery_key,
        kind=report.kind,
        # A provider's clock may be ahead of ours.
        happened_at=min(report.at or now, now),
        received_at=now,
        recipient=report.recipient,
        link=report.link,
        user_agent=report.user_agent,
        detail=report.detail,
        bounce=report.bounce,
        reject_reason=report.reject_reason,
        machine=report.machine,
        retry_at=now + waits,
    )


def _try(ids: Sequence[int], *, now: datetime) -> int:
    """Let the events act together, or each alone if one of them fails. Return how many did."""
    try:
        return _act(ids, now=now)
    except Exception as error:
        if is_held(error) or is_outage(error):
            raise
        if len(ids) == 1:
            log.exception("The tracking event %s cannot act", ids[0])
            again = {"retry_at": now + AFTER_ERROR, "attempts": F("attempts") + 1}
            return TrackingEvent.objects.filter(pk__in=ids).update(**again)
    return sum(_try([pk], now=now) for pk in ids)


@transaction.atomic
def _act(ids: Sequence[int], *, now: datetime) -> int:
    """Let the events act that no other transaction has. Return how many were handled."""
    rows = TrackingEvent.objects.filter(pk__in=ids, retry_at__isnull=False).order_by("pk")
    events = list(rows.select_for_update(no_key=True, skip_locked=True, of=("self",)))
    found = match_deliveries([names_of(event) for event in events if event.delivery_id is None])
    for event in events:
        if event.delivery_id is None:
            event.delivery_id = found.get(names_of(event))
    done = act_on([each for each in events if _is_ripe(each, now)], now=now)
    _keep(events, done, now)
    return len(events)


def _is_ripe(event: TrackingEvent, now: datetime) -> bool:
    return event.retry_at is not None and event.retry_at <= now


def _keep(events: Sequence[TrackingEvent], done: Collection[int], now: datetime) -> None:
    """Write which events are done and when the others are tried again. Forget old unknown ones."""
    old = [each.pk for each in events if each.delivery_id is None and _is_old(each, now)]
    for event in events:
        if event.pk in done:
            event.retry_at = None
        elif _is_ripe(event, now):
            event.attempts += 1
            event.retry_at = now + _UNKNOWN.after(event.attempts)
    _write(events)
    TrackingEvent.objects.filter(pk__in=old).delete()


def _write(events: Sequence[TrackingEvent]) -> None:
    values: dict[str, Any] = {
        "ids": [event.pk for event in events],
        "deliveries": [event.delivery_id for event in events],
        "machines": [event.machine for event in events],
        "retries": [event.retry_at for event in events],
        "attempts": [event.attempts for event in events],
    }
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, values)


def _is_old(event: TrackingEvent, now: datetime) -> bool:
    return event.received_at <= now - KEPT_UNKNOWN
