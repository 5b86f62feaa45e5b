"""Whole token-order halves with gossip and order sync, joined by a network in memory.

    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann"), await town.node("bob")
        town.hub.connect(ann.network, bob.network)
        await ann.bench.add(*orders(10))
        await town.until_equal(ann, bob)

Order sync runs on a clock that is much faster than the system's, so that its minutes pass
while a test waits for their effect. The benches' own clocks stand still.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from fondaco.testing.network import MemoryHub, MemoryNetwork
from fondaco.testing.until import until
from fondaco.zeroex.agreement import Agreement, AgreementState
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.scopes import Scope, scope_of
from fondaco.zeroex.sharing import Ground, Sharing, new_memory
from fondaco.zeroex.trading import Trading
from support.chain_words import CONTRACTS
from support.jumping_clock import JumpingClock
from support.order_bench import OrderBench, open_bench

SPEED = 30.0
"""Seconds of order sync in one of ours."""

V3 = ProtocolVersion.V3


class PeerNode:
    """One node: its book on a bench, its network, what keeps both together."""

    def __init__(
        self,
        bench: OrderBench,
        network: MemoryNetwork,
        clock: JumpingClock,
        filter_text: str,
        *,
        gossips: bool,
    ) -> None:
        self.bench = bench
        self.network = network
        self.trading = Trading(CONTRACTS, filter_text)
        bench.custom_schema = lambda: self.trading.schema
        self.clock = clock
        self.memory = new_memory(clock, lambda: self.bench.blocks.tip.number)
        bench.ledger.tell(self.memory.take)
        ids = itertools.count()
        ground = Ground(
            network=network,
            database=bench.database,
            service=bench.service,
            memory=self.memory,
            trading=self.trading,
            clock=clock,
            chance=random.Random(network.peer_id),
            new_id=lambda: f"snapshot {next(ids)}",
        )
        self.sharing = Sharing(ground, bench.ledger, has_gossip=gossips)
        self.walk = self.sharing.walk
        self.agreements = self.sharing.agreements
        self.gossip = self.sharing.gossip
        self.fetch = self.sharing.fetch
        self.mesh = self.sharing.mesh
        self.sync = self.sharing.sync
        self.server = self.sharing.server

    async def join(self, text: str) -> None:
        """Join a filter at run time."""
        self.trading.join(text)
        await self.gossip.follow_filters()
        await self.sync.follow_filters()

    async def hashes(self, *filters: str, version: ProtocolVersion = V3) -> set[bytes]:
        """Return the hashes on offer that satisfy *filters*."""
        return set(await self.walk.get(scope_of(version, filters)))

    async def digest(self, version: ProtocolVersion = V3) -> bytes:
        return (await self.walk.get(Scope(version))).digest()

    def knows_of(self, other: PeerNode) -> dict[Scope, Agreement]:
        return self.agreements.of(other.network.peer_id)

    def agrees_with(self, other: PeerNode) -> bool:
        """Whether every scope shared with *other* was found equal."""
        known = self.knows_of(other).values()
        return bool(known) and all(a.state is AgreementState.AGREES for a in known)


class Town:
    """The nodes of a test."""

    def __init__(self, path: Path, clock: JumpingClock, hub: MemoryHub) -> None:
        self.clock = clock
        self.hub = hub
        self._path = path
        self._stack = contextlib.AsyncExitStack()

    async def node(
        self,
        name: str,
        *,
        filter_text: str = "{}",
        gossips: bool = True,
        syncs: bool = True,
        serves: Sequence[str] = ("fondaco", "mesh"),
        max_orders: int = 100_000,
    ) -> PeerNode:
        """Return a node that runs, connected to nobody.

        Args:
            gossips, syncs: whether it does so on its own.
            serves: which kinds of order sync it answers.
        """
        bench = await self._stack.enter_async_context(
            open_bench(self._path / f"{name}.sqlite", max_orders=max_orders)
        )
        await self._stack.enter_async_context(bench.watching())
        node = PeerNode(bench, self.hub.join(name), self.clock, filter_text, gossips=gossips)
        if gossips:
            await self._run(node.gossip.run(), until_true=lambda: bool(node.network.topics))
        if "fondaco" in serves:
            await node.server.open()
        if "mesh" in serves:
            await node.mesh.open()
        await node.sync.prepare()
        if syncs:
            await self._run(node.sync.run())
        return node

    async def _run(self, work, until_true=lambda: True) -> None:  # type: ignore[no-untyped-def]
        task = asyncio.create_task(work)
        self._stack.push_async_callback(_stop, task)
        await until(lambda: task.done() or until_true())

    async def until_equal(self, *nodes: PeerNode, version: ProtocolVersion = V3) -> None:
        """Wait until all *nodes* hold the same orders, at least one."""

        def is_equal() -> bool:
            sets = [node.memory.sets.get(Scope(version)) for node in nodes]
            digests = {None if ids is None else ids.digest() for ids in sets}
            return len(digests) == 1 and all(sets)

        await until(is_equal, patience=30.0)

    async def close(self) -> None:
        await self._stack.aclose()


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled() and (problem := task.exception()) is not None:
        raise problem


@contextlib.asynccontextmanager
async def open_town(
    path: Path, *, latency: float = 0.0, loss: float = 0.0, seed: int = 1
) -> AsyncIterator[Town]:
    """Open a network without nodes; *latency* is in order sync's seconds."""
    clock = JumpingClock(SPEED)
    async with MemoryHub(clock, random.Random(seed), latency=latency, loss=loss) as hub:
        town = Town(path, clock, hub)
        try:
            yield town
        finally:
            await town.close()
