from __future__ import annotations

import asyncio

from fondaco.clock import NANOSECONDS, Clock
from fondaco.testing.clock import FakeClock


async def test_sleepers_wake_in_order_of_their_time_not_of_their_call() -> None:
    clock: Clock = FakeClock()
    assert isinstance(clock, FakeClock)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleeper("late", 3.0))
        tasks.create_task(sleeper("twice", 1.0, 1.0))
        await clock.advance(2.5)
        assert woken == [("twice", 1.0), ("twice", 2.0)]
        assert clock.monotonic() == 2.5
        await clock.advance(0.5)
        assert woken[-1] == ("late", 3.0)


async def test_wall_time_moves_with_the_monotonic_one() -> None:
    clock = FakeClock(now_ns=5)
    await clock.advance(1.5)
    assert clock.now_ns() == 5 + 3 * NANOSECONDS // 2
    assert clock.monotonic() == 1.5


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.until_sleeping()
    assert clock.sleeping == 1
    task.cancel()
    await clock.advance(2)
    assert task.cancelled()
    assert clock.sleeping == 0


async def test_setting_the_wall_clock_back_wakes_nobody_and_keeps_naps_as_long() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(10))
    await clock.until_sleeping()
    clock.set_back(3600)
    await clock.advance(9)
    assert not task.done()
    await clock.advance(1)
    assert task.done()


async def test_no_nap_for_nothing() -> None:
    clock = FakeClock()
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.monotonic() == 0
