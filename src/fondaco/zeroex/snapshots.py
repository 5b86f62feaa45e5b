"""Snapshots for ``mesh_getOrders``: pages of one unchanging state of the book.

A snapshot is a read transaction that stays open, so that rows which are filled,
trimmed or deleted while a client pages do not move or vanish under it (an empty
page would tell the client that it is at the end). It lives for one minute after
its last use as in 0x Mesh (its snapshots were those of LevelDB).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from fondaco.clock import Clock
from fondaco.errors import NodeError, StorageError
from fondaco.store.database import Database, Snapshot
from fondaco.zeroex import search
from fondaco.zeroex.repository import StoredOrder

SNAPSHOT_IDLE = 60.0
"""Seconds after its last use at which a snapshot ends."""

SNAPSHOT_LIFETIME = 600.0
"""Seconds after its creation at which a snapshot ends however often it is used: an
open read transaction keeps the write-ahead log from being folded back."""

MAX_SNAPSHOTS = 16
"""Open at once. Each holds one database connection and 32 bytes per order; when a
further one is asked for, the one unused for longest ends."""


class UnknownSnapshot(NodeError):
    """The client names a snapshot that never was or has ended."""

    code = "UnknownSnapshot"

    def __init__(self, snapshot_id: str) -> None:
        super().__init__(
            f"No snapshot found with id: {snapshot_id}. "
            "To create a new snapshot, send a request with an empty snapshotID"
        )


class OrderSnapshot:
    """The live orders as they were at one moment, in ascending order of hash."""

    def __init__(
        self, snapshot_id: str, held: Snapshot, hashes: bytes, *, created_ns: int, now: float
    ) -> None:
        self.snapshot_id = snapshot_id
        self.created_ns = created_ns
        self.created = now
        self.last_used = now
        self._held = held
        self._hashes = hashes
        self._is_closed = False

    async def page(self, page: int, per_page: int) -> list[StoredOrder]:
        """Return rows ``page * per_page`` and on; empty past the end.

        The cost depends on *per_page* alone: the hashes were listed once.

        Raises:
            UnknownSnapshot: it has ended since the client's call began.
        """
        width = 32 * per_page
        wanted = self._hashes[page * width : (page + 1) * width]
        if not wanted:
            return []
        try:
            return await self._held.read(
                lambda connection: search.live_between(connection, wanted[:32], wanted[-32:])
            )
        except StorageError:
            if self._is_closed:
                raise UnknownSnapshot(self.snapshot_id) from None
            raise

    async def close(self) -> None:
        self._is_closed = True
        await self._held.close()


class Snapshots:
    """The open snapshots by id, least recently used first."""

    def __init__(self, database: Database, clock: Clock, *, new_id: Callable[[], str]) -> None:
        """*new_id* returns a fresh UUID version 4 as text."""
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._open: OrderedDict[str, OrderSnapshot] = OrderedDict()

    async def create(self) -> OrderSnapshot:
        """Freeze the book as it is now."""
        held = await self._database.open_snapshot()
        try:
            hashes = await held.read(search.live_hashes)
        except BaseException:
            # A client that hangs up here must not take one of the few places for good.
            await asyncio.shield(held.close())
            raise
        snapshot = OrderSnapshot(
            self._new_id(),
            held,
            hashes,
            created_ns=self._clock.now_ns(),
            now=self._clock.monotonic(),
        )
        self._open[snapshot.snapshot_id] = snapshot
        while len(self._open) > MAX_SNAPSHOTS:
            _, oldest = self._open.popitem(last=False)
            await oldest.close()
        return snapshot

    def get(self, snapshot_id: str) -> OrderSnapshot:
        """Return an open snapshot and count this as a use.

        Raises:
            UnknownSnapshot: it never was, or has ended.
        """
        snapshot = self._open.get(snapshot_id)
        if snapshot is None or self._is_over(snapshot):
            raise UnknownSnapshot(snapshot_id)
        snapshot.last_used = self._clock.monotonic()
        self._open.move_to_end(snapshot_id)
        return snapshot

    async def prune(self) -> None:
        """Close the snapshots that are over."""
        for snapshot in [s for s in self._open.values() if self._is_over(s)]:
            del self._open[snapshot.snapshot_id]
            await snapshot.close()

    async def close(self) -> None:
        while self._open:
            _, snapshot = self._open.popitem()
            await snapshot.close()

    def _is_over(self, snapshot: OrderSnapshot) -> bool:
        now = self._clock.monotonic()
        return (
            now - snapshot.last_used > SNAPSHOT_IDLE or now - snapshot.created > SNAPSHOT_LIFETIME
        )
