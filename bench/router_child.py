"""Real p2p processes in a full mesh: what one gossip message costs each of them.

    seven children, each the neighbour of the six others: sockets, Noise, Yamux, router

Every child verifies a message once, hands it to its main process, is told to accept it,
and sends it to those neighbours that have not shown it yet: the worst case of degree 6.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from bench.figures import Figure
from bench.processes import cpu_seconds, until
from fondaco.clock import SystemClock
from fondaco.errors import Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.p2p import link
from fondaco.p2p.linked import LinkedNetwork

NODES = 7
"""One, and its mesh of six."""

TOPIC = "/0x-orders/version/3/chain/1337/schema/e30="

SIZE = 1_000
"""Bytes of a message, as in ``bench.router``."""

PAUSE = 1 / 60
"""Seconds between messages that come one by one."""

PACED_MESSAGES = 300

FLOOD_MESSAGES = 2_100
"""Sent as fast as the processes take them."""

RUNS = 3

BUDGET = 1.0
"""Milliseconds of one core (DESIGN.md, section 6)."""

PATIENCE = 60.0
"""Seconds for any step."""


@dataclass
class _Node:
    """A child, and the little of a main process that the measurement needs."""

    network: LinkedNetwork
    heard: int = 0

    async def accept_all(self) -> None:
        async for message in self.network.messages():
            self.heard += 1
            self.network.verdict(message.message_id, Verdict.ACCEPT)

    @property
    def pid(self) -> int:
        pid = self.network.child_pid
        assert pid is not None
        return pid

    def neighbours(self) -> int:
        return sum(TOPIC in peer.topics for peer in self.network.peers())


@contextlib.asynccontextmanager
async def open_mesh() -> AsyncIterator[list[_Node]]:
    """Run the children, each connected to all the others and in the topic."""
    nodes = [_Node(_network(number)) for number in range(1, NODES + 1)]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(node.network.run()) for node in nodes]
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(node.network.ready() for node in nodes))
                await _connect(nodes)
            running += [tasks.create_task(node.accept_all()) for node in nodes]
            yield nodes
        finally:
            for task in running:
                task.cancel()


def _network(number: int) -> LinkedNetwork:
    key = IdentityKey(number.to_bytes(32, "big"))
    start = link.Start(
        private_key=key.export_for_libp2p(),
        agent="bench",
        host="127.0.0.1",
        port=0,
        verbosity=3,
        log_json=False,
        seed=number,
        deny=(),
        tuning=link.Tuning(),
    )
    return LinkedNetwork(start, key.peer_id, SystemClock())


async def _connect(nodes: Sequence[_Node]) -> None:
    for place, node in enumerate(nodes):
        for other in nodes[:place]:
            await node.network.add_peer(other.network.peer_id, other.network.addresses)
    # One after the other: each grafts all that are in the topic before it.
    for place, node in enumerate(nodes):
        await node.network.subscribe(TOPIC)
        await until(
            partial(_have_neighbours, nodes[:place], place),
            patience=PATIENCE,
        )


def _have_neighbours(nodes: Sequence[_Node], count: int) -> bool:
    return all(node.neighbours() == count for node in nodes)


async def _spend(nodes: Sequence[_Node], messages: Sequence[bytes], pause: float) -> float:
    """Publish *messages*, by turns; return the milliseconds a message cost one child."""
    wanted = [node.heard for node in nodes]
    before = sum(cpu_seconds(node.pid) for node in nodes)
    for number, message in enumerate(messages):
        author = number % len(nodes)
        await nodes[author].network.publish(TOPIC, message)
        for place in range(len(nodes)):
            wanted[place] += place != author
        if pause:
            await asyncio.sleep(pause)
    await until(lambda: [node.heard for node in nodes] == wanted, patience=PATIENCE)
    spent = sum(cpu_seconds(node.pid) for node in nodes) - before
    return spent * 1e3 / len(messages) / len(nodes)


async def _idle(nodes: Sequence[_Node], seconds: float) -> float:
    """Return the milliseconds of a core that a child takes in a second without messages."""
    before = sum(cpu_seconds(node.pid) for node in nodes)
    await asyncio.sleep(seconds)
    return (sum(cpu_seconds(node.pid) for node in nodes) - before) * 1e3 / seconds / len(nodes)


async def measure(*, one_by_one: float, many: float) -> list[Figure]:
    """Return the figures of messages one by one and of a flood.

    Args:
        one_by_one: milliseconds that the router alone takes for a message after a pause.
        many: the same without pauses, twenty messages a frame.
    """
    rng = random.Random(7)
    ways = (
        ("one by one", PACED_MESSAGES, PAUSE, one_by_one),
        ("as many as go", FLOOD_MESSAGES, 0.0, many),
    )
    figures: list[Figure] = []
    async with open_mesh() as nodes:
        await _idle(nodes, 2.0)
        idle = await _idle(nodes, 3.0)
        for how, count, pause, floor in ways:
            values = sorted(
                [
                    await _spend(nodes, [rng.randbytes(SIZE) for _ in range(count)], pause)
                    for _ in range(RUNS)
                ]
            )
            value = values[RUNS // 2]
            figures.append(
                Figure(
                    name=f"the same in the p2p process, {NODES - 1} neighbours, {how}",
                    value=value,
                    unit="ms CPU per node",
                    floor=floor,
                    floor_name="the router alone",
                    target=f"at most {BUDGET:g} ms",
                    reached=value <= BUDGET,
                    spread=(values[0], values[-1]),
                )
            )
    figures.append(Figure(name="p2p process without messages", value=idle, unit="ms CPU/s"))
    return figures
