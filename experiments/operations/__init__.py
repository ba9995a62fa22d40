"""All writes to experiments, draws and the outcomes of deliveries."""

from experiments.operations.draws import draw_arms
from experiments.operations.life import (
    archive_experiment,
    check_experiment,
    draft_halves,
    end_due,
    name_winner,
    stop_experiment,
)
from experiments.operations.outcomes import (
    AssignedDelivery,
    record_delivery_outcome,
    record_delivery_outcomes,
)
from experiments.operations.sections import draw_present_sections

__all__ = [
    "AssignedDelivery",
    "archive_experiment",
    "check_experiment",
    "draft_halves",
    "draw_arms",
    "draw_present_sections",
    "end_due",
    "name_winner",
    "record_delivery_outcome",
    "record_delivery_outcomes",
    "stop_experiment",
]
