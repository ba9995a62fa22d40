"""The variables of a template for a learner in a course."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import Learner
from common.clock import local_date
from interventions.models import Delivery
from interventions.queries.recommendation import Ask, recommend
from interventions.render.context import MessageContext, NextItem
from interventions.render.links import LinkOwner, make_token, preferences_url, unsubscribe_url

_STANDING = """
SELECT asked.delivery_id, modules.*,
    (SELECT teacher_email FROM activity_section WHERE id = asked.section_id)
FROM unnest(%(deliveries)s::bigint[], %(enrollments)s::bigint[], %(courses)s::bigint[],
    %(sections)s::bigint[], %(days)s::date[])
    AS asked (delivery_id, enrollment_id, course_id, section_id, day)
CROSS JOIN LATERAL (
    SELECT count(progress.first_completed_at) AS completed, count(*) AS total
    FROM activity_item AS item
    LEFT JOIN activity_progress AS progress
        ON progress.item_id = item.id AND progress.enrollment_id = asked.enrollment_id
    WHERE item.course_id = asked.course_id AND item.kind = 'module'
        AND (item.assigned_on IS NULL OR item.assigned_on <= asked.day)
) AS modules
"""


def message_context(delivery: Delivery, learner: Learner, *, now: datetime) -> MessageContext:
    """Return the context for the message's template. Two queries."""
    return message_contexts([(delivery, learner)], now=now)[delivery.pk]


def message_contexts(
    asked: Iterable[tuple[Delivery, Learner]], *, now: datetime
) -> Mapping[int | None, MessageContext]:
    """Return the contexts for the templates of messages by the id of the message. Two queries.

    Each message comes with its learner. A message that is not saved has the id None.
    """
    messages = {delivery.pk: (delivery, learner) for delivery, learner in asked}
    if not messages:
        return {}
    deliveries = [delivery for delivery, _ in messages.values()]
    asks = {each.pk: _ask(each, now) for each in deliveries}
    answers = recommend(list(asks.values()), now=now)
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, _values(deliveries, asks))
        return {
            pk: _context(*messages[pk], answers[asks[pk]], facts)
            for pk, *facts in cursor.fetchall()
        }


def _ask(delivery: Delivery, now: datetime) -> Ask:
    course = delivery.enrollment.course
    return Ask(
        enrollment_id=delivery.enrollment_id,
        course_id=course.pk,
        segment_id=delivery.run.cadence.segment_id,
        day=local_date(now, course.time_zone),
    )


def _values(deliveries: list[Delivery], asks: Mapping[int, Ask]) -> dict[str, Any]:
    return {
        "deliveries": [each.pk for each in deliveries],
        "enrollments": [each.enrollment_id for each in deliveries],
        "courses": [each.enrollment.course_id for each in deliveries],
        "sections": [each.enrollment.section_id for each in deliveries],
        "days": [asks[each.pk].day for each in deliveries],
    }


def _context(
    delivery: Delivery, learner: Learner, next_item: NextItem | None, facts: list[Any]
) -> MessageContext:
    completed, total, teacher_email = facts
    course = delivery.enrollment.course
    token = make_token(LinkOwner(learner.pk, delivery.enrollment_id, delivery.key))
    return MessageContext(
        learner_name=learner.name,
        course_title=course.title,
        modules_completed=completed,
        modules_total=total,
        next_item=next_item,
        unsubscribe_url=unsubscribe_url(token),
        preferences_url=preferences_url(token),
        given_name=learner.given_name,
        reason=delivery.run.cadence.why_now,
        reply_to=teacher_email or course.contact_email or "",
    )
