"""A real HTTP server for tests: it keeps what is posted to it and misbehaves as told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Posted:
    """One request: its path, its headers by lower-case name, and its body."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpSink:
    """Keeps accepted requests in order; set an attribute to make it misbehave from then on.

    `status` and `headers` are those of the replies; only a status below 300 accepts a request.
    `hang`: never answer. `drip`: answer a byte now and then. `drop`: accept the request, then close
    the connection without an answer.
    """

    port: int = 0
    posted: list[Posted] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b"{}"
    hang: bool = False
    drip: bool = False
    drop: bool = False
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Return the address of the server."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serve(sink: HttpSink) -> Iterator[HttpSink]:
    """Run the server for the time of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"sink": sink}))
    server.daemon_threads = True
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield sink
    finally:
        sink.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    sink: HttpSink

    def do_POST(self) -> None:
        """Take the request, and reply as the sink is told."""
        body, sink = self.rfile.read(int(self.headers.get("Content-Length") or 0)), self.sink
        sink.asked.append(self.path)
        if sink.hang:
            sink.over.wait(30)
        elif sink.drip:
            self._drip()
        else:
            self._take(body)

    def _take(self, body: bytes) -> None:
        sink = self.sink
        if sink.status < 300:
            headers = {name.lower(): value for name, value in self.headers.items()}
            sink.posted.append(Posted(self.path, headers, body))
        if sink.drop:
            return
        self.send_response(sink.status)
        for name, value in sink.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sink.answer)))
        self.end_headers()
        self.wfile.write(sink.answer)

    def _drip(self) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
            if self.sink.over.wait(0.05):
                return
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet."""
