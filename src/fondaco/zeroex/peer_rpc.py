"""The clients' words about peers and filters: ``mesh_getPeers``, ``mesh_addPeer``,
``mesh_getFilters``, ``mesh_joinFilter``, ``mesh_leaveFilter``.

``mesh_addPeer`` is Mesh's; the others are ours. A filter that was joined at run time is
joined again after a restart, until it is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from fondaco.api.declarations import Method, Param, Registry, Result
from fondaco.api.subscriptions import Session
from fondaco.store import metadata
from fondaco.store.database import Database
from fondaco.zeroex.gossip import GossipStats, OrderGossip
from fondaco.zeroex.ordersync import OrderSync, SyncStats
from fondaco.zeroex.peer_reports import PeerReport, PeerReports, SetDigest
from fondaco.zeroex.scopes import compiled
from fondaco.zeroex.trading import Trading

FILTERS_KEY = "zeroex.joined_filters"
"""Name of the filters joined at run time in the node's metadata."""


def stored_filters(connection: sa.Connection) -> list[str]:
    """Return the filters that an earlier run has joined."""
    text = metadata.get(connection, FILTERS_KEY)
    return [] if text is None else msgspec.json.decode(text, type=list[str])


class PeerDoor(Protocol):
    """What this module asks of the network."""

    async def add_peer(
        self,
        peer_id: str,
        addresses: Sequence[str],
        *,
        timeout: float = 60.0,  # noqa: ASYNC109 - the network keeps the time
    ) -> None:
        """Raises: Unavailable."""

    def stats(self) -> Mapping[str, int]:
        """Return counters by name."""


class PeersAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of ``mesh_getPeers``."""

    peers: Sequence[PeerReport]
    setDigests: Sequence[SetDigest]
    sync: SyncStats
    gossip: GossipStats
    network: Mapping[str, int]


class FilterReport(msgspec.Struct, frozen=True, kw_only=True):
    """A filter that is joined."""

    filter: str
    """Canonical JSON schema."""
    isConfigured: bool
    """Whether it is CUSTOM_ORDER_FILTER."""


class PeerRpc:
    """Handlers about peers in the ``mesh`` namespace."""

    def __init__(
        self,
        *,
        network: PeerDoor,
        reports: PeerReports,
        trading: Trading,
        gossip: OrderGossip,
        sync: OrderSync,
        database: Database,
    ) -> None:
        self._network = network
        self._reports = reports
        self._trading = trading
        self._gossip = gossip
        self._sync = sync
        self._database = database
        self._one_change = asyncio.Lock()

    def declare(self, registry: Registry) -> None:
        """Offer every method."""
        registry.add(*self._peer_methods(), *self._filter_methods())

    def _peer_methods(self) -> tuple[Method, ...]:
        return (
            Method(
                name="mesh_getPeers",
                handler=self.get_peers,
                result=Result(type=PeersAnswer),
                summary="Who is connected, and whether each holds the same orders as we do.",
            ),
            Method(
                name="mesh_addPeer",
                handler=self.add_peer,
                params=(
                    Param(name="peerID", type=str),
                    Param(name="multiaddrs", type=list[str]),
                ),
                result=Result(schema={"type": "null"}),
                summary="Connect to a peer, and again whenever it is lost.",
            ),
        )

    def _filter_methods(self) -> tuple[Method, ...]:
        which = Param(
            name="filter",
            type=str | dict[str, Any],
            schema={"type": ["object", "string"]},
            summary="a JSON schema (draft 7, without references), as an object or as text",
        )
        return (
            Method(
                name="mesh_getFilters",
                handler=self.get_filters,
                result=Result(type=list[FilterReport]),
                summary="The filters joined: orders that satisfy any of them are taken in.",
            ),
            Method(
                name="mesh_joinFilter",
                handler=self.join_filter,
                params=(which,),
                result=Result(schema={"type": "boolean"}),
                summary="Take in and share orders that satisfy one more filter; true if new.",
            ),
            Method(
                name="mesh_leaveFilter",
                handler=self.leave_filter,
                params=(which,),
                result=Result(schema={"type": "boolean"}),
                summary="Leave a filter; true if it had been joined. Stored orders stay.",
            ),
        )

    async def get_peers(self, session: Session) -> PeersAnswer:
        """``mesh_getPeers``."""
        return PeersAnswer(
            peers=self._reports.peers(),
            setDigests=self._reports.digests(),
            sync=self._sync.stats(),
            gossip=self._gossip.stats(),
            network=self._network.stats(),
        )

    async def add_peer(self, session: Session, peer_id: str, multiaddrs: list[str]) -> None:
        """``mesh_addPeer [peerID, multiaddrs]``."""
        await self._network.add_peer(peer_id, multiaddrs)

    async def get_filters(self, session: Session) -> list[FilterReport]:
        """``mesh_getFilters``."""
        joined = set(self._trading.joined)
        return [
            FilterReport(filter=text, isConfigured=text not in joined)
            for text in self._trading.filters
        ]

    async def join_filter(self, session: Session, wanted: str | dict[str, Any]) -> bool:
        """``mesh_joinFilter [filter]``."""
        return await self._change(_text(wanted), is_joining=True)

    async def leave_filter(self, session: Session, wanted: str | dict[str, Any]) -> bool:
        """``mesh_leaveFilter [filter]``."""
        return await self._change(_text(wanted), is_joining=False)

    async def _change(self, text: str, *, is_joining: bool) -> bool:
        """Join or leave, remember it, then tell gossip and order sync; all or nothing.

        Raises:
            InvalidParameter: no filter, one too many, or the last one.
            StorageError: it could not be remembered; nothing has changed.
        """
        change, back = self._trading.join, self._trading.leave
        if not is_joining:
            change, back = back, change
        async with self._one_change:
            if not change(text):
                return False
            joined = msgspec.json.encode(self._trading.joined).decode()
            try:
                await self._database.write(
                    lambda connection: metadata.put(connection, FILTERS_KEY, joined)
                )
            except BaseException:
                back(text)
                raise
            await self._gossip.follow_filters()
            await self._sync.follow_filters()
            return True


def _text(wanted: str | dict[str, Any]) -> str:
    """Raises: InvalidParameter."""
    return compiled(
        wanted if isinstance(wanted, str) else msgspec.json.encode(wanted).decode()
    ).text
