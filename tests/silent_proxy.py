"""A proxy for one server behind TCP whose connections can go silent without being closed.

So does a firewall that forgets a connection: both ends keep theirs open and wait for ever.
"""

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Dial = Callable[[], socket.socket]


class SilentProxy:
    """Passes bytes on between its clients and a server, until told to pass nothing on."""

    def __init__(self, dial: Dial, *, port: int = 0) -> None:
        self._dial = dial
        self._server = socket.create_server(("127.0.0.1", port))
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._silent: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """Return the port that clients connect to."""
        return int(self._server.getsockname()[1])

    def silence(self) -> int:
        """Pass nothing on any more over the connections that are open now; return how many.

        Connections that are made later work.
        """
        with self._lock:
            self._silent |= set(self._pairs)
            return len(self._silent) // 2

    def run(self) -> None:
        """Serve until the proxy is closed."""
        selector = selectors.DefaultSelector()
        selector.register(self._server, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(timeout=1):
                try:
                    self._serve(key.fileobj, selector)
                except OSError:
                    if key.fileobj is self._server:
                        return
                    self._close(key.fileobj, selector)

    def close(self) -> None:
        """Stop, and close every connection."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in list(self._pairs):
            one.close()

    def _serve(self, ready, selector: selectors.BaseSelector) -> None:
        if ready is self._server:
            client, _ = ready.accept()
            server = self._dial()
            with self._lock:
                self._pairs |= {client: server, server: client}
            for one in (client, server):
                selector.register(one, selectors.EVENT_READ)
            return
        data = ready.recv(65536)
        if ready in self._silent:
            # Read and lost: the sender must not notice that nobody takes it.
            if not data:
                selector.unregister(ready)
            return
        if not data:
            self._close(ready, selector)
            return
        self._pairs[ready].sendall(data)

    def _close(self, one: socket.socket, selector: selectors.BaseSelector) -> None:
        with self._lock:
            other = self._pairs.pop(one, None)
            if other is not None:
                self._pairs.pop(other, None)
        for each in (one, other):
            if each is not None:
                with suppress(KeyError, ValueError):
                    selector.unregister(each)
                each.close()


@contextmanager
def serve(dial: Dial, *, port: int = 0) -> Iterator[SilentProxy]:
    """Run a proxy to the server that `dial` connects to, on the port or on a free one."""
    proxy = SilentProxy(dial, port=port)
    thread = threading.Thread(target=proxy.run, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(5)
