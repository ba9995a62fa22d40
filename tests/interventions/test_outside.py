"""One request to an outside address: never to our own network, and with one limit of time."""

import socket
import ssl
import time
from typing import Any

import pytest

from interventions.channels import outside
from interventions.channels.outside import NotReachedError, is_public, post
from tests.http_sink import HttpSink


def test_the_whole_exchange_has_a_limit_of_time(
    http_sink: HttpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "SECONDS_TO_ANSWER", 0.5)
    http_sink.drip = True
    began = time.monotonic()

    with pytest.raises(outside.NoAnswerError):
        post(f"{http_sink.url}/x", b"{}", {}, allow_private=True)

    assert time.monotonic() - began < 5


def slow_down(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.setattr(outside, "SECONDS_TO_ANSWER", 0.2)
    quick = getattr(socket, part)

    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.4)
        return quick(*args, **kwargs)

    monkeypatch.setattr(socket, part, slow)


@pytest.mark.parametrize("part", ["getaddrinfo", "create_connection"])
def test_a_slow_look_up_or_connection_uses_up_the_limit_of_time(
    http_sink: HttpSink, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    slow_down(monkeypatch, part)
    http_sink.drip = True

    with pytest.raises(NotReachedError, match="took longer than"):
        post(f"{http_sink.url}/x", b"{}", {}, allow_private=True)

    assert http_sink.asked == []


def test_after_a_slow_look_up_nothing_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, "getaddrinfo")

    # Nobody listens there, so a connection would be refused.
    with pytest.raises(NotReachedError, match="took longer than"):
        post("http://127.0.0.1:1/", b"{}", {}, allow_private=True)


def look_up(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let the host two.example have these addresses."""
    really = socket.getaddrinfo

    def found(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != "two.example":
            return really(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_the_next_address_of_a_host_is_tried_if_the_first_refuses(
    http_sink: HttpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sink listens at the last one only.
    look_up(monkeypatch, "127.0.0.3", "127.0.0.2", "127.0.0.1")

    reply = post(f"http://two.example:{http_sink.port}/x", b"{}", {}, allow_private=True)

    assert reply.status == 200
    assert len(http_sink.posted) == 1


def test_no_address_is_tried_if_one_of_them_is_private(
    http_sink: HttpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up(monkeypatch, "93.184.216.34", "127.0.0.1")

    with pytest.raises(NotReachedError, match=r"private address 127\.0\.0\.1"):
        post(f"http://two.example:{http_sink.port}/x", b"{}", {})

    assert http_sink.asked == []


def test_all_addresses_together_have_one_limit_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "SECONDS_TO_ANSWER", 0.3)
    tried = []

    def hanging(address: tuple[str, int], timeout: float) -> Any:
        tried.append(address[0])
        time.sleep(min(timeout, 0.25))
        raise TimeoutError("timed out")

    look_up(monkeypatch, *(f"127.0.0.{each}" for each in range(1, 10)))
    monkeypatch.setattr(socket, "create_connection", hanging)

    with pytest.raises(NotReachedError, match="longer than"):
        post("http://two.example/", b"{}", {}, allow_private=True)

    # The second has only the rest of the time. A busy machine may use it up with the first.
    assert 1 <= len(tried) <= 2


def test_the_certificates_are_loaded_once(
    http_sink: HttpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.tls.cache_clear()
    loaded, load = [], ssl.SSLContext.load_default_certs

    def counted(context: ssl.SSLContext, *args: Any) -> None:
        loaded.append(args)
        load(context, *args)

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", counted)
    for _ in range(2):
        # The sink speaks no TLS.
        with pytest.raises(NotReachedError, match="SSL"):
            post(f"https://127.0.0.1:{http_sink.port}/", b"{}", {}, allow_private=True)

    assert len(loaded) == 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("fec0::1", False),
        ("::127.0.0.1", False),
        ("::a00:1", False),
        ("::ffff:0:10.0.0.1", False),
        ("2002:a00:1::", False),
    ],
)
def test_only_addresses_of_the_public_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"])
def test_nothing_is_sent_to_our_own_network(http_sink: HttpSink, host: str) -> None:
    with pytest.raises(NotReachedError):
        post(f"http://{host}:{http_sink.port}/", b"{}", {})

    assert http_sink.asked == []
