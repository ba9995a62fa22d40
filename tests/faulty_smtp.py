"""A mail server that hangs, hangs up or refuses at any stage of the dialogue, and keeps a record.

tests/smtp.py has the server that takes mail as a good one does; this one is for what goes wrong
where a library's server gives no say: before the greeting, at MAIL, in the middle of the body.
"""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import ClassVar

HANG, HANG_UP, PAUSE = "hang", "hang up", "pause"
STAGES = ("connect", "MAIL", "RCPT", "DATA", "body", "end")
# What a good server answers at each stage; in the middle of a body it says nothing.
_WELL = {"connect": "220 ready", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on"}
LONGEST_HANG_SECONDS = 30.0


@dataclass
class FaultySmtp:
    """Misbehaves while `stage` is set, as `fault` says: HANG, HANG_UP or a reply like "451 later".

    With PAUSE it sets `paused` when it comes to the stage, and goes on well after `goes_on` is set.

    `seen` are the Message-IDs of the mails whose end it saw, whatever came then; `accepted` are the
    recipient and the mail of those that it took.
    """

    stage: str = ""
    fault: str = HANG
    # With HANG_UP or HANG at the end: the mail is kept, and only the answer is missing.
    keeps: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    seen: list[str] = field(default_factory=list)
    accepted: list[tuple[str, Message]] = field(default_factory=list)
    connections: int = 0
    healed: threading.Event = field(default_factory=threading.Event)
    paused: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)
    # The threads of the dialogues that are not over.
    talking: set[int] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """Return what a process needs in its environment to send here, as test settings read it."""
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": self.host,
            "EMAIL_PORT": str(self.port),
        }

    def heal(self) -> None:
        """Be a good server from now on; who waits for an answer is hung up on."""
        self.stage = ""
        self.healed.set()

    def recipients(self) -> list[str]:
        """Return to whom mails were taken, in order."""
        return [recipient for recipient, _ in self.accepted]


class _ClosedError(Exception):
    """The dialogue is over."""


class _Dialogue(socketserver.StreamRequestHandler):
    sink: ClassVar[FaultySmtp]
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.sink.connections += 1
        self.sink.talking.add(threading.get_ident())
        try:
            self._reply("connect")
            while True:
                self._command(self._line())
        except (_ClosedError, OSError):
            return
        finally:
            self.sink.talking.discard(threading.get_ident())

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"MAIL":
            self._reply("MAIL")
        elif verb == b"RCPT":
            self.recipient = line.decode().partition("<")[2].partition(">")[0]
            self._reply("RCPT")
        elif verb == b"DATA":
            if self._reply("DATA"):
                self._body()
        elif verb == b"QUIT":
            self._say("221 bye")
            raise _ClosedError
        else:
            self._say("250 ok")

    def _body(self) -> None:
        lines = [self._line()]
        self._misbehave("body")
        while (line := self._line()) != b".\r\n":
            lines.append(line)
        mail = message_from_bytes(b"".join(lines))
        self.sink.seen.append(str(mail["Message-ID"]))
        faulty = self.sink.stage == "end"
        if not faulty or self.sink.keeps:
            self.sink.accepted.append((self.recipient, mail))
        if not self._misbehave("end"):
            self._say("250 taken")

    def _reply(self, stage: str) -> bool:
        """Answer at the stage; return whether the answer was a good one."""
        if self._misbehave(stage):
            return False
        self._say(_WELL[stage])
        return True

    def _misbehave(self, stage: str) -> bool:
        """Do what the fault says; return whether an answer was given."""
        if self.sink.stage != stage:
            return False
        if self.sink.fault == PAUSE:
            self.sink.paused.set()
            self.sink.goes_on.wait(LONGEST_HANG_SECONDS)
            return False
        if self.sink.fault == HANG:
            self.sink.healed.wait(LONGEST_HANG_SECONDS)
        if self.sink.fault in (HANG, HANG_UP):
            raise _ClosedError
        self._say(self.sink.fault)
        if self.sink.fault.startswith("421"):
            raise _ClosedError
        return True

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line:
            raise _ClosedError
        return line

    def _say(self, reply: str) -> None:
        self.wfile.write(f"{reply}\r\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


@contextmanager
def serve(sink: FaultySmtp) -> Iterator[FaultySmtp]:
    """Run the server on a free port for the time of the block."""
    dialogue = type("_DialogueOfOne", (_Dialogue,), {"sink": sink})
    with _Server((sink.host, 0), dialogue) as server:
        sink.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield sink
        finally:
            sink.heal()
            sink.goes_on.set()
            server.shutdown()
            thread.join()
