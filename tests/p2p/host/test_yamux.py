"""Flow control between two connections in memory, on a clock that jumps."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.network.connection.exceptions import RawConnError
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedStreamError, MuxedStreamReset
from libp2p.stream_muxer.yamux import yamux as library

from fondaco.p2p import limits
from fondaco.p2p.host.yamux import Connection, Stream

PEER = ID.from_pubkey(create_new_key_pair(b"\x01" * 32).public_key)


class Wire:
    """What the multiplexer takes for an encrypted connection: a pipe that can be blocked."""

    def __init__(self, stream: Any, *, is_initiator: bool) -> None:
        self._stream = stream
        self.is_initiator = is_initiator
        self.frames: list[tuple[int, int]] = []
        """Type and length of each frame written."""
        self.passes = trio.Event()
        self.passes.set()

    async def write(self, data: bytes) -> None:
        await self.passes.wait()
        _, kind, _, _, size = struct.unpack(library.YAMUX_HEADER_FORMAT, data[:12])
        self.frames.append((kind, size))
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise RawConnError from exc

    async def read(self, size: int) -> bytes:
        return bytes(await self._stream.receive_some(size))

    async def close(self) -> None:
        await self._stream.aclose()


class Pair:
    """Two ends of a connection. The library makes its own streams, so ours are put in."""

    def __init__(self) -> None:
        here, there = trio.testing.memory_stream_pair()
        self.wires = Wire(here, is_initiator=True), Wire(there, is_initiator=False)
        self.one, self.other = (Connection(wire, PEER) for wire in self.wires)

    async def streams(self) -> tuple[Stream, Stream]:
        opened = await self.one.open_stream()
        accepted = await self.other.accept_stream()
        assert isinstance(opened, Stream)
        assert isinstance(accepted, Stream)
        return opened, accepted


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    both = Pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(both.one.start)
        nursery.start_soon(both.other.start)
        await both.one.event_started.wait()
        await both.other.event_started.wait()
        yield both
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def our_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``harden`` does for good, in a process of its own."""
    monkeypatch.setattr(library, "YamuxStream", Stream)
    monkeypatch.setattr(library, "MAX_WINDOW_SIZE", limits.MAX_WINDOW)


def run(test: Any) -> None:
    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_writer_waits_for_a_slow_reader_without_end() -> None:
    """The library gives up after five seconds."""

    async def scene() -> None:
        async with pair() as both:
            stream, far = await both.streams()
            data = bytes(range(256)) * 4096
            got = bytearray()

            async def read_late() -> None:
                await trio.sleep(60)
                while len(got) < len(data):
                    got.extend(await far.read(65_536))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read_late)
                await stream.write(data)
            assert bytes(got) == data

    run(scene)


def test_updates_come_at_half_a_window() -> None:
    """The library sends one for every read."""

    async def scene() -> None:
        async with pair() as both:
            stream, far = await both.streams()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.write, bytes(1024 * 1024))
                left = 1024 * 1024
                while left:
                    left -= len(await far.read(1000))
            updates = [size for kind, size in both.wires[1].frames if kind == 1 and size]
            assert 1 <= len(updates) <= 8
            assert min(updates) >= library.DEFAULT_WINDOW_SIZE // 2

    run(scene)


def test_the_window_grows_to_its_bound_and_no_further() -> None:
    async def scene() -> None:
        async with pair() as both:
            stream, far = await both.streams()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.write, bytes(8 * 1024 * 1024))
                left = 8 * 1024 * 1024
                while left:
                    left -= len(await far.read(65_536))
            assert far.target_recv_window <= limits.MAX_WINDOW

    run(scene)


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_writer_that_waits_hears_of_the_end(end: str) -> None:
    async def scene() -> None:
        async with pair() as both:
            stream, far = await both.streams()

            async def leave() -> None:
                await trio.sleep(1)
                await (far.reset() if end == "reset" else both.other.close())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(leave)
                with pytest.raises((MuxedStreamReset, MuxedStreamError)):
                    await stream.write(bytes(1024 * 1024))

    run(scene)


