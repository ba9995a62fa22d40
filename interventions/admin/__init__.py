"""Admin pages of messages, cadences, runs, the delivery ledger, and what limits them."""

from interventions.admin import cadences, ledger, messages

__all__ = ["cadences", "ledger", "messages"]
