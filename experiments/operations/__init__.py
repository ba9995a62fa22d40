"""All writes to experiments, draws and the outcomes of deliveries."""

from experiments.operations.draws import draw_arms
from experiments.operations.ledger import (
    note_state,
    note_states_due,
    record_deviation,
    record_snapshot,
    seal_draws,
    seal_due,
)
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
from experiments.operations.restore import ledger_lines, restore_ledger
from experiments.operations.sections import draw_present_sections
from experiments.operations.snapshots import snapshot_due

__all__ = [
    "AssignedDelivery",
    "archive_experiment",
    "check_experiment",
    "draft_halves",
    "draw_arms",
    "draw_present_sections",
    "end_due",
    "ledger_lines",
    "name_winner",
    "note_state",
    "note_states_due",
    "record_delivery_outcome",
    "record_delivery_outcomes",
    "record_deviation",
    "record_snapshot",
    "restore_ledger",
    "seal_draws",
    "seal_due",
    "snapshot_due",
    "stop_experiment",
]
