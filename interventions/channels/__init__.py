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
    Record,
    Result,
    Route,
    Shown,
    UnsupportedError,
)
from interventions.channels.email import EMAIL
from interventions.channels.in_app import IN_APP
from interventions.channels.lines import Flight, Lines, switching_seldom
from interventions.channels.task import TASK
from interventions.channels.webhook import WEBHOOK
from interventions.models import Channel as Name
from interventions.render.features import Feature

CHANNELS: Mapping[str, Channel] = {
    Name.EMAIL: EMAIL,
    Name.TASK: TASK,
    Name.IN_APP: IN_APP,
    Name.WEBHOOK: WEBHOOK,
}

__all__ = [
    "CHANNELS",
    "Answer",
    "Channel",
    "ChannelDownError",
    "Connection",
    "Draft",
    "Feature",
    "Flight",
    "Lines",
    "Outcome",
    "Record",
    "Result",
    "Route",
    "Shown",
    "UnsupportedError",
    "switching_seldom",
]
