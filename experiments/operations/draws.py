"""Draw the arms of enrollments, in the caller's transaction.

A draw locks rows in this order: the experiment, if a number of learners ends it; then its strata by
key. Only then it writes.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from experiments.design import ADAPTIVE, BLOCKS, BUCKETS, CLUSTER, HASH, Design
from experiments.models import Assignment, Ending, Experiment, ExperimentStatus
from experiments.operations.life import end
from experiments.operations.places import take_places
from experiments.operations.sections import arms_of_sections, chosen_sections
from experiments.operations.shares import take_adaptive_places
from experiments.protocol import ExperimentProtocol, read_protocol
from experiments.queries.units import Unit, reached_learners, stratum_keys, units_of
from experiments.randomize.hash import bucket_of_many
from experiments.starting import locked_experiment


def draw_arms(
    experiment_id: int, enrollment_ids: Collection[int], *, now: datetime
) -> dict[int, Assignment]:
    """Return the assignments by enrollment id, and draw an arm for enrollments without one.

    Return nothing if the experiment does not run, and leave out enrollments that do not take part:
    those outside its coverage or its layer, without a section where sections are drawn, or reached
    before where the design excludes them. A repeated draw, even a concurrent one, returns the first
    draw with its instant.
    """
    try:
        return _draw_arms(experiment_id, enrollment_ids, now)
    except IntegrityError:
        # Another transaction drew one of them at the same moment, into another stratum. Its rows
        # can be seen now, and the places taken here were given back.
        return _draw_arms(experiment_id, enrollment_ids, now)


@transaction.atomic
def _draw_arms(
    experiment_id: int, enrollment_ids: Collection[int], now: datetime
) -> dict[int, Assignment]:
    experiment = Experiment.objects.get(pk=experiment_id)
    if experiment.status != ExperimentStatus.RUNNING:
        return {}
    assignments = _assignments(experiment, enrollment_ids)
    missing = [each for each in enrollment_ids if each not in assignments]
    if missing and _draw(experiment, missing, now):
        assignments |= _assignments(experiment, missing)
    return assignments


def _assignments(experiment: Experiment, enrollment_ids: Collection[int]) -> dict[int, Assignment]:
    found = Assignment.objects.filter(experiment=experiment, enrollment__in=enrollment_ids)
    assignments = {each.enrollment_id: each for each in found.select_related("arm")}
    for each in assignments.values():
        # Loaded with each row, the protocol's text would be read once per learner.
        each.experiment = experiment
    return assignments


@dataclass(frozen=True)
class _Draw:
    """One draw: its experiment, the protocol that decides, and how many it may still draw."""

    experiment: Experiment
    protocol: ExperimentProtocol
    now: datetime
    free: int | None

    @property
    def design(self) -> Design:
        return self.protocol.design

    def covered(self, units: Sequence[Unit]) -> list[tuple[Unit, int]]:
        """Return the units inside the coverage with their buckets."""
        share = float(self.experiment.coverage) * BUCKETS
        return [pair for pair in self.buckets(units) if pair[1] < share]

    def buckets(self, units: Sequence[Unit]) -> list[tuple[Unit, int]]:
        """Return the units with their buckets."""
        keys = [str(unit.unit_key) for unit in units]
        drawn = bucket_of_many(keys, seed=self.protocol.seed).tolist()
        return list(zip(units, drawn, strict=True))

    def row(self, unit: Unit, arm_id: int, bucket: int, **more: Any) -> Assignment:
        """Return the assignment of the unit."""
        return Assignment(
            experiment=self.experiment,
            arm_id=arm_id,
            enrollment_id=unit.enrollment_id,
            unit_key=unit.unit_key,
            bucket=bucket,
            assigned_at=self.now,
            layer_unit=None if self.design.layer is None else unit.learner_id,
            **more,
        )

    def arm_ids(self) -> dict[str, int]:
        """Return the ids of the arms by key."""
        return dict(self.experiment.arms.values_list("key", "pk"))


def _draw(experiment: Experiment, enrollment_ids: Collection[int], now: datetime) -> bool:
    """Write a draw for each enrollment that takes part. Return whether there may be new rows."""
    # The locked protocol decides: an arm or a seed that was edited after the start has no effect.
    protocol = read_protocol(experiment.protocol)
    design = protocol.design
    if design.end is not None and design.end <= now:
        return False
    if not design.is_limited:
        draw = _Draw(experiment, protocol, now, free=None)
        return bool(METHODS[design.method](draw, _taking_part(design, enrollment_ids)))
    # Under the lock no other worker draws, so the number is never exceeded.
    experiment = locked_experiment(experiment.pk)
    if experiment.status != ExperimentStatus.RUNNING:
        return True
    missing = set(enrollment_ids) - _assignments(experiment, enrollment_ids).keys()
    draw = _Draw(experiment, protocol, now, free=_free(experiment, design))
    METHODS[design.method](draw, _taking_part(design, missing))
    if _free(experiment, design) == 0:
        end(experiment, now=now, because=Ending.LEARNERS)
    return True


def _free(experiment: Experiment, design: Design) -> int | None:
    if design.most_learners is None:
        return None
    return max(0, design.most_learners - experiment.assignments.count())


def _taking_part(design: Design, enrollment_ids: Collection[int]) -> list[Unit]:
    """Return the enrollments that the layer and the rule about earlier messages let in."""
    units = units_of(enrollment_ids)
    layer = design.layer
    if layer is not None:
        learners = [str(unit.learner_id) for unit in units]
        drawn = bucket_of_many(learners, seed=layer.seed).tolist()
        units = [unit for unit, bucket in zip(units, drawn, strict=True) if bucket in layer]
    if design.excludes_reached:
        reached = reached_learners({unit.learner_id for unit in units})
        units = [unit for unit in units if unit.learner_id not in reached]
    return units


def _by_hash(draw: _Draw, units: Sequence[Unit]) -> int:
    """Draw each unit by its bucket alone. Return the number of rows."""
    ranges = draw.protocol.draw(coverage=float(draw.experiment.coverage))
    arms = draw.arm_ids()
    drawn = [(unit, bucket, ranges.arm_at(bucket)) for unit, bucket in draw.buckets(units)]
    rows = [draw.row(unit, arms[arm], bucket) for unit, bucket, arm in drawn if arm is not None]
    # Two workers may reach this point for one enrollment. The second waits until the first has
    # committed, inserts nothing, and then reads the row of the first.
    Assignment.objects.bulk_create(rows[: draw.free], ignore_conflicts=True)
    return len(rows)


def _in_blocks(draw: _Draw, units: Sequence[Unit]) -> int:
    """Draw the next places of the units' strata. Return the number of rows."""
    covered = draw.covered(units)[: draw.free]
    strata = stratum_keys([unit for unit, _ in covered], draw.design.strata, now=draw.now)
    taken = take_places(draw.experiment.pk, Counter(strata.values()), draw.protocol.blocks())
    places, arms, rows = {key: iter(found) for key, found in taken.items()}, draw.arm_ids(), []
    for unit, bucket in covered:
        place = next(places[strata[unit.enrollment_id]])
        found = {"stratum_id": place.stratum_id, "position": place.position}
        rows.append(draw.row(unit, arms[place.arm], bucket, **found))
    # A conflict must fail: an assignment that is passed over would leave its place empty.
    Assignment.objects.bulk_create(rows)
    return len(rows)


