"""A stream as the rest of this floor uses it: whole messages, deadlines, counted bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import trio
from libp2p.abc import INetStream
from libp2p.exceptions import BaseLibp2pError
from libp2p.network.stream.exceptions import StreamEOF

from fondaco.errors import Unavailable
from fondaco.p2p.budget import Traffic
from fondaco.p2p.framing import Framing

READ_SIZE = 64 * 1024
"""Bytes asked of a stream at once: the largest frame of Yamux."""


class StreamEnded(Unavailable):
    """The peer, the network or a deadline ended a stream."""

    code = "StreamEnded"


class Meter:
    """Bytes of all streams, and the budget of each peer."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self.bytes_in = 0
        self.bytes_out = 0

    def read(self, peer: bytes, size: int) -> float:
        """Count bytes read; return the seconds to wait before more are."""
        self.bytes_in += size
        return self._traffic.spend(peer, size, trio.current_time())

    def wrote(self, size: int) -> None:
        """Count bytes written."""
        self.bytes_out += size

    def forget(self, peer: bytes) -> None:
        """A peer has left."""
        self._traffic.forget(peer)


class Channel:
    """One stream. Its reads are slowed to the peer's budget."""

    def __init__(self, stream: INetStream, protocol: str, meter: Meter) -> None:
        self._stream = stream
        self._meter = meter
        self.protocol = protocol
        self.peer = stream.muxed_conn.peer_id.to_bytes()
        self.is_closed = False
        self.is_metered = True
        """Whether its bytes count; not those of a connection that runs inside of it."""

    @property
    def stream(self) -> INetStream:
        """The library's stream."""
        return self._stream

    @property
    def has_ended(self) -> bool:
        """Whether the connection has."""
        return bool(self._stream.muxed_conn.event_closed.is_set())  # type: ignore[attr-defined]

    async def ended(self) -> None:
        """Return when the connection has ended."""
        await self._stream.muxed_conn.event_closed.wait()  # type: ignore[attr-defined]

    async def read_some(self) -> bytes:
        """Return what has come; ``b""`` at the end.

        Raises:
            StreamEnded: the stream was reset, or its connection is gone.
        """
        try:
            data = await self._stream.read(READ_SIZE)
        except StreamEOF:
            return b""
        except (BaseLibp2pError, OSError, ValueError) as exc:
            raise StreamEnded(f"{self.protocol}: {exc}") from exc
        wait = self._meter.read(self.peer, len(data)) if self.is_metered else 0.0
        if wait > 0:
            await trio.sleep(wait)
        return data

    async def read_message(self, framing: Framing) -> bytes | None:
        """Return the next message; None where the stream ended between two.

        Raises:
            MalformedFrame: the peer sent what is none.
            StreamEnded: in the middle of one.
        """
        has_begun = False
        while (message := framing.next()) is None:
            data = await self.read_some()
            if not data:
                if has_begun:
                    raise StreamEnded(f"{self.protocol}: cut short")
                return None
            framing.feed(data)
            has_begun = True
        return message

    async def write(self, data: bytes) -> None:
        """Send *data*; returns when it is on its way.

        Raises:
            StreamEnded: it cannot be.
        """
        try:
            await self._stream.write(data)
        except (BaseLibp2pError, OSError, ValueError) as exc:
            raise StreamEnded(f"{self.protocol}: {exc}") from exc
        if self.is_metered:
            self._meter.wrote(len(data))

    async def close(self) -> None:
        """Say that nothing more will come."""
        await self._end(self._stream.close)

    async def reset(self) -> None:
        """End the stream at once, in both directions."""
        await self._end(self._stream.reset)

    async def _end(self, how: Callable[[], Awaitable[None]]) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        # Also when we are cancelled: a stream left open is a place taken for ever.
        with (
            trio.CancelScope(shield=True, deadline=trio.current_time() + 5),
            contextlib.suppress(BaseLibp2pError, OSError, ValueError, trio.ClosedResourceError),
        ):
            await how()
