"""Say what became of a message, or when it will go out and what would have to change."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from activity.access import Viewer
from activity.models import Learner
from common.dates import instant_text
from interventions.models import (
    Cadence,
    CadenceStatus,
    Delivery,
    DeliveryState,
    Run,
    Step,
    Trigger,
)
from interventions.policy.decision import Defer, Reason
from interventions.policy.words import words_of
from interventions.queries.expected_messages import (
    CapUse,
    Waiting,
    used_up_at,
    waiting_messages,
)
from interventions.render.names import first_name
from segmentation.models import SegmentStatus
from segmentation.rules import RuleError, explain, parse

_ENDED = {
    DeliveryState.CLAIMED: "is being sent since {at}.",
    DeliveryState.HANDED_OFF: "was sent on {at}.",
    DeliveryState.DELIVERED: "was delivered on {at}.",
    DeliveryState.BOUNCED: "was sent on {at} and came back.",
    DeliveryState.COMPLAINED: "was sent on {at} and marked as spam.",
    DeliveryState.IN_DOUBT: "was sent on {at}, but nobody knows whether it was accepted.",
    DeliveryState.GHOST: "was not sent, because {control}. It would have gone out on {at}.",
    DeliveryState.DROPPED: "was not sent, because {because}. That was decided on {at}.",
    DeliveryState.EXPIRED: "was not sent. It waited until {at}, because {because}.",
    DeliveryState.FAILED: "was not sent, because {because}. That was on {at}.",
}

_DOUBT = (
    "So that no learner gets it twice, it waits for an answer. Look for {id} in the log of the "
    "mail server, or ask whoever runs it. Then say with the buttons on the page of the message "
    "whether it was accepted. Until then, caps count it."
)
_NEVER = "will not be sent, because the clock of this simulated course stands still."


def message_sentences(delivery: Delivery, *, viewer: Viewer, now: datetime) -> list[str]:
    """Return what became of the message, or when it will go out, and what would change that.

    At most five queries. What the sentences name must be loaded (`learner_messages.RELATED`).
    """
    zone, name = delivery.enrollment.course.time_zone, name_of(delivery.learner)
    if delivery.state != DeliveryState.PLANNED:
        return list(ended_sentences(delivery, viewer=viewer, zone=zone, now=now))
    waiting = waiting_messages(delivery.learner, now=now, viewer=viewer)
    found = (each for each in waiting if each.delivery.pk == delivery.pk)
    this = next(found, None)
    if this is None:
        # Only the first messages of a learner are decided on.
        return [f"{message_name(delivery)} waits behind other messages of {name}."]
    return list(waiting_sentences(this, name=name, zone=zone, now=now))


def name_of(learner: Learner) -> str:
    """Return how sentences name the learner."""
    return first_name(learner.name, given=learner.given_name) or learner.external_id


def message_name(delivery: Delivery) -> str:
    """Return the name of the message's template in quotes."""
    return f"“{delivery.step.template.name}”"


def ended_at(delivery: Delivery) -> datetime:
    """Return when the message was sent or ended."""
    return delivery.finished_at or delivery.claimed_at or delivery.planned_at


def ended_sentence(delivery: Delivery, *, zone: str) -> str:
    """Return what became of a message that is no longer planned."""
    # One that was sent counts from its claim. Staff may have resolved a doubt days later.
    at = ended_at(delivery) if delivery.claimed_at is None else delivery.claimed_at
    said = _ENDED[DeliveryState(delivery.state)].format(
        at=instant_text(at, zone=zone),
        because=clause(delivery.reason or "too_old", last_detail(delivery)),
        control=_control(delivery.run),
    )
    return f"{message_name(delivery)} {said}"


def ended_sentences(
    delivery: Delivery, *, viewer: Viewer, zone: str, now: datetime
) -> Iterator[str]:
    """Yield what became of the message, what used up the cap, and what would change it."""
    yield ended_sentence(delivery, zone=zone)
    cap = last_detail(delivery)
    if delivery.reason == Reason.FREQUENCY_CAP and cap:
        at = delivery.finished_at or now
        if used_by := used_up_at(delivery, cap, at=at, viewer=viewer):
            yield used_up_sentence(cap, used_by, zone=zone)
    if delivery.state == DeliveryState.IN_DOUBT:
        yield _DOUBT.format(id=delivery.message_id or delivery.key)
    if change := words_of(delivery.reason).change:
        yield change


def last_detail(delivery: Delivery) -> str:
    """Return the detail of the last decision with a reason: for a cap it is the cap's name."""
    details = [entry.get("detail", "") for entry in delivery.trace if entry.get("reason")]
    return str(details[-1]) if details else ""


def clause(reason: str, detail: str) -> str:
    """Return the reason in words, for a cap with its name."""
    because = words_of(reason).because
    return f"{because}: the cap “{detail}”" if _is_cap(reason) and detail else because


def _is_cap(reason: str) -> bool:
    return reason == Reason.FREQUENCY_CAP


def _control(run: Run) -> str:
    assignment = run.assignment
    if assignment is None:
        return "the learner is in a control arm"
    arm, experiment = assignment.arm, assignment.experiment
    return (
        f"chance put the learner into “{arm.own_name}” of the experiment “{experiment.name}”, which"
        " gets no messages so that both can be compared"
    )


def of_control(message: str, run: Run) -> str:
    """Return that a message of a ghost run is not sent, and why."""
    return f"{message} is not sent, because {_control(run)}."


