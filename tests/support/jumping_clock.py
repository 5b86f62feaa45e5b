"""The system's clock, which a test may set ahead: what should happen in an hour happens now."""

from __future__ import annotations

import asyncio

from fondaco.clock import NANOSECONDS, SystemClock


class JumpingClock:
    """A ``Clock`` that runs like the system's and jumps when told to.

    Unlike ``FakeClock`` it does not stand still, so a node on it can talk to a real
    chain over real sockets.
    """

    def __init__(self) -> None:
        self._system = SystemClock()
        self._ahead = 0.0
        self._jumped = asyncio.Event()

    def now_ns(self) -> int:
        return self._system.now_ns() + round(self._ahead * NANOSECONDS)

    def monotonic(self) -> float:
        return self._system.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        wake_at = self.monotonic() + seconds
        while (left := wake_at - self.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._jumped.wait()
            except TimeoutError:
                return
        await asyncio.sleep(0)

    def jump(self, seconds: float) -> None:
        """Move ahead; whoever would have woken in between wakes now."""
        self._ahead += seconds
        self._jumped.set()
        self._jumped = asyncio.Event()
