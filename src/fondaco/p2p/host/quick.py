"""The library's way through a connection, without the turns that it gives away for nothing.

Every layer of the library takes a lock for every read and write, and every lock of trio lets
all other tasks run first, taken or not: some thirty turns for one gossip message in a mesh of
six, most of what it costs. The locks in here give way where somebody holds them, and else
now and then.
"""

from __future__ import annotations

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.network.stream.net_stream import NetStream

TURN_EVERY = 32
"""Times a free lock is taken until the others have a turn: under 2 ms of small frames."""

READ_AHEAD = 4096
"""Bytes asked of a socket at least. A frame of Noise is read in two, its length and its body;
what came with the length is here already. No more, because what is here is dealt with in
one turn."""

_library_read = TrioTCPStream.read


class Lock:
    """A mutual exclusion for ``async with``, first come, first served."""

    def __init__(self) -> None:
        self._is_held = False
        self._waiting = trio.lowlevel.ParkingLot()
        self._taken = 0

    async def __aenter__(self) -> None:
        if self._is_held:
            # Whoever wakes us has left it held for us.
            await self._waiting.park()
            return
        self._is_held = True
        self._taken += 1
        if self._taken % TURN_EVERY == 0:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def __aexit__(self, *_: object) -> None:
        if self._waiting:
            self._waiting.unpark()
        else:
            self._is_held = False


def quicken_socket(stream: TrioTCPStream) -> None:
    """Put our locks into a socket's stream, and room for what is read ahead."""
    stream.read_lock = Lock()  # type: ignore[assignment]
    stream.write_lock = Lock()  # type: ignore[assignment]
    stream.ahead = b""  # type: ignore[attr-defined]


def quicken_stream(stream: NetStream) -> None:
    """Put our lock into a stream."""
    stream._state_lock = Lock()  # type: ignore[assignment]


async def read(stream: TrioTCPStream, n: int | None = None) -> bytes:
    """Read at most *n* bytes, from what is here already if anything is.

    Raises:
        ConnectionClosedError: the peer has broken the connection.
    """
    ahead: bytes = stream.ahead  # type: ignore[attr-defined]
    if not ahead:
        if n is None:
            return await _library_read(stream)
        ahead = await _library_read(stream, max(n, READ_AHEAD))
    if n is None:
        n = len(ahead)
    stream.ahead = ahead[n:]  # type: ignore[attr-defined]
    return ahead[:n]
