"""A block is looked for when a client has reason to ask."""

from __future__ import annotations

import asyncio

from fondaco.chain.blocks import BlockWatcher
from fondaco.chain.limits import MIN_POLL_INTERVAL
from fondaco.testing.clock import FakeClock
from fondaco.testing.ethereum import FakeChain, FakeEndpoint, fake_client

INTERVAL = 5.0


class Bench:
    """A watcher of a fake chain, with a clock to move."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.chain = FakeChain()
        self.endpoint = FakeEndpoint(self.chain)
        self.watcher = BlockWatcher(
            fake_client(self.chain, self.clock, endpoint=self.endpoint),
            self.clock,
            [b"\x01" * 32],
            polling_interval=INTERVAL,
        )


async def test_a_block_is_looked_for_at_once_when_somebody_asks() -> None:
    bench = Bench()
    await bench.watcher.start([])
    following = asyncio.create_task(bench.watcher.next_batch())
    await bench.clock.until_sleeping()
    bench.chain.mine()
    asked = [asyncio.create_task(bench.watcher.refresh()) for _ in range(3)]
    await bench.clock.until_sleeping(2)
    await bench.clock.advance(MIN_POLL_INTERVAL)
    await asyncio.gather(*asked)
    assert len(await following) == 1
    assert bench.clock.monotonic() < INTERVAL


async def test_asking_often_polls_no_more_often_than_allowed() -> None:
    bench = Bench()
    await bench.watcher.start([])
    following = asyncio.create_task(bench.watcher.next_batch())
    await bench.clock.until_sleeping()
    before = len(bench.chain.requests)
    for _ in range(100):
        asked = asyncio.create_task(bench.watcher.refresh())
        await bench.clock.until_sleeping()
        await bench.clock.advance(MIN_POLL_INTERVAL / 10)
        asked.cancel()
    assert len(bench.chain.requests) - before <= 11
    following.cancel()
    await asyncio.wait([following])


async def test_nobody_is_kept_waiting_by_an_endpoint_that_is_away() -> None:
    bench = Bench()
    await bench.watcher.start([])
    bench.endpoint.is_away = True
    following = asyncio.create_task(bench.watcher.next_batch())
    await bench.clock.until_sleeping()
    await bench.clock.advance(INTERVAL)
    await bench.watcher.refresh()
    assert bench.watcher.last_error is not None
    following.cancel()
    await asyncio.wait([following])
