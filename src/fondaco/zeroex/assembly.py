"""Put the half together: each part once, by constructor.

Parts                     what the node needs to run it: rpc to declare, tasks to run
  service <- assessor, admission <- ledger, index
  watcher <- blocks, index, assessor, ledger
  feed    <- ledger's events
  sharing <- network, service, ledger's events
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import msgspec
import sqlalchemy as sa

from fondaco.api.declarations import Registry
from fondaco.api.feed import EventFeed
from fondaco.chain.blocks import BlockWatcher
from fondaco.chain.contracts import ChainContracts
from fondaco.chain.headers import Header
from fondaco.chain.metrics import ChainMetrics
from fondaco.chain.reader import ChainReader
from fondaco.chain.rpc import EthereumClient
from fondaco.clock import Clock
from fondaco.config import Config
from fondaco.metrics import Source
from fondaco.p2p.network import Network
from fondaco.store import blocks as stored_blocks
from fondaco.store import metadata
from fondaco.store.database import Database
from fondaco.zeroex import blockrows, codec, contract_events, repository
from fondaco.zeroex.admission import MAX_EXPIRATION_KEY, Admission, ExpirationCeiling
from fondaco.zeroex.allowance import Allowance
from fondaco.zeroex.assessor import Assessor
from fondaco.zeroex.feed import EventSubject, open_feed, publisher
from fondaco.zeroex.housekeeping import Housekeeping
from fondaco.zeroex.ledger import Ledger
from fondaco.zeroex.limits import STRANGERS_QUESTIONS_AT_ONCE, STRANGERS_QUESTIONS_PER_HOUR
from fondaco.zeroex.metrics import OrderMetrics
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.peer_rpc import stored_filters
from fondaco.zeroex.rpc import MeshRpc
from fondaco.zeroex.service import OrderService
from fondaco.zeroex.sharing import Ground, Sharing, new_memory
from fondaco.zeroex.snapshots import Snapshots
from fondaco.zeroex.stats import NodeStats
from fondaco.zeroex.sync_schedule import Chance
from fondaco.zeroex.tally import Tally
from fondaco.zeroex.trading import Trading
from fondaco.zeroex.validator import Policy
from fondaco.zeroex.watch_index import WatchIndex
from fondaco.zeroex.watcher import OrderWatcher


@dataclass(frozen=True, slots=True)
class ZeroexHalf:
    """The token orders, ready to run."""

    rpc: MeshRpc
    watcher: OrderWatcher
    housekeeping: Housekeeping
    sharing: Sharing
    database: Database
    sources: tuple[Source, ...]
    """What can be measured of it."""

    def declare(self, registry: Registry) -> None:
        """Offer every method and subscription."""
        self.rpc.declare(registry)
        self.sharing.declare(registry)

    async def watch(self) -> None:
        """Follow the chain from where an earlier run stopped, until cancelled."""
        rows = await self.database.read(stored_blocks.load_retained)
        await self.watcher.run(blockrows.from_rows(rows))


@dataclass(frozen=True, slots=True)
class _Book:
    """What is stored, and the one way in which it changes."""

    database: Database
    index: WatchIndex
    ledger: Ledger
    feed: EventFeed[EventSubject]
    ceiling: ExpirationCeiling
    admission: Admission
    tally: Tally

    def subscribers_and_last(self) -> tuple[int, int]:
        """Return how many follow order events, and the newest one's sequence."""
        return self.feed.subscriber_count, self.feed.last


@dataclass(frozen=True, slots=True)
class _Watch:
    """What follows the chain. For the statistics a block counts once it is known which
    orders it concerns."""

    blocks: BlockWatcher
    assessor: Assessor
    watcher: OrderWatcher

    @property
    def head(self) -> Header | None:
        return self.watcher.noted

    @property
    def staleness(self) -> float:
        return self.blocks.staleness

    @property
    def last_error(self) -> str | None:
        return self.blocks.last_error


@contextlib.asynccontextmanager
async def open_zeroex(
    config: Config,
    *,
    contracts: ChainContracts,
    client: EthereumClient,
    database: Database,
    clock: Clock,
    network: Network,
    chance: Chance,
    zrx_asset_data: bytes,
) -> AsyncIterator[ZeroexHalf]:
    """Make the parts and load what is stored; nothing runs yet."""
    book = await _open_book(config, database, clock, WatchIndex(contracts, zrx_asset_data))
    watch = _watch(config, book, client, clock, contracts, zrx_asset_data)
    memory = new_memory(clock, lambda: head.number if (head := watch.head) else 0)
    book.ledger.tell(memory.take)
    trading = Trading(contracts, config.custom_order_filter, await database.read(stored_filters))
    snapshots = Snapshots(database, clock, new_id=_new_id)
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="orders") as threads:
        service = _service(book, watch, clock, Policy(contracts=contracts), trading, threads)
        sharing = Sharing(
            Ground(
                network=network,
                database=database,
                service=service,
                memory=memory,
                trading=trading,
                clock=clock,
                chance=chance,
                new_id=_new_id,
            ),
            book.ledger,
            has_gossip=config.enable_gossip,
            has_order_sync=config.enable_order_sync,
        )
        stats = _stats(book, watch, client, clock, sharing, network.peer_id)
        housekeeping = Housekeeping(
            clock=clock,
            database=database,
            ledger=book.ledger,
            index=book.index,
            watcher=watch.watcher,
            admission=book.admission,
            snapshots=snapshots,
            event_log_seconds=config.event_log_retention,
            event_log_rows=config.event_log_max_rows,
        )
        rpc = MeshRpc(
            service=service,
            database=database,
            snapshots=snapshots,
            stats=stats,
            feed=book.feed,
            clock=clock,
        )
        try:
            sources = _sources(config, book, watch, client, clock, sharing)
            yield ZeroexHalf(rpc, watch.watcher, housekeeping, sharing, database, sources)
        finally:
            await snapshots.close()


