"""Frames in any split, and lengths that no RPC has."""

from __future__ import annotations

import random

import pytest

from fondaco.p2p import limits
from fondaco.p2p.pubsub.framing import FrameDecoder, encode_frame
from fondaco.p2p.pubsub.rpc import MalformedRpc

VECTORS = [
    pytest.param("01 61", [b"a"], id="one byte"),
    pytest.param("00", [b""], id="empty"),
    pytest.param("01 61 02 6263", [b"a", b"bc"], id="two frames"),
    pytest.param("8001" + "00" * 128, [bytes(128)], id="length of two bytes"),
]


@pytest.mark.parametrize(("wire", "payloads"), VECTORS)
def test_round_trip_in_any_split(wire: str, payloads: list[bytes]) -> None:
    data = bytes.fromhex(wire)
    assert b"".join(map(encode_frame, payloads)) == data
    for cut in range(len(data) + 1):
        decoder = FrameDecoder()
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == payloads


def test_the_largest_frame() -> None:
    payload = bytes(limits.MAX_RPC_SIZE)
    assert FrameDecoder().feed(encode_frame(payload)) == [payload]
    with pytest.raises(ValueError, match="framed"):
        encode_frame(payload + b"x")


@pytest.mark.parametrize("header", ["818040", "ffff7f", "ffffff", "80808001"])
def test_a_frame_longer_than_any_rpc(header: str) -> None:
    decoder = FrameDecoder()
    with pytest.raises(MalformedRpc):
        decoder.feed(bytes.fromhex(header))


def test_good_frames_come_before_the_error() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"\x01a\xff\xff\xff\xff") == [b"a"]
    with pytest.raises(MalformedRpc):
        decoder.feed(b"")


def test_fuzzed_splits() -> None:
    rng = random.Random(3)
    payloads = [rng.randbytes(rng.choice([0, 1, 127, 128, 300, 20_000])) for _ in range(60)]
    data = b"".join(map(encode_frame, payloads))
    decoder, found, at = FrameDecoder(), list[bytes](), 0
    while at < len(data):
        size = rng.choice([1, 2, 3, 50, 5_000])
        found += decoder.feed(data[at : at + size])
        at += size
    assert found == payloads
