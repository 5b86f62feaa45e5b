"""The system's clock, which a test may set ahead or let run faster."""

from __future__ import annotations

import asyncio

from fondaco.clock import NANOSECONDS, SystemClock


class JumpingClock:
    """A ``Clock`` that runs like the system's, or *speed* times as fast, and jumps when told to.

    Unlike ``FakeClock`` it does not stand still, so a node on it can talk to a real
    chain over real sockets. Time-outs of the network stay real.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._system = SystemClock()
        self._speed = speed
        self._began_ns = self._system.now_ns()
        self._began = self._system.monotonic()
        self._ahead = 0.0
        self._jumped = asyncio.Event()

    def now_ns(self) -> int:
        return self._began_ns + round((self.monotonic() - self._began) * NANOSECONDS)

    def monotonic(self) -> float:
        ran = self._system.monotonic() - self._began
        return self._began + ran * self._speed + self._ahead

    async def sleep(self, seconds: float) -> None:
        wake_at = self.monotonic() + seconds
        while (left := wake_at - self.monotonic()) > 0:
            try:
                async with asyncio.timeout(left / self._speed):
                    await self._jumped.wait()
            except TimeoutError:
                return
        await asyncio.sleep(0)

    def jump(self, seconds: float) -> None:
        """Move ahead; whoever would have woken in between wakes now."""
        self._ahead += seconds
        self._jumped.set()
        self._jumped = asyncio.Event()
