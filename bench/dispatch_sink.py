"""A mail server in a separate process. It accepts every mail, stores none and prints its port.

python bench/dispatch_sink.py [MILLISECONDS]     the time that each of its replies takes
"""

import asyncio
import socket
import sys
import threading
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class _Takes:
    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        return "250 taken"


class _Server(SMTP):
    seconds = 0.0

    async def push(self, status: Any) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        await super().push(status)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Server(self.handler, **self.SMTP_kwargs)


def main() -> None:
    """Serve until the process is stopped."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    _Server.seconds = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0
    _Controller(_Takes(), hostname="127.0.0.1", port=port).start()
    print(port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
