"""What is handed to a channel, and what a channel answers. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class Outgoing:
    """A finished message to one person."""

    address: str
    name: str
    subject: str
    html: str
    text: str
    message_id: str
    written_at: datetime
    list_id: str
    unsubscribe_url: str


class Result(StrEnum):
    """What is known after the attempt."""

    HANDED_OFF = "handed_off"
    # Proven not to have been accepted; another attempt may succeed.
    NOT_ACCEPTED = "not_accepted"
    # Refused for good.
    REFUSED = "refused"
    # It may or may not have been accepted.
    IN_DOUBT = "in_doubt"


@dataclass(frozen=True)
class Answer:
    """The result with the words of the other side."""

    result: Result
    detail: str = ""


class ChannelDownError(Exception):
    """The other side cannot be reached; nothing was handed over."""
