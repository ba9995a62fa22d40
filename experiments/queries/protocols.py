"""The content of a protocol made now, and the courses and segments of an experiment."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from activity.access import COMMAND_LINE, Viewer, for_user
from activity.models import Course
from activity.queries import holds_at
from experiments.models import Experiment
from experiments.protocol import Promise, ProtocolArm, ProtocolSegment, protocol_problems
from experiments.reporting.facts import CourseFacts, clock_among
from segmentation.models import Segment


def protocol_arms(experiment: Experiment) -> tuple[ProtocolArm, ...]:
    """Return the arms in their order, as a protocol made now would hold them."""
    arms = experiment.arms.order_by("position", "id")
    return tuple(
        ProtocolArm(arm.key, float(arm.weight), arm.is_control, arm.own_name) for arm in arms
    )


def promise_of(experiment: Experiment) -> Promise:
    """Return the promise of a protocol made now. At most two queries."""
    segments = population_of(experiment).order_by("key").values_list("key", "version")
    return Promise(
        name=experiment.name,
        hypothesis=experiment.hypothesis,
        population=_population_name(experiment),
        segments=tuple(ProtocolSegment(key, version) for key, version in segments),
        coverage=float(experiment.coverage),
        differs_outside=experiment.differs_outside,
    )


def _population_name(experiment: Experiment) -> str:
    # Not the text of the row, which depends on what was loaded with it.
    whose = experiment.segment or experiment.playbook
    return whose.name if whose else ""


def population_of(experiment: Experiment) -> QuerySet[Segment]:
    """Return the segments whose members the experiment draws: its own, or its playbook's."""
    if experiment.playbook_id is not None:
        return Segment.objects.filter(playbook=experiment.playbook_id)
    return Segment.objects.filter(experiments=experiment)


def draft_problems(experiment: Experiment) -> list[str]:
    """Return what the experiment still lacks before it can start, one sentence per problem."""
    return protocol_problems(protocol_arms(experiment), seed=experiment.seed)


def courses_of(
    experiment: Experiment, *, viewer: Viewer, as_of: datetime | None = None
) -> tuple[CourseFacts, ...]:
    """Return the courses whose learners the experiment may draw, in the order of their keys.

    Those that the viewer may not see are noted as such. They count too. With `as_of`, a feed is
    held if it was then.
    """
    courses = list(with_seen(_courses(experiment), viewer).order_by("key").distinct())
    if as_of is None:
        return tuple(map(course_facts, courses))
    held = dict(holds_at(as_of).filter(course__in=courses).values_list("course", "since"))
    return tuple(replace(course_facts(each), held_since=held.get(each.pk)) for each in courses)


def with_seen(courses: QuerySet[Course], viewer: Viewer) -> QuerySet[Any]:
    """Return the courses with `is_seen`: the viewer may see the course."""
    seen = for_user(Course.objects.filter(pk=OuterRef("pk")), viewer)
    return courses.annotate(is_seen=Exists(seen))


def course_facts(course: Any) -> CourseFacts:
    """Return what a report shows of a course of `with_seen`."""
    return CourseFacts(
        course.title,
        is_live=course.live_since is not None,
        stopped_at=course.clock_stopped_at,
        time_zone=course.time_zone,
        is_seen=course.is_seen,
        held_since=course.feed_held_since,
    )


def clock_of(experiment: Experiment, *, now: datetime) -> datetime:
    """Return the instant of a report: now, or the stopped clock if all courses are simulated."""
    return clock_among(courses_of(experiment, viewer=COMMAND_LINE), now=now)


def _courses(experiment: Experiment) -> QuerySet[Course]:
    if experiment.playbook_id is not None:
        return Course.objects.filter(playbooks=experiment.playbook_id)
    return Course.objects.filter(playbooks__segments__experiments=experiment)
