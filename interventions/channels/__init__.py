"""The table of all channels.

Only dispatch connects and sends. Other code reads the declarations of a channel.
"""

from collections.abc import Mapping

from interventions.channels.base import (
    Answer,
    Channel,
    ChannelDownError,
    Connection,
    Draft,
    Result,
    Shown,
)
from interventions.channels.email import EMAIL
from interventions.models import Channel as Name

CHANNELS: Mapping[str, Channel] = {
    Name.EMAIL: EMAIL,
}

__all__ = [
    "CHANNELS",
    "Answer",
    "Channel",
    "ChannelDownError",
    "Connection",
    "Draft",
    "Result",
    "Shown",
]
