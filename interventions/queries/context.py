"""The variables of a template for a learner in a course."""

# Every value is bound; only constants are put into the text.
# ruff: noqa: S608

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from activity.models import Learner
from common.clock import local_date
from common.database import as_array, preparing_cursor
from interventions.models import Delivery, Trigger
from interventions.queries.recommendation import HERE, Ask, recommend
from interventions.render.context import MessageContext, NextItem
from interventions.render.links import LinkOwner, make_token, preferences_url, unsubscribe_url
from interventions.render.still_true import Entry, still_true
from interventions.render.why import ModuleFacts

_STANDING = f"""
SELECT asked.delivery_id, modules.*, here.title, within.videos, within.has_untried_quiz,
    section.teacher, section.teacher_email, entry.signals::text, entry.entered_at,
    latest.act_at, latest.attempt_at
FROM unnest(%(deliveries)s::bigint[], %(enrollments)s::bigint[], %(courses)s::bigint[],
    %(sections)s::bigint[], %(segments)s::bigint[], %(days)s::date[])
    AS asked (delivery_id, enrollment_id, course_id, section_id, segment_id, day)
LEFT JOIN activity_section AS section ON section.id = asked.section_id
LEFT JOIN LATERAL (
    SELECT signals, entered_at FROM segmentation_membership AS membership
    WHERE membership.enrollment_id = asked.enrollment_id
        AND membership.segment_id = asked.segment_id
    ORDER BY membership.entered_at DESC LIMIT 1
) AS entry ON true
CROSS JOIN LATERAL (
    SELECT max(last_act_at) AS act_at, max(last_attempt_at) AS attempt_at
    FROM activity_dailyactivity WHERE enrollment_id = asked.enrollment_id
) AS latest
LEFT JOIN LATERAL ({HERE}) AS here ON true
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE item.kind = 'video' AND progress.last_touched_at IS NOT NULL)
            AS videos,
        -- Of two quizzes, a message could not say which one it means.
        count(*) FILTER (WHERE item.kind = 'quiz') = 1
            AND bool_and(COALESCE(progress.attempts, 0) = 0
                AND progress.first_completed_at IS NULL) FILTER (WHERE item.kind = 'quiz')
            AS has_untried_quiz
    FROM activity_item AS item
    LEFT JOIN activity_progress AS progress
        ON progress.item_id = item.id AND progress.enrollment_id = asked.enrollment_id
    WHERE item.parent_id = here.id
        AND (item.assigned_on IS NULL OR item.assigned_on <= asked.day)
) AS within
CROSS JOIN LATERAL (
    SELECT count(progress.first_completed_at) AS completed, count(*) AS total
    FROM activity_item AS item
    LEFT JOIN activity_progress AS progress
        ON progress.item_id = item.id AND progress.enrollment_id = asked.enrollment_id
    WHERE item.course_id = asked.course_id AND item.kind = 'module'
        AND (item.assigned_on IS NULL OR item.assigned_on <= asked.day)
) AS modules
"""


@dataclass(frozen=True)
class _Facts:
    """A row of the statement."""

    completed: int
    total: int
    module_title: str | None
    videos: int
    has_untried_quiz: bool | None
    teacher: str | None
    teacher_email: str | None
    signals: str | None
    entered_at: datetime | None
    last_act_at: datetime | None
    last_attempt_at: datetime | None

    @property
    def module(self) -> ModuleFacts | None:
        """Return what the learner did in the open module, if there is one."""
        if self.module_title is None:
            return None
        return ModuleFacts(self.module_title, self.videos, bool(self.has_untried_quiz))

    def signals_now(self, now: datetime, zone: str) -> dict[str, Any]:
        """Return those signals of the entry that still hold."""
        if self.entered_at is None:
            return {}
        entry = Entry(self.entered_at, self.last_act_at, self.last_attempt_at)
        return still_true(json.loads(self.signals or "{}"), entry, now=now, zone=zone)


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
    with preparing_cursor() as cursor:
        cursor.execute(_STANDING, _values(deliveries, asks))
        return {
            pk: _context(*messages[pk], answers[asks[pk]], _Facts(*facts), now)
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
        "deliveries": as_array(each.pk for each in deliveries),
        "enrollments": as_array(each.enrollment_id for each in deliveries),
        "courses": as_array(each.enrollment.course_id for each in deliveries),
        "sections": as_array(each.enrollment.section_id for each in deliveries),
        "segments": as_array(_entered_segment(each) for each in deliveries),
        "days": [asks[each.pk].day for each in deliveries],
    }


def _entered_segment(delivery: Delivery) -> int | None:
    """Return the segment whose entry caused the message, or None for another cause."""
    cadence = delivery.run.cadence
    return cadence.segment_id if cadence.trigger == Trigger.ENTER else None


def _context(
    delivery: Delivery,
    learner: Learner,
    next_item: NextItem | None,
    facts: _Facts,
    now: datetime,
) -> MessageContext:
    course = delivery.enrollment.course
    token = make_token(LinkOwner(learner.pk, delivery.enrollment_id, delivery.key))
    return MessageContext(
        learner_name=learner.name,
        course_title=course.title,
        modules_completed=facts.completed,
        modules_total=facts.total,
        next_item=next_item,
        unsubscribe_url=unsubscribe_url(token),
        preferences_url=preferences_url(token),
        given_name=learner.given_name,
        reason=delivery.run.cadence.why_now,
        reason_locale=course.locale,
        reply_to=facts.teacher_email or course.contact_email or "",
        course_url=course.url,
        teacher_name=facts.teacher or "",
        signals=facts.signals_now(now, course.time_zone),
        module=facts.module,
    )
