"""Waiting for an effect instead of for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 10.0
"""Seconds until a test gives up; only a failing test waits so long."""


async def until(holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Return once *holds* does, giving way to tasks and threads meanwhile.

    Raises:
        TimeoutError: it never did.
    """
    async with asyncio.timeout(patience):
        while not holds():  # noqa: ASYNC110 - the effect may come from a thread
            await asyncio.sleep(0)
