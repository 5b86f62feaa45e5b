from __future__ import annotations

import random

import pytest
from libp2p.relay.circuit_v2.pb import circuit_pb2 as library

from fondaco.p2p.protobuf import MalformedProtobuf, field, number_field
from fondaco.p2p.relay_messages import (
    HopKind,
    HopMessage,
    Limit,
    Reservation,
    Status,
    StopKind,
    StopMessage,
    decode_hop,
    decode_stop,
    encode_hop,
    encode_stop,
    encode_voucher,
)

PEER = b"\x00\x25\x08\x02\x12\x21" + bytes(33)

HOPS = [
    pytest.param("0800", HopMessage(kind=HopKind.RESERVE), id="reserve"),
    pytest.param("0801 1203 0a01 50", HopMessage(kind=HopKind.CONNECT, peer=b"P"), id="connect"),
    pytest.param(
        "0802 1a0a 08e807 1201 61 1a02 7676 2205 0878 10 8001 2864",
        HopMessage(
            kind=HopKind.STATUS,
            reservation=Reservation(1000, (b"a",), b"vv"),
            limit=Limit(120, 128),
            status=Status.OK,
        ),
        id="reserved",
    ),
    pytest.param(
        "0802 28 c901",
        HopMessage(kind=HopKind.STATUS, status=Status.RESOURCE_LIMIT_EXCEEDED),
        id="refused",
    ),
]

STOPS = [
    pytest.param(
        "0800 1203 0a01 50 1a04 0878 1001",
        StopMessage(kind=StopKind.CONNECT, peer=b"P", limit=Limit(120, 1)),
        id="connect",
    ),
    pytest.param("0801 2064", StopMessage(kind=StopKind.STATUS, status=Status.OK), id="taken"),
]


@pytest.mark.parametrize(("wire", "message"), HOPS)
def test_messages_to_relays_by_hand(wire: str, message: HopMessage) -> None:
    raw = bytes.fromhex(wire)
    assert (decode_hop(raw), encode_hop(message)) == (message, raw)


@pytest.mark.parametrize(("wire", "message"), STOPS)
def test_messages_of_relays_by_hand(wire: str, message: StopMessage) -> None:
    raw = bytes.fromhex(wire)
    assert (decode_stop(raw), encode_stop(message)) == (message, raw)


def test_the_library_reads_what_we_write_and_writes_what_we_read() -> None:
    hop = library.HopMessage(
        type=library.HopMessage.STATUS,
        peer=library.PeerId(id=PEER, addrs=[b"ignored"]),
        reservation=library.Reservation(expire=2**40, addrs=[b"one", b"two"], voucher=b"v"),
        limit=library.Limit(duration=3_600, data=2**30),
        status=library.NO_RESERVATION,
        senderRecord=b"ignored",
    )
    ours = HopMessage(
        kind=HopKind.STATUS,
        peer=PEER,
        reservation=Reservation(2**40, (b"one", b"two"), b"v"),
        limit=Limit(3_600, 2**30),
        status=Status.NO_RESERVATION,
    )
    assert decode_hop(hop.SerializeToString()) == ours
    hop.ClearField("senderRecord")
    del hop.peer.addrs[:]
    assert library.HopMessage.FromString(encode_hop(ours)) == hop
    stop = library.StopMessage(
        type=library.StopMessage.CONNECT,
        peer=library.PeerId(id=PEER),
        limit=library.Limit(duration=1, data=2),
    )
    also = StopMessage(kind=StopKind.CONNECT, peer=PEER, limit=Limit(1, 2))
    assert decode_stop(stop.SerializeToString()) == also
    assert library.StopMessage.FromString(encode_stop(also)) == stop
    voucher = library.Voucher.FromString(encode_voucher(b"relay", PEER, 7))
    assert (voucher.relay, voucher.peer, voucher.expiration) == (b"relay", PEER, 7)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(number_field(1, 3), id="unknown type"),
        pytest.param(field(1, b""), id="type as bytes"),
        pytest.param(number_field(1, 1) + field(2, field(1, bytes(300))), id="endless peer"),
        pytest.param(number_field(1, 1) + number_field(2, 1), id="peer as a number"),
        pytest.param(number_field(1, 1) + b"\x12\x05\x0a", id="cut"),
    ],
)
def test_what_is_no_message(raw: bytes) -> None:
    for decode in (decode_hop, decode_stop):
        with pytest.raises(MalformedProtobuf):
            decode(raw)


def test_spoiled_messages_raise_nothing_else() -> None:
    chance = random.Random(17)
    good = bytes.fromhex(f"{HOPS[2].values[0]} {STOPS[0].values[0]}")
    for _ in range(3_000):
        spoiled = bytearray(good[: chance.randrange(len(good) + 1)])
        for _ in range(chance.randrange(3)):
            if spoiled:
                spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        try:
            hop = decode_hop(bytes(spoiled))
            assert decode_hop(encode_hop(hop)) == hop
            decode_stop(bytes(spoiled))
        except MalformedProtobuf:
            continue