def waiting_sentences(waiting: Waiting, *, name: str, zone: str, now: datetime) -> Iterator[str]:
    """Yield when the message will go out, what holds it back and what would have to change."""
    if waiting.delivery.ghost:
        # It waits like a message, so that caps do not favor an arm, but it is never handed off.
        yield of_control(message_name(waiting.delivery), waiting.delivery.run)
        return
    if waiting.delivery.enrollment.course.clock_stopped_at is not None:
        yield f"{message_name(waiting.delivery)} {_NEVER}"
        return
    yield f"{message_name(waiting.delivery)} {_outcome(waiting, name, zone, now)}"
    expectation = waiting.expectation
    if expectation.waits and expectation.end is None:
        reasons = dict.fromkeys(clause(each.reason, each.detail) for each in expectation.waits)
        yield f"It waits, because {', and then because '.join(reasons)}."
    if waiting.used_by:
        decisions = [each for each in (*expectation.waits, expectation.end) if each]
        *_, cap = (each.detail for each in decisions if _is_cap(each.reason))
        yield used_up_sentence(cap, waiting.used_by, zone=zone)
    if expectation.end is not None and (change := words_of(expectation.end.reason).change):
        yield change


def _outcome(waiting: Waiting, name: str, zone: str, now: datetime) -> str:
    expectation = waiting.expectation
    if expectation.end is not None:
        verb = "waits" if isinstance(expectation.end, Defer) else "will not be sent"
        return f"{verb}, because {clause(expectation.end.reason, expectation.end.detail)}."
    if expectation.at is None and waiting.delivery.expires_at <= now:
        return "has waited too long and will not be sent."
    if expectation.at is None:
        return f"will expire on {instant_text(waiting.delivery.expires_at, zone=zone)}."
    cadence = waiting.delivery.run.cadence
    only = joined_conditions([*_before_goal(cadence), *_stay(cadence, name)])
    if expectation.at <= now:
        return f"goes out within seconds{only}."
    return f"goes out on {instant_text(expectation.at, zone=zone)}{only}."


def joined_conditions(conditions: Sequence[str]) -> str:
    """Return the conditions as the end of a sentence."""
    return f", if {' and '.join(conditions)} then" if conditions else ""


def _before_goal(cadence: Cadence) -> list[str]:
    """Return the condition that the learner has not reached the goal of the cadence."""
    goal = cadence.goal_rule
    return [] if goal is None else [f"this is not yet true: {_rule(goal)}"]


def _stay(cadence: Cadence, name: str) -> list[str]:
    """Return the condition that the learner has not left the segment of the cadence."""
    leaves = cadence.trigger == Trigger.ENTER and cadence.exit_on_leave
    return [f"{name} is still in {cadence.segment.name}"] if leaves and cadence.segment else []


def used_up_sentence(cap: str, used_by: Sequence[CapUse], *, zone: str) -> str:
    """Return which messages used up the cap, and when, or which will."""
    users = [
        f"{message_name(each.delivery)} on {instant_text(each.at, zone=zone)}" for each in used_by
    ]
    will = "will be" if any(each.is_to_come for each in used_by) else "was"
    return f"The cap “{cap}” {will} used up by {' and '.join(users)}."


def trace_lines(delivery: Delivery, *, zone: str) -> list[str]:
    """Return the decisions on the message in words, the oldest first."""
    return [_traced(entry, zone) for entry in delivery.trace]


def _traced(entry: Mapping[str, Any], zone: str) -> str:
    at = instant_text(datetime.fromisoformat(entry["at"]), zone=zone)
    reason, detail = entry.get("reason", ""), str(entry.get("detail", ""))
    because = f", because {clause(reason, detail)}" if reason else ""
    if "until" in entry:
        until = instant_text(datetime.fromisoformat(entry["until"]), zone=zone)
        return f"{at}: put off until {until}{because}."
    answer = f" Answer: {detail}" if detail and not _is_cap(reason) else ""
    return f"{at}: {DeliveryState(entry['state']).label}{because}.{answer}"


def next_step_sentence(run: Run, *, name: str, zone: str) -> str:
    """Return when the next step of an active run is planned and on which conditions, if any is."""
    step = next((s for s in run.cadence.steps.all() if _is_next(s, run)), None)
    if step is None or run.next_at is None:
        return ""
    message = f"“{step.template.name}” of “{run.cadence.name}”"
    if run.enrollment.course.clock_stopped_at is not None:
        return f"{message} {_NEVER}"
    if not _goes_on(run.cadence):
        return f"{message} will not be sent, because its cadence is not active any more."
    if run.ghost:
        return of_control(message, run)
    conditions = _before_goal(run.cadence)
    if step.condition is not None:
        conditions.append(f"this is true: {_rule(step.condition)}")
    conditions += _stay(run.cadence, name)
    at = instant_text(run.next_at, zone=zone)
    planned = f"{message} is planned for {at}{joined_conditions(conditions)}."
    return planned + _but_held(run, step)


def _but_held(run: Run, step: Step) -> str:
    if run.cadence.paused:
        return " But its cadence is paused."
    asks = step.condition is not None or run.cadence.goal_rule is not None
    if asks and run.enrollment.course.feed_held_since is not None:
        return f" But it waits, because {clause(Reason.FEED_SILENT, '')}."
    return ""


def _is_next(step: Step, run: Run) -> bool:
    # If the step was removed meanwhile, the next one takes its place.
    return run.next_position is not None and step.position >= run.next_position


def _goes_on(cadence: Cadence) -> bool:
    # The run of an archived cadence or segment stays active, but its messages are dropped.
    is_archived = cadence.segment is not None and cadence.segment.status == SegmentStatus.ARCHIVED
    return cadence.status == CadenceStatus.ACTIVE and not is_archived


def _rule(shape: object) -> str:
    try:
        return f"“{explain(parse(shape))}”"
    except RuleError:
        return "a rule that cannot be read"
