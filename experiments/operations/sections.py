"""Draw whole sections: those present at the start by size, and later ones as they come."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db import transaction

from activity.models import Section
from experiments.design import BUCKETS
from experiments.models import Assignment, Experiment, SectionDraw, Stratum
from experiments.operations.places import Taken, lock_strata, take
from experiments.protocol import ExperimentProtocol, read_protocol
from experiments.queries.designs import courses_in
from experiments.queries.sections import SectionSize, section_sizes
from experiments.queries.units import Unit
from experiments.randomize.blocks import LATER, PRESENT, by_size
from experiments.randomize.hash import bucket_of


@transaction.atomic
def draw_present_sections(experiment_id: int, *, now: datetime) -> None:
    """Draw the sections that the courses have now, if the experiment draws sections.

    A repeat draws nothing.
    """
    experiment = Experiment.objects.get(pk=experiment_id)
    protocol = read_protocol(experiment.protocol)
    if protocol.design.unit == "section":
        arms_of_sections(experiment, protocol, [], now=now)


def arms_of_sections(
    experiment: Experiment,
    protocol: ExperimentProtocol,
    section_ids: Collection[int],
    *,
    now: datetime,
) -> dict[int, SectionDraw]:
    """Return the draws of the sections by id, and draw those that have none.

    The first call draws the sections that are present. Sections outside the coverage, and those
    beyond the number that the protocol allows, are left out.
    """
    known = _drawn(experiment, section_ids)
    if section_ids and not set(section_ids) - known.keys():
        return known
    strata = lock_strata(experiment.pk, {PRESENT: 0, LATER: 0})
    draw = _SectionDraws(experiment, protocol, strata, now)
    draw.present()
    draw.later(set(section_ids) - _drawn(experiment, section_ids).keys())
    return _drawn(experiment, section_ids)


def chosen_sections(
    units: Sequence[Unit], draws: dict[int, SectionDraw], *, rule: str, experiment: Experiment
) -> list[tuple[Unit, SectionDraw]]:
    """Return the units that are drawn, with the draw that gives them their arm.

    The rule decides for a learner who was drawn before through another section.
    """
    learners = [unit.learner_id for unit in units]
    before = Assignment.objects.filter(
        experiment=experiment, enrollment__learner__in=learners, section_draw__isnull=False
    )
    rows = before.select_related("section_draw", "enrollment").order_by("assigned_at", "pk")
    first: dict[int, SectionDraw] = {}
    for row in rows:
        if row.section_draw is not None:
            first.setdefault(row.enrollment.learner_id, row.section_draw)
    chosen = []
    for unit in units:
        own = draws.get(unit.section_id or 0)
        found = None if own is None else _by_rule(rule, own, first.setdefault(unit.learner_id, own))
        if found is not None:
            chosen.append((unit, found))
    return chosen


def _by_rule(rule: str, own: SectionDraw, first: SectionDraw) -> SectionDraw | None:
    """Return the draw that counts for a learner whose first draw in the experiment was `first`."""
    if own.pk == first.pk:
        return own
    return {"keep": first, "follow": own, "exclude": None}[rule]


class _SectionDraws:
    """New draws of sections, under the locks of both strata."""

    def __init__(
        self,
        experiment: Experiment,
        protocol: ExperimentProtocol,
        strata: dict[str, Stratum],
        now: datetime,
    ) -> None:
        self._experiment, self._protocol, self._strata, self._now = (
            experiment,
            protocol,
            strata,
            now,
        )
        self._blocks = protocol.blocks()
        self._arms = dict(experiment.arms.values_list("key", "pk"))

    def present(self) -> None:
        """Draw all sections with learners at once, the largest first, in their smallest blocks."""
        if self._strata[PRESENT].drawn or self._experiment.section_draws.exists():
            return
        sections = section_sizes(courses=courses_in(self._experiment))
        covered = self._within(each for each in sections if each.size > 0)
        sizes = {each.unit: each.size for each in covered}
        by_unit = {each.unit: each for each in covered}
        self._write([by_unit[unit] for unit in by_size(sizes)], self._strata[PRESENT])

    def later(self, section_ids: Collection[int]) -> None:
        """Draw sections that came later, in the order of their ids."""
        sections = section_sizes(sections=Section.objects.filter(pk__in=section_ids))
        self._write(self._within(sections), self._strata[LATER])

    def _within(self, sections: Iterable[SectionSize]) -> list[SectionSize]:
        """Return the sections inside the coverage and the limit, in the order of their ids."""
        covered = float(self._experiment.coverage) * BUCKETS
        found = [each for each in sections if self._bucket(each) < covered]
        most = self._protocol.design.most_sections
        if most is None:
            return found
        free = max(0, most - self._experiment.section_draws.count())
        # By their hash: the largest ones alone would be no sample of the sections.
        kept = {each.pk for each in sorted(found, key=self._bucket)[:free]}
        return [each for each in found if each.pk in kept]

    def _bucket(self, section: SectionSize) -> int:
        return bucket_of(section.unit, seed=self._protocol.seed)

    def _write(self, sections: Sequence[SectionSize], stratum: Stratum) -> None:
        places = take(stratum, len(sections), self._blocks.of_sections(stratum.key))
        rows = [self._row(*pair) for pair in zip(sections, places, strict=True)]
        SectionDraw.objects.bulk_create(rows)
        stratum.save(update_fields=["drawn", "block", "offset"])

    def _row(self, section: SectionSize, place: Taken) -> SectionDraw:
        return SectionDraw(
            experiment=self._experiment,
            section_id=section.pk,
            unit=section.unit,
            arm_id=self._arms[place.arm],
            stratum_id=place.stratum_id,
            position=place.position,
            bucket=self._bucket(section),
            size=section.size,
            at=self._now,
        )


def _drawn(experiment: Experiment, section_ids: Collection[int]) -> dict[int, SectionDraw]:
    found = SectionDraw.objects.filter(experiment=experiment, section__in=section_ids)
    return {draw.section_id: draw for draw in found.select_related("arm")}
