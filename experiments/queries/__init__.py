"""Queries on experiments: where they run, and the figures of their reports. Writes nothing."""

from experiments.queries.answers import KeptAnswer, kept_answer
from experiments.queries.arms import arms_now, may_hold_another
from experiments.queries.assignments import assignments_of, running_experiments
from experiments.queries.balance import balance_of
from experiments.queries.beginnings import Beginning, beginnings
from experiments.queries.designs import design_problems
from experiments.queries.details import details
from experiments.queries.outcomes import (
    ArmAggregate,
    aggregates_by_arm,
    counted_units,
    outcomes_since,
)
from experiments.queries.protocols import (
    clock_of,
    courses_of,
    draft_problems,
    population_of,
    promise_of,
    protocol_arms,
)
from experiments.queries.reports import (
    MOST_COUNTED,
    deliveries_by_arm,
    experiments_with_sizes,
    report,
)
from experiments.queries.sections import without_section
from experiments.queries.states import deviations_of
from experiments.queries.unit_rows import bundle_of
from experiments.queries.verification import Verification, verify_experiment

__all__ = [
    "MOST_COUNTED",
    "ArmAggregate",
    "Beginning",
    "KeptAnswer",
    "Verification",
    "aggregates_by_arm",
    "arms_now",
    "assignments_of",
    "balance_of",
    "beginnings",
    "bundle_of",
    "clock_of",
    "counted_units",
    "courses_of",
    "deliveries_by_arm",
    "design_problems",
    "details",
    "deviations_of",
    "draft_problems",
    "experiments_with_sizes",
    "kept_answer",
    "may_hold_another",
    "outcomes_since",
    "population_of",
    "promise_of",
    "protocol_arms",
    "report",
    "running_experiments",
    "verify_experiment",
    "without_section",
]
