from __future__ import annotations

import random

import pytest
from zeroconf import DNSIncoming  # type: ignore[attr-defined]

from fondaco.p2p import limits
from fondaco.p2p.host.mdns_messages import (
    DNSADDR,
    SERVICE,
    SERVICES,
    TTL,
    Packet,
    encode_answer,
    encode_question,
    encode_services,
    read_packet,
)

ADDRESS = "/ip4/192.0.2.7/tcp/60558/p2p/16Uiu2HAmGd949LwaV4KNvK2WDSiMVy7xEmW983VH75CMmefmMpP7"
OTHER = ADDRESS.replace("192.0.2.7", "198.51.100.1")


def test_a_question_by_hand() -> None:
    header = bytes.fromhex("0000 0000 0001 0001 0000 0000")
    question = b"\x04_p2p\x04_udp\x05local\0" + bytes.fromhex("000c 0001")
    # That we are there ourselves is known: a name that points to the one at byte 12.
    known = bytes.fromhex("c00c 000c 0001 00000078 0005") + b"\x02me\xc0\x0c"
    assert encode_question("me") == header + question + known
    assert read_packet(encode_question("me")) == Packet(asks_for_peers=True, known=("me",))


def test_an_answer_tells_where_we_are() -> None:
    raw = encode_answer("me", [ADDRESS, OTHER], "192.0.2.7", 60_558)
    assert read_packet(raw) == Packet(told=(("me", (ADDRESS, OTHER)),))
    records = {(type(one).__name__, one.name, one.ttl) for one in DNSIncoming(raw).answers()}
    assert records == {
        ("DNSPointer", SERVICE, TTL),
        ("DNSText", f"me.{SERVICE}", TTL),
        ("DNSService", f"me.{SERVICE}", TTL),
        ("DNSAddress", "me.local.", TTL),
    }
    # Who says good-bye is not dialled.
    assert read_packet(encode_answer("me", [ADDRESS], "192.0.2.7", 1, ttl=0)) == Packet()
    assert read_packet(encode_answer("me", [], "192.0.2.7", 1)) == Packet()


def test_other_questions() -> None:
    def question(name: str, kind: int) -> bytes:
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")[:-1])
        header = bytes.fromhex("0000 0000 0001 0000 0000 0000")
        return header + labels + b"\0" + kind.to_bytes(2, "big") + b"\x80\x01"

    assert read_packet(question(SERVICES, 12)) == Packet(asks_for_services=True)
    assert read_packet(question("_P2P._udp.LOCAL.", 255)) == Packet(asks_for_peers=True)
    assert read_packet(question(f"me.{SERVICE}", 33)) == Packet(names_asked=(f"me.{SERVICE}",))
    assert read_packet(question(SERVICE, 28)) == Packet()  # an address, of a service
    assert read_packet(encode_services()) == Packet()


@pytest.mark.parametrize(
    "raw", [b"", b"x", bytes(11), b"\xff" * 40, bytes(limits.MAX_MDNS_PACKET + 1)]
)
def test_what_is_no_packet(raw: bytes) -> None:
    assert read_packet(raw) is None


def test_no_more_addresses_than_are_kept() -> None:
    many = [f"/ip4/192.0.2.7/tcp/{number + 1}" for number in range(50)]
    kept = Packet(told=(("me", tuple(many[: limits.MAX_PEER_ADDRESSES])),))
    assert read_packet(encode_answer("me", many, "192.0.2.7", 1)) == kept
    strings = b"".join(bytes([8 + len(one)]) + DNSADDR + one.encode() for one in many)
    name = b"\x02me\x04_p2p\x04_udp\x05local\0"
    record = name + bytes.fromhex("0010 8001 00000078") + len(strings).to_bytes(2, "big") + strings
    assert read_packet(bytes.fromhex("0000 8400 0000 0001 0000 0000") + record) == kept


def test_spoiled_packets_are_read_or_not() -> None:
    chance = random.Random(37)
    goods = [
        encode_answer("me", [ADDRESS, OTHER], "192.0.2.7", 60_558),
        encode_question("me"),
        encode_services(),
    ]
    unread = 0
    for _ in range(4_000):
        spoiled = bytearray(chance.choice(goods))
        for _ in range(chance.randrange(1, 6)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        packet = read_packet(bytes(spoiled))
        unread += packet is None
    assert 0 < unread < 4_000
    assert DNSADDR in goods[0]
