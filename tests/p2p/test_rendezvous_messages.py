from __future__ import annotations

import random

import pytest
from libp2p.discovery.rendezvous.pb.rendezvous_pb2 import Message as LibraryMessage

from fondaco.p2p import limits
from fondaco.p2p.protobuf import MalformedProtobuf, field, number_field
from fondaco.p2p.rendezvous_messages import (
    Answer,
    Discover,
    Discovered,
    Message,
    Register,
    Registered,
    Unregister,
    decode_message,
    encode_message,
    namespace_of,
)

BY_HAND = [
    pytest.param("0800 120a 0a016e 12027265 18a038", Register("n", b"re", 7_200), id="register"),
    pytest.param(
        "0801 1a09 0864 12036261 64 1800", Registered(Answer.INVALID_NAMESPACE, "bad"), id="refused"
    ),
    pytest.param("0802 2203 0a016e", Unregister("n"), id="unregister"),
    pytest.param("0803 2a08 0a016e 1020 1a0163", Discover("n", 32, b"c"), id="discover"),
    pytest.param(
        "0804 3211 0a08 0a016e 120172 1809 120163 1800 2200",
        Discovered((Register("n", b"r", 9),), b"c"),
        id="discovered",
    ),
]


@pytest.mark.parametrize(("wire", "message"), BY_HAND)
def test_messages_by_hand(wire: str, message: Message) -> None:
    raw = bytes.fromhex(wire)
    assert (decode_message(raw), encode_message(message)) == (message, raw)


def test_the_library_reads_the_rest_of_it() -> None:
    """It has an older specification: what has changed is the second field of a registration."""
    found = LibraryMessage.FromString(encode_message(Discover("name", 7, b"cookie")))
    assert found.type == LibraryMessage.DISCOVER
    assert (found.discover.ns, found.discover.limit) == ("name", 7)
    answer = Discovered((), b"next", Answer.UNAVAILABLE, "full")
    found = LibraryMessage.FromString(encode_message(answer))
    assert found.discoverResponse.status == LibraryMessage.E_UNAVAILABLE
    assert found.discoverResponse.cookie == b"next"
    wire = LibraryMessage(
        type=LibraryMessage.REGISTER_RESPONSE,
        registerResponse=LibraryMessage.RegisterResponse(
            status=LibraryMessage.E_INVALID_TTL, statusText="no", ttl=5
        ),
    )
    assert decode_message(wire.SerializeToString()) == Registered(Answer.INVALID_TTL, "no", 5)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(number_field(1, 0), id="no contents"),
        pytest.param(number_field(1, 100) + field(2, b""), id="a subscription"),
        pytest.param(number_field(1, 0) + number_field(2, 1), id="contents as a number"),
        pytest.param(number_field(1, 0) + field(2, field(1, b"\xff")), id="no UTF-8"),
        pytest.param(
            number_field(1, 0) + field(2, field(2, bytes(limits.MAX_PEER_RECORD_SIZE + 1))),
            id="endless record",
        ),
        pytest.param(number_field(1, 3) + field(5, field(3, bytes(300))), id="endless cookie"),
        pytest.param(
            number_field(1, 4) + field(6, field(1, b"") * (limits.MAX_DISCOVERED + 1)),
            id="too many registrations",
        ),
    ],
)
def test_what_is_no_message(raw: bytes) -> None:
    with pytest.raises(MalformedProtobuf):
        decode_message(raw)


def test_names_that_are_too_long_have_a_short_one() -> None:
    assert namespace_of("n" * limits.MAX_NAMESPACE_SIZE) == "n" * limits.MAX_NAMESPACE_SIZE
    long = namespace_of("ä" * limits.MAX_NAMESPACE_SIZE)
    assert long.startswith("sha256/")
    assert len(long) == 7 + 64
    assert long != namespace_of("ö" * limits.MAX_NAMESPACE_SIZE)


def test_spoiled_messages_raise_nothing_else() -> None:
    chance = random.Random(29)
    goods = [bytes.fromhex(str(case.values[0])) for case in BY_HAND]
    read = 0
    for _ in range(4_000):
        spoiled = bytearray(chance.choice(goods))
        for _ in range(chance.randrange(1, 4)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        try:
            message = decode_message(bytes(spoiled))
        except MalformedProtobuf:
            continue
        read += 1
        assert decode_message(encode_message(message)) == message
    assert read > 100
