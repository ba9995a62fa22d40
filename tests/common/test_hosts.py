"""Hosts in the form in which requests and browsers write them."""

import pytest

from common.hosts import Target, ascii_host, target_of


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("Courses.Example.org", "courses.example.org"),
        ("courses.example.org.", "courses.example.org."),
        ("my_host", "my_host"),
        ("192.0.2.7", "192.0.2.7"),
        ("Straße.example", "xn--strae-oqa.example"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
    ],
)
def test_a_host_is_written_in_one_form(typed: str, written: str) -> None:
    assert ascii_host(typed) == written


@pytest.mark.parametrize(
    "typed", ["", "a b", "a..b", ".a", "*.a", "a\\b", f"{64 * 'a'}.b", "é..b", ":1", "fe80::1%eth0"]
)
def test_what_names_no_host_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        ascii_host(typed)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (
            "https://Straße.example/x",
            Target(is_secure=True, host="xn--strae-oqa.example", port=443, path="/x"),
        ),
        ("http://a.example:8080", Target(is_secure=False, host="a.example", port=8080, path="/")),
        # Without a port, the last part of an IPv6 address was taken for one.
        ("https://[::1]/?a=1", Target(is_secure=True, host="::1", port=443, path="/?a=1")),
    ],
)
def test_a_request_goes_to_a_host_and_a_port(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://",
        "https://user@[::1",
        "https://a.example:443443/",
        "https://a.example:0/",
        "https://a example/",
        "https://a.example/b c",
        "https://a.example/b\nc",
        "https://a.example/?b=é",
    ],
)
def test_an_address_that_no_request_can_hold_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        target_of(url)
