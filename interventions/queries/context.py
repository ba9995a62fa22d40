"""The variables of a template for one learner in one course."""

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
WITH assigned AS (
    SELECT item.id, item.kind, item.parent_id, item.position, item.estimated_minutes, item.url,
        COALESCE(NULLIF(item.title, ''), item.key) AS title, progress.last_touched_at,
        progress.first_completed_at IS NULL AS is_open,
        item.due_on IS NULL OR item.due_on >= %(day)s::date - 14 AS is_current
    FROM activity_item AS item
    LEFT JOIN activity_progress AS progress
        ON progress.item_id = item.id AND progress.enrollment_id = %(enrollment)s
    WHERE item.course_id = %(course)s
        AND (item.assigned_on IS NULL OR item.assigned_on <= %(day)s)
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
SELECT modules.completed, modules.total, next.title, next.minutes, next.url,
    (SELECT teacher_email FROM activity_section WHERE id = %(section)s)
FROM modules LEFT JOIN next ON true
"""


def message_context(delivery: Delivery, learner: Learner, *, now: datetime) -> MessageContext:
    """Return the context for the message's template. One query."""
    course = delivery.enrollment.course
    values: dict[str, Any] = {
        "enrollment": delivery.enrollment_id,
        "course": course.pk,
        "section": delivery.enrollment.section_id,
        "day": local_date(now, course.time_zone),
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, values)
        completed, total, title, minutes, url, teacher_email = cursor.fetchone()
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
