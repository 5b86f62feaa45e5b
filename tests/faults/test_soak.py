"""Three nodes for a while: orders all the time, a fault now and then, nothing lost, no leak.

Each round posts orders through all nodes while one of the faults of ``FAULTS`` happens, waits
until all hold the same, compares with what was acknowledged, and cancels everything on the
chain: so that the book, which may take memory, is small again when memory is looked at. So
may the caches, which are bounded: the long form fills them before it looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from fondaco.devnet import actions
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import ProtocolVersion
from support.market import Market
from support.peer_processes import (
    PeerProcess,
    eventually,
    frozen,
    open_peers,
    until_connected,
    until_equal,
)

pytestmark = [
    pytest.mark.chain,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("soak of peers"),
]

MEGABYTE = 1_000_000

FILLING = 10_000
"""Orders that come and go at first: with two events each they fill the ring of recent events,
and what SQLite may keep of the file."""

SANE = {"main": 250 * MEGABYTE, "child": 180 * MEGABYTE}
"""Bytes. A fresh main process has 100 MB, a child 105."""


class Soak:
    """The three nodes, what they have acknowledged, and their memory over time."""

    def __init__(self, market: Market, ann: PeerProcess, bob: PeerProcess, cat: PeerProcess):
        self.market = market
        self.ann, self.bob, self.cat = ann, bob, cat
        self.nodes = (ann, bob, cat)
        self.began = time.monotonic()
        self.curve: list[dict[str, float]] = []
        self.acknowledged: set[str] = set()
        self.unanswered: set[str] = set()
        self.total = 0
        self._salts = itertools.count(1)

    async def post(self, rate: float, until: float) -> None:
        """Post orders in turn at all nodes that answer, *rate* a second."""
        for node in itertools.cycle(self.nodes):
            if time.monotonic() >= until:
                return
            order = self.market.offer(ProtocolVersion.V3, salt=next(self._salts))
            name = f"0x{order_hash(order).hex()}"
            try:
                answer = await node.client.add(order)
            except (OSError, WebSocketException):
                self.unanswered.add(name)  # it may have been stored before the node died
            else:
                assert [each["orderHash"] for each in answer["accepted"]] == [name]
                self.acknowledged.add(name)
            await asyncio.sleep(1 / rate)

    async def fill(self, count: int) -> None:
        """Let *count* orders come and go."""
        for _ in range(0, count, 100):
            made = [
                self.market.offer(ProtocolVersion.V3, salt=salt)
                for salt in itertools.islice(self._salts, 100)
            ]
            answer = await self.ann.client.add(*made)
            self.acknowledged.update(each["orderHash"] for each in answer["accepted"])
        assert len(self.acknowledged) == count
        await self.settle()
        await self.clear()

    async def settle(self) -> None:
        """All hold the same, and everything that was acknowledged."""

        async def is_complete() -> bool:
            count, _ = await self.ann.digest()
            return count >= len(self.acknowledged)

        await eventually(is_complete)
        await until_equal(*self.nodes, orders=(await self.ann.digest())[0], seconds=120)
        for node in self.nodes:
            book = set(await node.client.book())
            assert self.acknowledged <= book
            assert book <= self.acknowledged | self.unanswered
        self.total += len(self.acknowledged)

    async def clear(self) -> None:
        """Cancel everything; return when no node offers anything any more."""
        exchange = self.market.at["exchange"]
        maker = self.market.maker.address
        await self.market.traders.do(actions.cancel_up_to(exchange, maker, next(self._salts)))
        await until_equal(*self.nodes, orders=0)
        self.acknowledged.clear()
        self.unanswered.clear()

    async def watch_memory(self, pause: float) -> None:
        """Note the memory of those that are never restarted, until cancelled."""
        while True:
            sizes = {"at": time.monotonic() - self.began}
            for name, node in (("ann", self.ann), ("bob", self.bob), ("cat", self.cat)):
                # One that has just died has no memory.
                with contextlib.suppress(OSError, IndexError):
                    sizes |= {f"{name} {role}": size for role, size in node.memory().items()}
            self.curve.append(sizes)
            await asyncio.sleep(pause)

    def growth(self, process: str, after: float) -> float:
        """Return by which share the memory of *process* has grown since *after* seconds."""
        later = [one[process] for one in self.curve if one["at"] >= after and process in one]
        edge = max(3, len(later) // 10)
        first, last = sorted(later[:edge]), sorted(later[-edge:])
        return last[edge // 2] / first[edge // 2] - 1


# --- the faults -------------------------------------------------------------------------


async def kill_a_node(soak: Soak) -> None:
    await soak.cat.again(signal.SIGKILL)


async def kill_a_child(soak: Soak) -> None:
    before = soak.bob.signal_child(signal.SIGKILL)
    await soak.bob.another_child(before)


async def restart_a_node(soak: Soak) -> None:
    await soak.cat.again()


async def freeze_a_node(soak: Soak) -> None:
    await soak.cat.hang_up()
    child = soak.cat.child_pid
    assert child is not None
    with frozen(soak.cat.ready.pid), frozen(child):
        await asyncio.sleep(5)
    assert soak.cat.child_pid == child
    await soak.cat.talk()


FAULTS: tuple[Callable[[Soak], Coroutine[None, None, None]], ...] = (
    kill_a_child,
    kill_a_node,
    freeze_a_node,
    restart_a_node,
)


async def run(soak: Soak, *, rounds: int, seconds: float, rate: float, filling: int = 0) -> None:
    """Post for *seconds* in each of the *rounds*, with a fault each."""
    await soak.bob.join(soak.ann)
    await soak.cat.join(soak.ann)
    await soak.cat.join(soak.bob)
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(soak.watch_memory(1.0))
        if filling:
            await soak.fill(filling)
        for number in range(rounds):
            for one, other in itertools.combinations(soak.nodes, 2):
                await until_connected(one, other)
            async with asyncio.TaskGroup() as parts:
                parts.create_task(soak.post(rate, time.monotonic() + seconds))
                parts.create_task(FAULTS[number % len(FAULTS)](soak))
            await soak.settle()
            await soak.clear()
        watch.cancel()


@contextlib.asynccontextmanager
async def soaked(market: Market, path: Path) -> AsyncIterator[Soak]:
    async with open_peers(market, path) as open_peer:
        nodes = await asyncio.gather(*(open_peer(name) for name in ("ann", "bob", "cat")))
        yield Soak(market, *nodes)


async def test_nothing_is_lost_and_memory_is_sane(bazaar: Market, tmp_path: Path) -> None:
    async with soaked(bazaar, tmp_path) as soak:
        await run(soak, rounds=2, seconds=4.0, rate=10.0)
        assert soak.total > 40
        for node in soak.nodes:
            for role, size in node.memory().items():
                assert size < SANE[role], role


@pytest.mark.soak
async def test_ten_minutes(bazaar: Market, tmp_path: Path) -> None:
    async with soaked(bazaar, tmp_path) as soak:
        await run(soak, rounds=13, seconds=40.0, rate=5.0, filling=FILLING)
        (tmp_path / "memory.json").write_text(json.dumps(soak.curve))
        grown = {
            process: soak.growth(process, after=120.0)
            for process in ("ann main", "ann child", "bob main")
        }
        assert max(grown.values()) < 0.05, grown
        assert soak.total > FILLING + 1_000
