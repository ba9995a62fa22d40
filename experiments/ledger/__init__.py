"""The ledger of an experiment: a chain of digests, what it holds, and the replay of it. Pure."""

from experiments.ledger.chain import Entry, LedgerError, chain_fault, next_entry
from experiments.ledger.records import (
    DrawRecord,
    Draws,
    SectionRecord,
    ShareRecord,
    difference,
    protocol_content,
    read_protocol_content,
)
from experiments.ledger.replay import Replay
from experiments.ledger.states import State, own_difference, state_in

__all__ = [
    "DrawRecord",
    "Draws",
    "Entry",
    "LedgerError",
    "Replay",
    "SectionRecord",
    "ShareRecord",
    "State",
    "chain_fault",
    "difference",
    "next_entry",
    "own_difference",
    "protocol_content",
    "read_protocol_content",
    "state_in",
]
