"""What a page says about an experiment and about a course in one sentence."""

from datetime import datetime

from activity.models import Course
from common.clock import local_date
from common.dates import in_zone, instant_text
from experiments.protocol import ProtocolError, read_protocol
from experiments.queries import Beginning
from experiments.reporting.facts import all_clocks_stopped, first_result_at, shared_zone
from experiments.reporting.text import hindrances


def result_sentence(beginning: Beginning, *, now: datetime) -> str:
    """Return when the first result comes, what it waits for, or that the report has the answer."""
    said = f"“{beginning.name}” runs."
    try:
        metrics = read_protocol(beginning.experiment.protocol).chosen_metrics()
    except ProtocolError:
        return f"The report of “{beginning.name}” cannot be read."
    first = first_result_at(beginning.starts, window=min(each.window for each in metrics))
    if first is None:
        return f"{said} {_waits_for(beginning)}"
    if all_clocks_stopped(beginning.courses):
        return f"{said} {_of_stopped(beginning, first)}"
    if now < first:
        at = instant_text(first, zone=shared_zone(each.time_zone for each in beginning.courses))
        return f"{said} Its first result comes on {at}."
    return f"{said} Its report says what was found so far."


def _waits_for(beginning: Beginning) -> str:
    """Return what must happen before there can be a result."""
    empty = [start.name for start in beginning.starts if start.first_at is None]
    has_nobody = len(empty) == len(beginning.starts)
    where = "" if has_nobody else f" into {' and '.join(empty)}"
    said = f"Nobody has been drawn{where} yet."
    if not any(course.draws for course in beginning.courses):
        return " ".join((said, *hindrances(beginning.courses)))
    return f"{said} It waits for learners who enter “{beginning.population}”."


def _of_stopped(beginning: Beginning, first: datetime) -> str:
    last = max(course.stopped_at for course in beginning.courses if course.stopped_at)
    if last < first:
        return "Its clock stopped before the first result."
    return "Its report says what was found."


def course_state(course: Course, *, now: datetime) -> str:
    """Return whether learners of the course get messages, and until when."""
    if course.clock_stopped_at:
        return f"simulated, as of {instant_text(course.clock_stopped_at, zone=course.time_zone)}."
    if course.live_since and course.live_since > now:
        begins = instant_text(course.live_since, zone=course.time_zone)
        return f"goes live on {begins}. Until then no learner gets a message."
    if course.live_since:
        since, _ = in_zone(course.live_since, course.time_zone)
        return f"live since {since:%-d %B %Y}, ends on {course.ends_on:%-d %B %Y}."
    return "not live. Segments are kept, and no learner gets a message."


def season_sentence(course: Course, *, as_of: datetime) -> str:
    """Return why segments look at no learner on that day, or an empty text."""
    day = local_date(as_of, course.time_zone)
    if day < course.starts_on:
        begins = f"The course begins on {course.starts_on:%A %-d %B %Y}"
        return f"{begins}. Until then its learners are not counted and in no segment."
    if day > course.ends_on:
        return f"The course is over: its last day was {course.ends_on:%A %-d %B %Y}."
    return ""
