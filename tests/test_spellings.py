"""Go's spellings, taken and refused as Go does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fondaco import spellings


def is_refused(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("5s", 5.0),
        ("200ms", 0.2),
        ("1m30s", 90.0),
        ("1h2m3.5s", 3723.5),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("3us", 3e-6),
        ("3µs", 3e-6),
        ("3\u03bcs", 3e-6),
        ("7ns", 7e-9),
        ("7d", 604_800.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert spellings.read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "-1s", "+1s", "1e3s", "1s1", "5S", ".s", "\u0663s"]
)
def test_what_is_no_duration(text: str) -> None:
    assert is_refused(spellings.read_duration, text)


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_true(text: str) -> None:
    assert spellings.read_boolean(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False"])
def test_false(text: str) -> None:
    assert spellings.read_boolean(text) is False


@pytest.mark.parametrize("text", ["", "yes", "on", "tRUE", " true", "2"])
def test_what_is_no_boolean(text: str) -> None:
    assert is_refused(spellings.read_boolean, text)


@pytest.mark.parametrize(
    ("text", "shown", "is_loopback"),
    [
        (":60557", "0.0.0.0:60557", False),
        ("localhost:60557", "127.0.0.1:60557", True),
        ("127.0.0.2:0", "127.0.0.2:0", True),
        ("[::1]:80", "[::1]:80", True),
        ("[::]:80", "[::]:80", False),
        ("10.1.2.3:80", "10.1.2.3:80", False),
    ],
)
def test_listen_addresses(text: str, shown: str, is_loopback: bool) -> None:
    address = spellings.read_listen_address(text)
    assert str(address) == shown
    assert address.is_loopback is is_loopback


@pytest.mark.parametrize("text", ["", ":", "host:1", "::1:80", "[::1", "1.2.3:80", "127.0.0.1:-1"])
def test_what_is_no_listen_address(text: str) -> None:
    assert is_refused(spellings.read_listen_address, text)


@pytest.mark.parametrize(
    ("text", "level"), [("0", 0), ("6", 6), ("panic", 0), ("Info", 4), ("warning", 3), ("TRACE", 6)]
)
def test_verbosity(text: str, level: int) -> None:
    assert spellings.read_verbosity(text) == level


def test_protocols() -> None:
    assert spellings.read_protocols("v3, v2") == {2, 3}
    for text in ("", "v2,v2", "2", "v3,"):
        assert is_refused(spellings.read_protocols, text)


def test_tokens_are_long_and_without_blanks() -> None:
    assert spellings.read_token("x" * 16) == "x" * 16
    for text in ("x" * 15, "x" * 513, "x" * 15 + " ", "x" * 16 + "\n", "é" * 16):
        assert is_refused(spellings.read_token, text)


def test_ip_addresses_and_networks() -> None:
    assert spellings.read_ip_address("::0001") == "::1"
    assert spellings.read_networks("") == ()
    assert spellings.read_networks("192.0.2.1, 10.0.0.0/8,fe80::/10") == (
        "192.0.2.1/32",
        "10.0.0.0/8",
        "fe80::/10",
    )


@pytest.mark.parametrize("text", ["localhost", "1.2.3", "10.0.0.0/8", "1.2.3.4:5", "010.0.0.1"])
def test_what_is_no_ip_address(text: str) -> None:
    assert is_refused(spellings.read_ip_address, text)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "a", "10.0.0.0/8,", "10.0.0.0/8;::"])
def test_what_are_no_networks(text: str) -> None:
    assert is_refused(spellings.read_networks, text)
