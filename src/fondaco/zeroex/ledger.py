"""Commit, then tell: rows and event log in one transaction, subscribers after it.

    commit(work) --> writer thread:  work(connection, batch)
                                        batch.log(facts) --> event_log (sequences)
                                        ... rows of orders ...
                                     COMMIT
                 --> told in the sequence of the log: feed (subscriptions), later gossip

Nobody hears of something that was rolled back, and what was committed is told even when
whoever asked for it has gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from fondaco.clock import Clock
from fondaco.store import eventlog
from fondaco.store.database import Database
from fondaco.zeroex import journal
from fondaco.zeroex.journal import OrderFact
from fondaco.zeroex.order import OrderHash, SignedOrder

T = TypeVar("T")

log = logging.getLogger(__name__)


class ToldEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that is committed: what clients read, and what a filter looks at."""

    sequence: int
    order_hash: OrderHash
    order: SignedOrder
    end_state: str
    reason: str
    """As in ``OrderFact``."""
    body: bytes
    """The order's one spelling."""
    encoded: bytes
    """JSON, as ``journal.render_event`` makes it."""


Tell = Callable[[Sequence[ToldEvent]], None]
"""Takes the events of one commit, in ascending sequence."""


class LoggedOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order something happened to, with its one spelling."""

    order: SignedOrder
    body: bytes


class Batch:
    """The events of one transaction."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self.told: list[ToldEvent] = []

    def log(
        self, connection: sa.Connection, facts: Sequence[tuple[OrderFact, LoggedOrder]]
    ) -> range:
        """Append *facts* to the event log; return the sequences they got."""
        payloads = [journal.encode_payload(fact) for fact, _ in facts]
        sequences = eventlog.append(
            connection,
            [
                eventlog.NewEvent(topic=journal.TOPIC, subject=fact.order_hash, payload=payload)
                for (fact, _), payload in zip(facts, payloads, strict=True)
            ],
            now_ns=self.now_ns,
        )
        self.told += [
            ToldEvent(
                sequence=sequence,
                order_hash=fact.order_hash,
                order=logged.order,
                end_state=fact.end_state,
                reason=fact.reason,
                body=logged.body,
                encoded=journal.render_event(sequence, fact.order_hash, logged.body, payload),
            )
            for sequence, payload, (fact, logged) in zip(sequences, payloads, facts, strict=True)
        ]
        return sequences


class Ledger:
    """The one way in which the state of orders changes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._turn = asyncio.Lock()
        self._listeners: list[Tell] = []

    def tell(self, listener: Tell) -> None:
        """Call *listener* with the events of every later commit. It must not wait."""
        self._listeners.append(listener)

    async def commit(
        self,
        work: Callable[[sa.Connection, Batch], T],
        after: Callable[[T], None] | None = None,
    ) -> T:
        """Run *work* in one transaction in the writer's thread, then tell its events.

        Args:
            work: changes rows and logs events.
            after: runs on the event loop right after the commit and before anything is
                told, so that what is in memory agrees with what is stored.

        A caller that is cancelled meanwhile is so when the commit has ended: until then
        what it holds in memory for the commit (``service``'s pending orders) must stay.

        Raises:
            StorageError: nothing was stored and nothing told.
        """
        running = asyncio.ensure_future(self._commit(work, after))
        try:
            # Shielded: a client that hangs up half-way must not leave subscribers behind.
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await _ended(running)
            raise

    async def _commit(
        self, work: Callable[[sa.Connection, Batch], T], after: Callable[[T], None] | None
    ) -> T:
        # One at a time, so that events are told in the sequence of the log.
        async with self._turn:
            batch = Batch(self._clock.now_ns())
            result = await self._database.write(lambda connection: work(connection, batch))
            if after is not None:
                after(result)
            if batch.told:
                for listener in self._listeners:
                    listener(batch.told)
            return result


async def _ended(running: asyncio.Future[T]) -> None:
    """Return when *running* has ended, however often the caller is cancelled meanwhile."""
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError:
            continue
    if not running.cancelled() and (failure := running.exception()) is not None:
        log.error("a commit failed after its caller had gone: %s", failure, exc_info=failure)
