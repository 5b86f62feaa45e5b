"""Wait for several requests at once, a bounded number of them in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def in_parallel(
    work: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, limit: int
) -> list[Result]:
    """Return what *work* gives for each of *items*, in their order.

    Args:
        limit: how many run at once.

    Raises:
        Exception: the first failure of *work*, by itself; what still runs is cancelled.
    """
    turns = asyncio.Semaphore(limit)

    async def one(item: Item) -> Result:
        async with turns:
            return await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as failures:
        # Callers name the errors they can deal with; a group would hide them.
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
