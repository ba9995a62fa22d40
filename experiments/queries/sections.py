"""The sections that an experiment draws, and the learners that they cannot place."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from activity.models import Course, Enrollment, Section
from experiments.models import Experiment
from experiments.queries.protocols import population_of

_PRESENT = Q(enrollments__withdrew_at__isnull=True)


@dataclass(frozen=True)
class SectionSize:
    """A section with the name by which it is drawn, and its number of present learners."""

    pk: int
    unit: str
    size: int


def section_sizes(
    *, courses: Collection[Course] = (), sections: QuerySet[Section] | None = None
) -> list[SectionSize]:
    """Return the sections of the courses, or these sections, in the order of their ids."""
    found = Section.objects.filter(course__in=courses) if sections is None else sections
    counted = found.annotate(size=Count("enrollments", filter=_PRESENT)).order_by("pk")
    # No two sections have this text, even if a key has a line break in it.
    return [
        SectionSize(pk, f"{course}\n{key}", size)
        for pk, course, key, size in counted.values_list("pk", "course__key", "key", "size")
    ]


def without_section(experiment: Experiment) -> int:
    """Return how many present members of the population cannot be drawn: they have no section."""
    members = Enrollment.objects.filter(
        memberships__segment__in=population_of(experiment),
        memberships__left_at__isnull=True,
        section__isnull=True,
    )
    return members.distinct().count()
