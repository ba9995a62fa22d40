"""The first draws of experiments, and the courses that they wait for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Prefetch, QuerySet, Subquery

from activity.access import Viewer
from activity.models import Course
from activity.texts import with_courses
from experiments.models import Arm, Assignment, Experiment
from experiments.queries.protocols import course_facts, with_seen
from experiments.reporting.facts import ArmStart, CourseFacts, seen_titles


@dataclass(frozen=True)
class Beginning:
    """An experiment with its courses and the first draw into each of its arms."""

    experiment: Experiment
    courses: tuple[CourseFacts, ...]
    starts: tuple[ArmStart, ...]

    @property
    def name(self) -> str:
        """Return the experiment's name with the courses that the viewer may see."""
        return with_courses(self.experiment.name, seen_titles(self.courses))

    @property
    def population(self) -> str:
        """Return the name of the segment or playbook whose members are drawn."""
        population = self.experiment.segment or self.experiment.playbook
        return population.name if population else ""


def beginnings(experiments: QuerySet[Experiment], *, viewer: Viewer) -> Iterator[Beginning]:
    """Yield each experiment's beginning. Four queries.

    It reads one row of an index per arm, however many learners were drawn.
    """
    courses = with_seen(Course.objects.order_by("key"), viewer)
    first = Assignment.objects.filter(arm=OuterRef("pk")).order_by("assigned_at")
    arms = Arm.objects.annotate(first_at=Subquery(first.values("assigned_at")[:1]))
    loaded = experiments.select_related("segment__playbook", "playbook").prefetch_related(
        # Not under `courses`: the text of a row would name all courses loaded there, and the viewer
        # may not see some of them.
        Prefetch("segment__playbook__courses", courses, to_attr="all_courses"),
        Prefetch("playbook__courses", courses, to_attr="all_courses"),
        Prefetch("arms", arms.order_by("position", "id")),
    )
    for experiment in loaded:
        playbook = experiment.segment.playbook if experiment.segment else experiment.playbook
        found: list[Any] = playbook.all_courses if playbook else []  # type: ignore[attr-defined]
        yield Beginning(
            experiment,
            courses=tuple(map(course_facts, found)),
            starts=tuple(map(_start, experiment.arms.all())),
        )


def _start(arm: Arm) -> ArmStart:
    first_at = arm.first_at  # type: ignore[attr-defined]
    return ArmStart(arm.own_name, arm.is_control, first_at)
