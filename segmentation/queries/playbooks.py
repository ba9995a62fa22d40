"""The courses of a playbook."""

from datetime import datetime

from django.db.models import QuerySet

from activity.access import Viewer, for_user
from activity.models import Course


def courses_of_playbook(playbook_id: int, *, viewer: Viewer) -> QuerySet[Course]:
    """Return the playbook's courses that the viewer may see, the last to start first."""
    kept = Course.objects.filter(playbooks=playbook_id).order_by("-starts_on", "key")
    return for_user(kept, viewer)


def locales_of_playbook(playbook_id: int) -> list[str]:
    """Return the languages of all the playbook's courses, in alphabetical order."""
    rows = Course.objects.filter(playbooks=playbook_id).exclude(locale="")
    return list(rows.order_by("locale").values_list("locale", flat=True).distinct())


def clock_of_playbook(playbook_id: int) -> datetime | None:
    """Return when the clocks of the playbook's courses stopped, or None if one of them runs."""
    clocks = Course.objects.filter(playbooks=playbook_id)
    stopped = list(clocks.order_by().values_list("clock_stopped_at", flat=True).distinct())
    # None in the list stands for a running clock.
    return max((at for at in stopped if at), default=None) if None not in stopped else None
