"""How the value of a setting is spelled: text in, value out, one reader per kind.

A reader raises ``ValueError`` for what it cannot take; ``config`` knows which setting
and which source that was and says so. The kinds follow the spellings of Go, because
the operators of 0x Mesh wrote their files for Go: ``1m30s``, ``T``, ``:60557``.
"""

from __future__ import annotations

import dataclasses
import fractions
import ipaddress
import json
import math
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path

SECONDS_PER_UNIT = {
    "ns": fractions.Fraction(1, 10**9),
    "us": fractions.Fraction(1, 10**6),
    "µs": fractions.Fraction(1, 10**6),  # the micro sign U+00B5 that Go prints
    "μs": fractions.Fraction(1, 10**6),
    "ms": fractions.Fraction(1, 10**3),
    "s": fractions.Fraction(1),
    "m": fractions.Fraction(60),
    "h": fractions.Fraction(3600),
    "d": fractions.Fraction(86_400),  # ours: retention is thought of in days
}
"""Units of a duration. Source: Go ``time.ParseDuration``, and ``d``."""

_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d)")

TRUE_WORDS = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE_WORDS = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""Source: Go ``strconv.ParseBool``; nothing else is a boolean, not even ``yes``."""

VERBOSITY_NAMES = ("panic", "fatal", "error", "warn", "info", "debug", "trace")
"""Names of the levels 0 to 6. Source: 0x Mesh, ``VERBOSITY``."""

PROTOCOL_NAMES = {"v2": 2, "v3": 3}
"""Versions of the 0x protocol whose orders this node takes."""

_WHOLE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One way to spell values.

    ``expected`` completes the sentence "X is not …" and so begins with an article.
    ``read`` raises ValueError for any other text.
    """

    expected: str
    read: Callable[[str], object]


@dataclasses.dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a listener is bound: an IPv4 or IPv6 address, never a name."""

    host: str
    port: int
    """0 asks the system for a free one."""

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def read_duration(text: str) -> float:
    """Return seconds, not negative: ``5s``, ``200ms``, ``1m30s``, ``7d``; ``0`` is zero."""
    if text == "0":
        return 0.0
    total, position = fractions.Fraction(0), 0
    while position < len(text):
        part = _DURATION_PART.match(text, position)
        if part is None:
            raise ValueError(text)
        total += fractions.Fraction(part[1].rstrip(".")) * SECONDS_PER_UNIT[part[2]]
        position = part.end()
    if position == 0:
        raise ValueError("empty duration")
    return float(total)


def read_boolean(text: str) -> bool:
    """Return what Go's ``strconv.ParseBool`` would."""
    if text in TRUE_WORDS:
        return True
    if text in FALSE_WORDS:
        return False
    raise ValueError(text)


def read_verbosity(text: str) -> int:
    """Return 0 to 6 for a number or a level's name."""
    lowered = text.lower()
    if lowered == "warning":
        lowered = "warn"
    if lowered in VERBOSITY_NAMES:
        return VERBOSITY_NAMES.index(lowered)
    if re.fullmatch("[0-6]", text):
        return int(text)
    raise ValueError(text)


