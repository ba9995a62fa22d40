"""The sections that an experiment draws, and the learners that they cannot place."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db.models import Count, Q, QuerySet

from activity.models import Course, Enrollment, Section
from experiments.models import Experiment, SectionDraw
from experiments.protocol import ExperimentProtocol
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


@dataclass(frozen=True)
class DrawnSection:
    """A drawn section: the draw, the section, the key of the arm, and the number of its block."""

    pk: int
    section_id: int
    arm: str
    block: int


def drawn_sections(
    experiment: Experiment, protocol: ExperimentProtocol, *, as_of: datetime
) -> list[DrawnSection]:
    """Return the sections that were drawn up to the instant. One query.

    The blocks follow from the protocol. Their numbers begin with 1, over both strata.
    """
    rows = SectionDraw.objects.filter(experiment=experiment, at__lte=as_of).order_by("pk")
    draws = list(rows.values_list("pk", "section_id", "arm__key", "stratum__key", "position"))
    blocks = protocol.blocks()
    last: dict[str, int] = {}
    for *_, stratum, position in draws:
        last[stratum] = max(position, last.get(stratum, 0))
    numbers = {
        stratum: list(islice(blocks.of_sections(stratum).numbers(stratum), most + 1))
        for stratum, most in last.items()
    }
    known: dict[tuple[str, int], int] = {}
    return [
        DrawnSection(
            pk, section, arm,
            known.setdefault((stratum, numbers[stratum][position]), len(known) + 1),
        )
        for pk, section, arm, stratum, position in draws
    ]  # fmt: skip


def without_section(experiment: Experiment) -> int:
    """Return how many present members of the population cannot be drawn: they have no section."""
    members = Enrollment.objects.filter(
        memberships__segment__in=population_of(experiment),
        memberships__left_at__isnull=True,
        section__isnull=True,
    )
    return members.distinct().count()
