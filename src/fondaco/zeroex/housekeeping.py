"""What is done by the clock: cleanup, forgetting, pruning, growing.

    every 5 s     snapshots that nobody uses any more end
    every 30 s    the maximum expiration may grow
    every 5 min   orders flagged removed for 5 min are forgotten; the log is pruned
    every hour    orders not looked at for 30 min are looked at

Source of the intervals: 0x Mesh ``core`` and ``orderwatch``; reference/0x-mesh.md 4.4, 4.5, 6.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from fondaco.clock import NANOSECONDS, Clock
from fondaco.errors import NodeError
from fondaco.store import eventlog
from fondaco.store.database import Database
from fondaco.zeroex import journal, repository
from fondaco.zeroex.admission import Admission
from fondaco.zeroex.capacity import GROWTH_CHECK_INTERVAL
from fondaco.zeroex.ledger import Batch, Ledger
from fondaco.zeroex.limits import CLEANUP_QUESTIONS
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.snapshots import Snapshots
from fondaco.zeroex.watch_index import WatchIndex
from fondaco.zeroex.watcher import OrderWatcher

log = logging.getLogger(__name__)

SNAPSHOT_CHECK_INTERVAL = 5.0
"""Seconds between looks for idle snapshots. ``Snapshots.get`` refuses them at once."""

CLEANUP_INTERVAL = 3_600.0
"""Seconds between looks for orders that nothing has moved for long."""

STALE_AFTER = 1_800
"""Seconds after which an order that nobody looked at is looked at."""

FORGET_INTERVAL = 300.0
"""Seconds between looks for removed orders that can go."""

FORGET_AFTER = 300
"""Seconds an order stays after it was flagged removed: a reorganisation may revive it."""

STEP = 1_000
"""Rows handled in one transaction, so that writers wait at most some 20 ms."""


class Housekeeping:
    """The clockwork of the token orders."""

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        ledger: Ledger,
        index: WatchIndex,
        watcher: OrderWatcher,
        admission: Admission,
        snapshots: Snapshots,
        event_log_seconds: float,
        event_log_rows: int,
    ) -> None:
        self._clock = clock
        self._database = database
        self._ledger = ledger
        self._index = index
        self._watcher = watcher
        self._admission = admission
        self._snapshots = snapshots
        self._event_log_seconds = event_log_seconds
        self._event_log_rows = event_log_rows

    async def run(self) -> None:
        """Do everything at its time until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for seconds, job in (
                (SNAPSHOT_CHECK_INTERVAL, self._snapshots.prune),
                (GROWTH_CHECK_INTERVAL, self._admission.grow_ceiling),
                (FORGET_INTERVAL, self.forget_removed),
                (FORGET_INTERVAL, self.prune_log),
                (CLEANUP_INTERVAL, self.look_at_stale),
            ):
                tasks.create_task(self._every(seconds, job), name=job.__qualname__)

    async def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            try:
                await job()
            except NodeError as problem:
                # Nothing is lost by waiting for the next time.
                log.warning("put off: %s", problem, extra={"job": job.__qualname__})

    async def look_at_stale(self) -> None:
        """Have orders looked at that nothing has moved for long, in case an event was missed."""
        before_ns = self._clock.now_ns() - STALE_AFTER * NANOSECONDS
        hashes = await self._database.read(
            lambda connection: repository.stale(
                connection, before_ns=before_ns, limit=self._index.count
            )
        )
        questions = waiting = 0
        for start in range(0, len(hashes), STEP):
            chosen: dict[OrderHash, tuple[()]] = {}
            for order_hash in hashes[start : start + STEP]:
                if self._index.asks_alone(order_hash):
                    questions += 1
                    if questions > CLEANUP_QUESTIONS:
                        waiting += 1
                        continue
                chosen[order_hash] = ()
            self._watcher.look_again(chosen)
            await asyncio.sleep(0)  # of a hundred thousand, all at once would take 60 ms
        if waiting:
            log.info("orders wait for a later cleanup", extra={"orders": waiting})

    async def forget_removed(self) -> None:
        """Stop keeping orders that were removed long enough ago."""
        before_ns = self._clock.now_ns() - FORGET_AFTER * NANOSECONDS

        def work(connection: sa.Connection, _: Batch) -> list[OrderHash]:
            hashes = repository.deletable(connection, before_ns=before_ns, limit=STEP)
            # Nothing is told of them any more, so the log's end bounds what it says.
            last = eventlog.bounds(connection, journal.TOPIC).last
            repository.forget(connection, hashes, last_sequence=last)
            return hashes

        def discard(hashes: list[OrderHash]) -> None:
            for order_hash in hashes:
                self._index.discard(order_hash)

        hashes = await self._ledger.commit(work, after=discard)
        while len(hashes) == STEP:
            hashes = await self._ledger.commit(work, after=discard)

    async def prune_log(self) -> None:
        """Drop events past the retention, and the bodies that only they needed."""
        older_than_ns = self._clock.now_ns() - int(self._event_log_seconds * NANOSECONDS)
        first_retained = await eventlog.prune_in_steps(
            self._database, older_than_ns=older_than_ns, max_rows=self._event_log_rows
        )

        def drop(connection: sa.Connection) -> int:
            return repository.drop_forgotten(connection, first_retained=first_retained, limit=STEP)

        while await self._database.write(drop) == STEP:
            pass
