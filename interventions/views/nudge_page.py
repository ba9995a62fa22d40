"""What the page of a nudge shows beside its forms. It reads the answers, valid or not."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User

from activity.models import Course, Enrollment
from common.clock import local_date
from experiments.reporting.planning import findings
from interventions.forms.answers import MOST_MESSAGES
from interventions.forms.nudges import NudgeForms, expectation
from interventions.models import Cadence, Nudge
from interventions.operations import MOST_PRESENT
from interventions.policy.durations import DurationError, parse_delay
from interventions.queries.forecast import unsaved_cadence
from interventions.queries.guards import guards_of_kind
from interventions.queries.limits import Limits, read_limits
from interventions.queries.nudge_line import Closed, Plan, Point, closed_parts, line_of
from interventions.queries.nudges import Whom, whom
from interventions.queries.pauses import site_is_paused
from interventions.queries.trials import Trial
from interventions.queries.usual_shares import usual_share_of

HELD = "All messages are held. None goes out before they are released."


@dataclass(frozen=True)
class NudgePage:
    """The parts of the page that follow from the answers."""

    forms: NudgeForms
    nudge: Nudge | None
    viewer: User
    now: datetime
    is_checked: bool = False
    most_present = MOST_PRESENT
    most_messages = MOST_MESSAGES

    @cached_property
    def shown(self) -> NudgeForms:
        """Return the forms as the page shows them."""
        return self.forms.shown(is_checked=self.is_checked)

    @property
    def faults(self) -> list[tuple[str, str]]:
        """Return each fault of a checked page with the id of its field."""
        return [
            (form[name].id_for_label, sentence)
            for form in (self.shown.nudge, *self.shown.messages)
            for name, sentences in form.errors.items()
            for sentence in sentences
        ]

    @property
    def has_segments(self) -> bool:
        """Return whether there is a segment to choose."""
        return bool(self.forms.offered.segments)

    @property
    def points(self) -> list[tuple[int, Point | None]]:
        """Return each message's place, from 0, and its point on the line if there is a line."""
        points: list[Point | None] = [*self.line] or [None] * self.forms.number
        return list(enumerate(points))

    @property
    def line_rows(self) -> list[tuple[Any, int, Point | None]]:
        """Return each message's form with its place and its point on the line."""
        pairs = zip(self.shown.messages, self.points, strict=True)
        return [(form, place, point) for form, (place, point) in pairs]

    @cached_property
    def whom(self) -> Whom | None:
        """Return the chosen segment with its numbers, or None."""
        chosen = self.forms.nudge.chosen
        return whom(chosen, viewer=self.viewer, now=self.now) if chosen else None

    @property
    def lost_segment(self) -> str:
        """Return the name of the saved segment if it can no longer be chosen."""
        kept = self.nudge.segment if self.nudge else None
        return kept.name if kept and not self.forms.nudge.chosen else ""

    @property
    def course(self) -> Course | None:
        """Return the course of the line: of those that send, or else of all, the last to start."""
        courses = self.whom.courses if self.whom else []
        return next((each for each in courses if not _obstacle(each, self.now)), None) or next(
            iter(courses), None
        )

    @property
    def zone(self) -> str:
        """Return the zone in which the page shows its times."""
        return self.course.time_zone if self.course else "UTC"

    @cached_property
    def guards(self) -> list[str]:
        """Return the caps and quiet hours of these messages as sentences."""
        plan = self._plan
        return guards_of_kind(plan.course, plan.category) if plan else []

    @property
    def obstacles(self) -> list[str]:
        """Return why no message would go out in a course, whoever enters the segment."""
        courses = self.whom.courses if self.whom else []
        found = [sentence for course in courses if (sentence := _obstacle(course, self.now))]
        return [HELD, *found] if self.is_held else found

    @property
    def not_live(self) -> list[Course]:
        """Return the courses of the segment that somebody has to take live first."""
        courses = self.whom.courses if self.whom else []
        return [course for course in courses if _not_live(course, self.now)]

    @property
    def too_early(self) -> str:
        """Return why those already in must not be included yet, or an empty text.

        They are started once, at the start of the nudge. In a course that is not live they would
        get nothing, and nothing later either.
        """
        if not self._data.get("include_present") or self.sends or not self.not_live:
            return ""
        return (
            f"Those already in would get nothing, now or later, because {self.not_live[0]} is not"
            " live. Take it live first and start this nudge then."
        )

    @cached_property
    def is_held(self) -> bool:
        """Return whether staff hold all messages."""
        return site_is_paused()

    @property
    def sends(self) -> bool:
        """Return whether messages go out in at least one course of the segment."""
        return self.course is not None and not _obstacle(self.course, self.now)

    @cached_property
    def line(self) -> list[Point]:
        """Return the messages on a line, or nothing while a course or a delay is missing."""
        if self._plan is None:
            return []
        try:
            delays = [parse_delay(text) for text in self._typed_delays()]
        except DurationError:
            return []
        line = line_of(self._plan, delays, now=self.now)
        # Where nothing goes out, an instant would be a promise that nobody keeps.
        is_open = self.sends and not self.is_held
        return list(line) if is_open else [replace(point, at="", note="") for point in line]

    @property
    def quiet_parts(self) -> list[Closed]:
        """Return the quiet hours of a day."""
        return closed_parts(self._plan.quiet_hours) if self._plan else []

    @property
    def closed_parts(self) -> list[Closed]:
        """Return the hours of a day outside the send window."""
        return closed_parts(self._plan.outside_window) if self._plan else []

    @property
    def in_each_half(self) -> int:
        """Return about how many learners are in each half after four weeks; 0 if unknown."""
        present = bool(self._data.get("include_present"))
        return self.whom.in_each_half(with_present=present) if self.whom else 0

    @cached_property
    def findings(self) -> list[str]:
        """Return what these halves could show, if half is to be held back."""
        if self.whom is None or self.course is None or not self._data.get("hold_back"):
            return []
        segment, zone = self.whom.segment, self.course.time_zone
        known = usual_share_of(segment, viewer=self.viewer, zone=zone, now=self.whom.as_of)
        return list(findings(self.in_each_half, known))

    @property
    def expectation(self) -> str:
        """Return the hypothesis that is kept if none is written."""
        return expectation(self.forms.name or "this nudge")

    @property
    def previewed(self) -> Enrollment | None:
        """Return the member as whom the messages are shown: the chosen one, or the first."""
        named = self.whom.named if self.whom else []
        asked = self.forms.answers.get("preview_as", "")
        return next((each for each in named if str(each.pk) == asked), next(iter(named), None))

    def cadence(self) -> Cadence | None:
        """Return the cadence of the answers, as far as they are valid. It is in no table."""
        data, category = self._data, self._data.get("category")
        return category and unsaved_cadence(
            category,
            name=self.forms.name,
            segment=self.forms.nudge.chosen,
            why_now=data.get("why_now", ""),
            window_from=data.get("window_from"),
            window_until=data.get("window_until"),
        )

    def trial(self) -> Trial | None:
        """Return the messages with the facts of the previewed member."""
        title, cadence = self.course.title if self.course else "", self.cadence()
        return Trial(cadence, self.previewed, title, self.now) if cadence else None

    @cached_property
    def limits(self) -> Limits:
        """Return the limits in force. Three queries."""
        return read_limits()

    @cached_property
    def _data(self) -> dict[str, Any]:
        """Return the valid answers."""
        self.forms.nudge.is_valid()
        return self.forms.nudge.cleaned_data

    @cached_property
    def _plan(self) -> Plan | None:
        names = ("category", "window_from", "window_until")
        category, opens, closes = (self._data.get(name) for name in names)
        if self.course is None or category is None:
            return None
        window = (opens, closes) if opens and closes and opens != closes else None
        return Plan(self.course, category, window, self.limits)

    def _typed_delays(self) -> list[str]:
        return [form["delay"].value() or "" for form in self.forms.messages]


def _not_live(course: Course, now: datetime) -> bool:
    goes_later = course.live_since is None or course.live_since > now
    return goes_later and course.clock_stopped_at is None


def _obstacle(course: Course, now: datetime) -> str:
    if course.clock_stopped_at is not None:
        return f"{course} is a simulated course. Its learners get no messages."
    if _not_live(course, now):
        return f"{course} is not live. Its learners get no messages until it is."
    if course.ends_on < local_date(now, course.time_zone):
        return f"{course} is over. Nobody enters its segments any more."
    return ""
