"""The design of a draft, as a protocol made now would lock it, and what is wrong with it."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from activity.models import Course
from experiments.analyses import NEEDS_RATE, NO_LOOKS, NO_SUBGROUPS, RATE_OUTCOMES
from experiments.covariates import read_covariates
from experiments.design import ADAPTIVE, BLOCKS, BUCKETS, HASH, Adapting, Design, LayerRange
from experiments.models import BlockSizes, Experiment
from experiments.queries.protocols import population_of, protocol_arms
from experiments.queries.units import with_cuts
from experiments.randomize.blocks import smallest_block


def design_of(experiment: Experiment) -> Design:
    """Return the design in the fields of a draft, its numeric strata without cuts.

    Raise ValueError with a sentence for fields that cannot be drawn by.
    """
    ends_at = experiment.ends_at
    design = Design(
        unit=experiment.unit,
        method=experiment.method,
        strata=read_covariates(experiment.strata),
        block_multiples=BlockSizes(experiment.block_sizes).multiples,
        layer=_layer(experiment),
        section_rule=experiment.section_rule,
        excludes_reached=experiment.excludes_reached,
        ends_at=None if ends_at is None else ends_at.astimezone(UTC).isoformat(),
        most_learners=experiment.most_learners,
        most_sections=experiment.most_sections,
        afterwards=experiment.afterwards,
        afterwards_arm=experiment.afterwards_arm,
        adapting=_adapting(experiment),
    )
    _refuse_arms(experiment, design)
    if design.adapting is not None:
        _refuse_adapting(experiment, design.adapting)
    return design


def design_at_start(experiment: Experiment, *, now: datetime) -> Design:
    """Return the design with the cuts of its strata, from the learners of its courses now.

    Raise ValueError as `design_of` does.
    """
    design = design_of(experiment)
    if design.method != BLOCKS:
        return design
    courses = courses_in(experiment)
    return replace(design, strata=with_cuts(design.strata, courses, now=now))


def courses_in(experiment: Experiment) -> list[Course]:
    """Return the courses whose learners the experiment may draw, in the order of their ids."""
    found = Course.objects.filter(playbooks__segments__in=population_of(experiment))
    return list(found.distinct().order_by("pk"))


def design_problems(experiment: Experiment, *, now: datetime | None = None) -> list[str]:
    """Return why the design of a draft cannot be drawn by, one sentence per problem.

    With an instant, it also looks whether the strata can be cut by the learners of then.
    """
    try:
        if now is None:
            design_of(experiment)
        else:
            design_at_start(experiment, now=now)
    except ValueError as error:
        return [str(error)]
    return []


def _layer(experiment: Experiment) -> LayerRange | None:
    if experiment.layer is None:
        return None
    start, end = experiment.layer_start, experiment.layer_end
    if start is None or end is None:
        raise ValueError("Choose the part of the exclusion layer, such as 0 to 0.5.")
    return LayerRange(
        experiment.layer.key, experiment.layer.seed, start=_bucket(start), end=_bucket(end)
    )


def _adapting(experiment: Experiment) -> Adapting | None:
    if experiment.method != ADAPTIVE:
        return None
    return Adapting(experiment.burn_in, experiment.share_batch, float(experiment.share_floor))


def _refuse_adapting(experiment: Experiment, adapting: Adapting) -> None:
    """Raise ValueError for what an adaptive draw cannot have."""
    weights = [arm.weight for arm in protocol_arms(experiment) if arm.weight > 0]
    floor = f"the smallest share of {adapting.floor:g}"
    faults = [
        (experiment.primary_outcome not in RATE_OUTCOMES, NEEDS_RATE),
        (bool(experiment.looks.strip()), NO_LOOKS),
        (bool(experiment.subgroups.strip()), NO_SUBGROUPS),
        (
            adapting.floor * len(weights) >= 1,
            f"{len(weights)} arms cannot each have {floor}: nothing would be left to change.",
        ),
        (
            any(weight < adapting.floor for weight in weights),
            f"An arm has a weight below {floor}. Raise its weight or lower the smallest share.",
        ),
    ]
    problems = [sentence for fault, sentence in faults if fault]
    if problems:
        raise ValueError(" ".join(problems))


def _bucket(share: Decimal) -> int:
    return int(share * BUCKETS)


def _refuse_arms(experiment: Experiment, design: Design) -> None:
    arms = {arm.key: arm.weight for arm in protocol_arms(experiment)}
    if design.afterwards_arm and design.afterwards_arm not in arms:
        raise ValueError(f"The arm for everybody after the end is one of: {', '.join(arms)}.")
    if design.method not in (HASH, ADAPTIVE) and arms:
        smallest_block(arms)
