"""The SMTP dialogue of one mail, with the stage that it has come to.

Nothing can have been accepted before the server saw the end of the body: everything that goes wrong
earlier is proof that the mail was not taken.
"""

import re
import select
import smtplib
import socket
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from django.core.mail.backends.smtp import EmailBackend

# How long the first mail over a connection listens, between its body and the dot that ends it, for
# a server that hangs up or refuses in the middle: after the dot only doubt would be left.
SECONDS_TO_LISTEN = 0.1


class Stage(IntEnum):
    """How far the dialogue about one mail has come: what was last sent to the server."""

    CONNECT = 0
    MAIL = 1
    RCPT = 2
    DATA = 3
    BODY = 4
    END = 5


class _Staged(smtplib.SMTP):
    """An SMTP client that notes its stage."""

    stage = Stage.CONNECT
    _is_proven = False

    def connect(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Connect as ever."""
        reply = super().connect(*args, **kwargs)
        # The body and its end are two writes. With Nagle's algorithm the second would wait until
        # the server's system gets round to confirming the first: 40 ms a mail.
        if self.sock is not None and self.sock.family in (socket.AF_INET, socket.AF_INET6):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return reply

    def sendmail(self, *args: Any, **kwargs: Any) -> Any:
        """Send a mail, from the first stage on."""
        self.stage = Stage.CONNECT
        refused = super().sendmail(*args, **kwargs)
        self._is_proven = True
        return refused

    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Name the sender."""
        self.stage = Stage.MAIL
        return super().mail(sender, options)

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """Name the recipient."""
        self.stage = Stage.RCPT
        return super().rcpt(recip, options)

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the mail, whose bytes end its lines with CR LF, and return the reply to its end."""
        self.stage = Stage.DATA
        code, words = self.docmd("data")
        if code != 354:
            raise smtplib.SMTPDataError(code, words)
        self.stage = Stage.BODY
        quoted = re.sub(rb"(?m)^\.", b"..", msg)
        self.send(quoted if quoted.endswith(b"\r\n") else quoted + b"\r\n")
        self._listen()
        self.stage = Stage.END
        self.send(b".\r\n")
        return self.getreply()

    def _listen(self) -> None:
        """Raise what a server says, by words or by hanging up, before it saw the end."""
        if self.sock is None:
            return
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        # A connection over which a mail was accepted gets no pause: that would be 0.1 s for each.
        if poller.poll(0 if self._is_proven else SECONDS_TO_LISTEN * 1000):
            code, words = self.getreply()
            self.close()
            raise smtplib.SMTPDataError(code, words)


class _StagedOverTls(_Staged, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


class StagedBackend(EmailBackend):
    """Django's SMTP backend, with a client that notes its stage."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """Return the client to connect with."""
        return _StagedOverTls if self.use_ssl else _Staged

    @property
    def stage(self) -> Stage | None:
        """Return how far the latest mail came; None without a connection."""
        return self.connection.stage if isinstance(self.connection, _Staged) else None

    def abandon(self) -> None:
        """Drop the connection where it stands.

        In the middle of a mail the server would read a QUIT as its text, and would be waited for.
        """
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
