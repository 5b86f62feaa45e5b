"""Waiting for an effect ends with the effect, or says that there was none."""

from __future__ import annotations

import asyncio
import threading

import pytest

from fondaco.testing.until import until


async def test_it_returns_with_the_effect_of_a_task() -> None:
    done: list[int] = []

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        done.append(1)

    task = asyncio.create_task(work())
    await until(lambda: bool(done))
    await task
    assert done == [1]


async def test_it_sees_the_effect_of_a_thread() -> None:
    happened = threading.Event()
    thread = threading.Thread(target=happened.set)
    thread.start()
    await until(happened.is_set)
    thread.join()
    assert happened.is_set()


async def test_it_says_when_nothing_happens() -> None:
    with pytest.raises(TimeoutError):
        await until(lambda: False, patience=0.01)
