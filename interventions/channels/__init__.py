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
    Outcome,
    Result,
    Shown,
    UnsupportedError,
)
from interventions.channels.email import EMAIL
from interventions.channels.task import TASK
from interventions.models import Channel as Name
from interventions.render.features import Feature

CHANNELS: Mapping[str, Channel] = {
    Name.EMAIL: EMAIL,
    Name.TASK: TASK,
}

__all__ = [
    "CHANNELS",
    "Answer",
    "Channel",
    "ChannelDownError",
    "Connection",
    "Draft",
    "Feature",
    "Outcome",
    "Result",
    "Shown",
    "UnsupportedError",
]
