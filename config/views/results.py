"""What a page says about an experiment and about a course in one sentence."""

from datetime import datetime

from activity.models import Course
from common.dates import in_zone, instant_text
from experiments.models import Experiment
from experiments.protocol import ProtocolError, read_protocol


def result_sentence(experiment: Experiment, *, has_drawn: bool, now: datetime) -> str:
    """Return when the first result can come, or that the report has the answer."""
    try:
        metrics = read_protocol(experiment.protocol).chosen_metrics()
    except ProtocolError:
        return f"The report of “{experiment}” cannot be read."
    if experiment.started_at is None or not has_drawn:
        return f"“{experiment}” runs. Nobody has been drawn yet."
    first = experiment.started_at + min(metric.window for metric in metrics)
    if now < first:
        return f"“{experiment}” runs. Its first result comes after {first:%-d %B %Y}."
    # Learners who are drawn late have no result yet. Only the report reads the draws.
    return f"“{experiment}” runs. Its report says what was found so far, or when that is known."


def course_state(course: Course) -> str:
    """Return whether learners of the course get messages, and until when."""
    if course.clock_stopped_at:
        return f"simulated, as of {instant_text(course.clock_stopped_at, zone=course.time_zone)}."
    if course.live_since:
        since, _ = in_zone(course.live_since, course.time_zone)
        return f"live since {since:%-d %B %Y}, ends on {course.ends_on:%-d %B %Y}."
    return "not live. Segments are kept, and no learner gets a message."