def read_listen_address(text: str) -> ListenAddress:
    """Return the address that ``HOST:PORT`` names, as Go's ``net.Listen("tcp4", …)`` reads it.

    ``localhost`` is 127.0.0.1; a missing host is every IPv4 interface.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not _WHOLE.fullmatch(port) or int(port) > 65_535:
        raise ValueError(text)
    if host.startswith("[") and host.endswith("]"):
        return ListenAddress(str(ipaddress.IPv6Address(host[1:-1])), int(port))
    host = {"": "0.0.0.0", "localhost": "127.0.0.1"}.get(host, host)
    return ListenAddress(str(ipaddress.IPv4Address(host)), int(port))


def read_protocols(text: str) -> frozenset[int]:
    """Return the protocol versions named in a comma-separated list."""
    names = [name.strip() for name in text.split(",")]
    if len(set(names)) != len(names):
        raise ValueError(text)
    try:
        return frozenset(PROTOCOL_NAMES[name] for name in names)
    except KeyError:
        raise ValueError(text) from None


def read_words(text: str) -> tuple[str, ...]:
    """Return the entries of a comma-separated list; none may be empty."""
    if not text:
        return ()
    entries = tuple(entry.strip() for entry in text.split(","))
    if not all(entries):
        raise ValueError(text)
    return entries


def read_ip_address(text: str) -> str:
    """Return the IPv4 or IPv6 address that *text* is, in its usual spelling."""
    return str(ipaddress.ip_address(text))


def read_networks(text: str) -> tuple[str, ...]:
    """Return the IP networks of a comma-separated list; an address is a network of one."""
    return tuple(str(ipaddress.ip_network(word)) for word in read_words(text))


def read_endpoint(text: str) -> str:
    """Return *text* where it is the URL of an Ethereum JSON-RPC endpoint."""
    parts = urllib.parse.urlsplit(text)
    if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname:
        raise ValueError("not an endpoint")
    if parts.port == 0 or re.search(r"\s", text):  # .port raises ValueError over 65535
        raise ValueError("not an endpoint")
    return text


def read_json_object(text: str) -> str:
    """Return *text* where it holds one JSON object; its meaning is another module's."""
    try:
        value = json.loads(text, parse_constant=_no_such_number)
    except RecursionError:  # "[[[[…"
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return text


def _no_such_number(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def read_optional_json_object(text: str) -> str:
    """Return ``""`` or what ``read_json_object`` does."""
    return read_json_object(text) if text else ""


def read_path(text: str) -> Path:
    """Return a path, which may be relative to the working directory."""
    if not text or "\0" in text:
        raise ValueError(text)
    return Path(text)


def read_token(text: str) -> str:
    """Return a bearer token: 16 to 512 printable ASCII characters without blanks."""
    if not re.fullmatch(r"[\x21-\x7e]{16,512}", text):
        raise ValueError("not a token")
    return text


def whole(minimum: int, maximum: int) -> Kind:
    """Return the kind of the whole numbers from *minimum* to *maximum*."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not minimum <= int(text) <= maximum:
            raise ValueError(text)
        return int(text)

    return Kind(f"a whole number from {minimum} to {maximum}", read)


def positive_number(maximum: float) -> Kind:
    """Return the kind of the numbers above zero up to *maximum*; fractions allowed."""

    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
            raise ValueError(text)
        number = float(text)
        if not (math.isfinite(number) and 0 < number <= maximum):
            raise ValueError(text)
        return number

    return Kind(f"a number above 0, at most {maximum:g}", read)


def duration(minimum: str, maximum: str) -> Kind:
    """Return the kind of the durations from *minimum* to *maximum*."""
    lowest, highest = read_duration(minimum), read_duration(maximum)

    def read(text: str) -> float:
        length = read_duration(text)
        if not lowest <= length <= highest:
            raise ValueError(text)
        return length

    return Kind(f"a duration from {minimum} to {maximum}, such as 5s, 200ms, 1m30s or 7d", read)


def optional(kind: Kind) -> Kind:
    """Return *kind* with one more spelling: the empty text, which is None."""
    return Kind(kind.expected, lambda text: kind.read(text) if text else None)


BOOLEAN = Kind("a boolean (true, false, t, f, 1 or 0)", read_boolean)
VERBOSITY = Kind(f"a level from 0 to 6 or one of {', '.join(VERBOSITY_NAMES)}", read_verbosity)
LISTEN_ADDRESS = Kind(
    "an address to listen on: HOST:PORT with an IP address or localhost, or :PORT for "
    "all interfaces",
    read_listen_address,
)
PROTOCOLS = Kind("a list of order protocols: v2, v3 or v2,v3", read_protocols)
WORDS = Kind("a comma-separated list without empty entries", read_words)
IP_ADDRESS = Kind("an IP address", read_ip_address)
NETWORKS = Kind("a comma-separated list of IP addresses and networks (192.0.2.0/24)", read_networks)
ENDPOINT = Kind("an http, https, ws or wss URL with a host", read_endpoint)
JSON_OBJECT = Kind("a JSON object", read_json_object)
OPTIONAL_JSON_OBJECT = Kind("a JSON object", read_optional_json_object)
PATH = Kind("a path", read_path)
TOKEN = Kind("a token of 16 to 512 printable characters without blanks", read_token)
