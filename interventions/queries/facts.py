"""The facts that the policy needs about learners' messages, read in one query for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

from activity.models import Learner
from common.addresses import comparable
from common.database import as_array, preparing_cursor
from interventions.channels import CHANNELS
from interventions.models import CadenceStatus, Delivery, RunStatus
from interventions.policy.caps import Counted, Message
from interventions.policy.consent import ConsentStatement, is_wanted, latest_statement
from interventions.policy.decision import PASSING, Facts
from interventions.queries.arms import capped_arms
from interventions.queries.holds import hold_of, learner_paused
from interventions.queries.limits import Limits
from interventions.queries.runs import is_over
from interventions.queries.tasks import CONVERSATION_ENDS, in_conversation
from segmentation.models import SegmentStatus

# A row per learner. Subqueries about a learner are looked up one by one in their indexes: for joins
# the planner would read whole tables. The others are the same in each row and are read once.
_SITUATIONS = f"""
SELECT
    asked.learner_id,
    COALESCE((SELECT paused FROM interventions_sitepause), false),
    {learner_paused("asked.learner_id")},
    {in_conversation("asked.learner_id")},
    ARRAY(SELECT address FROM interventions_suppression WHERE address = ANY(%(addresses)s)),
    ARRAY(
        SELECT enrollment_id FROM activity_due
        WHERE enrollment_id = ANY(%(enrollments)s::bigint[]) AND due_at <= %(now)s
        UNION
        SELECT enrollment_id FROM segmentation_transition
        WHERE enrollment_id = ANY(%(enrollments)s::bigint[]) AND processed_at IS NULL
    ),
    (
        SELECT json_agg(json_build_array(waiting.priority, waiting.channel, waiting.category_id,
            enrollment.course_id, waiting.learner_id, waiting.ghost))
        FROM interventions_delivery AS waiting
        JOIN activity_enrollment AS enrollment ON enrollment.id = waiting.enrollment_id
        WHERE waiting.learner_id = asked.learner_id AND waiting.state = 'planned'
            AND waiting.send_at > %(now)s AND waiting.reason = ANY(%(passing)s)
    ),
    (
        SELECT json_agg(json_build_array(counted.channel, counted.category_id,
            enrollment.course_id, counted.learner_id, counted.ghost, counted.claimed_at,
            counted.id))
        FROM interventions_delivery AS counted
        JOIN activity_enrollment AS enrollment ON enrollment.id = counted.enrollment_id
        WHERE (
            counted.learner_id = ANY(ARRAY(
                SELECT id FROM activity_learner WHERE lower(email) = asked.mailbox
                UNION ALL SELECT asked.learner_id
            )) OR lower(counted.address) = asked.mailbox
        )
            AND counted.claimed_at > %(since)s
    ),
    (
        SELECT json_agg(json_build_array(category_id, state = 'in', changed_at,
            mailbox <> COALESCE(asked.mailbox, '')) ORDER BY id)
        FROM interventions_consent
        WHERE learner_id = asked.learner_id OR mailbox = asked.mailbox
    )
FROM unnest(%(learners)s::bigint[], %(mailboxes)s::text[]) AS asked (learner_id, mailbox)
"""  # noqa: S608


@dataclass(frozen=True)
class Asked:
    """A learner with addresses by channel, and the enrollments of the messages to decide on."""

    learner: Learner
    addresses: Mapping[str, str]
    enrollment_ids: Sequence[int] = ()

    @property
    def mailbox(self) -> str | None:
        """Return the learner's mailbox, or None without an address."""
        return comparable(self.learner.email or "") or None


@dataclass(frozen=True)
class Situation:
    """The facts that all messages of a learner share at one instant."""

    site_paused: bool
    learner_paused: bool
    in_conversation: bool
    # By channel; empty if the channel cannot reach the learner.
    addresses: Mapping[str, str]
    suppressed: frozenset[str]
    evaluation_pending: frozenset[int]
    words: tuple[ConsentStatement, ...]
    counted: list[Counted]
    # Messages that wait for a PASSING reason, with their priority. They keep their place.
    waiting: list[tuple[int, Message]]
    # By enrollment: its arms that have a cap of their own.
    arms: Mapping[int, frozenset[int]] = field(default_factory=dict)

    @property
    def is_held(self) -> bool:
        """Return whether a person must lift a hold before anything goes to the learner."""
        return self.site_paused or self.learner_paused


def read_situation(
    learner: Learner,
    enrollment_ids: Sequence[int],
    addresses: Mapping[str, str],
    *,
    limits: Limits,
    now: datetime,
) -> Situation:
    """Return the learner's situation. One query. `addresses` are by channel."""
    asked = Asked(learner, addresses, enrollment_ids)
    return situations_of([asked], limits=limits, now=now)[learner.pk]


