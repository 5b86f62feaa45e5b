"""Messages on a stream, against a stream that is a list of what comes."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.network.stream.exceptions import StreamEOF, StreamReset
from libp2p.peer.id import ID

from fondaco.p2p.budget import Traffic
from fondaco.p2p.framing import LengthFraming, MalformedFrame
from fondaco.p2p.host.channel import Channel, Meter, StreamEnded


class Script:
    """A stream: what it will say, and what was done to it."""

    def __init__(self, *says: bytes | Exception) -> None:
        self.muxed_conn = self
        self.peer_id = ID.from_pubkey(create_new_key_pair(b"\x01" * 32).public_key)
        self.said = list(says)
        self.written: list[bytes] = []
        self.ends: list[str] = []

    async def read(self, size: int) -> bytes:
        await trio.lowlevel.checkpoint()
        one = self.said.pop(0) if self.said else StreamEOF()
        if isinstance(one, Exception):
            raise one
        return one

    async def write(self, data: bytes) -> None:
        if self.ends:
            raise StreamReset
        self.written.append(data)

    async def close(self) -> None:
        self.ends.append("close")

    async def reset(self) -> None:
        self.ends.append("reset")


def channel_on(script: Any, **budget: float) -> tuple[Channel, Meter]:
    meter = Meter(Traffic(0.0, **budget))
    return Channel(script, "/p/1", meter), meter


def run(scene: Any) -> None:
    trio.run(scene, clock=trio.testing.MockClock(autojump_threshold=0))


def test_messages_come_whole_and_are_counted() -> None:
    async def scene() -> None:
        channel, meter = channel_on(Script(b"\x03a", b"bc\x01", b"d"))
        framing = LengthFraming()
        assert [await channel.read_message(framing) for _ in range(3)] == [b"abc", b"d", None]
        await channel.write(b"12345")
        assert (meter.bytes_in, meter.bytes_out) == (6, 5)

    run(scene)


@pytest.mark.parametrize(
    ("says", "error"),
    [
        pytest.param([b"\x03a"], StreamEnded, id="cut short"),
        pytest.param([b"\x03a", StreamReset()], StreamEnded, id="reset"),
        pytest.param([OSError("gone")], StreamEnded, id="connection gone"),
        pytest.param([b"\xff" * 8], MalformedFrame, id="nonsense"),
    ],
)
def test_what_ends_a_stream_has_one_name(says: list[Any], error: type[Exception]) -> None:
    async def scene() -> None:
        channel, _ = channel_on(Script(*says))
        with pytest.raises(error):
            await channel.read_message(LengthFraming())

    run(scene)


def test_a_peer_over_its_budget_is_read_later() -> None:
    async def scene() -> None:
        channel, _ = channel_on(Script(b"x" * 1000, b"x" * 1000), rate=100.0, burst=1000.0)
        for expected in (0.0, 10.0):
            await channel.read_some()
            assert trio.current_time() == pytest.approx(expected, abs=0.1)

    run(scene)


def test_it_ends_once_and_also_when_cancelled() -> None:
    async def scene() -> None:
        script = Script()
        channel, _ = channel_on(script)
        with trio.CancelScope() as scope:
            scope.cancel()
            await channel.reset()
        await channel.close()
        assert script.ends == ["reset"]
        with pytest.raises(StreamEnded):
            await channel.write(b"x")

    run(scene)
