"""The limits set by admins, in the form that the policy reads."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from activity.models import Course
from activity.queries import feed_health
from interventions.models import FrequencyCap, OnExceed, QuietHours
from interventions.policy.caps import Cap, Window, horizon
from interventions.policy.hours import ClosedHours


@dataclass
class Limits:
    """Caps, quiet hours by course (None: the site's) and silent feeds, as read at one moment."""

    caps: tuple[Cap, ...]
    quiet_hours: dict[int | None, ClosedHours]
    silent_feeds: dict[int, bool] = field(default_factory=dict)

    @property
    def horizon(self) -> timedelta:
        """Return how far back a message can still count."""
        return max((horizon(cap) for cap in self.caps), default=timedelta(0))

    def quiet_hours_of(self, course_id: int) -> ClosedHours | None:
        """Return the course's quiet hours, else the site's."""
        return self.quiet_hours.get(course_id, self.quiet_hours.get(None))

    def is_silent(self, course: Course, *, now: datetime) -> bool:
        """Return whether the course's feed is silent. It is read once per course."""
        if course.pk not in self.silent_feeds:
            self.silent_feeds[course.pk] = feed_health(course, now=now).status != "ok"
        return self.silent_feeds[course.pk]


def read_limits() -> Limits:
    """Return all limits in force. Two queries."""
    caps = FrequencyCap.objects.filter(active=True).order_by("id")
    hours = QuietHours.objects.values_list("course_id", "begins", "ends")
    return Limits(
        caps=tuple(_cap(row) for row in caps),
        quiet_hours={course: ClosedHours(begins, ends) for course, begins, ends in hours},
    )


def _cap(row: FrequencyCap) -> Cap:
    return Cap(
        name=row.name,
        limit=row.limit,
        window=Window(row.window),
        length=row.length,
        drops=row.on_exceed == OnExceed.DROP,
        channel=row.channel or None,
        category_id=row.category_id,
        course_id=row.course_id,
    )