def _by_section(draw: _Draw, units: Sequence[Unit]) -> int:
    """Give the units the arms of their sections. Return the number of rows."""
    placed = [unit for unit in units if unit.section_id is not None]
    sections = {unit.section_id for unit in placed if unit.section_id is not None}
    draws = arms_of_sections(draw.experiment, draw.protocol, sections, now=draw.now)
    rule = draw.design.section_rule
    chosen = chosen_sections(placed, draws, rule=rule, experiment=draw.experiment)
    rows = [
        draw.row(unit, section.arm_id, section.bucket, section_draw=section)
        for unit, section in chosen[: draw.free]
    ]
    Assignment.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _adaptively(draw: _Draw, units: Sequence[Unit]) -> int:
    """Draw each unit by the shares that hold when its turn comes. Return the number of rows."""
    covered = draw.covered(units)[: draw.free]
    if not covered:
        return 0
    keys = [str(unit.unit_key) for unit, _ in covered]
    places = take_adaptive_places(draw.experiment, draw.protocol, keys, now=draw.now)
    arms = draw.arm_ids()
    rows = [
        draw.row(
            unit,
            arms[place.arm],
            bucket,
            stratum_id=place.stratum_id,
            position=place.position,
            period_id=place.period_id,
        )
        for (unit, bucket), place in zip(covered, places, strict=True)
    ]
    # As in blocks, a conflict must fail.
    Assignment.objects.bulk_create(rows)
    return len(rows)


METHODS: dict[str, Callable[[_Draw, Sequence[Unit]], int]] = {
    HASH: _by_hash,
    BLOCKS: _in_blocks,
    CLUSTER: _by_section,
    ADAPTIVE: _adaptively,
}
