from __future__ import annotations

import random
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.p2p import limits, link

TO_CHILD: list[link.ToChild] = [
    link.Start(
        private_key="c2VjcmV0",
        agent="fondaco/1",
        host="127.0.0.1",
        port=60558,
        verbosity=4,
        log_json=False,
        seed=2**64 - 1,
        deny=("192.0.2.0/24",),
        reach=link.Reach(
            relays=("/ip4/127.0.0.1/tcp/1/p2p/x",), serves_relay=True, mdns=True, upnp=True
        ),
    ),
    link.Subscribe("topic"),
    link.Unsubscribe("topic"),
    link.Publish("topic", b"\x00\xff"),
    link.Judge(b"id", "accept"),
    link.Request(1, "peer", "/p/1", False, b"payload", 10.0),
    link.Cancel(1),
    link.Serve("/p/1", True),
    link.Answer(1, None, True),
    link.AddPeer(2, "peer", ("/ip4/127.0.0.1/tcp/1",), 60.0),
    link.Want(("/ip4/127.0.0.1/tcp/1/p2p/x",)),
    link.Remember((link.KnownPeer(peer="peer", addresses=("a",), seen_at=3),)),
    link.Meet(("name",)),
    link.KeepBan("peer", 1.5),
    link.Report("peer", "timeout", 1.0),
    link.Reward("peer"),
    link.Disconnect("peer"),
]

TO_MAIN: list[link.ToMain] = [
    link.Listening("peer", ("a", "b")),
    link.CannotListen("taken"),
    link.Published(3),
    link.Delivered("topic", b"id", "peer", b"data"),
    link.Response(1, b"payload"),
    link.Failure(1, "why"),
    link.Inbound(1, "peer", "/p/1", b"payload"),
    link.Forgotten(1),
    link.PeerState("peer", ("a",), "inbound", -1.5, ("topic",), "agent", ("/p/1",), "relay"),
    link.PeerGone("peer"),
    link.Banned("peer", 600.0),
    link.Seen((link.KnownPeer(peer="peer", addresses=(), seen_at=0),)),
    link.Counters({"bytes-in": 2**40}),
]


def test_every_frame_comes_out_as_it_went_in() -> None:
    assert {type(frame) for frame in TO_CHILD} == set(typing.get_args(link.ToChild))
    assert {type(frame) for frame in TO_MAIN} == set(typing.get_args(link.ToMain))
    assert link.in_child().feed(b"".join(map(link.encode, TO_CHILD))) == TO_CHILD
    assert link.in_main().feed(b"".join(map(link.encode, TO_MAIN))) == TO_MAIN


def test_any_split_gives_the_same_frames() -> None:
    data = b"".join(map(link.encode, TO_MAIN))
    for cut in range(len(data) + 1):
        decoder = link.in_main()
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == TO_MAIN


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xff\xff\xff", id="endless frame"),
        pytest.param(b"\0\0\0\0", id="empty frame"),
        pytest.param(b"\0\0\0\x01\xc1", id="no MessagePack"),
        pytest.param(link.encode(link.Response(1, b"")), id="of the other direction"),
        pytest.param(
            link.encode(link.Subscribe("t"))[:4] + msgspec.msgpack.encode(["Subscribe", 7])[:13],
            id="wrong type",
        ),
        pytest.param(b"\0\0\x10\0" + b"\x91" * 4096, id="nested deeply"),
        pytest.param(b"\0\0\0\x0c\x92\xa9Subscrib\xff", id="no UTF-8"),
    ],
)
def test_what_is_no_frame_breaks_the_link(data: bytes) -> None:
    decoder = link.in_child()
    with pytest.raises(link.BrokenLink):
        decoder.feed(data + bytes(16))


@given(st.binary(max_size=200))
def test_random_bytes_are_frames_or_break_the_link(data: bytes) -> None:
    framed = len(data).to_bytes(4, "big") + data
    for decoder in (link.in_child(), link.in_main()):
        try:
            frames = decoder.feed(framed)
        except link.BrokenLink:
            continue
        assert len(frames) <= 1


def test_spoiled_frames_raise_nothing_else() -> None:
    chance = random.Random(11)
    good = b"".join(map(link.encode, TO_CHILD))
    for _ in range(3000):
        spoiled = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        decoder = link.in_child()
        try:
            decoder.feed(bytes(spoiled))
        except link.BrokenLink:
            continue


def test_the_largest_answer_fits_and_no_more() -> None:
    largest = link.Response(2**31, bytes(limits.MAX_STREAM_FRAME))
    assert link.in_main().feed(link.encode(largest)) == [largest]
    with pytest.raises(ValueError, match="bytes"):
        link.encode(link.Response(1, bytes(limits.MAX_LINK_FRAME)))


def test_the_key_is_not_shown() -> None:
    assert "c2VjcmV0" not in repr(TO_CHILD[0])
    assert "c2VjcmV0" not in f"{TO_CHILD[0]} {TO_CHILD[0]!s}"
