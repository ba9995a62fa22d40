"""Set the limits on sending."""

from collections.abc import Iterator
from datetime import datetime, time
from typing import Any

from django.db import transaction

from activity.models import Course
from common.rows import create_or_change
from interventions.models import CapScope, Category, FrequencyCap, QuietHours, Suppression
from interventions.operations.errors import InterventionError
from interventions.policy.guards import CAPS, CATEGORIES, QUIET_HOURS
from interventions.queries.limits import problem_of_window


@transaction.atomic
def make_missing_guards() -> list[str]:
    """Create the site's quiet hours, caps and categories, each only if there are none.

    Return the names of those that were created. A cap that an admin has switched off counts as
    existing and stays off.
    """
    return [*_missing_quiet_hours(), *_missing_caps(), *_missing_categories()]


def _missing_quiet_hours() -> Iterator[str]:
    if not QuietHours.objects.filter(course=None).exists():
        yield f"quiet hours {QuietHours.objects.create(**QUIET_HOURS)}"


def _missing_caps() -> Iterator[str]:
    if not FrequencyCap.objects.filter(scope=CapScope.EVERYTHING, course=None).exists():
        made = FrequencyCap.objects.bulk_create(FrequencyCap(**cap) for cap in CAPS)
        yield from (f"the frequency cap “{cap}”" for cap in made)


def _missing_categories() -> Iterator[str]:
    if not Category.objects.exists():
        made = Category.objects.bulk_create(Category(**category) for category in CATEGORIES)
        yield from (f"the category “{category}”" for category in made)


def save_cap(name: str, *, limit: int, window: str, **values: Any) -> FrequencyCap:
    """Create or change the frequency cap of this name. `values` are its other fields.

    Raise InterventionError if the limit is below 1, or if the ledger does not keep all messages
    that it would count.
    """
    if limit < 1:
        raise InterventionError(
            f"The cap '{name}' has the limit {limit}, which would hold or drop every message. Set "
            "1 or more. To stop all sending, use “Hold all messages” in the menu."
        )
    rule = {"limit": limit, "window": window, **values}
    problem = problem_of_window(FrequencyCap(**rule))
    if problem:
        raise InterventionError(f"The cap '{name}' is too long. {problem}")
    return create_or_change(FrequencyCap.objects.all(), rule, name=name)


def save_quiet_hours(*, begins: time, ends: time, course: Course | None = None) -> QuietHours:
    """Set the quiet hours of a course, or of the site if there is no course."""
    hours = {"begins": begins, "ends": ends}
    return create_or_change(QuietHours.objects.all(), hours, course=course)


def suppress(address: str, *, reason: str, now: datetime) -> None:
    """Suppress the address for good. A suppressed address keeps its first reason."""
    Suppression.objects.get_or_create(
        address=address, defaults={"reason": reason, "created_at": now}
    )
