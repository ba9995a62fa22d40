"""Models of experiments: arms, draws, the outcomes of deliveries and the ledger."""

from experiments.models.arms import (
    ARM_KEY_ONCE,
    ARM_ONE_CONTROL,
    ARM_POSITION_ONCE,
    Arm,
)
from experiments.models.assignments import Assignment, SectionDraw, SharePeriod, Stratum
from experiments.models.experiments import Experiment
from experiments.models.layers import ExclusionLayer, random_seed
from experiments.models.ledger import EntryKind, LedgerEntry
from experiments.models.outcomes import UNSENT, DeliveryOutcome, DeliveryOutcomeKind
from experiments.models.states import BlockSizes, Ending, ExperimentStatus

__all__ = [
    "ARM_KEY_ONCE",
    "ARM_ONE_CONTROL",
    "ARM_POSITION_ONCE",
    "UNSENT",
    "Arm",
    "Assignment",
    "BlockSizes",
    "DeliveryOutcome",
    "DeliveryOutcomeKind",
    "Ending",
    "EntryKind",
    "ExclusionLayer",
    "Experiment",
    "ExperimentStatus",
    "LedgerEntry",
    "SectionDraw",
    "SharePeriod",
    "Stratum",
    "random_seed",
]
