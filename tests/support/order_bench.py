"""The token orders put together on fakes: real store and index, a chain that obeys the test.

bench.service   --.
bench.watcher   --+--> ledger --> real SQLite --> bench.told
bench.admission --'
     ^
bench.assessor, bench.blocks, bench.clock: what the chain and time say
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from fondaco.api.feed import EventFeed
from fondaco.chain.headers import Header
from fondaco.store import metadata
from fondaco.store.blocks import load_retained
from fondaco.testing.chain import FakeAssessor, FakeBlocks
from fondaco.testing.clock import FakeClock
from fondaco.testing.database import FragileDatabase, open_fragile_database
from fondaco.testing.orders import make_order
from fondaco.testing.until import PATIENCE, until
from fondaco.zeroex import blockrows, codec, repository
from fondaco.zeroex.admission import MAX_EXPIRATION_KEY, Admission, ExpirationCeiling, Origin
from fondaco.zeroex.allowance import Allowance
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.feed import EventSubject, open_feed, publisher
from fondaco.zeroex.ledger import Ledger, ToldEvent
from fondaco.zeroex.order import OrderHash, ProtocolVersion, SignedOrder
from fondaco.zeroex.order_filter import CustomSchema
from fondaco.zeroex.repository import Counts, StoredOrder
from fondaco.zeroex.service import AddResult, OrderService
from fondaco.zeroex.validator import Policy
from fondaco.zeroex.watch_index import WatchIndex
from fondaco.zeroex.watcher import OrderWatcher
from support.chain_words import CONTRACTS, ZRX_ASSET

CAPACITY = 1_000


class OrderBench:
    """One node's token orders. Made by ``open_bench``."""

    def __init__(
        self,
        database: FragileDatabase,
        feed: EventFeed[EventSubject],
        threads: ThreadPoolExecutor,
        *,
        clock: FakeClock,
        blocks: FakeBlocks,
        max_orders: int,
        stored_ceiling: int | None,
    ) -> None:
        self.database = database
        self.feed = feed
        self.clock = clock
        self.blocks = blocks
        self.assessor = FakeAssessor()
        self.index = WatchIndex(CONTRACTS, ZRX_ASSET)
        self.ledger = Ledger(database, clock)
        self.told: list[dict[str, Any]] = []
        self.ledger.tell(publisher(feed))
        self.ledger.tell(self._note)
        self.ceiling = ExpirationCeiling(stored_ceiling, clock)
        self.admission = Admission(
            ledger=self.ledger,
            index=self.index,
            ceiling=self.ceiling,
            max_orders=max_orders,
            clock=clock,
        )
        self.watcher = OrderWatcher(
            blocks=blocks,
            index=self.index,
            assessor=self.assessor,
            database=database,
            ledger=self.ledger,
            clock=clock,
        )
        self.allowance = Allowance(per_hour=60, at_once=2, now=clock.monotonic())
        self.policy = Policy(contracts=CONTRACTS)
        self.custom_schema: Callable[[], CustomSchema | None] = lambda: self.policy.custom_schema
        """Asked each time; a test may let it follow the filters that are joined."""
        self.service = OrderService(
            database=database,
            assessor=self.assessor,
            admission=self.admission,
            pending=self.index,
            look_again=self.watcher.look_again,
            policy=lambda: msgspec.structs.replace(
                self.policy,
                max_expiration=self.ceiling.current,
                custom_schema=self.custom_schema(),
            ),
            progress=self.watcher,
            may_ask=lambda: self.allowance.take(clock.monotonic()),
            threads=threads,
            clock=clock,
            default_version=ProtocolVersion.V3,
        )

    def _note(self, events: Sequence[ToldEvent]) -> None:
        self.told += [msgspec.json.decode(event.encoded) for event in events]

    @property
    def end_states(self) -> list[str]:
        """What was told, in short."""
        return [event["endState"] for event in self.told]

    async def add(
        self, *orders: SignedOrder, origin: Origin = Origin.LOCAL, pinned: bool = False
    ) -> AddResult:
        """Send orders as a client does."""
        texts = [codec.encode_order(order) for order in orders]
        return await self.service.add(texts, origin, pinned=pinned)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Let the watcher run, from what is stored; it has caught up when this begins,
        if it can."""
        retained = blockrows.from_rows(await self.database.read(load_retained))
        running = asyncio.create_task(self.watcher.run(retained))
        try:
            await until(lambda: running.done() or self.is_idle)
            yield
            assert not running.done(), running.exception()
        finally:
            running.cancel()
            await asyncio.wait((running,))

    @property
    def is_idle(self) -> bool:
        """Whether the watcher has dealt with all it can for now."""
        return self.watcher.noted is not None and (
            self.watcher.caught_up.is_set() or self.watcher.last_error is not None
        )

    async def quiet(self) -> None:
        """Return when the newest block's effects are in the book and it is stored as seen."""
        await until(lambda: self.watcher.noted == self.blocks.tip)
        async with asyncio.timeout(PATIENCE):
            while not await self._is_seen(self.blocks.tip) or self.watcher.due_count:
                pass
        await until(lambda: self.watcher.caught_up.is_set() and self.watcher.last_error is None)

    async def _is_seen(self, header: Header) -> bool:
        rows = await self.database.read(load_retained)
        return bool(rows) and rows[-1].hash == header.hash

    async def stored(self, *orders: SignedOrder) -> list[StoredOrder | None]:
        """Return the rows of *orders*, None for those that are not kept."""
        names = [order_hash(order) for order in orders]
        found = await self.database.read(lambda connection: repository.find(connection, names))
        return [found.get(name) for name in names]

    async def counts(self) -> Counts:
        """Count by walking the table, as the index must have counted all along."""
        return await self.database.read(repository.counts)

    async def seen_blocks(self) -> list[int]:
        """Return the numbers of the blocks that are stored as seen."""
        rows = await self.database.read(load_retained)
        return [row.number for row in rows]

    async def stored_ceiling(self) -> str | None:
        return await self.database.read(
            lambda connection: metadata.get(connection, MAX_EXPIRATION_KEY)
        )


@contextlib.asynccontextmanager
async def open_bench(
    path: Path,
    *,
    max_orders: int = CAPACITY,
    clock: FakeClock | None = None,
    blocks: FakeBlocks | None = None,
    stored_ceiling: int | None = None,
) -> AsyncIterator[OrderBench]:
    """Open the store in *path* and put everything on it; what it holds is in the index."""
    with ThreadPoolExecutor(2) as threads:
        async with open_fragile_database(path) as database:
            bench = OrderBench(
                database,
                await open_feed(database),
                threads,
                clock=clock or FakeClock(),
                blocks=blocks or FakeBlocks(),
                max_orders=max_orders,
                stored_ceiling=stored_ceiling,
            )
            for rows in await database.read(
                lambda connection: list(repository.iterate(connection))
            ):
                for row in rows:
                    bench.index.add(
                        row.order_hash,
                        codec.decode_order(row.body),
                        is_removed=row.is_removed,
                        is_pinned=row.is_pinned,
                    )
            yield bench


def orders(count: int, **changes: Any) -> list[SignedOrder]:
    """Return *count* different orders; *changes* as for ``make_order``."""
    return [make_order(**{"salt": number + 1, **changes}) for number in range(count)]


def names(*given: SignedOrder) -> list[OrderHash]:
    return [order_hash(order) for order in given]
