"""Save the simulated course and its learners, before the first event."""

from datetime import datetime

from django.db import transaction

from activity.models import Course
from activity.operations import save_course, save_item, save_section
from activity.operations.new_enrollments import enroll_new_learners
from activity.simulation.course import course_line, item_lines, section_lines
from activity.simulation.learners import enrollment_line, learner_line
from activity.simulation.world import World
from config.demo.addresses import course_address, item_address


@transaction.atomic
def save_roster(world: World, *, now: datetime, live_since: datetime) -> Course:
    """Save the course with its sections, items and learners."""
    line = course_line(world.course) | {"live_since": live_since, "url": course_address()}
    course = save_course(line, now=now)
    for section in section_lines(world.course):
        save_section(section, now=now)
    for item in item_lines(world.course):
        save_item(item | {"url": item_address(item["key"])}, now=now)
    people = [trace.learner for trace in world.traces]
    enroll_new_learners(
        course,
        [learner_line(person) for person in people],
        [enrollment_line(world.course, person) for person in people],
        now=now,
    )
    return course
