"""What the clock has done, at which instant, and what happens when the disk is in the way."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from fondaco.store import eventlog
from fondaco.testing.orders import make_order
from fondaco.testing.until import PATIENCE, until
from fondaco.zeroex import codec, journal, repository
from fondaco.zeroex.admission import Assessed, Origin
from fondaco.zeroex.capacity import GROWTH_CHECK_INTERVAL, GROWTH_INTERVAL, GROWTH_OFFSET
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.housekeeping import (
    CLEANUP_INTERVAL,
    FORGET_AFTER,
    FORGET_INTERVAL,
    SNAPSHOT_CHECK_INTERVAL,
    STALE_AFTER,
    STEP,
    Housekeeping,
)
from fondaco.zeroex.intake import Candidate
from fondaco.zeroex.limits import CLEANUP_QUESTIONS
from fondaco.zeroex.order import Address, SignedOrder
from fondaco.zeroex.snapshots import SNAPSHOT_IDLE, OrderSnapshot, Snapshots, UnknownSnapshot
from support.order_bench import OrderBench, names, open_bench, orders

NOW = 1_578_052_800
JOBS = 5
INSTANT = 1e-9
"""The least time there is, in seconds."""

ORDER = make_order()


class Keeper:
    """Housekeeping over a bench."""

    def __init__(
        self, bench: OrderBench, *, seconds: float = 1_000_000, rows: int = 1_000_000
    ) -> None:
        numbers = itertools.count()
        self.bench = bench
        self.snapshots = Snapshots(
            bench.database, bench.clock, new_id=lambda: f"snapshot {next(numbers)}"
        )
        self.work = Housekeeping(
            clock=bench.clock,
            database=bench.database,
            ledger=bench.ledger,
            index=bench.index,
            watcher=bench.watcher,
            admission=bench.admission,
            snapshots=self.snapshots,
            event_log_seconds=seconds,
            event_log_rows=rows,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.work.run())
        try:
            await self._rest()
            yield
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.wait((running,))
            await self.snapshots.close()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass in steps, and every job end before time goes on."""
        while seconds > 0:
            step = min(seconds, SNAPSHOT_CHECK_INTERVAL)
            await self.bench.clock.advance(step)
            await self._rest()
            seconds -= step

    async def _rest(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.bench.clock.until_sleeping(JOBS)


async def keep(bench: OrderBench, given: Sequence[SignedOrder]) -> None:
    """Store orders as if the chain had said that they can be filled; each has its event."""
    await bench.admission.admit(
        [
            Assessed(
                candidate=Candidate(
                    order_hash=order_hash(order), order=order, body=codec.encode_order(order)
                ),
                fillable=order.taker_asset_amount,
            )
            for order in given
        ],
        Origin.GOSSIP,
        pinned=False,
    )


async def flag_removed(bench: OrderBench, given: Sequence[SignedOrder]) -> None:
    """Flag orders removed now."""
    changes = [
        repository.OrderChange(
            order_hash=name, fillable=0, is_removed=True, last_updated_ns=bench.clock.now_ns()
        )
        for name in names(*given)
    ]
    await bench.database.write(lambda connection: repository.apply(connection, changes))


async def kept(bench: OrderBench, *given: SignedOrder) -> list[bool]:
    return [row is not None for row in await bench.stored(*given)]


async def logged(bench: OrderBench) -> list[int]:
    rows = await bench.database.read(
        lambda connection: eventlog.read_after(connection, journal.TOPIC, 0, 100)
    )
    return [row.sequence for row in rows]


async def bodies(bench: OrderBench, *given: SignedOrder) -> list[bool]:
    """Return of which orders the body is still there, kept or forgotten."""
    found = await bench.database.read(
        lambda connection: repository.bodies(connection, names(*given))
    )
    return [name in found for name in names(*given)]


async def is_open(snapshot: OrderSnapshot) -> bool:
    try:
        return bool(await snapshot.page(0, 10))
    except UnknownSnapshot:
        return False


# ---------------------------------------------------------------- each at its time


async def test_idle_snapshots_end_every_five_seconds(bench: OrderBench) -> None:
    keeper = Keeper(bench)
    await keep(bench, [ORDER])
    await bench.clock.advance(1)  # so that no look falls on the minute
    snapshot = await keeper.snapshots.create()
    async with keeper.running():
        await keeper.pass_time(SNAPSHOT_IDLE + SNAPSHOT_CHECK_INTERVAL - INSTANT)
        assert await is_open(snapshot)  # idle for exactly a minute at the look before
        await keeper.pass_time(INSTANT)
        assert not await is_open(snapshot)


async def test_a_snapshot_in_use_stays(bench: OrderBench) -> None:
    keeper = Keeper(bench)
    await keep(bench, [ORDER])
    snapshot = await keeper.snapshots.create()
    async with keeper.running():
        for _ in range(3):
            await keeper.pass_time(SNAPSHOT_IDLE)
            assert await is_open(keeper.snapshots.get(snapshot.snapshot_id))


async def test_the_maximum_grows_when_it_is_looked_at(tmp_path: Path) -> None:
    """What it may grow by is reached ten seconds in; the look is at thirty."""
    async with open_bench(tmp_path / "db", stored_ceiling=NOW + 99) as bench:
        await bench.clock.advance(GROWTH_INTERVAL - 10)
        keeper = Keeper(bench)
        async with keeper.running():
            await keeper.pass_time(GROWTH_CHECK_INTERVAL - INSTANT)
            assert bench.ceiling.current == NOW + 99
            await keeper.pass_time(INSTANT)
            assert bench.ceiling.current == NOW + 99 + GROWTH_OFFSET
            assert await bench.stored_ceiling() == str(NOW + 99 + GROWTH_OFFSET)
            await keeper.pass_time(GROWTH_INTERVAL)  # twice the sum: ever faster
            assert bench.ceiling.current == NOW + 99 + 2 * GROWTH_OFFSET


async def test_the_maximum_of_a_full_book_stays(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", max_orders=2, stored_ceiling=NOW + 99) as bench:
        await keep(bench, orders(2, expiration_time_seconds=NOW + 50))
        keeper = Keeper(bench)
        async with keeper.running():
            await keeper.pass_time(2 * GROWTH_INTERVAL)
            assert bench.ceiling.current == NOW + 99
            assert await bench.stored_ceiling() is None


async def test_removed_orders_are_forgotten_every_five_minutes(bench: OrderBench) -> None:
    keeper = Keeper(bench)
    early, late = orders(2)
    await keep(bench, [early, late])
    await flag_removed(bench, [early])
    await bench.clock.advance(INSTANT)
    async with keeper.running():
        await flag_removed(bench, [late])
        await keeper.pass_time(FORGET_INTERVAL - INSTANT)
        assert await kept(bench, early, late) == [True, True]
        await keeper.pass_time(INSTANT)
        assert await kept(bench, early, late) == [False, True]
        await keeper.pass_time(FORGET_INTERVAL)
        assert await kept(bench, early, late) == [False, False]


async def test_the_log_is_pruned_every_five_minutes(bench: OrderBench) -> None:
    keeper = Keeper(bench, seconds=100)
    await keep(bench, [ORDER])
    async with keeper.running():
        await keeper.pass_time(FORGET_INTERVAL - INSTANT)
        assert await logged(bench) == [1]
        await keeper.pass_time(INSTANT)
        assert await logged(bench) == []


async def test_stale_orders_are_looked_at_every_hour(bench: OrderBench) -> None:
    keeper = Keeper(bench)
    await keep(bench, [ORDER])
    async with keeper.running():
        await keeper.pass_time(CLEANUP_INTERVAL - INSTANT)
        assert bench.watcher.due_count == 0
        await keeper.pass_time(INSTANT)
        assert bench.watcher.due_count == 1


# ---------------------------------------------------------------- a job that fails


async def test_a_full_disk_puts_off_what_writes_and_nothing_else(
    bench: OrderBench, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Keeper(bench, seconds=100)
    stays, goes = orders(2)
    await keep(bench, [stays, goes])
    await flag_removed(bench, [goes])
    await bench.clock.advance(1)
    async with keeper.running():
        await keeper.pass_time(FORGET_INTERVAL - 50)
        snapshot = await keeper.snapshots.create()
        bench.database.is_full = True
        with caplog.at_level(logging.WARNING, logger="fondaco.zeroex.housekeeping"):
            await keeper.pass_time(50 + SNAPSHOT_IDLE)
        assert sorted(record.__dict__["job"] for record in caplog.records) == [
            "Housekeeping.forget_removed",
            "Housekeeping.prune_log",
        ]
        assert await kept(bench, goes) == [True]
        assert bench.index.count == 2  # memory agrees with the disk
        assert await logged(bench) == [1, 2]
        assert not await is_open(snapshot)
        bench.database.is_full = False
        await keeper.pass_time(FORGET_INTERVAL - SNAPSHOT_IDLE - INSTANT)
        assert await kept(bench, goes) == [True]  # put off to the next time, no sooner
        await keeper.pass_time(INSTANT)
        assert await kept(bench, stays, goes) == [True, False]
        assert await logged(bench) == []


async def test_a_disk_that_cannot_be_read_puts_off_the_look(
    bench: OrderBench, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Keeper(bench)
    await keep(bench, [ORDER])
    async with keeper.running():
        await keeper.pass_time(CLEANUP_INTERVAL - 1)
        bench.database.is_unreadable = True
        with caplog.at_level(logging.WARNING, logger="fondaco.zeroex.housekeeping"):
            await keeper.pass_time(1)
        assert [r.__dict__["job"] for r in caplog.records] == ["Housekeeping.look_at_stale"]
        assert "put off: the disk does not answer" in caplog.text
        bench.database.is_unreadable = False
        await keeper.pass_time(CLEANUP_INTERVAL)
        assert bench.watcher.due_count == 1


# ---------------------------------------------------------------- which orders


async def test_an_order_is_forgotten_when_it_is_older_than_five_minutes(bench: OrderBench) -> None:
    keeper = Keeper(bench)
    removed, live = orders(2)
    await keep(bench, [removed, live])
    await flag_removed(bench, [removed])
    await bench.clock.advance(FORGET_AFTER)
    await keeper.work.forget_removed()
    assert await kept(bench, removed, live) == [True, True]
    await bench.clock.advance(INSTANT)
    await keeper.work.forget_removed()
    assert await kept(bench, removed, live) == [False, True]
    assert bench.index.hashes() == names(live)
    assert bench.end_states == ["ADDED", "ADDED"]  # nobody is told: it had ended before


@pytest.mark.parametrize("count", [STEP, STEP + 1])
async def test_more_than_one_step_is_forgotten_at_once(tmp_path: Path, count: int) -> None:
    async with open_bench(tmp_path / "db", max_orders=2 * STEP) as bench:
        keeper = Keeper(bench, rows=1)
        many = orders(count, signature=b"\x04")
        await keep(bench, many)
        await flag_removed(bench, many)
        await bench.clock.advance(FORGET_AFTER + 1)
        await keeper.work.forget_removed()
        assert (await bench.counts()).kept == bench.index.count == 0
        assert all(await bodies(bench, *many))
        await keep(bench, [ORDER])  # the log's one row is of another order
        await keeper.work.prune_log()
        assert not any(await bodies(bench, *many))


async def test_an_order_is_stale_when_it_is_older_than_half_an_hour(bench: OrderBench) -> None:
    keeper = Keeper(bench)
    old, removed, fresh = orders(3)
    async with bench.watching():
        await keep(bench, [old, removed])
        await flag_removed(bench, [removed])
        await bench.clock.advance(STALE_AFTER)
        await keep(bench, [fresh])
        await keeper.work.look_at_stale()
        assert bench.watcher.due_count == 0
        await bench.clock.advance(INSTANT)
        await keeper.work.look_at_stale()
        await until(lambda: bool(bench.assessor.asked))
        await bench.quiet()
        (asked,) = bench.assessor.asked
        assert (list(asked.hashes), asked.are_stored) == (names(old), True)
        await keeper.work.look_at_stale()  # it has been looked at just now
        assert bench.watcher.due_count == 0
    assert bench.end_states == ["ADDED"] * 3  # it was as it had been


async def test_a_cleanup_costs_no_more_questions_than_it_may(tmp_path: Path) -> None:
    """Those not looked at for longest first; plain ones all; the rest has its turn later."""
    async with open_bench(tmp_path / "db", max_orders=10 * CLEANUP_QUESTIONS) as bench:
        keeper = Keeper(bench)
        old = orders(CLEANUP_QUESTIONS, signature=b"\x04")
        young = orders(3, signature=b"\x06", maker_address=Address(b"\x09" * 20))
        plain = orders(1, salt=7_000_000)
        async with bench.watching():
            for some in (old, young, plain):
                await keep(bench, some)
                await bench.clock.advance(1)
            for expected in ([*old, *plain], young):
                await bench.clock.advance(STALE_AFTER)
                bench.assessor.asked.clear()
                await keeper.work.look_at_stale()
                await until(lambda: bool(bench.assessor.asked))
                await until(lambda: bench.watcher.due_count == 0)
                looked_at = {name for asked in bench.assessor.asked for name in asked.hashes}
                assert looked_at >= set(names(*expected))
                if expected is not young:
                    assert not looked_at & set(names(*young))


# ---------------------------------------------------------------- how much of the log


async def test_events_are_kept_for_their_time(bench: OrderBench) -> None:
    keeper = Keeper(bench, seconds=15)
    for order in orders(3):
        await keep(bench, [order])
        await bench.clock.advance(10)
    await bench.clock.advance(5)  # the events are 35, 25 and 15 seconds old
    await keeper.work.prune_log()
    assert await logged(bench) == [3]
    await bench.clock.advance(INSTANT)
    await keeper.work.prune_log()
    assert await logged(bench) == []


async def test_no_more_events_are_kept_than_their_number(bench: OrderBench) -> None:
    keeper = Keeper(bench, rows=3)
    for order in orders(3):
        await keep(bench, [order])
    await keeper.work.prune_log()
    assert await logged(bench) == [1, 2, 3]
    await keep(bench, [make_order(salt=77)])
    await keeper.work.prune_log()
    assert await logged(bench) == [2, 3, 4]


async def test_a_body_goes_with_the_last_event_that_needs_it(bench: OrderBench) -> None:
    keeper = Keeper(bench, rows=1)
    goes, stays = orders(2)
    await keep(bench, [goes])
    await flag_removed(bench, [goes])
    await bench.clock.advance(FORGET_AFTER + 1)
    await keeper.work.forget_removed()
    await keeper.work.prune_log()
    assert await kept(bench, goes) == [False]
    assert await bodies(bench, goes) == [True]  # event 1 is about it
    await keep(bench, [stays])
    await keeper.work.prune_log()
    assert await logged(bench) == [2]
    assert await bodies(bench, goes, stays) == [False, True]
    await keep(bench, [make_order(salt=77)])
    await keeper.work.prune_log()
    assert await bodies(bench, stays) == [True]  # no event, but on offer


async def test_an_order_whose_events_went_before_it_leaves_nothing(bench: OrderBench) -> None:
    keeper = Keeper(bench, rows=0)
    await keep(bench, [ORDER])
    await keeper.work.prune_log()
    await flag_removed(bench, [ORDER])
    await bench.clock.advance(FORGET_AFTER + 1)
    await keeper.work.forget_removed()
    await keeper.work.prune_log()
    assert await bodies(bench, ORDER) == [False]
