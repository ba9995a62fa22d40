"""Set what limits sending."""

from datetime import datetime, time
from typing import Any

from activity.models import Course
from interventions.errors import InterventionError
from interventions.models import FrequencyCap, QuietHours, Suppression


def save_cap(name: str, *, limit: int, window: str, **values: Any) -> FrequencyCap:
    """Create or change the frequency cap of this name; `values` are its other fields.

    Raise InterventionError where the limit would let nothing through.
    """
    if limit < 1:
        raise InterventionError(
            f"The cap '{name}' has the limit {limit}, which would hold or drop every message. Set "
            "1 or more; to stop all sending, pause everything."
        )
    cap, _ = FrequencyCap.objects.update_or_create(
        name=name, defaults={"limit": limit, "window": window, **values}
    )
    return cap


def save_quiet_hours(*, begins: time, ends: time, course: Course | None = None) -> QuietHours:
    """Set the quiet hours of a course, or of the site."""
    hours, _ = QuietHours.objects.update_or_create(
        course=course, defaults={"begins": begins, "ends": ends}
    )
    return hours


def suppress(address: str, *, reason: str, now: datetime) -> None:
    """Never write to the address again. Once suppressed, it keeps its first reason."""
    Suppression.objects.get_or_create(
        address=address, defaults={"reason": reason, "created_at": now}
    )
