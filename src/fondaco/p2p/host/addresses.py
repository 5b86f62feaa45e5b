"""Multiaddresses: which of them lead to a peer by TCP, and to whom they may be told.

/ip4/192.0.2.7/tcp/60558/p2p/16Uiu2HA…                            also written /ipfs/16Uiu2HA…
/ip4/192.0.2.7/tcp/60558/p2p/<relay>/p2p-circuit/p2p/16Uiu2HA…    through a relay
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from libp2p.peer.id import ID
from multiaddr import Multiaddr  # type: ignore[import-untyped]
from multiaddr.exceptions import Error as MultiaddrError  # type: ignore[import-untyped]
from multiaddr.utils import get_thin_waist_addresses  # type: ignore[import-untyped]

from fondaco.errors import NodeError
from fondaco.p2p import limits

HOSTS = ("ip4", "ip6", "dns4", "dns6", "dns")
"""Protocols an address may begin with."""

CIRCUIT = "/p2p-circuit"
"""What stands behind a relay's own address in that of a peer behind it."""


class UnusableAddress(NodeError):
    """Text that is no address of a peer, or one that only other transports reach."""

    code = "UnusableAddress"


def parse_peer(text: str) -> ID:
    """Return the peer that base58 *text* names.

    Raises:
        UnusableAddress: it names none.
    """
    try:
        peer = ID.from_base58(text)
        raw = peer.to_bytes()
    except (ValueError, TypeError) as exc:
        raise UnusableAddress(f"no peer ID: {text[: limits.MAX_ADDRESS_SIZE]}") from exc
    # A multihash: the identity of a short key, or a SHA-256.
    if not (34 <= len(raw) == 2 + raw[1] and raw[0] == 0) and not (
        raw[:2] == b"\x12\x20" and len(raw) == 34
    ):
        raise UnusableAddress(f"no peer ID: {text[: limits.MAX_ADDRESS_SIZE]}")
    return peer


def parse_address(text: str) -> tuple[ID | None, Multiaddr]:
    """Return the peer and the rest of an address by TCP, directly or through one relay.

    The peer is None where none is named. Of a circuit the rest ends in ``/p2p-circuit``.

    Raises:
        UnusableAddress: it is malformed, or of another transport.
    """
    if len(text) > limits.MAX_ADDRESS_SIZE:
        raise UnusableAddress("endless address")
    first, circuit, last = text.replace("/ipfs/", "/p2p/").partition(CIRCUIT)
    named, address = _parse_direct(first)
    if not circuit:
        return named, address
    slash, mark, name = last.partition("/p2p/")
    if named is None or slash or (last and not name):
        raise UnusableAddress(f"not an address through a relay: {text}")
    try:
        through = Multiaddr(first + circuit)
    except (MultiaddrError, ValueError, TypeError) as exc:
        raise UnusableAddress(text) from exc
    return (parse_peer(name) if mark else None), through


def _parse_direct(text: str) -> tuple[ID | None, Multiaddr]:
    plain, _, name = text.partition("/p2p/")
    try:
        address = Multiaddr(plain)
        protocols = [protocol.name for protocol in address.protocols()]
    except (MultiaddrError, ValueError, TypeError) as exc:
        raise UnusableAddress(text) from exc
    if len(protocols) != 2 or protocols[0] not in HOSTS or protocols[1] != "tcp" or "/" in name:
        raise UnusableAddress(f"not an address by TCP: {text}")
    return (parse_peer(name) if name else None), address


def relay_in(address: Multiaddr | str) -> tuple[ID, Multiaddr] | None:
    """Return the relay, and where it is, of an address through one; None of others."""
    first, circuit, _ = str(address).partition(CIRCUIT)
    if not circuit:
        return None
    relay, place = _parse_direct(first)
    return None if relay is None else (relay, place)


def ip_of(address: Multiaddr | str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that an address begins with, a relay's where there is one;
    None for a name."""
    parts = str(address).split("/")
    try:
        return ipaddress.ip_address(parts[2]) if parts[1] in {"ip4", "ip6"} else None
    except (ValueError, IndexError):
        return None


def dialable(texts: Iterable[str], *, names_too: bool = False) -> tuple[str, ...]:
    """Return those addresses that can be tried, each once, at most MAX_PEER_ADDRESSES; those
    through relays last.

    Args:
        names_too: whether host names are looked up; not those a stranger told us of.
    """
    found: dict[str, None] = {}
    for text in texts:
        try:
            _, address = parse_address(text)
        except UnusableAddress:
            continue
        ip = ip_of(address)
        if (names_too if ip is None else not (ip.is_unspecified or ip.is_multicast)) and (
            "/tcp/0/" not in f"{address}/"
        ):
            found[str(address)] = None
    return selected(found)


def selected(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the first MAX_PEER_ADDRESSES, those through relays behind all others. Where
    there are too many, MAX_RELAY_ADDRESSES of these stay: no other may be open to us."""
    direct = [text for text in texts if CIRCUIT not in text]
    through = [text for text in texts if CIRCUIT in text]
    room = limits.MAX_PEER_ADDRESSES - min(len(through), limits.MAX_RELAY_ADDRESSES)
    return tuple([*direct[:room], *through][: limits.MAX_PEER_ADDRESSES])


def to_tell(texts: Iterable[str], asker: str) -> tuple[str, ...]:
    """Return the addresses that mean something to somebody at the IP address *asker*.

    A private address leads strangers elsewhere, and tells them of our network.
    """
    try:
        ip = ipaddress.ip_address(asker)
    except ValueError:
        ip = None
    told = []
    for text in texts:
        own = ip_of(text)
        if own is None:
            continue
        if (
            own.is_global
            or (ip is not None and ip.is_loopback)
            or (ip is not None and ip.is_private and not own.is_loopback)
        ):
            told.append(text)
    return tuple(told)


def expand(addresses: Iterable[Multiaddr]) -> list[Multiaddr]:
    """Return listening addresses with 0.0.0.0 and :: replaced by this machine's addresses."""
    expanded: dict[str, Multiaddr] = {}
    for address in addresses:
        ip = ip_of(address)
        is_one = ip is not None and not ip.is_unspecified
        found = [address] if is_one else get_thin_waist_addresses(address)
        expanded.update((str(one), one) for one in found or [_loopback(address)])
    return list(expanded.values())


def _loopback(address: Multiaddr) -> Multiaddr:
    """Return what is left where the machine has no network."""
    text = str(address).replace("/ip4/0.0.0.0/", "/ip4/127.0.0.1/").replace("/ip6/::/", "/ip6/::1/")
    return Multiaddr(text)
