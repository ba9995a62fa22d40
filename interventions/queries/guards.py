"""The guards that apply to a course's messages, and those that are missing."""

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
    "a frequency cap on everything: the number of messages per learner has no limit; set a cap"
    " under Frequency caps in the admin"
)


@dataclass(frozen=True)
class Guards:
    """The guards of a course's messages as sentences, and the missing guards in words."""

    apply: list[str]
    missing: list[str]


def guards_of(course: Course) -> Guards:
    """Return the guards of the course's messages. Three queries."""
    hours = _quiet_hours(course)
    caps = list(_caps(course))
    apply = [hours.sentence] if hours else []
    missing = [] if hours else [NO_QUIET_HOURS]
    if not any(cap.scope == CapScope.EVERYTHING for cap in caps):
        missing.append(NO_CAP)
    exempt = [*_exempt(course)]
    return Guards([*apply, *(cap.sentence for cap in caps)], [*missing, *exempt])


def guards_of_kind(course: Course, category: Category) -> list[str]:
    """Return the guards of the course's messages of this kind as sentences. At most two queries."""
    hours = _quiet_hours(course) if category.quiet else None
    caps = _caps(course) if category.capped else ()
    concerned = (cap for cap in caps if cap.category_id in (None, category.pk))
    return [*([hours.sentence] if hours else []), *(cap.sentence for cap in concerned)]


def _quiet_hours(course: Course) -> QuietHours | None:
    # The course's quiet hours replace the site's.
    found = QuietHours.objects.filter(Q(course=course) | Q(course=None))
    return min(found, key=lambda hours: hours.course_id is None, default=None)


def _caps(course: Course) -> Iterator[FrequencyCap]:
    found = FrequencyCap.objects.filter(Q(course=course) | Q(course=None), active=True)
    return found.select_related("category", "course").order_by("id").iterator()


def _exempt(course: Course) -> Iterator[str]:
    """Yield a text for each guard from which a category of the course's cadences is exempt."""
    cadences = Cadence.objects.filter(
        status=CadenceStatus.ACTIVE, segment__playbook__courses=course
    )
    categories = Category.objects.filter(pk__in=cadences.values("category"))
    for category in categories.filter(Q(quiet=False) | Q(capped=False)).order_by("key"):
        for name, holds in (("quiet hours", category.quiet), ("frequency caps", category.capped)):
            if not holds:
                yield f"{name} for the category “{category}”: it is exempt from them"
