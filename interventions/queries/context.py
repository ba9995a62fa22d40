"""The variables of a template for a learner in a course."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import Learner
from common.clock import local_date
from interventions.models import Delivery
from interventions.render.context import MessageContext, NextItem
from interventions.render.links import LinkOwner, make_token, preferences_url, unsubscribe_url

# The next item is the open module touched last, else the first open module in the course's order.
# "Open" is as in the signal modules_open: until two weeks after the due day. If the module has no
# estimated minutes or URL, those of its first open item are used.
_NEXT = """
SELECT asked.delivery_id, found.*,
    (SELECT teacher_email FROM activity_section WHERE id = asked.section_id)
FROM unnest(%(deliveries)s::bigint[], %(enrollments)s::bigint[], %(courses)s::bigint[],
    %(sections)s::bigint[], %(days)s::date[])
    AS asked (delivery_id, enrollment_id, course_id, section_id, day)
CROSS JOIN LATERAL (
    WITH assigned AS (
        SELECT item.id, item.kind, item.parent_id, item.position, item.estimated_minutes, item.url,
            COALESCE(NULLIF(item.title, ''), item.key) AS title, progress.last_touched_at,
            progress.first_completed_at IS NULL AS is_open,
            item.due_on IS NULL OR item.due_on >= asked.day - 14 AS is_current
        FROM activity_item AS item
        LEFT JOIN activity_progress AS progress
            ON progress.item_id = item.id AND progress.enrollment_id = asked.enrollment_id
        WHERE item.course_id = asked.course_id
            AND (item.assigned_on IS NULL OR item.assigned_on <= asked.day)
    ), modules AS (
        SELECT count(*) FILTER (WHERE NOT is_open) AS completed, count(*) AS total
        FROM assigned WHERE kind = 'module'
    ), next AS (
        SELECT module.title,
            COALESCE(module.estimated_minutes, first.estimated_minutes) AS minutes,
            COALESCE(NULLIF(module.url, ''), first.url, '') AS url
        FROM assigned AS module
        LEFT JOIN LATERAL (
            SELECT estimated_minutes, url FROM assigned AS child
            WHERE child.parent_id = module.id AND child.is_open
            ORDER BY child.position, child.id LIMIT 1
        ) AS first ON true
        WHERE module.kind = 'module' AND module.is_open AND module.is_current
        ORDER BY module.last_touched_at DESC NULLS LAST, module.position, module.id LIMIT 1
    )
    SELECT modules.completed, modules.total, next.title, next.minutes, next.url
    FROM modules LEFT JOIN next ON true
) AS found
"""


def message_context(delivery: Delivery, learner: Learner, *, now: datetime) -> MessageContext:
    """Return the context for the message's template. One query."""
    return message_contexts([(delivery, learner)], now=now)[delivery.pk]


def message_contexts(
    asked: Iterable[tuple[Delivery, Learner]], *, now: datetime
) -> Mapping[int | None, MessageContext]:
    """Return the contexts for the templates of messages by the id of the message. One query.

    Each message comes with its learner. A message that is not saved has the id None.
    """
    messages = {delivery.pk: (delivery, learner) for delivery, learner in asked}
    if not messages:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, _values([each for each, _ in messages.values()], now))
        return {pk: _context(*messages[pk], facts) for pk, *facts in cursor.fetchall()}


def _values(deliveries: list[Delivery], now: datetime) -> dict[str, Any]:
    return {
        "deliveries": [each.pk for each in deliveries],
        "enrollments": [each.enrollment_id for each in deliveries],
        "courses": [each.enrollment.course_id for each in deliveries],
        "sections": [each.enrollment.section_id for each in deliveries],
        "days": [local_date(now, each.enrollment.course.time_zone) for each in deliveries],
    }


def _context(delivery: Delivery, learner: Learner, facts: list[Any]) -> MessageContext:
    completed, total, title, minutes, url, teacher_email = facts
    course = delivery.enrollment.course
    token = make_token(LinkOwner(learner.pk, delivery.enrollment_id, delivery.key))
    return MessageContext(
        learner_name=learner.name,
        course_title=course.title,
        modules_completed=completed,
        modules_total=total,
        next_item=None if title is None else NextItem(title, minutes, url),
        unsubscribe_url=unsubscribe_url(token),
        preferences_url=preferences_url(token),
        given_name=learner.given_name,
        reason=delivery.run.cadence.why_now,
        reply_to=teacher_email or course.contact_email or "",
    )
