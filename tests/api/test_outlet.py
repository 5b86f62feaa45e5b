"""Writing to a client that reads slowly: a transport that is moved by hand."""

from __future__ import annotations

import asyncio
import logging

import pytest

from fondaco.api.limits import Limits
from fondaco.api.outlet import ClientGone, Outlet
from fondaco.testing.api import turns

LIMITS = Limits(frame_bytes=100, write_buffer_bytes=250, write_seconds=60)


class HandTransport(asyncio.Transport):
    """Buffers everything until the test lets the client read."""

    def __init__(self) -> None:
        super().__init__()
        self.buffered = 0
        self.written = bytearray()
        self.aborted = False
        self._high = 0
        self._drained = asyncio.Event()
        self._drained.set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or 0

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self.buffered += len(data)
        if self.buffered > self._high:
            self._drained.clear()

    def writelines(self, list_of_data: object) -> None:
        for data in list_of_data:  # type: ignore[attr-defined]
            self.write(data)

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True
        self._drained.set()

    def take(self) -> None:
        """Let the client read everything."""
        self.buffered = 0
        self._drained.set()

    async def drain(self) -> None:
        await self._drained.wait()
        if self.aborted:
            raise ConnectionResetError


async def test_offers_are_taken_while_the_client_keeps_up() -> None:
    transport = HandTransport()
    outlet = Outlet(transport, transport.drain, LIMITS)
    taken = [outlet.offer((b"head", b"x" * 80, b"\n")) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    transport.take()
    assert outlet.offer((b"x",))


async def test_a_text_longer_than_a_frame_is_never_offered() -> None:
    transport = HandTransport()
    outlet = Outlet(transport, transport.drain, LIMITS)
    assert outlet.offer((b"x" * 100,))
    assert not outlet.offer((b"x" * 101,))
    await outlet.send((b"x" * 101,))
    assert transport.written.count(b"x") == 201


async def test_sending_waits_for_the_client() -> None:
    transport = HandTransport()
    outlet = Outlet(transport, transport.drain, LIMITS)
    sending = asyncio.create_task(outlet.send((b"y" * 1000,)))
    await turns()
    assert (transport.written.count(b"y"), sending.done()) == (300, False)
    assert not outlet.offer((b"z",))
    for expected in (600, 900, 1000):
        transport.take()
        await turns()
        assert transport.written.count(b"y") == expected
    await sending
    assert outlet.offer((b"z",))


async def test_long_texts_are_not_mixed() -> None:
    transport = HandTransport()
    outlet = Outlet(transport, transport.drain, LIMITS)
    tasks = [asyncio.create_task(outlet.send((letter * 500,))) for letter in (b"a", b"b", b"c")]
    await turns()
    tasks.append(asyncio.create_task(outlet.send((b"short",))))
    while not all(task.done() for task in tasks):
        transport.take()
        await turns(1)
    letters = bytes(byte for byte in transport.written if byte in b"abc")
    assert letters == b"a" * 500 + b"b" * 500 + b"c" * 500
    assert transport.written.endswith(b"\x81\x05short")


async def test_a_cancelled_sender_does_not_leave_half_a_text() -> None:
    transport = HandTransport()
    outlet = Outlet(transport, transport.drain, LIMITS)
    sending = asyncio.create_task(outlet.send((b"y" * 1000,)))
    await turns()
    sending.cancel()
    await turns()
    assert sending.cancelled()
    other = asyncio.create_task(outlet.send((b"other",)))
    for _ in range(4):
        transport.take()
        await turns()
    await other
    assert transport.written.count(b"y") == 1000
    assert transport.written.endswith(b"\x81\x05other")


async def test_a_cancelled_wait_does_not_cancel_the_waits_of_others() -> None:
    transport = HandTransport()
    outlet = Outlet(transport, transport.drain, LIMITS)
    one, two = (asyncio.create_task(outlet.send((b"x" * 100,) * 1)) for _ in range(2))
    three = asyncio.create_task(outlet.send((b"x" * 100,)))
    await turns()
    assert not three.done()
    three.cancel()
    four = asyncio.create_task(outlet.send((b"x",)))
    await turns()
    assert not four.done()
    transport.take()
    await asyncio.gather(one, two, four)


async def test_a_client_that_does_not_read_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    transport = HandTransport()
    limits = Limits(frame_bytes=100, write_buffer_bytes=250, write_seconds=0.01)
    outlet = Outlet(transport, transport.drain, limits, peer="10.1.2.3")
    with (
        caplog.at_level(logging.WARNING, logger="fondaco"),
        pytest.raises(ClientGone, match="did not read"),
    ):
        await outlet.send((b"y" * 1000,))
    assert transport.aborted
    assert outlet.is_closed
    (record,) = caplog.records
    assert record.__dict__["peer"] == "10.1.2.3"
    with pytest.raises(ClientGone):
        await outlet.send((b"x",))
    assert not outlet.offer((b"x",))


async def test_a_connection_that_breaks_ends_the_wait() -> None:
    transport = HandTransport()
    outlet = Outlet(transport, transport.drain, LIMITS)
    sending = asyncio.create_task(outlet.send((b"y" * 1000,)))
    await turns()
    transport.abort()
    with pytest.raises(ClientGone):
        await sending


async def test_nothing_is_sent_after_close() -> None:
    transport = HandTransport()
    outlet = Outlet(transport, transport.drain, LIMITS)
    outlet.close()
    assert not outlet.offer((b"x",))
    for sending in (outlet.send((b"x",)), outlet.send((b"x" * 1000,)), outlet.pong(b"x")):
        with pytest.raises(ClientGone):
            await sending
    assert transport.written == b""


async def test_a_pong_may_stand_inside_a_long_text() -> None:
    transport = HandTransport()
    outlet = Outlet(transport, transport.drain, LIMITS)
    sending = asyncio.create_task(outlet.send((b"y" * 400,)))
    await turns()
    ponging = asyncio.create_task(outlet.pong(b"p"))
    await turns()
    transport.take()
    await asyncio.gather(sending, ponging)
    assert transport.written.count(b"\x8a\x01p") == 1
