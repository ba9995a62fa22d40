"""Move messages that ended, with all that hangs on them, from the ledger into the archive."""

from datetime import datetime
from typing import Any

from common.archive import Move, Source, look_with, move_with
from interventions.models import DeliveryState
from interventions.queries.limits import longest_horizon

ARCHIVED_DELIVERIES = "interventions_archiveddelivery"
ARCHIVED_TRACES = "interventions_archivedtrace"

# Staff can still settle a doubt, so a message in doubt stays.
ENDED = (
    DeliveryState.HANDED_OFF,
    DeliveryState.DELIVERED,
    DeliveryState.BOUNCED,
    DeliveryState.COMPLAINED,
    DeliveryState.GHOST,
    DeliveryState.DROPPED,
    DeliveryState.EXPIRED,
    DeliveryState.FAILED,
)
_COLUMNS = (
    "id, key, run_id, step_id, learner_id, enrollment_id, category_id, channel, priority, ghost,"
    " state, reason, planned_at, send_at, expires_at, claimed_at, finished_at, attempts, doubted,"
    " template_text_id"
)
_RECEIPT = (
    "delivered_at, soft_bounced_at, hard_bounced_at, rejected_at, complained_at, unsubscribed_at,"
    " opened_at, clicked_at, machine_opened_at, machine_clicked_at"
)
# A run that is active may plan its next step by what was planned before. A failed message that has
# not expired can be tried again. An in-app message that has not expired is shown. In a course whose
# clock stands still nothing grows older.
_IS_READY = """
    delivery.state = ANY(%(ended)s) AND delivery.finished_at <= %(before)s
    AND (delivery.claimed_at IS NULL OR delivery.claimed_at <= %(counted_since)s)
    AND delivery.expires_at <= %(now)s
    AND EXISTS (
        SELECT FROM interventions_run AS run
        WHERE run.id = delivery.run_id AND run.status <> 'active'
    )
    AND NOT EXISTS (
        SELECT FROM interventions_instructortask AS task WHERE task.delivery_id = delivery.id
            AND (task.closed_at IS NULL OR task.closed_at > %(before)s)
    )
    AND NOT EXISTS (
        SELECT FROM interventions_inappmessage AS shown WHERE shown.delivery_id = delivery.id
            AND shown.expires_at > %(now)s
    )
    AND NOT EXISTS (
        SELECT FROM interventions_trackingevent AS event
        WHERE event.delivery_id = delivery.id AND event.retry_at IS NOT NULL
    )
    AND NOT EXISTS (
        SELECT FROM activity_enrollment AS enrollment
        JOIN activity_course AS course ON course.id = enrollment.course_id
        WHERE enrollment.id = delivery.enrollment_id AND course.clock_stopped_at IS NOT NULL
    )
"""
_SOURCE = Source(
    table="interventions_delivery",
    alias="delivery",
    written="planned_at",
    month_of="finished_at",
    is_ready=_IS_READY,
)
_LOOK = _SOURCE.look
# One statement, so there is no instant at which a message is in both places or in neither. A report
# that is stored at the same moment breaks the transaction by its foreign key. The next beat tries
# again.
_MOVE = f"""
{_SOURCE.take}, sent AS (
    DELETE FROM interventions_sentmessage AS sent USING locked
    WHERE sent.delivery_id = locked.id RETURNING sent.*
), receipt AS (
    DELETE FROM interventions_receipt AS receipt USING locked
    WHERE receipt.delivery_id = locked.id RETURNING receipt.*
), event AS (
    DELETE FROM interventions_trackingevent AS event USING locked
    WHERE event.delivery_id = locked.id RETURNING event.*
), task AS (
    DELETE FROM interventions_instructortask AS task USING locked
    WHERE task.delivery_id = locked.id RETURNING task.*
), shown AS (
    DELETE FROM interventions_inappmessage AS shown USING locked
    WHERE shown.delivery_id = locked.id RETURNING shown.*
), kept AS (
    INSERT INTO interventions_archiveddelivery ({_COLUMNS}, {_RECEIPT})
    SELECT {", ".join(f"gone.{name.strip()}" for name in _COLUMNS.split(","))}, {_RECEIPT}
    FROM gone LEFT JOIN receipt ON receipt.delivery_id = gone.id
    ORDER BY gone.id
), traced AS (
    INSERT INTO interventions_archivedtrace (delivery_id, enrollment_id, finished_at, trace,
        address, message_id, provider_id, sent, reports, task, in_app)
    SELECT gone.id, gone.enrollment_id, gone.finished_at, gone.trace, gone.address, gone.message_id,
        gone.provider_id, to_jsonb(sent), reported.events, to_jsonb(task), to_jsonb(shown)
    FROM gone
    LEFT JOIN sent ON sent.delivery_id = gone.id
    LEFT JOIN (
        SELECT delivery_id, jsonb_agg(to_jsonb(event) ORDER BY event.id) AS events
        FROM event GROUP BY delivery_id
    ) AS reported ON reported.delivery_id = gone.id
    LEFT JOIN task ON task.delivery_id = gone.id
    LEFT JOIN shown ON shown.delivery_id = gone.id
    ORDER BY gone.id
)
SELECT count(*) FROM gone
"""  # noqa: S608


def old_messages(*, before: datetime, now: datetime) -> Move:
    """Return how messages move that ended before the instant. One query."""
    values: dict[str, Any] = {
        "before": before,
        "now": now,
        # What a cap could still count, if its longest window began now.
        "counted_since": min(before, now - longest_horizon()),
        "ended": [str(state) for state in ENDED],
    }
    return Move(
        (ARCHIVED_DELIVERIES, ARCHIVED_TRACES),
        lambda after: look_with(_LOOK, values, after=after),
        lambda ids: move_with(_MOVE, values, ids),
    )
