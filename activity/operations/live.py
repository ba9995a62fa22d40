"""Take a course live: from now on, messages may start."""

from datetime import datetime

from django.db.models import Q

from activity.models import Course


def go_live(course: Course, *, now: datetime) -> bool:
    """Set "live since" to now. Return False if the course is live already, or simulated.

    One conditional UPDATE, so that of two clicks the first one counts. Earlier entries start
    nothing, so nobody is messaged at once.
    """
    waiting = Course.objects.filter(pk=course.pk, clock_stopped_at=None)
    return bool(waiting.filter(Q(live_since=None) | Q(live_since__gt=now)).update(live_since=now))
