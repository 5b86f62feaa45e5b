"""What a subscriber is sent is the same whether it comes from memory or from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from fondaco.api.feed import Event
from fondaco.store.database import Database, open_database
from fondaco.testing.clock import FakeClock
from fondaco.testing.orders import make_order
from fondaco.zeroex import codec, repository
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.feed import EventSubject, OrderLog, open_feed, publisher, subject_of, wanted_by
from fondaco.zeroex.journal import OrderFact
from fondaco.zeroex.ledger import Batch, Ledger, LoggedOrder
from fondaco.zeroex.order import OrderHash, ProtocolVersion, SignedOrder
from fondaco.zeroex.query import parse_filter

FIRST = make_order(salt=1)
SECOND = make_order(version=ProtocolVersion.V2, salt=2)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "node.sqlite") as opened:
        yield opened


def hex_of(order: SignedOrder) -> str:
    return f"0x{order_hash(order).hex()}"


async def commit(ledger: Ledger, *orders: SignedOrder) -> None:
    """Keep *orders* and log one event for each."""

    def work(connection: sa.Connection, batch: Batch) -> None:
        facts = []
        for order in orders:
            body = codec.encode_order(order)
            repository.insert(
                connection,
                [
                    repository.NewOrder(
                        order_hash=order_hash(order),
                        order=order,
                        body=body,
                        fillable=5,
                        is_pinned=False,
                        last_updated_ns=batch.now_ns,
                    )
                ],
            )
            fact = OrderFact(
                order_hash=order_hash(order),
                end_state="ADDED",
                fillable=5,
                contract_events=None,
                timestamp_ns=batch.now_ns,
                block_number=None,
            )
            facts.append((fact, LoggedOrder(order=order, body=body)))
        batch.log(connection, facts)

    await ledger.commit(work)


async def forget(ledger: Ledger, order: SignedOrder, *, last_sequence: int) -> None:
    def work(connection: sa.Connection, _: Batch) -> None:
        repository.forget(connection, [order_hash(order)], last_sequence=last_sequence)

    await ledger.commit(work)


async def test_the_log_says_what_was_told(database: Database) -> None:
    ledger = Ledger(database, FakeClock())
    told: list[tuple[int, bytes]] = []
    ledger.tell(lambda events: told.extend((event.sequence, event.encoded) for event in events))
    await commit(ledger, FIRST, SECOND)
    assert await OrderLog(database).read_after(0, 10) == told
    assert [msgspec.json.decode(encoded)["orderHash"] for _, encoded in told] == [
        hex_of(FIRST),
        hex_of(SECOND),
    ]


async def test_pages_follow_each_other(database: Database) -> None:
    ledger = Ledger(database, FakeClock())
    await commit(ledger, FIRST, SECOND)
    log = OrderLog(database)
    assert [sequence for sequence, _ in await log.read_after(0, 1)] == [1]
    assert [sequence for sequence, _ in await log.read_after(1, 1)] == [2]
    assert await log.read_after(2, 1) == []
    assert await log.bounds() == (1, 2)


async def test_events_of_forgotten_orders_still_have_their_order(database: Database) -> None:
    ledger = Ledger(database, FakeClock())
    await commit(ledger, FIRST)
    await forget(ledger, FIRST, last_sequence=1)
    [(_, encoded)] = await OrderLog(database).read_after(0, 10)
    assert codec.decode_order(msgspec.json.decode(encoded, type=Told).signedOrder) == FIRST


class Told(msgspec.Struct):
    signedOrder: msgspec.Raw


async def test_a_feed_goes_on_where_the_log_ends(database: Database) -> None:
    ledger = Ledger(database, FakeClock())
    await commit(ledger, FIRST)
    feed = await open_feed(database)
    assert feed.last == 1
    ledger.tell(publisher(feed))
    await commit(ledger, SECOND)
    assert feed.last == 2
    [batch] = feed.batches_after(1)
    assert [event.sequence for event in batch.events] == [2]


async def test_filters_look_at_the_same_thing_live_and_in_the_log(database: Database) -> None:
    ledger = Ledger(database, FakeClock())
    feed = await open_feed(database)
    ledger.tell(publisher(feed))
    await commit(ledger, FIRST, SECOND)
    live: list[Event[EventSubject]] = [
        event for batch in feed.batches_after(0) for event in batch.events
    ]
    logged = [subject_of(encoded) for _, encoded in await OrderLog(database).read_after(0, 10)]
    assert [event.value for event in live] == logged
    wants = wanted_by(parse_filter({"protocolVersion": 2}))
    assert [wants(subject) for subject in logged] == [False, True]


def test_a_subject_is_read_from_an_event() -> None:
    body = codec.encode_order(FIRST).decode()
    encoded = f'{{"sequence":9,"orderHash":"{hex_of(FIRST)}","signedOrder":{body}}}'.encode()
    assert subject_of(encoded) == EventSubject(OrderHash(order_hash(FIRST)), FIRST)
