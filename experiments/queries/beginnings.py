"""The first draws of experiments, and the courses that they wait for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, QuerySet, Subquery

from activity.access import Viewer, for_user
from activity.models import Course
from experiments.models import Arm, Assignment, Experiment
from experiments.queries.protocols import course_facts
from experiments.reporting.report import ArmStart, CourseFacts


@dataclass(frozen=True)
class Beginning:
    """An experiment with its courses and the first draw into each of its arms.

    `named` are those of its courses that the viewer may see.
    """

    experiment: Experiment
    courses: tuple[CourseFacts, ...]
    named: tuple[CourseFacts, ...]
    starts: tuple[ArmStart, ...]

    @property
    def population(self) -> str:
        """Return the name of the segment or playbook whose members are drawn."""
        population = self.experiment.segment or self.experiment.playbook
        return population.name if population else ""


def beginnings(experiments: QuerySet[Experiment], *, viewer: Viewer) -> Iterator[Beginning]:
    """Yield each experiment's beginning. Four queries.

    It reads one row of an index per arm, however many learners were drawn.
    """
    seen = for_user(Course.objects.filter(pk=OuterRef("pk")), viewer)
    courses = Course.objects.order_by("key").annotate(is_seen=Exists(seen))
    first = Assignment.objects.filter(arm=OuterRef("pk")).order_by("assigned_at")
    arms = Arm.objects.annotate(first_at=Subquery(first.values("assigned_at")[:1]))
    loaded = experiments.select_related("segment__playbook", "playbook").prefetch_related(
        Prefetch("segment__playbook__courses", courses),
        Prefetch("playbook__courses", courses),
        Prefetch("arms", arms.order_by("position", "id")),
    )
    for experiment in loaded:
        playbook = experiment.segment.playbook if experiment.segment else experiment.playbook
        found: list[Any] = list(playbook.courses.all()) if playbook else []
        yield Beginning(
            experiment,
            courses=tuple(map(course_facts, found)),
            named=tuple(course_facts(each) for each in found if each.is_seen),
            starts=tuple(map(_start, experiment.arms.all())),
        )


def _start(arm: Arm) -> ArmStart:
    first_at = arm.first_at  # type: ignore[attr-defined]
    return ArmStart(arm.own_name, arm.is_control, first_at)
