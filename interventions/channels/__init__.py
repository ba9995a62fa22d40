"""The channel table: the one place that knows which channels there are.

Only dispatch connects and sends. Others read what a channel declares.
"""

from collections.abc import Mapping

from interventions.channels.base import Answer, Channel, ChannelDownError, Connection, Draft, Result
from interventions.channels.email import EMAIL
from interventions.models import Channel as Name

CHANNELS: Mapping[str, Channel] = {
    Name.EMAIL: EMAIL,
}

__all__ = ["CHANNELS", "Answer", "Channel", "ChannelDownError", "Connection", "Draft", "Result"]
