"""What every channel can do."""

from typing import Any, Protocol

from interventions.outgoing import Answer, Outgoing


class Channel(Protocol):
    """One way out. An object of it belongs to one dispatch loop."""

    def prepare(self, outgoing: Outgoing) -> Any:
        """Return the message as this channel sends it, without I/O. Raise ValueError."""

    def open(self) -> None:
        """Have a live connection, before anything is claimed. Raise ChannelDownError."""

    def send(self, prepared: Any) -> Answer:
        """Hand the message over and say what is known of it. A refusal is no exception."""

    def close(self) -> None:
        """Let the connection go."""
