"""Admin pages of messages, cadences, runs, the delivery ledger, and what limits them."""

from interventions.admin import cadences, holdouts, ledger, messages, nudges, pauses, tasks

__all__ = ["cadences", "holdouts", "ledger", "messages", "nudges", "pauses", "tasks"]
