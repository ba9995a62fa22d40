"""Answer in one or two sentences why a learner gets no message, or which one comes next."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from activity.access import Viewer
from activity.models import Enrollment
from common.dates import instant_text
from config.views.learner.starts import entry_sentences
from interventions.models import Delivery, Run
from interventions.policy.decision import Reason
from interventions.policy.words import words_of
from interventions.queries.expected_messages import Waiting
from interventions.queries.reach import barrier_of
from interventions.sentences import (
    ended_sentence,
    ended_sentences,
    next_step_sentence,
    waiting_sentences,
)
from segmentation.models import Transition


@dataclass(frozen=True)
class Situation:
    """What the answer depends on, for one enrollment."""

    enrollment: Enrollment
    name: str
    now: datetime
    viewer: Viewer
    waiting: list[Waiting]
    last: Delivery | None
    runs: list[Run]
    entry: Transition | None

    @property
    def zone(self) -> str:
        return self.enrollment.course.time_zone


def answer(situation: Situation) -> list[str]:
    """Return the answer for the most recent reason."""
    return next(said for find in ANSWERS if (said := list(find(situation))))


def _waits(one: Situation) -> Iterator[str]:
    if one.waiting:
        yield from waiting_sentences(one.waiting[0], name=one.name, zone=one.zone, now=one.now)


def _is_gone(one: Situation) -> Iterator[str]:
    for at, did in (
        (one.enrollment.withdrew_at, "left"),
        (one.enrollment.completed_at, "completed"),
    ):
        if at is not None and at <= one.now:
            yield f"{one.name} {did} the course on {instant_text(at, zone=one.zone)}."
            return


_OUT_OF_REACH = {
    Reason.NO_ADDRESS: "{name} has no address, so no message can be sent.",
    Reason.SUPPRESSED: "The address of {name} gets no messages since {since}: one bounced for good,"
    " or was marked as spam.",
    Reason.OPTED_OUT: "{name} has wanted no messages since {since}.",
}


def _is_out_of_reach(one: Situation) -> Iterator[str]:
    barrier = barrier_of(one.enrollment.learner)
    if barrier is not None:
        since = instant_text(barrier.since, zone=one.zone) if barrier.since else ""
        yield _OUT_OF_REACH[barrier.reason].format(name=one.name, since=since)
        if change := words_of(barrier.reason).change:
            yield change


def _is_planned(one: Situation) -> Iterator[str]:
    for run in one.runs:
        sentence = next_step_sentence(run, name=one.name, zone=one.zone)
        if sentence:
            yield sentence
            return


def _ended(one: Situation) -> Iterator[str]:
    last = one.last
    if last is None or _entered_later(one, last):
        return
    yield from ended_sentences(last, viewer=one.viewer, zone=one.zone, now=one.now)
    yield "No other message is planned."


def _entered_later(one: Situation, last: Delivery) -> bool:
    ended = last.finished_at or last.claimed_at or last.planned_at
    return one.entry is not None and one.entry.occurred_at > ended


def _is_not_live(one: Situation) -> Iterator[str]:
    course = one.enrollment.course
    is_live = course.live_since is not None and course.live_since <= one.now
    if not is_live and course.clock_stopped_at is None:
        yield "The course is not live, so no learner gets messages."


def _started_nothing(one: Situation) -> Iterator[str]:
    entry = one.entry
    if entry is None:
        yield f"{one.name} has entered no segment yet, and messages start from segments."
        return
    yield from entry_sentences(entry, name=one.name, zone=one.zone)
    if one.last is not None:
        yield f"Before that, {ended_sentence(one.last, zone=one.zone)}"


# The first that has something to say answers.
ANSWERS: tuple[Callable[[Situation], Iterator[str]], ...] = (
    _waits,
    _is_gone,
    _is_out_of_reach,
    _is_planned,
    _ended,
    _is_not_live,
    _started_nothing,
)
