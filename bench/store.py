"""What one commit of a batch costs, beside SQLite without indexes, checks or SQLAlchemy.

python -m bench.store     the table of docs/decisions/0004-durability.md
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy import event

from bench.figures import Figure
from fondaco.store import eventlog, limits
from fondaco.store.database import Database, open_database
from fondaco.testing.orders import erc20, make_order
from fondaco.zeroex import codec, repository, search
from fondaco.zeroex.order import Address, Amount, OrderHash
from fondaco.zeroex.query import Query
from fondaco.zeroex.repository import NewOrder, OrderChange

BATCH = 500
"""Orders, and events, in one transaction."""

BOOK = 100_000
"""Orders in the store when it is full: the default capacity."""

PAYLOAD = b'{"endState":"ADDED","fillableTakerAssetAmount":"42","contractEvents":null}' * 2
TOPIC = "zeroex"
TARGET = 25.0
"""Milliseconds for one batch."""

_BASE = make_order()
_BODY = codec.encode_order(_BASE)
_MAKERS = [Address(bytes([number]) * 20) for number in range(20)]
_ASSETS = [erc20(Address(bytes([number]) * 20)) for number in range(5)]


def batches(seed: int) -> Iterator[list[NewOrder]]:
    """Yield batches of orders of few makers and pairs, with prices and hashes by chance.

    Chance is the hard case: every index is written all over.
    """
    chance = random.Random(seed)
    while True:
        yield [
            NewOrder(
                order_hash=OrderHash(chance.randbytes(32)),
                order=replace(
                    _BASE,
                    maker_address=chance.choice(_MAKERS),
                    maker_asset_data=chance.choice(_ASSETS),
                    taker_asset_data=chance.choice(_ASSETS),
                    maker_asset_amount=Amount(chance.getrandbits(70) + 1),
                    taker_asset_amount=Amount(chance.getrandbits(70)),
                    expiration_time_seconds=1_700_000_000 + chance.randrange(10**6),
                ),
                body=_BODY,
                fillable=42,
                is_pinned=True,
                last_updated_ns=time.time_ns(),
            )
            for _ in range(BATCH)
        ]


async def add(database: Database, orders: list[NewOrder]) -> None:
    events = [
        eventlog.NewEvent(topic=TOPIC, subject=new.order_hash, payload=PAYLOAD) for new in orders
    ]

    def work(connection: sa.Connection) -> None:
        repository.insert(connection, orders)
        eventlog.append(connection, events, now_ns=time.time_ns())

    await database.write(work)


def bare_table(path: Path) -> sqlite3.Connection:
    """Return a connection to one table with the columns of an order and no index."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{limits.WRITER_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {limits.WAL_PAGES_MAX}")
    columns = ", ".join(column.name for column in repository.ORDERS.columns)
    connection.execute(f"CREATE TABLE bare ({columns})")
    return connection


def add_bare(connection: sqlite3.Connection, orders: list[NewOrder]) -> None:
    width = len(repository.ORDERS.columns)
    rows = [repository.as_row(number, new) for number, new in enumerate(orders)]
    rows += [
        (number, time.time_ns(), TOPIC, new.order_hash, PAYLOAD, *[None] * (width - 5))
        for number, new in enumerate(orders)
    ]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(f"INSERT INTO bare VALUES ({', '.join('?' * width)})", rows)
    connection.execute("COMMIT")


async def milliseconds(call: Callable[[], object]) -> float:
    """Return how long *call* takes; what it returns is awaited when it can be."""
    started = time.perf_counter()
    answer = call()
    if asyncio.iscoroutine(answer):
        await answer
    return (time.perf_counter() - started) * 1000


@contextlib.asynccontextmanager
async def fresh() -> AsyncIterator[tuple[Database, Path]]:
    with tempfile.TemporaryDirectory(prefix="fondaco-bench-") as folder:
        async with open_database(Path(folder) / "store.sqlite") as database:
            yield database, Path(folder)


