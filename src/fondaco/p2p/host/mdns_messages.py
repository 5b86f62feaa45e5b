"""What peers say on the local network: multicast DNS, as libp2p uses it.

    question   PTR _p2p._udp.local
    answer     PTR _p2p._udp.local -> <name>._p2p._udp.local
               and of <name>: TXT dnsaddr=<multiaddr>/p2p/<peer>*, SRV, A

The bytes are zeroconf's business. Source: libp2p specification ``discovery/mdns.md``,
RFC 6762 and 6763.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence

import msgspec
from zeroconf import (  # type: ignore[attr-defined]
    DNSAddress,
    DNSIncoming,
    DNSOutgoing,
    DNSPointer,
    DNSQuestion,
    DNSService,
    DNSText,
)

from fondaco.p2p import limits

SERVICE = "_p2p._udp.local."

SERVICES = "_services._dns-sd._udp.local."
"""Asked by who wants to know which services there are."""

DNSADDR = b"dnsaddr="
"""What stands before an address in a TXT record."""

TTL = 120
"""Seconds for which an answer holds; 0 says that the peer is gone."""

# Source: RFC 1035 and 6762.
_A, _PTR, _TXT, _SRV, _ANY = 1, 12, 16, 33, 255
_IN, _UNIQUE = 1, 0x8001
_QUERY, _ANSWER = 0x0000, 0x8400

# It warns of every broken packet that anybody sends.
logging.getLogger("zeroconf").setLevel(logging.CRITICAL)


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """What of a packet matters."""

    asks_for_peers: bool = False
    asks_for_services: bool = False
    names_asked: tuple[str, ...] = ()
    """Other names in questions."""
    known: tuple[str, ...] = ()
    """Peers whose answer the asker has already."""
    told: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Names of peers and the addresses they tell."""


def encode_question(name: str) -> bytes:
    """Ask who is there besides us."""
    packet = DNSOutgoing(_QUERY)
    packet.add_question(DNSQuestion(SERVICE, _PTR, _IN))
    packet.add_answer_at_time(DNSPointer(SERVICE, _PTR, _IN, TTL, f"{name}.{SERVICE}"), 0)
    return packet.packets()[0]


def encode_answer(name: str, addresses: Sequence[str], ip: str, port: int, ttl: int = TTL) -> bytes:
    """Say that we are there.

    Args:
        name: one label, of chance: peers are told apart by their IDs.
        addresses: multiaddresses that end in our peer ID; the first MAX_PEER_ADDRESSES.
        ip: IPv4 address of the interface.
    """
    full, server = f"{name}.{SERVICE}", f"{name}.local."
    kept = addresses[: limits.MAX_PEER_ADDRESSES]
    texts = [DNSADDR + address.encode() for address in kept]
    raw = b"".join(bytes([len(text)]) + text for text in texts if len(text) < 256)
    packet = DNSOutgoing(_ANSWER)
    packet.add_answer_at_time(DNSPointer(SERVICE, _PTR, _IN, ttl, full), 0)
    packet.add_additional_answer(DNSText(full, _TXT, _UNIQUE, ttl, raw or b"\0"))
    packet.add_additional_answer(DNSService(full, _SRV, _UNIQUE, ttl, 0, 0, port, server))
    packed = ipaddress.IPv4Address(ip).packed
    packet.add_additional_answer(DNSAddress(server, _A, _UNIQUE, ttl, packed))
    return packet.packets()[0]


def encode_services(ttl: int = TTL) -> bytes:
    """Say that there are peers."""
    packet = DNSOutgoing(_ANSWER)
    packet.add_answer_at_time(DNSPointer(SERVICES, _PTR, _IN, ttl, SERVICE), 0)
    return packet.packets()[0]


def read_packet(raw: bytes) -> Packet | None:
    """Return what a packet says; None where it is none."""
    if len(raw) > limits.MAX_MDNS_PACKET:
        return None
    try:
        packet = DNSIncoming(raw)
        if not packet.valid:
            return None
        if packet.is_query():
            return _questions(packet.questions, packet.answers())
        return _answers(packet.answers())
    # The library parses a stranger's bytes in here; anything may come out.
    except Exception:  # noqa: BLE001
        return None


def _questions(questions: Sequence[DNSQuestion], known: Sequence[object]) -> Packet:
    wanted = {_PTR, _TXT, _SRV, _A, _ANY}
    asked = {one.name.lower() for one in questions[: limits.MAX_MDNS_RECORDS] if one.type in wanted}
    return Packet(
        asks_for_peers=SERVICE in asked,
        asks_for_services=SERVICES in asked,
        names_asked=tuple(sorted(asked - {SERVICE, SERVICES})),
        known=tuple(
            record.alias.removesuffix(f".{SERVICE}")
            for record in known[: limits.MAX_MDNS_RECORDS]
            if isinstance(record, DNSPointer)
        ),
    )


def _answers(records: Sequence[object]) -> Packet:
    told = [
        (record.name.removesuffix(f".{SERVICE}"), _addresses_in(record.text))
        for record in records[: limits.MAX_MDNS_RECORDS]
        if isinstance(record, DNSText) and record.ttl and record.name.lower().endswith(SERVICE)
    ]
    return Packet(told=tuple((name, addresses) for name, addresses in told if addresses))


def _addresses_in(raw: bytes) -> tuple[str, ...]:
    """Return the addresses in the strings of a TXT record, not more than are kept of a peer."""
    found: list[str] = []
    at = 0
    while at < len(raw) and len(found) < limits.MAX_PEER_ADDRESSES:
        size = raw[at]
        text = raw[at + 1 : at + 1 + size]
        at += 1 + size
        if text.startswith(DNSADDR):
            found.append(text[len(DNSADDR) :].decode(errors="replace"))
    return tuple(found)
