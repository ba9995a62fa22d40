"""Queries about segments and rules at any instant, including past ones. Read only."""

from segmentation.queries.backtest import backtest
from segmentation.queries.counts import RuleCount, count_rule, take_turn
from segmentation.queries.entries import entries_by_week, entries_of, first_entries
from segmentation.queries.evaluations import evaluation_days, freezes_of
from segmentation.queries.flows import Flows, flows_of
from segmentation.queries.matches import Preview, match_rule, preview
from segmentation.queries.members import (
    current_segment_ids,
    people_in_segment,
    segment_size,
    segment_sizes,
)
from segmentation.queries.names import known_names, reads_log
from segmentation.queries.norms import compute_norms, courses_with_norms, norms_for, stored_norms
from segmentation.queries.outbox import enrollments_to_react, oldest_waiting, open_transitions
from segmentation.queries.playbooks import (
    clock_of_playbook,
    courses_of_playbook,
    locales_of_playbook,
)
from segmentation.queries.replay import TypedRules, entries_by_rule, replay_rule, would_enter
from segmentation.queries.signals import SignalRow, export_refs, read_signals
from segmentation.queries.sizes import number_in_any, sizes_in_course
from segmentation.queries.surges import HeldSurge, held_surges

__all__ = [
    "Flows",
    "HeldSurge",
    "Preview",
    "RuleCount",
    "SignalRow",
    "TypedRules",
    "backtest",
    "clock_of_playbook",
    "compute_norms",
    "count_rule",
    "courses_of_playbook",
    "courses_with_norms",
    "current_segment_ids",
    "enrollments_to_react",
    "entries_by_rule",
    "entries_by_week",
    "entries_of",
    "evaluation_days",
    "export_refs",
    "first_entries",
    "flows_of",
    "freezes_of",
    "held_surges",
    "known_names",
    "locales_of_playbook",
    "match_rule",
    "norms_for",
    "number_in_any",
    "oldest_waiting",
    "open_transitions",
    "people_in_segment",
    "preview",
    "read_signals",
    "reads_log",
    "replay_rule",
    "segment_size",
    "segment_sizes",
    "sizes_in_course",
    "stored_norms",
    "take_turn",
    "would_enter",
]
