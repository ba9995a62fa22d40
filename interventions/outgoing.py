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
    # What the message is from, in the reader's list of mails; the address is the site's.
    sender_name: str = ""
    # Who reads an answer; empty: the site.
    reply_to: str = ""


class Result(StrEnum):
    """What is known after the attempt."""

    HANDED_OFF = "handed_off"
    # Proven not to have been accepted, and no fault of the message: nothing gets through.
    CHANNEL_DOWN = "channel_down"
    # This recipient or message was refused for now; another attempt may succeed.
    NOT_ACCEPTED = "not_accepted"
    # Refused for good.
    REFUSED = "refused"
    # It may or may not have been accepted.
    IN_DOUBT = "in_doubt"

    @property
    def stops_the_channel(self) -> bool:
        """Return whether the next message would most likely fare the same."""
        return self in (Result.CHANNEL_DOWN, Result.IN_DOUBT)


@dataclass(frozen=True)
class Answer:
    """The result with the words of the other side.

    `may_be_the_message` says of a channel that is down that this very message may be the cause.
    """

    result: Result
    detail: str = ""
    may_be_the_message: bool = False


class ChannelDownError(Exception):
    """The other side cannot be reached; nothing was handed over."""
