"""A stream of a relay as the socket below a connection: Noise and Yamux run over it as over
TCP, so that the relay carries what it can neither read nor change.

    our Yamux / Noise --Circuit--> stream to the relay --> stream to the peer --> its Noise
"""

from __future__ import annotations

from typing import Any

from libp2p.connection_types import ConnectionType
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.p2p.budget import RELAYED
from fondaco.p2p.host.addresses import CIRCUIT
from fondaco.p2p.host.channel import Channel, StreamEnded


class Circuit(ReadWriteCloser):
    """The stream, from where the talk with the relay has ended.

    Its bytes are counted where they come out of the connection, in the real peer's budget,
    and not in the relay's.

    Args:
        rest: what the other end has sent already, read together with the relay's answer.
    """

    def __init__(self, channel: Channel, rest: bytes) -> None:
        self._channel = channel
        self._rest = rest
        self._relay = ID(channel.peer)
        channel.is_metered = False

    def as_raw(self, *, is_initiator: bool) -> RawConnection:
        """Return the connection that the library can upgrade."""
        return RawConnection(
            self,
            is_initiator,
            ConnectionType.RELAYED,
            [Multiaddr(f"/p2p/{self._relay}{CIRCUIT}")],
        )

    async def read(self, n: int | None = None) -> bytes:
        if not self._rest:
            try:
                self._rest = await self._channel.read_some()
            except StreamEnded as exc:
                raise ConnectionClosedError(str(exc), transport="relay") from exc
        size = len(self._rest) if n is None else n
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def write(self, data: bytes) -> None:
        try:
            await self._channel.write(data)
        except StreamEnded as exc:
            raise ConnectionClosedError(str(exc), transport="relay") from exc

    async def close(self) -> None:
        await self._channel.reset()

    def get_remote_address(self) -> tuple[str, int]:
        """Return whom the connection is counted for in place of an IP address."""
        return f"{RELAYED}{self._relay}", 0


def relay_of(carrier: Any) -> str:
    """Return the peer ID of the relay below a connection or stream; empty where there is none."""
    remote = carrier.muxed_conn.get_remote_address()
    return remote[0].removeprefix(RELAYED) if remote and remote[0].startswith(RELAYED) else ""
