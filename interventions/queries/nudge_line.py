"""The line of a nudge's messages for a learner who enters now, as the policy would place them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from activity.models import Course
from common.dates import instant_text
from interventions.models import DEFAULT_MAX_AGE, Category, Channel
from interventions.policy.caps import Counted, Message, covers
from interventions.policy.decision import Facts, Reason
from interventions.policy.durations import delay_in_words, later
from interventions.policy.expectation import Expectation, expect
from interventions.policy.hours import ClosedHours, outside
from interventions.policy.windows import SendWindow
from interventions.queries.limits import Limits

MINUTES = 24 * 60
NEVER = "never"
_WAITS = {
    Reason.QUIET_HOURS: "after the quiet hours",
    Reason.SEND_WINDOW: "when your hours begin",
    Reason.FREQUENCY_CAP: "because of a frequency cap",
}


@dataclass(frozen=True)
class Point:
    """One message on the line, in words. `note` says why it comes later than planned.

    `at` is empty where no message goes out.
    """

    number: int
    delay: str
    at: str
    note: str


@dataclass(frozen=True)
class Closed:
    """A stretch of the day without messages, in minutes from midnight."""

    begins: int
    length: int


@dataclass(frozen=True)
class Plan:
    """What places the messages: the course, their kind, the send window and the limits."""

    course: Course
    category: Category
    window: tuple[time, time] | None
    limits: Limits

    @property
    def quiet_hours(self) -> ClosedHours | None:
        """Return the quiet hours that apply to this kind of message."""
        return self.limits.quiet_hours_of(self.course.pk) if self.category.quiet else None

    @property
    def outside_window(self) -> ClosedHours | None:
        """Return the hours outside the send window."""
        return outside(*self.window) if self.window else None

    def facts(self, counted: Iterable[Counted]) -> Facts:
        """Return the facts of a message to a learner without any other messages."""
        message = self.message
        caps = [cap for cap in self.limits.caps if self.category.capped and covers(cap, message)]
        return Facts(
            message=message,
            zone=self.course.time_zone,
            quiet_hours=self.quiet_hours,
            send_window=SendWindow(*self.window) if self.window else None,
            caps=tuple(caps),
            counted=tuple(counted),
        )

    @property
    def message(self) -> Message:
        """Return what caps see of a message."""
        return Message(Channel.EMAIL, self.category.pk, self.course.pk)


def line_of(plan: Plan, delays: Sequence[timedelta], *, now: datetime) -> Iterator[Point]:
    """Yield the messages to a learner in the course's zone who enters now. No query."""
    planned_at, counted = now, list[Counted]()
    for number, delay in enumerate(delays, start=1):
        planned_at = later(planned_at, delay, zone=plan.course.time_zone)
        expires_at = later(planned_at, DEFAULT_MAX_AGE, zone=plan.course.time_zone)
        facts = plan.facts(counted)
        found = expect(facts, send_at=planned_at, expires_at=expires_at)
        if found.at is not None:
            counted.append(Counted(plan.message, found.at))
        yield Point(number, delay_in_words(delay), _when(found, plan), _why_later(found))


def closed_parts(closed: ClosedHours | None) -> list[Closed]:
    """Return the stretches of a day from midnight to midnight, two if they run over midnight."""
    if closed is None:
        return []
    begins, ends = _minutes(closed.begins), _minutes(closed.ends)
    if begins < ends:
        return [Closed(begins, ends - begins)]
    return [Closed(0, ends), Closed(begins, MINUTES - begins)]


def _when(found: Expectation, plan: Plan) -> str:
    return instant_text(found.at, zone=plan.course.time_zone) if found.at else NEVER


def _why_later(found: Expectation) -> str:
    if found.at is None:
        return "a frequency cap would drop it" if found.end else "it would wait too long"
    reasons = dict.fromkeys(wait.reason for wait in found.waits)
    return " and ".join(_WAITS[reason] for reason in reasons if reason in _WAITS)


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute
