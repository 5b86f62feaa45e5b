"""Commit, then tell."""

from __future__ import annotations

import asyncio
import logging

import pytest
import sqlalchemy as sa

from fondaco.errors import StorageError
from fondaco.store import eventlog, metadata
from fondaco.testing.orders import make_order
from fondaco.testing.until import until
from fondaco.zeroex import codec, journal
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.journal import OrderFact
from fondaco.zeroex.ledger import Batch, LoggedOrder, ToldEvent
from support.order_bench import OrderBench

ORDER = make_order()
LOGGED = LoggedOrder(order=ORDER, body=codec.encode_order(ORDER))


def fact(end_state: str) -> tuple[OrderFact, LoggedOrder]:
    return (
        OrderFact(
            order_hash=order_hash(ORDER),
            end_state=end_state,
            fillable=7,
            contract_events=None,
            timestamp_ns=0,
            block_number=None,
        ),
        LOGGED,
    )


class Work:
    """A commit's work: logs what it is told to."""

    def __init__(self, *end_states: str) -> None:
        self.facts = [fact(end_state) for end_state in end_states]

    def __call__(self, connection: sa.Connection, batch: Batch) -> range:
        return batch.log(connection, self.facts)


async def logged(bench: OrderBench) -> list[int]:
    rows = await bench.database.read(
        lambda connection: eventlog.read_after(connection, journal.TOPIC, 0, 100)
    )
    return [row.sequence for row in rows]


async def test_what_is_committed_is_told_as_it_is_logged(bench: OrderBench) -> None:
    assert await bench.ledger.commit(Work("ADDED", "FILLED")) == range(1, 3)
    assert await bench.ledger.commit(Work("EXPIRED")) == range(3, 4)
    assert await logged(bench) == [1, 2, 3]
    assert [(event["sequence"], event["endState"]) for event in bench.told] == [
        (1, "ADDED"),
        (2, "FILLED"),
        (3, "EXPIRED"),
    ]


async def test_memory_agrees_before_anybody_is_told(bench: OrderBench) -> None:
    happened: list[str] = []
    bench.ledger.tell(lambda events: happened.append(f"told {len(events)}"))
    await bench.ledger.commit(Work("ADDED"), after=lambda given: happened.append(f"after {given}"))
    assert happened == ["after range(1, 2)", "told 1"]


async def test_what_logs_nothing_tells_nothing(bench: OrderBench) -> None:
    await bench.ledger.commit(Work())
    assert bench.told == []


async def test_nobody_hears_of_what_was_rolled_back(bench: OrderBench) -> None:
    def work(connection: sa.Connection, batch: Batch) -> None:
        batch.log(connection, [fact("ADDED")])
        raise LookupError("too late")

    happened: list[object] = []
    with pytest.raises(LookupError):
        await bench.ledger.commit(work, after=happened.append)
    assert (bench.told, happened, await logged(bench)) == ([], [], [])
    # The sequence it had was given to nobody.
    assert await bench.ledger.commit(Work("ADDED")) == range(1, 2)


async def test_a_full_disk_tells_nothing(bench: OrderBench) -> None:
    bench.database.is_full = True
    with pytest.raises(StorageError):
        await bench.ledger.commit(Work("ADDED"))
    bench.database.is_full = False
    assert (bench.told, await logged(bench)) == ([], [])


async def test_many_at_once_are_told_in_the_sequence_of_the_log(bench: OrderBench) -> None:
    async with asyncio.TaskGroup() as tasks:
        for count in (1, 3, 2, 5):
            tasks.create_task(bench.ledger.commit(Work(*["FILLED"] * count)))
    assert [event["sequence"] for event in bench.told] == list(range(1, 12))


async def test_what_was_committed_is_told_though_the_caller_has_gone(bench: OrderBench) -> None:
    remembered: list[range] = []
    bench.database.gate.clear()
    caller = asyncio.create_task(bench.ledger.commit(Work("ADDED"), after=remembered.append))
    await until(lambda: bench.database.waiting == 1)
    for _ in range(3):  # however often it is told to go, it ends only with its commit
        caller.cancel()
        await asyncio.sleep(0)
        assert not caller.done()
    bench.database.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert remembered == [range(1, 2)]
    assert bench.end_states == ["ADDED"]


async def test_a_failure_whose_caller_has_gone_is_logged(
    bench: OrderBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.database.gate.clear()
    bench.database.is_full = True
    caller = asyncio.create_task(bench.ledger.commit(Work("ADDED")))
    await until(lambda: bench.database.waiting == 1)
    caller.cancel()
    await asyncio.sleep(0)
    with caplog.at_level(logging.ERROR, logger="fondaco.zeroex.ledger"):
        bench.database.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert "a commit failed after its caller had gone" in caplog.text
    assert bench.told == []


async def test_a_batch_is_stamped_once(bench: OrderBench) -> None:
    def work(connection: sa.Connection, batch: Batch) -> int:
        metadata.put(connection, "at", str(batch.now_ns))
        return batch.now_ns

    assert await bench.ledger.commit(work) == bench.clock.now_ns()


async def test_a_told_event_carries_what_filters_look_at(bench: OrderBench) -> None:
    told: list[ToldEvent] = []
    bench.ledger.tell(told.extend)
    await bench.ledger.commit(Work("ADDED"))
    (event,) = told
    assert (event.order, event.order_hash, event.end_state) == (ORDER, order_hash(ORDER), "ADDED")
