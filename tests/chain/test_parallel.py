from __future__ import annotations

import asyncio

import pytest

from fondaco.chain.parallel import in_parallel


async def test_results_keep_the_order_of_the_items_and_few_run_at_once() -> None:
    running = most = 0

    async def work(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10 - item):
            await asyncio.sleep(0)
        running -= 1
        return item * item

    assert await in_parallel(work, range(10), limit=3) == [n * n for n in range(10)]
    assert most == 3
    assert await in_parallel(work, [], limit=3) == []


async def test_the_first_failure_comes_out_by_itself_and_ends_the_others() -> None:
    ended: list[int] = []

    async def work(item: int) -> int:
        if item == 1:
            raise KeyError(item)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(item)
        return item

    with pytest.raises(KeyError):
        await in_parallel(work, [0, 1, 2], limit=3)
    assert sorted(ended) == [0, 2]
