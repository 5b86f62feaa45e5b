from __future__ import annotations

import random

import pytest
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.peer.id import ID
from libp2p.peer.peerstore import create_signed_peer_record
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.p2p import limits
from fondaco.p2p.framing import MalformedFrame
from fondaco.p2p.host.identify import (
    addresses_of_record,
    checked_record,
    parse_portrait,
    read_record,
)

KEYS = create_new_key_pair(b"\x01" * 32)
PEER = ID.from_pubkey(KEYS.public_key)
OTHER = create_new_key_pair(b"\x02" * 32)


def record_of(peer: ID, address: str = "/ip4/192.0.2.1/tcp/1") -> bytes:
    return bytes(
        create_signed_peer_record(peer, [Multiaddr(address)], KEYS.private_key).marshal_envelope()
    )


def make_message(*addresses: str, **fields: object) -> bytes:
    raw = [Multiaddr(address).to_bytes() for address in addresses]
    return bytes(Identify(listen_addrs=raw, **fields).SerializeToString())  # type: ignore[arg-type]


def test_what_is_kept() -> None:
    record = record_of(PEER)  # each has a number of its own
    raw = make_message(
        "/ip4/192.0.2.1/tcp/5",
        "/ip4/192.0.2.1/udp/5/quic-v1",
        agent_version="fondaco/1\x1b[31m",
        protocols=["/a", "/b"],
        signedPeerRecord=record,
        public_key=KEYS.public_key.serialize(),
    )
    portrait = parse_portrait(raw, PEER, "198.51.100.7")
    assert portrait.agent == "fondaco/1[31m"
    assert portrait.protocols == ("/a", "/b")
    # Its port where we see it: behind a NAT it does not know its own address.
    assert portrait.addresses == ("/ip4/192.0.2.1/tcp/5", "/ip4/198.51.100.7/tcp/5")
    assert portrait.signed_record == record


def test_it_is_bounded() -> None:
    raw = make_message(
        *(f"/ip4/192.0.2.{number % 256}/tcp/{number + 1}" for number in range(1500)),
        agent_version="x" * 10_000,
        protocols=[f"/{number}" for number in range(5000)],
    )
    portrait = parse_portrait(raw, PEER, "")
    assert len(portrait.addresses) == limits.MAX_PEER_ADDRESSES
    assert len(portrait.protocols) == limits.MAX_PROTOCOLS
    assert len(portrait.agent) == limits.MAX_AGENT_SIZE


def test_a_record_must_be_signed_by_the_peer_it_is_of() -> None:
    assert addresses_of_record(record_of(PEER), PEER) == ("/ip4/192.0.2.1/tcp/1",)
    other = ID.from_pubkey(OTHER.public_key)
    for record in (
        record_of(other),
        record_of(PEER)[:-1],
        record_of(PEER)[:-1] + b"\0",
        record_of(PEER, "/ip4/0.0.0.0/tcp/1"),
        b"",
        b"\xff" * 100,
        bytes(limits.MAX_PEER_RECORD_SIZE + 1),
    ):
        assert checked_record(record, PEER) == b""
    assert checked_record(record_of(PEER), other) == b""
    # Well signed, by somebody else.
    assert checked_record(record_of(other), other) == b""
    assert read_record(record_of(other)) is None
    assert read_record(record_of(PEER)) == (PEER, ("/ip4/192.0.2.1/tcp/1",))
    assert read_record(record_of(PEER, "/ip4/192.0.2.1/udp/1/quic-v1")) == (PEER, ())


def test_spoiled_messages_are_read_or_refused() -> None:
    chance = random.Random(6)
    good = make_message("/ip4/192.0.2.1/tcp/5", agent_version="a", signedPeerRecord=record_of(PEER))
    refused = 0
    for _ in range(500):
        spoiled = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        try:
            parse_portrait(bytes(spoiled), PEER, "192.0.2.9")
        except MalformedFrame:
            refused += 1
    assert 0 < refused < 500
    with pytest.raises(MalformedFrame):
        parse_portrait(b"\xff", PEER, "")
