"""Sets made from the book: once, bounded where strangers ask, current all the time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fondaco.testing.clock import FakeClock
from fondaco.testing.until import until
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.bookwalk import REFUSED_SECONDS, STEP, BookWalk, FilterRefused
from fondaco.zeroex.limits import NEW_SETS_AT_ONCE, REFUSED_FILTERS_KEPT
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.order_memory import OrderMemory
from fondaco.zeroex.orderset import OrderSets
from fondaco.zeroex.scopes import Scope, scope_of
from support.order_bench import OrderBench, names, open_bench, orders

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
ODD = scope_of(V3, ['{"properties":{"salt":{"pattern":"[13579]$"}}}'])


class SlowClock(FakeClock):
    """Each look at it takes a second."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return float(self.looks)


def walk_of(bench: OrderBench, clock: FakeClock | None = None, seconds: float = 10.0) -> BookWalk:
    sets = OrderSets()
    memory = OrderMemory(sets, now=lambda: 0.0, block=lambda: 0)
    bench.ledger.tell(memory.take)
    return BookWalk(
        database=bench.database, sets=sets, clock=clock or FakeClock(), max_seconds=seconds
    )


def some(number: int) -> Scope:
    return scope_of(V3, [f'{{"maxProperties":{number}}}'])


async def test_a_set_holds_the_live_orders_of_its_scope(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "orders.sqlite", max_orders=5_000) as bench:
        walk = walk_of(bench)
        given, old = orders(2 * STEP + 3), orders(3, version=V2)
        soon = orders(2, expiration_time_seconds=bench.blocks.tip.timestamp + 60)
        async with bench.watching():
            await bench.add(*given, *old, *soon)
            bench.blocks.mine(seconds=120)
            await bench.quiet()
        assert set(await walk.get(Scope(V3))) == set(names(*given))
        assert set(await walk.get(Scope(V2))) == set(names(*old))
        odd = names(*[order for order in given if order.salt % 2])
        assert set(await walk.get(ODD)) == set(odd)


async def test_it_goes_on_with_the_book(bench: OrderBench) -> None:
    walk = walk_of(bench)
    async with bench.watching():
        ids = await walk.get(ODD)
        await bench.add(*orders(10))
        assert set(ids) == {
            n for o, n in zip(orders(10), names(*orders(10)), strict=True) if o.salt % 2
        }
        assert await walk.get(ODD) is ids


async def test_two_that_ask_at_once_wait_for_one_walk(bench: OrderBench) -> None:
    walk = walk_of(bench)
    first, second = await asyncio.gather(walk.get(ODD), walk.get(ODD, is_strangers=True))
    assert first is second


async def test_one_that_gives_up_does_not_take_the_set_from_another(bench: OrderBench) -> None:
    walk = walk_of(bench)
    first = asyncio.create_task(walk.get(ODD))
    second = asyncio.create_task(walk.get(ODD))
    await asyncio.sleep(0)
    first.cancel()
    assert len(await second) == 0


async def test_strangers_have_so_many_sets_made_and_no_more(bench: OrderBench) -> None:
    clock = FakeClock()
    walk = walk_of(bench, clock)
    for number in range(NEW_SETS_AT_ONCE):
        await walk.get(some(number), is_strangers=True)
    with pytest.raises(FilterRefused, match="too many"):
        await walk.get(some(99), is_strangers=True)
    await walk.get(some(3), is_strangers=True)
    await walk.get(some(99))
    await clock.advance(60.0)
    await walk.get(some(98), is_strangers=True)


async def test_a_filter_that_takes_too_long_is_refused_and_not_tried_again(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "orders.sqlite", max_orders=3_000) as bench:
        async with bench.watching():
            await bench.add(*orders(600), origin=Origin.LOCAL)
        clock = SlowClock()
        walk = walk_of(bench, clock, seconds=0.5)
        with pytest.raises(FilterRefused, match="costs too much"):
            await walk.get(ODD, is_strangers=True)
        looks = clock.looks
        with pytest.raises(FilterRefused, match="costs too much"):
            await walk.get(ODD, is_strangers=True)
        assert clock.looks == looks + 1, "not tried"
        assert len(await walk.get(Scope(V3))) == 600, "without filters there is no limit"
        clock.looks += int(REFUSED_SECONDS)
        with pytest.raises(FilterRefused):
            await walk.get(ODD, is_strangers=True)
        assert clock.looks > looks + REFUSED_SECONDS + 2, "tried again"


async def test_refused_filters_are_bounded(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(*orders(1))
    walk = walk_of(bench, SlowClock(), seconds=0.5)
    for number in range(REFUSED_FILTERS_KEPT + 5):
        with pytest.raises(FilterRefused):
            await walk.get(some(number))
    assert len(walk._refused) == REFUSED_FILTERS_KEPT


async def test_orders_stored_during_a_walk_are_in_the_set(bench: OrderBench) -> None:
    walk = walk_of(bench)
    async with bench.watching():
        await bench.add(*orders(4))
        tasks = [asyncio.create_task(walk.get(scope)) for scope in (ODD, Scope(V3))]
        adding = asyncio.create_task(bench.add(*orders(40)[4:]))
        await until(lambda: adding.done() and all(task.done() for task in tasks))
        assert set(tasks[1].result()) == set(names(*orders(40)))
        assert set(tasks[0].result()) == {
            n for o, n in zip(orders(40), names(*orders(40)), strict=True) if o.salt % 2
        }
