"""A real SMTP server for tests: it keeps what it gets and misbehaves as told."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

ACCEPTED = "250 Message accepted for delivery"


@dataclass
class SmtpSink:
    """Keeps accepted messages in order; set an attribute to make it misbehave from then on.

    `refuse_recipient`, `refuse_data`: a reply such as "451 Try later" or "550 No such user".
    `hang`: never answer once the message has been sent. `waits`: answer as soon as it is False
    again. `drop`: keep the message, then close the connection without an answer, so that the sender
    cannot know whether it was accepted.
    """

    host: str = "127.0.0.1"
    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refuse_recipient: str | None = None
    refuse_data: str | None = None
    hang: bool = False
    waits: bool = False
    drop: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """Return what a process needs in its environment to send here, as test settings read it."""
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": self.host,
            "EMAIL_PORT": str(self.port),
        }

    def of(self, address: str) -> list[EmailMessage]:
        """Return the messages that were accepted for the address."""
        pairs = zip(self.recipients, self.messages, strict=True)
        return [message for recipient, message in pairs if recipient == address]

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        if self.refuse_recipient:
            return self.refuse_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take, refuse or leave open what becomes of a message."""
        if self.hang:
            await asyncio.sleep(3600)
        while self.waits:
            await asyncio.sleep(0.01)
        if self.refuse_data:
            return self.refuse_data
        assert isinstance(envelope.content, bytes)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        for recipient in envelope.rcpt_tos:
            self.messages.append(parsed)
            self.recipients.append(recipient)
        if self.drop:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return ACCEPTED


@contextmanager
def serve(sink: SmtpSink) -> Iterator[SmtpSink]:
    """Run the server on a free port for the time of the block."""
    with socket.socket() as probe:
        probe.bind((sink.host, 0))
        sink.port = probe.getsockname()[1]
    controller = Controller(sink, hostname=sink.host, port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()
