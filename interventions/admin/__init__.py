"""Admin pages of messages, cadences, runs, the delivery ledger, and what limits them."""

from interventions.admin import (
    archive,
    cadences,
    channels,
    holdouts,
    ledger,
    messages,
    nudges,
    pauses,
    recommendations,
    sending,
    tasks,
    tracking,
)

__all__ = [
    "archive",
    "cadences",
    "channels",
    "holdouts",
    "ledger",
    "messages",
    "nudges",
    "pauses",
    "recommendations",
    "sending",
    "tasks",
    "tracking",
]
