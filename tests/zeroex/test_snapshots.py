"""Pages of a snapshot stay as they were, and snapshots end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from fondaco.testing.until import until
from fondaco.zeroex import repository
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.snapshots import (
    MAX_SNAPSHOTS,
    SNAPSHOT_IDLE,
    SNAPSHOT_LIFETIME,
    OrderSnapshot,
    Snapshots,
    UnknownSnapshot,
)
from support.order_bench import OrderBench, names, orders


@pytest.fixture
async def snapshots(bench: OrderBench) -> AsyncIterator[Snapshots]:
    numbers = itertools.count(1)
    made = Snapshots(bench.database, bench.clock, new_id=lambda: f"id-{next(numbers)}")
    yield made
    await made.close()


async def pages(snapshot: OrderSnapshot, per_page: int) -> list[list[bytes]]:
    """Page as the clients do, until an empty page."""
    found: list[list[bytes]] = []
    while rows := await snapshot.page(len(found), per_page):
        found.append([row.order_hash for row in rows])
    return found


async def fill(bench: OrderBench, count: int) -> list[bytes]:
    given = orders(count)
    async with bench.watching():
        await bench.add(*given)
    return sorted(names(*given))


async def test_pages_are_cut_from_the_hashes_in_sequence(
    bench: OrderBench, snapshots: Snapshots
) -> None:
    expected = await fill(bench, 10)
    snapshot = await snapshots.create()
    assert await pages(snapshot, 3) == [expected[i : i + 3] for i in range(0, 10, 3)]
    assert await pages(snapshot, 5) == [expected[:5], expected[5:]]
    assert await snapshot.page(7, 100) == []


async def test_what_happens_meanwhile_is_not_seen(bench: OrderBench, snapshots: Snapshots) -> None:
    expected = await fill(bench, 6)
    snapshot = await snapshots.create()
    first = [row.order_hash for row in await snapshot.page(0, 2)]
    await bench.database.write(
        lambda connection: repository.forget(connection, names(*orders(6)), last_sequence=6)
    )
    rest = [row.order_hash for page in (1, 2) for row in await snapshot.page(page, 2)]
    assert first + rest == expected
    assert await pages(await snapshots.create(), 10) == []


async def test_removed_orders_are_not_listed(bench: OrderBench, snapshots: Snapshots) -> None:
    expected = await fill(bench, 3)
    gone = order_hash(orders(1)[0])
    change = repository.OrderChange(
        order_hash=gone, fillable=0, is_removed=True, last_updated_ns=bench.clock.now_ns()
    )
    await bench.database.write(lambda connection: repository.apply(connection, [change]))
    [page] = await pages(await snapshots.create(), 10)
    assert page == [name for name in expected if name != gone]


async def test_a_snapshot_ends_a_minute_after_its_last_use(
    bench: OrderBench, snapshots: Snapshots
) -> None:
    snapshot = await snapshots.create()
    await bench.clock.advance(SNAPSHOT_IDLE)
    assert snapshots.get(snapshot.snapshot_id) is snapshot
    await bench.clock.advance(SNAPSHOT_IDLE)
    await snapshots.prune()
    assert snapshots.get(snapshot.snapshot_id) is snapshot
    await bench.clock.advance(SNAPSHOT_IDLE + 0.001)
    with pytest.raises(UnknownSnapshot, match=r"No snapshot found with id: id-1\. To create"):
        snapshots.get(snapshot.snapshot_id)
    await snapshots.prune()


async def test_a_snapshot_ends_however_often_it_is_used(
    bench: OrderBench, snapshots: Snapshots
) -> None:
    snapshot = await snapshots.create()
    for _ in range(int(SNAPSHOT_LIFETIME // SNAPSHOT_IDLE)):
        await bench.clock.advance(SNAPSHOT_IDLE)
        snapshots.get(snapshot.snapshot_id)
    await bench.clock.advance(1)
    with pytest.raises(UnknownSnapshot):
        snapshots.get(snapshot.snapshot_id)


async def test_one_too_many_ends_the_one_unused_for_longest(snapshots: Snapshots) -> None:
    first, second = await snapshots.create(), await snapshots.create()
    snapshots.get(first.snapshot_id)
    for _ in range(MAX_SNAPSHOTS - 1):
        await snapshots.create()
    assert snapshots.get(first.snapshot_id) is first
    with pytest.raises(UnknownSnapshot):
        snapshots.get(second.snapshot_id)


async def test_an_id_nobody_gave_out(snapshots: Snapshots) -> None:
    with pytest.raises(UnknownSnapshot, match="with an empty snapshotID"):
        snapshots.get("unknown")


async def test_a_page_that_waits_while_its_snapshot_ends(
    bench: OrderBench, snapshots: Snapshots
) -> None:
    """Whoever asked is told in the words for it, not that something is closed."""
    await fill(bench, 2)
    snapshot = await snapshots.create()
    async with asyncio.TaskGroup() as tasks:
        ending = tasks.create_task(snapshot.close())
        await asyncio.sleep(0)
        page = tasks.create_task(refused_page(snapshot))
    assert ending.done()
    assert page.result() == (
        "No snapshot found with id: id-1. "
        "To create a new snapshot, send a request with an empty snapshotID"
    )


async def refused_page(snapshot: OrderSnapshot) -> str:
    with pytest.raises(UnknownSnapshot) as caught:
        await snapshot.page(0, 10)
    return str(caught.value)


async def test_clients_who_hang_up_take_no_place_for_good(
    bench: OrderBench, snapshots: Snapshots
) -> None:
    """The store holds few versions at once. One client after the other leaves, each a
    little later than the one before, until one stays to the end."""
    await fill(bench, 200)
    patience = 0
    while True:
        leaving = asyncio.create_task(snapshots.create())
        for _ in range(patience):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait((leaving,))
        if not leaving.cancelled():
            break
        await until(lambda: bench.database.held_snapshots == 0)
        patience += 2
    assert patience > 10
    assert bench.database.held_snapshots == 1