def situations_of(
    asked: Sequence[Asked], *, limits: Limits, now: datetime
) -> Mapping[int, Situation]:
    """Return the situations by learner id. It takes one query, because every claim needs it.

    Another one reads the arms of the learners if there are caps of arms.
    """
    by_id = {each.learner.pk: each for each in asked}
    values: dict[str, Any] = {
        "learners": as_array(by_id),
        "mailboxes": [each.mailbox for each in asked],
        "addresses": sorted({comparable(at) for each in asked for at in each.addresses.values()}),
        "enrollments": as_array(chain.from_iterable(each.enrollment_ids for each in asked)),
        "passing": [str(reason) for reason in PASSING],
        "now": now,
        "talking_since": now - CONVERSATION_ENDS,
        # Caps count messages to the learner, to all who share the mailbox now, whatever the
        # channel, and to the mailbox itself.
        "since": now - limits.horizon,
    }
    arms = capped_arms(list(by_id), limits=limits)
    with preparing_cursor() as cursor:
        cursor.execute(_SITUATIONS, values)
        return {pk: _situation(by_id[pk], arms, *row) for pk, *row in cursor.fetchall()}


def _situation(asked: Asked, arms: Mapping[int, frozenset[int]], *row: Any) -> Situation:
    site_paused, held, talking, suppressed, pending, waiting, counted, words = row
    return Situation(
        site_paused=site_paused,
        learner_paused=held,
        in_conversation=talking,
        addresses=asked.addresses,
        suppressed=frozenset(suppressed),
        evaluation_pending=frozenset(pending),
        words=tuple(_statement(*each) for each in words or ()),
        counted=[_counted(*each) for each in counted or ()],
        waiting=[(priority, Message(*message)) for priority, *message in waiting or ()],
        arms=arms,
    )


def _statement(category_id: int | None, wants: bool, at: str, elsewhere: bool) -> ConsentStatement:
    return ConsentStatement(category_id, wants, datetime.fromisoformat(at), elsewhere)


def message_of(delivery: Delivery) -> Message:
    """Return the properties of the message that caps depend on."""
    return Message(
        delivery.channel,
        delivery.category_id,
        delivery.enrollment.course_id,
        delivery.learner_id,
        delivery.ghost,
    )


def facts_of(
    delivery: Delivery, learner: Learner, situation: Situation, *, limits: Limits, now: datetime
) -> Facts:
    """Return the facts of one message from loaded rows. No query."""
    course, cadence = delivery.enrollment.course, delivery.run.cadence
    message = message_of(delivery)
    address = situation.addresses[delivery.channel]
    route = limits.route_of(delivery.channel, course.pk)
    opted_out, not_opted_in = _consent(delivery, situation.words)
    withdrew_at = delivery.enrollment.withdrew_at
    return Facts(
        message=message,
        zone=learner.time_zone or course.time_zone,
        withdrawn=withdrew_at is not None and withdrew_at <= now,
        run_ended=_has_ended(delivery),
        course_over=is_over(cadence, delivery.enrollment, now=now),
        # Else a text for instructors would be mailed to the learner.
        channel_changed=delivery.channel != delivery.step.channel,
        opted_out=opted_out,
        not_opted_in=not_opted_in,
        suppressed=comparable(address) in situation.suppressed,
        no_address=not address,
        held_out=""
        if delivery.category.required
        else limits.holdout_of(learner.pk, course.pk, now=now),
        held=hold_of(
            delivery,
            site_paused=situation.site_paused,
            learner_paused=situation.learner_paused,
            now=now,
        ),
        not_set_up=route is None,
        down_until=route.down_until if route else None,
        conversation_open=situation.in_conversation and CHANNELS[delivery.channel].is_mail,
        quiet_hours=limits.quiet_hours_of(course.pk) if delivery.category.quiet else None,
        send_window=cadence.send_window,
        evaluation_pending=delivery.enrollment_id in situation.evaluation_pending,
        once_for_all_courses=delivery.category.once_for_all_courses,
        caps=limits.caps_of(
            message,
            arms=situation.arms.get(delivery.enrollment_id, frozenset()),
            is_capped=delivery.category.capped,
        ),
        # A message that is sent again replaces its earlier copy, so that copy does not count.
        counted=tuple(each for each in situation.counted if each.delivery_id != delivery.pk),
        ahead=tuple(
            waiting for priority, waiting in situation.waiting if priority < delivery.priority
        ),
    )


def _counted(*row: Any) -> Counted:
    *message, at, delivery_id = row
    # JSON has no instants. PostgreSQL writes them as text with all digits and an offset.
    return Counted(Message(*message), datetime.fromisoformat(at), delivery_id)


def _consent(delivery: Delivery, words: Sequence[ConsentStatement]) -> tuple[bool, bool]:
    category = delivery.category
    word = latest_statement(category.pk, words)
    opted_out = word is not None and not word.wants
    wanted = is_wanted(category.pk, words, needs_opt_in=category.needs_opt_in)
    return opted_out, not wanted and not opted_out


def _has_ended(delivery: Delivery) -> bool:
    # The planned messages of a finished run still go out.
    cadence = delivery.run.cadence
    segment = cadence.segment
    return (
        delivery.run.status == RunStatus.EXITED
        or cadence.status != CadenceStatus.ACTIVE
        or (segment is not None and segment.status == SegmentStatus.ARCHIVED)
    )