def test_two_writers_do_not_take_the_same_window() -> None:
    async def scene() -> None:
        async with pair() as both:
            stream, far = await both.streams()
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(stream.write, bytes(600_000))
                left = 1_200_000
                while left:
                    assert len(both.other.stream_buffers[far.stream_id]) <= far.target_recv_window
                    left -= len(await far.read(65_536))

    run(scene)


def test_a_cancelled_write_leaves_a_whole_frame_behind() -> None:
    """Half of one would spoil the encryption of everything after it."""

    async def scene() -> None:
        async with pair() as both:
            stream, far = await both.streams()
            both.wires[0].passes = trio.Event()

            async def let_through() -> None:
                await trio.sleep(2)
                both.wires[0].passes.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(let_through)
                with trio.move_on_after(1):
                    await stream.write(b"first")
            await stream.write(b"second")
            got = b""
            while len(got) < 11:
                got += await far.read(100)
            assert got == b"firstsecond"

    run(scene)


def test_a_peer_whose_socket_stays_full_is_given_up() -> None:
    async def scene() -> None:
        async with pair() as both:
            stream, _ = await both.streams()
            both.wires[0].passes = trio.Event()
            began = trio.current_time()
            with pytest.raises(MuxedStreamError):
                await stream.write(b"x")
            assert trio.current_time() - began == pytest.approx(limits.WRITE_PATIENCE)
            await both.one.event_closed.wait()

    run(scene)


def test_more_than_the_window_ends_the_connection() -> None:
    async def scene() -> None:
        async with pair() as both:
            stream, _ = await both.streams()
            stream.send_window = 2**31
            with contextlib.suppress(MuxedStreamError, RawConnError):
                await stream.write(bytes(2 * 1024 * 1024))
            await both.other.event_closed.wait()
            assert "unread on one stream" in both.other.violation

    run(scene)


def test_many_streams_share_a_bound() -> None:
    async def scene() -> None:
        async with pair() as both:
            with contextlib.suppress(MuxedStreamError, RawConnError):
                for _ in range(2 * limits.MAX_UNREAD_BYTES // library.DEFAULT_WINDOW_SIZE):
                    stream, _ = await both.streams()
                    await stream.write(bytes(library.DEFAULT_WINDOW_SIZE))
            await both.other.event_closed.wait()
            assert both.other.violation

    run(scene)


def test_ended_streams_leave_nothing_behind() -> None:
    async def scene() -> None:
        async with pair() as both:
            for _ in range(20):
                stream, far = await both.streams()
                async with trio.open_nursery() as nursery:

                    async def read(far: Stream = far) -> None:
                        with pytest.raises((MuxedStreamReset, MuxedStreamError)):
                            await far.read(10)

                    nursery.start_soon(read)
                    await trio.sleep(0.1)
                    await stream.reset()
            for connection in (both.one, both.other):
                assert not connection.streams
                assert not connection.stream_buffers
                assert not connection.stream_events

    run(scene)


def test_when_something_has_come_is_known() -> None:
    """Of the other side only: what we open and write ourselves says nothing of it."""

    async def scene() -> None:
        async with pair() as both:
            await trio.sleep(1)
            stream, far = await both.streams()
            opened = both.one.heard_at
            await trio.sleep(1)
            await stream.write(bytes(library.DEFAULT_WINDOW_SIZE))
            await trio.testing.wait_all_tasks_blocked()
            assert both.one.heard_at == opened < trio.current_time()
            assert both.other.heard_at == trio.current_time()
            await trio.sleep(1)
            await far.read(library.DEFAULT_WINDOW_SIZE)
            await trio.testing.wait_all_tasks_blocked()
            assert both.one.heard_at == trio.current_time(), "room for more has come"

    run(scene)
