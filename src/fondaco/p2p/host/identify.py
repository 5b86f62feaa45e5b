"""What a peer says of itself: read with bounds, believed where it can be checked.

The library's reader has no bound on the message, keeps a thousand addresses of every peer,
and overwrites what it knows with whatever a peer pushes. Source: libp2p identify
specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from google.protobuf.message import DecodeError
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.peer.envelope import consume_envelope
from libp2p.peer.id import ID
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.p2p import limits
from fondaco.p2p.framing import LengthFraming, MalformedFrame
from fondaco.p2p.host.addresses import CIRCUIT, dialable, ip_of
from fondaco.p2p.host.channel import Channel

PROTOCOL = "/ipfs/id/1.0.0"

RECORD_DOMAIN = "libp2p-peer-record"
"""Domain of the signature on a peer record. Source: libp2p RFC 0003."""


class Portrait(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of it."""

    agent: str = ""
    protocols: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """By TCP, without the peer ID."""
    signed_record: bytes = b""
    """Proof of addresses that can be passed on; empty where there is none that holds."""


async def read_portrait(channel: Channel, seen_from: str) -> Portrait:
    """Read the identify message on a fresh stream.

    Args:
        seen_from: the IP address the peer has for us.

    Raises:
        MalformedFrame: it is none.
        StreamEnded: it did not come.
    """
    raw = await channel.read_message(LengthFraming(limits.MAX_IDENTIFY_SIZE))
    return parse_portrait(raw or b"", ID(channel.peer), seen_from)


def parse_portrait(raw: bytes, peer: ID, seen_from: str) -> Portrait:
    """Return what of an identify message is kept.

    Raises:
        MalformedFrame: it is none.
    """
    message = Identify()
    try:
        message.ParseFromString(raw)
    except DecodeError as exc:
        raise MalformedFrame("identify message") from exc
    addresses = addresses_in(message.listen_addrs)
    agent = "".join(_texts([message.agent_version]))
    return Portrait(
        agent="".join(filter(str.isprintable, agent))[: limits.MAX_AGENT_SIZE],
        protocols=tuple(_texts(message.protocols[: limits.MAX_PROTOCOLS])),
        addresses=dialable([*addresses, *_behind(addresses, seen_from)]),
        signed_record=checked_record(message.signedPeerRecord, peer),
    )


def addresses_in(raw_addresses: Sequence[bytes]) -> list[str]:
    """Return the text of those addresses that are any."""
    found = []
    for raw in raw_addresses[: 4 * limits.MAX_PEER_ADDRESSES]:
        try:
            found.append(str(Multiaddr(raw)))
        # The parser of a stranger's bytes, with errors of its own and of others.
        except Exception:  # noqa: BLE001
            continue
    return found


def read_record(raw: bytes) -> tuple[ID, tuple[str, ...]] | None:
    """Return who has signed a peer record, which must be its own, and its addresses that
    can be dialled; None where nobody has."""
    if not raw or len(raw) > limits.MAX_PEER_RECORD_SIZE:
        return None
    try:
        envelope, record = consume_envelope(raw, RECORD_DOMAIN)
        signer = ID.from_pubkey(envelope.public_key)
        texts = [str(address) for address in record.addrs[: 4 * limits.MAX_PEER_ADDRESSES]]
    # The library checks signatures and parses in here; anything may come out.
    except Exception:  # noqa: BLE001
        return None
    # The library does not compare these: anybody could sign for anybody.
    return (signer, dialable(texts)) if record.peer_id == signer else None


def addresses_of_record(raw: bytes, peer: ID) -> tuple[str, ...]:
    """Return the dialable addresses that *peer* has signed; none where it has not."""
    found = read_record(raw)
    return found[1] if found is not None and found[0] == peer else ()


def checked_record(raw: bytes, peer: ID) -> bytes:
    """Return a signed peer record if *peer* has signed it and it leads somewhere."""
    return raw if addresses_of_record(raw, peer) else b""


def _texts(values: Iterable[object]) -> list[str]:
    """Return those that are text: what is not UTF-8 comes out of the parser as bytes."""
    return [value for value in values if isinstance(value, str)]


def _behind(addresses: list[str], seen_from: str) -> list[str]:
    """Return the peer's listening ports at the address we see: it may not know its own."""
    found = []
    for text in addresses:
        if CIRCUIT in text:
            continue  # the port is the relay's
        ip, parts = ip_of(text), text.split("/")
        # A port on a loopback address is not open to others, except where all are here.
        if ip is not None and not ip.is_loopback and parts[3:4] == ["tcp"] and seen_from:
            found.append(f"/ip{6 if ':' in seen_from else 4}/{seen_from}/tcp/{parts[4]}")
    return found