async def _open_book(config: Config, database: Database, clock: Clock, index: WatchIndex) -> _Book:
    """Load what is stored into *index*; tell the feed of every later change."""
    await database.read(partial(_fill_index, index))
    ceiling = ExpirationCeiling(await database.read(_stored_ceiling), clock)
    ledger = Ledger(database, clock)
    feed = await open_feed(database)
    ledger.tell(publisher(feed))
    tally = Tally()
    ledger.tell(tally.take)
    admission = Admission(
        ledger=ledger,
        index=index,
        ceiling=ceiling,
        max_orders=config.max_orders_in_storage,
        clock=clock,
    )
    return _Book(database, index, ledger, feed, ceiling, admission, tally)


def _watch(
    config: Config,
    book: _Book,
    client: EthereumClient,
    clock: Clock,
    contracts: ChainContracts,
    zrx_asset_data: bytes,
) -> _Watch:
    blocks = BlockWatcher(
        client,
        clock,
        contract_events.TOPICS,
        polling_interval=config.block_polling_interval,
    )
    assessor = Assessor(
        ChainReader(client, clock, max_content_length=config.ethereum_rpc_max_content_length),
        contracts,
        zrx_asset_data=zrx_asset_data,
        accept_partially_funded=config.accept_partially_funded,
    )
    watcher = OrderWatcher(
        blocks=blocks,
        index=book.index,
        assessor=assessor,
        database=book.database,
        ledger=book.ledger,
        clock=clock,
    )
    return _Watch(blocks, assessor, watcher)


def _service(
    book: _Book,
    watch: _Watch,
    clock: Clock,
    base: Policy,
    trading: Trading,
    threads: Executor,
) -> OrderService:
    """Return the way in for orders. What it takes is *base*, and of now the filters joined
    and the ceiling."""
    allowance = Allowance(
        STRANGERS_QUESTIONS_PER_HOUR, STRANGERS_QUESTIONS_AT_ONCE, clock.monotonic()
    )
    return OrderService(
        database=book.database,
        assessor=watch.assessor,
        admission=book.admission,
        pending=book.index,
        look_again=watch.watcher.look_again,
        policy=lambda: msgspec.structs.replace(
            base, custom_schema=trading.schema, max_expiration=book.ceiling.current
        ),
        progress=watch.watcher,
        may_ask=lambda: allowance.take(clock.monotonic()),
        threads=threads,
        clock=clock,
        default_version=ProtocolVersion.V3 if base.contracts.v3 else ProtocolVersion.V2,
    )


def _stats(
    book: _Book,
    watch: _Watch,
    client: EthereumClient,
    clock: Clock,
    sharing: Sharing,
    peer_id: str,
) -> NodeStats:
    return NodeStats(
        book=book.index,
        blocks=watch,
        watcher=watch.watcher,
        budget=client.budget,
        clock=clock,
        trading=sharing.trading,
        peer_id=peer_id,
        max_expiration=lambda: book.ceiling.current,
        feed=book.subscribers_and_last,
        added=book.tally.added,
        peers=sharing.reports,
    )


def _sources(
    config: Config,
    book: _Book,
    watch: _Watch,
    client: EthereumClient,
    clock: Clock,
    sharing: Sharing,
) -> tuple[Source, ...]:
    return (
        OrderMetrics(
            census=book.index.census,
            tally=book.tally,
            refused=book.admission.refused,
            feed=book.subscribers_and_last,
            watcher=watch.watcher,
        ),
        sharing.metrics(),
        ChainMetrics(watch, client.budget, clock, polling_interval=config.block_polling_interval),
    )


def _new_id() -> str:
    return str(uuid.uuid4())


def _fill_index(index: WatchIndex, connection: sa.Connection) -> None:
    for rows in repository.iterate(connection):
        for row in rows:
            index.add(
                row.order_hash,
                codec.decode_order(row.body),
                is_removed=row.is_removed,
                is_pinned=row.is_pinned,
            )


def _stored_ceiling(connection: sa.Connection) -> int | None:
    text = metadata.get(connection, MAX_EXPIRATION_KEY)
    return None if text is None else int(text)
