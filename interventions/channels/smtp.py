"""The SMTP dialogue of one mail, with its current stage.

A server cannot accept a mail before it has seen the end of the body. So every earlier error proves
that the mail was not accepted.
"""

import re
import select
import smtplib
import socket
from collections.abc import Sequence
from enum import IntEnum
from time import monotonic
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address

from interventions.channels.mail_bytes import mail_bytes
from interventions.channels.written_mail import WrittenMail

# How long a mail waits between its body and the final dot for a server that hangs up or refuses.
# After the dot, such an error would leave the mail in doubt.
SECONDS_TO_LISTEN = 0.1
# A server that accepts mails needs no wait. Else a loop that opens eight connections one after the
# other would wait four times. It shows that it can be trusted again and again, because a server may
# change.
SECONDS_OF_TRUST = 60.0
# After a server has failed in the middle of a mail, each connection to it must show for itself that
# it works: behind one address there may be several servers, and only one of them may be broken.
SECONDS_OF_DISTRUST = 3600.0


class Stage(IntEnum):
    """How far the dialogue of one mail has come: the last command or data sent."""

    CONNECT = 0
    MAIL = 1
    RCPT = 2
    DATA = 3
    BODY = 4
    END = 5


class Trust:
    """What this process has seen of servers lately, by their addresses."""

    def __init__(self) -> None:
        self._until: dict[object, float] = {}
        self._not_before: dict[object, float] = {}

    def accepted(self, server: object, *, now: float) -> None:
        """Trust the server for a while, except if it has failed a short time ago."""
        if now >= self._not_before.get(server, now):
            self._until[server] = now + SECONDS_OF_TRUST

    def failed(self, server: object, *, now: float) -> None:
        """Trust no new connection to the server for a longer while."""
        self._until.pop(server, None)
        self._not_before[server] = now + SECONDS_OF_DISTRUST

    def holds(self, server: object, *, now: float) -> bool:
        """Return whether the server has accepted a mail lately and has not failed since."""
        return now < self._until.get(server, now)


# The loops of a process follow each other every few seconds, each with new connections.
TRUST = Trust()


class _Staged(smtplib.SMTP):
    """An SMTP client that records its stage."""

    stage = Stage.CONNECT
    _is_proven = False
    _server: object = None

    def connect(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Connect, and turn off Nagle's algorithm."""
        reply = super().connect(*args, **kwargs)
        # The body and its end are two writes. With Nagle's algorithm the second one would wait for
        # the acknowledgment of the first: 40 ms per mail.
        if self.sock is not None and self.sock.family in (socket.AF_INET, socket.AF_INET6):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._server = self.sock.getpeername()
        return reply

    def sendmail(self, *args: Any, **kwargs: Any) -> Any:
        """Send a mail, starting at the first stage."""
        self.stage = Stage.CONNECT
        try:
            refused = super().sendmail(*args, **kwargs)
        except (OSError, smtplib.SMTPException) as error:
            # A reply to the final dot is about the mail and not about the server.
            is_reply = isinstance(error, smtplib.SMTPResponseException)
            if self.stage is Stage.BODY or (self.stage is Stage.END and not is_reply):
                TRUST.failed(self._server, now=monotonic())
            raise
        self._is_proven = True
        TRUST.accepted(self._server, now=monotonic())
        return refused

    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Send the sender."""
        self.stage = Stage.MAIL
        return super().mail(sender, options)

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Send the recipient."""
        self.stage = Stage.RCPT
        return super().rcpt(recip, options)

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the mail, with CR LF line ends, and return the reply to the final dot."""
        self.stage = Stage.DATA
        code, words = self.docmd("data")
        if code != 354:
            raise smtplib.SMTPDataError(code, words)
        self.stage = Stage.BODY
        quoted = _with_dots(msg)
        self.send(quoted if quoted.endswith(b"\r\n") else quoted + b"\r\n")
        self._listen()
        self.stage = Stage.END
        self.send(b".\r\n")
        return self.getreply()

    def _listen(self) -> None:
        """Raise the error of a server that replies or hangs up before the end of the mail."""
        if self.sock is None:
            return
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        # Once a mail was accepted, there is no wait. It would cost 0.1 s per mail.
        is_trusted = self._is_proven or TRUST.holds(self._server, now=monotonic())
        if poller.poll(0 if is_trusted else SECONDS_TO_LISTEN * 1000):
            code, words = self.getreply()
            self.close()
            raise smtplib.SMTPDataError(code, words)


def _with_dots(mail: bytes) -> bytes:
    """Return the mail with a second dot before each one at the beginning of a line."""
    # To look at each beginning takes longer than the rest of the dialogue, and few lines have one.
    has_dots = mail.startswith(b".") or b"\n." in mail
    return re.sub(rb"(?m)^\.", b"..", mail) if has_dots else mail


class _StagedOverTls(_Staged, smtplib.SMTP_SSL):
    """The same client with TLS from the first byte."""


def _plain(address: str) -> str:
    """Return the address in ASCII. The client takes it out of a name and angle brackets."""
    # For an address in ASCII this would only take as long as writing the mail.
    return address if address.isascii() else sanitize_address(address, settings.DEFAULT_CHARSET)


def _written(mail: EmailMessage) -> bytes:
    return mail.write() if isinstance(mail, WrittenMail) else mail_bytes(mail.message())


class StagedBackend(EmailBackend):
    """Django's SMTP backend with a client that records its stage."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """Return the client to connect with."""
        return _StagedOverTls if self.use_ssl else _Staged

    @property
    def stage(self) -> Stage | None:
        """Return how far the latest mail came, or None without a connection."""
        return self.connection.stage if isinstance(self.connection, _Staged) else None

    def _send(self, email_message: EmailMessage) -> bool:
        """Send the mail, and raise whatever goes wrong."""
        to = [_plain(each) for each in email_message.recipients()]
        if not to or self.connection is None:
            return False
        self.connection.sendmail(_plain(email_message.from_email), to, _written(email_message))
        return True

    def abandon(self) -> None:
        """Close the connection without QUIT.

        In the middle of a mail the server would read QUIT as text, and we would wait for its reply.
        """
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
