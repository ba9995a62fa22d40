"""One HTTP request to an address that an admin has entered. It cannot reach our own network.

No redirect is followed, no proxy of the environment is used, and the whole exchange has a limit of
time, so that a receiver that sends a byte now and then cannot hold a worker.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

SECONDS_TO_CONNECT = 5.0
SECONDS_TO_ANSWER = 10.0
# An IPv6 address in one of these networks stands for an IPv4 address, which may be private.
_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")))


class NotReachedError(Exception):
    """Nothing was sent. The message says why."""


class NoAnswerError(Exception):
    """The request may have been received. The message says why this is not known."""


@dataclass(frozen=True)
class Reply:
    """The status of the reply, its words, and its header Retry-After."""

    status: int
    words: str
    retry_after: str = ""


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool = False
) -> Reply:
    """Post the body and return the reply without its body. Raise NotReachedError, NoAnswerError."""
    connection = _unconnected(url)
    try:
        with _time_limit(connection):
            _connect(connection, url, allow_private=allow_private)
            return _exchange(connection, _path(url), body, headers)
    finally:
        connection.close()


def is_public(address: str) -> bool:
    """Return whether the IP address belongs to the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        ip = mapped
    if any(ip.version == network.version and ip in network for network in _TRANSLATED):
        return False
    return ip.is_global and not ip.is_multicast


def _exchange(
    connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]
) -> Reply:
    try:
        connection.request("POST", path, body=body, headers=dict(headers))
        response = connection.getresponse()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswerError(_words(error)) from error
    retry_after = response.getheader("Retry-After") or ""
    return Reply(response.status, f"{response.status} {response.reason}"[:200], retry_after)


@contextmanager
def _time_limit(connection: http.client.HTTPConnection) -> Iterator[None]:
    """Cut the connection when the exchange takes too long, however often bytes arrive."""
    timer = threading.Timer(SECONDS_TO_ANSWER, _cut, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The exchange has just ended.
            return


def _unconnected(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port)


def _connect(connection: http.client.HTTPConnection, url: str, *, allow_private: bool) -> None:
    """Connect to a checked address. With TLS, the certificate must be of the host in the URL."""
    host, port = connection.host, connection.port
    try:
        # The name is resolved once, and the checked address is the one that is connected to. With
        # a second look-up the name could meanwhile stand for an address of our own network.
        found = _resolved(host, port, allow_private=allow_private)
        connected = socket.create_connection(found, SECONDS_TO_CONNECT)
        connection.sock = connected
        connected.settimeout(SECONDS_TO_ANSWER)
        if urlsplit(url).scheme == "https":
            _secure(connection, connected, host)
    except (OSError, UnicodeError, ValueError) as error:
        raise NotReachedError(_words(error)) from error


def _secure(connection: http.client.HTTPConnection, connected: socket.socket, host: str) -> None:
    # The handshake comes last, so that the limit of time can cut it too.
    tls = ssl.create_default_context()
    secured = tls.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
    connection.sock = secured
    secured.do_handshake()


def _resolved(host: str, port: int, *, allow_private: bool) -> tuple[str, int]:
    """Return the address of the host. Refuse a host with any address that is not public."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    refused = [each for each in addresses if not allow_private and not is_public(each)]
    if refused:
        raise OSError(f"{host} is at the private address {refused[0]}")
    return addresses[0], port


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