async def _measure() -> list[Figure]:
    ours: list[float] = []
    bare: list[float] = []
    async with fresh() as (database, folder):
        floor = bare_table(folder / "bare.sqlite")
        for _, orders in zip(range(BOOK // BATCH), batches(1), strict=False):
            ours.append(await milliseconds(lambda o=orders: add(database, o)))  # type: ignore[misc]
            bare.append(await milliseconds(lambda o=orders: add_bare(floor, o)))  # type: ignore[misc]
        floor.close()
        pages = [
            await milliseconds(lambda: database.read(lambda c: search.search(c, Query())))
            for _ in range(30)
        ]
    figures = [
        _figure(f"500 orders + 500 events, {name}", ours[part], bare[part])
        for name, part in {
            "first 10,000 orders": slice(0, 20),
            "at 100,000 orders": slice(-20, None),
        }.items()
    ]
    page = Figure(
        name="100 orders by cursor, at 100,000", value=statistics.median(pages), unit="ms"
    )
    return [*figures, page]


def _figure(name: str, ours: list[float], bare: list[float]) -> Figure:
    value = statistics.median(ours)
    return Figure(
        name=name,
        value=value,
        unit="ms",
        floor=statistics.median(bare),
        floor_name="ms, sqlite3, one bare table",
        target=f"at most {TARGET:.0f} ms",
        reached=value <= TARGET,
        spread=(min(ours), max(ours)),
    )


def measure() -> list[Figure]:
    """Return the store's figures; takes about 15 seconds."""
    return asyncio.run(_measure())


# ---------------------------------------------------------------- the decision's table


VARIANTS = {
    "synchronous = NORMAL (chosen)": ("", ""),
    "synchronous = FULL": ("synchronous = FULL", ""),
    "synchronous = OFF": ("synchronous = OFF", ""),
    "the writer copies back, every 1,000 pages": ("wal_autocheckpoint = 1000", ""),
    "log file cut to 1 MB": ("journal_size_limit = 1000000", ""),
    "no index on subject": ("", "event_log_by_subject"),
    "no index on price": ("", "zeroex_orders_by_price"),
}
"""Name -> a pragma for the writer, an index to leave out."""


@contextlib.asynccontextmanager
async def opened_as(pragma: str, without_index: str) -> AsyncIterator[Database]:
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        if pragma:
            connection.execute(f"PRAGMA {pragma}").fetchall()

    async with fresh() as (database, _):
        if without_index:
            await database.write(lambda c: c.exec_driver_sql(f"DROP INDEX {without_index}"))
        event.listen(database._writer_engine, "connect", prepare)
        database._writer_engine.dispose()
        yield database


async def housekeeping(database: Database, hashes: list[OrderHash]) -> tuple[float, float]:
    """Return milliseconds to change the orders of *hashes*, and the longest step of pruning."""
    changes = [
        OrderChange(order_hash=h, fillable=1, is_removed=False, last_updated_ns=time.time_ns())
        for h in hashes
    ]
    apply = await milliseconds(lambda: database.write(lambda c: repository.apply(c, changes)))
    steps = [
        await milliseconds(
            lambda: database.write(lambda c: eventlog.prune(c, older_than_ns=2**62, max_rows=10**9))
        )
        for _ in range(20)
    ]
    return apply, max(steps)


async def compare() -> None:
    """Fill a book in each variant, all in turn so that a busy machine harms them alike."""
    async with contextlib.AsyncExitStack() as stack:
        databases = {
            name: await stack.enter_async_context(opened_as(*how)) for name, how in VARIANTS.items()
        }
        wall: dict[str, list[float]] = {name: [] for name in databases}
        cpu: dict[str, list[float]] = {name: [] for name in databases}
        known: list[OrderHash] = []
        for _, orders in zip(range(BOOK // BATCH), batches(2), strict=False):
            known.extend(new.order_hash for new in orders[: 1000 * BATCH // BOOK])
            for name, database in databases.items():
                before = time.process_time()
                wall[name].append(
                    await milliseconds(lambda d=database, o=orders: add(d, o))  # type: ignore[misc]
                )
                cpu[name].append((time.process_time() - before) * 1000)
        print("| variant | p50 | p95 | max | CPU, mean | 1,000 changes | pruning 500, max |")
        print("|---|---|---|---|---|---|---|")
        for name, database in databases.items():
            last = sorted(wall[name][-80:])
            columns = [
                *(statistics.median(last), last[-4], max(wall[name])),
                statistics.mean(cpu[name][-80:]),
                *await housekeeping(database, known),
            ]
            print(f"| {name} | " + " | ".join(f"{value:.0f}" for value in columns) + " |")


if __name__ == "__main__":
    asyncio.run(compare())
