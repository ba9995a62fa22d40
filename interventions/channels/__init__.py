"""The ways out of the house. Only dispatch uses them."""

from interventions.channels.base import Channel
from interventions.channels.email import EmailChannel
from interventions.channels.memory import MemoryChannel

__all__ = ["Channel", "EmailChannel", "MemoryChannel"]
