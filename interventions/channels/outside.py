"""One HTTP request to an address that an admin has entered. It cannot reach our own network.

No redirect is followed, no proxy of the environment is used, and the whole exchange has a limit of
time, so that a receiver that sends a byte now and then cannot hold a worker.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from common.hosts import Target, target_of

SECONDS_TO_CONNECT = 5.0
SECONDS_TO_ANSWER = 10.0
# An IPv6 address in one of these networks stands for an IPv4 address, which may be private, or for
# a host of our own network in the older way (RFC 3879).
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "::/96", "::ffff:0:0:0/96", "fec0::/10"),
    )
)


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


@cache
def tls() -> ssl.SSLContext:
    """Return the settings of all TLS connections. To load the certificates takes 20 ms."""
    return ssl.create_default_context()


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool = False
) -> Reply:
    """Post the body and return the reply without its body. Raise NotReachedError, NoAnswerError."""
    try:
        target = target_of(url)
    except ValueError as error:
        raise NotReachedError(_words(error)) from error
    connection = _unconnected(target)
    try:
        with _time_limit(connection) as is_over:
            _connect(connection, target, is_over, allow_private=allow_private)
            return _exchange(connection, target.path, body, headers)
    finally:
        connection.close()


def is_public(address: str) -> bool:
    """Return whether the IP address belongs to the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        ip = mapped
    if any(ip.version == network.version and ip in network for network in _NOT_PUBLIC):
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
def _time_limit(connection: http.client.HTTPConnection) -> Iterator[threading.Event]:
    """Cut the connection when the exchange takes too long, however often bytes arrive.

    The event is set at that moment. A socket that the connection gets later must not be used.
    """
    is_over = threading.Event()
    timer = threading.Timer(SECONDS_TO_ANSWER, _cut, [connection, is_over])
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()


def _cut(connection: http.client.HTTPConnection, is_over: threading.Event) -> None:
    is_over.set()
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The exchange has just ended, or the socket has just become one with TLS.
            return


def _unconnected(target: Target) -> http.client.HTTPConnection:
    if target.is_secure:
        return http.client.HTTPSConnection(target.host, target.port, context=tls())
    return http.client.HTTPConnection(target.host, target.port)


def _connect(
    connection: http.client.HTTPConnection,
    target: Target,
    is_over: threading.Event,
    *,
    allow_private: bool,
) -> None:
    """Connect to a checked address. With TLS, the certificate must be of the host in the URL."""
    ends = time.monotonic() + SECONDS_TO_ANSWER
    try:
        # The name is resolved once, and only checked addresses are connected to. With a second
        # look-up the name could meanwhile stand for an address of our own network.
        found = _resolved(target.host, target.port, allow_private=allow_private)
        connection.sock = _first_connection(found, target.port, ends)
        connection.sock.settimeout(SECONDS_TO_ANSWER)
        if target.is_secure:
            # The handshake comes last, so that the limit of time can cut it too.
            connection.sock = tls().wrap_socket(
                connection.sock, server_hostname=target.host, do_handshake_on_connect=False
            )
        # The timer sets the event before it looks for the socket, so one of the two sees the other.
        _check_time(is_over)
        if isinstance(connection.sock, ssl.SSLSocket):
            connection.sock.do_handshake()
    except (OSError, UnicodeError, ValueError) as error:
        raise NotReachedError(_words(error)) from error


def _first_connection(addresses: Sequence[str], port: int, ends: float) -> socket.socket:
    """Connect to the first of the addresses that can be reached."""
    for place, address in enumerate(addresses, 1):
        # Nothing can cut the look-up of a name, which may have used up the time.
        left = ends - time.monotonic()
        if left <= 0:
            raise _took_too_long()
        try:
            return socket.create_connection((address, port), min(SECONDS_TO_CONNECT, left))
        except OSError:
            if place == len(addresses):
                raise
    raise OSError("the host has no address")


def _check_time(is_over: threading.Event) -> None:
    if is_over.is_set():
        raise _took_too_long()


def _took_too_long() -> TimeoutError:
    return TimeoutError(f"to connect took longer than {SECONDS_TO_ANSWER:g} seconds")


def _resolved(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses of the host. Refuse a host with any address that is not public."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    refused = [each for each in addresses if not allow_private and not is_public(each)]
    if refused:
        raise OSError(f"{host} is at the private address {refused[0]}")
    return addresses


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
