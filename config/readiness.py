"""The reasons why a course does not send yet, and the guards of its messages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from activity.models import Course
from activity.queries import feed_health
from common.clock import local_date
from common.dates import instant_text
from interventions.models import Cadence, CadenceStatus
from interventions.queries.guards import Guards, guards_of
from interventions.queries.pauses import site_is_paused, site_pause
from segmentation.models import Segment, SegmentStatus


@dataclass(frozen=True)
class Readiness:
    """The things that a course lacks for its first message, and the guards of its messages."""

    missing: list[str]
    guards: Guards


def readiness_of(keys: Iterable[str], *, now: datetime) -> dict[str, Readiness]:
    """Return by course key what the courses lack and which guards apply.

    Missing data of single learners, such as an address, is not checked.
    """
    courses = Course.objects.filter(key__in=list(keys)).order_by("key")
    return {
        course.key: Readiness(list(_missing(course, now)), guards_of(course)) for course in courses
    }


def readiness_text(key: str, found: Readiness) -> Iterator[str]:
    """Yield the lines of text for a course."""
    if found.missing:
        yield f"Course {key}: no message goes out yet, because"
        yield from (f"  - {each}" for each in found.missing)
    else:
        yield f"Course {key}: messages can go out."
    yield from guards_text(found.guards)


def guards_text(guards: Guards) -> Iterator[str]:
    """Yield the lines with the guards that apply and the guards that are missing."""
    yield "Guards that apply to its messages:"
    yield from (f"  - {each}" for each in guards.apply or ["none"])
    if guards.missing:
        yield "Guards that are missing:"
        yield from (f"  - {each}" for each in guards.missing)


def hindrances_of(course: Course, *, now: datetime) -> Iterator[str]:
    """Yield what stops the messages of a course that is set up."""
    if course.clock_stopped_at is not None:
        yield "it is a simulated course whose clock has stopped, so its learners get no messages"
        return
    if course.ends_on < local_date(now, course.time_zone):
        yield f"it is over: its last day was {course.ends_on:%A %-d %B %Y}"
    feed = feed_health(course, now=now)
    if feed.status != "ok" and feed.since is not None:
        since = instant_text(feed.since, zone=course.time_zone)
        yield f"its events do not come as usual since {since}: {feed.sentence}"
    if site_is_paused():
        pause = site_pause()
        since = f" {pause.circumstances}" if pause else ""
        yield f"all sending is paused{since}; resume it under “Hold all messages”"


def _missing(course: Course, now: datetime) -> Iterator[str]:
    if course.clock_stopped_at is None:
        yield from _missing_in_setup(course)
        if course.live_since is None:
            yield 'it is not live: press “Go live” on its page, or set its "live since"'
        elif course.live_since > now:
            begins = instant_text(course.live_since, zone=course.time_zone)
            yield f'its "live since" is in the future: {begins}'
    yield from hindrances_of(course, now=now)


def _missing_in_setup(course: Course) -> Iterator[str]:
    if not course.playbook_links.exists():
        yield (
            "it has no playbook: install the five segments on the course's page, or run"
            f" manage.py install_playbook five-segments --course {course.key}"
        )
        return
    active = Segment.objects.filter(playbook__courses=course, status=SegmentStatus.ACTIVE)
    if not active.exists():
        yield "no segment of its playbooks is active"
        return
    cadences = Cadence.objects.filter(segment__in=active, status=CadenceStatus.ACTIVE)
    are_paused = set(cadences.values_list("paused", flat=True).distinct())
    if not are_paused:
        yield "no active cadence starts on one of its segments: start a nudge, or make a cadence"
    elif False not in are_paused:
        yield "all cadences that start on its segments are paused: resume one on its page"
