"""Which guards apply to a course's messages, and which are missing."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q

from activity.models import Course
from interventions.models import (
    Cadence,
    CadenceStatus,
    CapScope,
    Category,
    FrequencyCap,
    QuietHours,
)

NO_QUIET_HOURS = "quiet hours: messages go out at night; set them under Quiet hours in the admin"
NO_CAP = (
    "a frequency cap on everything: nothing limits how many messages a learner gets; set one"
    " under Frequency caps in the admin"
)


@dataclass(frozen=True)
class Guards:
    """What holds a course's messages back, and what of it there is not, in words."""

    apply: list[str]
    missing: list[str]


def guards_of(course: Course) -> Guards:
    """Return the guards of the course's messages. Three queries."""
    hours = _quiet_hours(course)
    caps = list(_caps(course))
    apply = [f"quiet hours {hours}, in the learner's own time"] if hours else []
    missing = [] if hours else [NO_QUIET_HOURS]
    if not any(cap.scope == CapScope.EVERYTHING for cap in caps):
        missing.append(NO_CAP)
    exempt = [*_exempt(course)]
    return Guards([*apply, *(cap.sentence for cap in caps)], [*missing, *exempt])


def _quiet_hours(course: Course) -> QuietHours | None:
    # A course's own replace the site's, which come last.
    found = QuietHours.objects.filter(Q(course=course) | Q(course=None))
    return min(found, key=lambda hours: hours.course_id is None, default=None)


def _caps(course: Course) -> Iterator[FrequencyCap]:
    found = FrequencyCap.objects.filter(Q(course=course) | Q(course=None), active=True)
    return found.select_related("category", "course").order_by("id").iterator()


def _exempt(course: Course) -> Iterator[str]:
    """Yield a sentence for each guard that a category of the course's cadences is free of."""
    cadences = Cadence.objects.filter(
        status=CadenceStatus.ACTIVE, segment__playbook__courses=course
    )
    categories = Category.objects.filter(pk__in=cadences.values("category"))
    for category in categories.filter(Q(quiet=False) | Q(capped=False)).order_by("key"):
        for name, holds in (("quiet hours", category.quiet), ("frequency caps", category.capped)):
            if not holds:
                yield f"{name} for the category “{category}”: it is exempt from them"
