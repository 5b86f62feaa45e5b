"""Real nodes that are each other's peers, and what their subscribers hear, and when.

    maker --mesh_addOrders--> node --gossip--> nodes
      |                        |                 |
      '-- sent_at              '-- heard_at      '-- heard_at: ADDED at a subscriber

All clocks are this process's own: it sends and it listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.processes import ask_until, cpu_seconds, until
from bench.world import (
    GET_PEERS,
    PEERS,
    RunningNode,
    add_call,
    add_peer_call,
    open_node,
    post,
)
from fondaco.devnet.chain import Devnet
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import SignedOrder

PATIENCE = 120.0
"""Seconds for orders to be everywhere. Reconciliation brings what gossip lost, within 60."""

SUBSCRIBE = '{"jsonrpc":"2.0","id":1,"method":"mesh_subscribe","params":["orders"]}'

_ADDED = re.compile(r'"orderHash":"0x([0-9a-f]{64})"')


@dataclass
class Listener:
    """What a subscriber of one node was sent."""

    node: RunningNode
    count: int = 0
    heard: list[tuple[float, str]] = field(default_factory=list)

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take notes until cancelled. They are read when the clock has stopped."""
        async for message in socket:
            self.heard.append((time.perf_counter(), message.data))
            self.count += message.data.count('"orderHash"')

    def times(self) -> dict[bytes, float]:
        """Return when each order was first heard of."""
        first: dict[bytes, float] = {}
        for at, text in self.heard:
            for name in _ADDED.findall(text):
                first.setdefault(bytes.fromhex(name), at)
        return first


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How some orders spread."""

    elsewhere: list[float]
    """Milliseconds from the call to the event, of each order and each other node; ascending."""
    at_home: list[float]
    """The same at the node that took the order in; ascending."""
    rate: float
    """Orders a second, from the first call to the last event anywhere."""
    main_cpu: float
    """Milliseconds of a core per order and node: the node's main process."""
    child_cpu: float
    """And its p2p process."""
    by_gossip: float
    """Share of the copies that gossip brought; order sync brought the others."""


class Crowd:
    """Nodes, each connected to all the others."""

    def __init__(self, nodes: Sequence[RunningNode], session: aiohttp.ClientSession) -> None:
        self.nodes = nodes
        self.session = session
        self.listeners = [Listener(node) for node in nodes]
        self.children = [node.child_pid() for node in nodes]

    async def connect(self) -> None:
        """Make all of them peers; return when each trades with all the others."""
        for place, node in enumerate(self.nodes):
            for other in self.nodes[:place]:
                await post(self.session, node.http, add_peer_call(other))
        await ask_until(self._everybodys_peers, self._is_complete, patience=PATIENCE, step=0.2)

    async def _everybodys_peers(self) -> list[Any]:
        return await asyncio.gather(*map(self.peers_of, self.nodes))

    def _is_complete(self, answers: Sequence[Any]) -> bool:
        """Return whether everybody has compared its book with everybody's, and agrees."""
        states = [[peer["state"] for peer in answer["peers"]] for answer in answers]
        return all(each == ["agrees"] * (len(self.nodes) - 1) for each in states)

    async def peers_of(self, node: RunningNode) -> Any:
        """Return the answer of ``mesh_getPeers``."""
        return await post(self.session, node.http, GET_PEERS)

    async def spread(
        self, calls: Sequence[Sequence[SignedOrder]], pause: float, makers: int
    ) -> Spread:
        """Send a call every *pause* seconds, to the first *makers* nodes by turns."""
        for listener in self.listeners:
            listener.heard.clear()
            listener.count = 0
        orders = sum(map(len, calls))
        main, child = self._cpu()
        gossiped = await self._gossiped()
        sent = await self._send(calls, pause, makers)
        await until(
            lambda: all(listener.count >= orders for listener in self.listeners),
            patience=PATIENCE,
        )
        main_after, child_after = self._cpu()
        share = (await self._gossiped() - gossiped) / (orders * (len(self.nodes) - 1))
        at_home, elsewhere = _durations(sent, [listener.times() for listener in self.listeners])
        last = max(listener.heard[-1][0] for listener in self.listeners)
        each = 1e3 / orders / len(self.nodes)
        return Spread(
            elsewhere=elsewhere,
            at_home=at_home,
            rate=orders / (last - min(at for _, at in sent.values())),
            main_cpu=(main_after - main) * each,
            child_cpu=(child_after - child) * each,
            by_gossip=share,
        )

    async def _send(
        self, calls: Sequence[Sequence[SignedOrder]], pause: float, makers: int
    ) -> dict[bytes, tuple[int, float]]:
        """Return where and when each order was sent. A late call does not delay the next."""
        names = [[order_hash(order) for order in orders] for orders in calls]
        requests = [add_call(orders) for orders in calls]
        sent: dict[bytes, tuple[int, float]] = {}
        answers: list[asyncio.Task[Any]] = []
        started = time.perf_counter()
        for number, (request, of_call) in enumerate(zip(requests, names, strict=True)):
            await asyncio.sleep(max(0.0, started + number * pause - time.perf_counter()))
            place = number % makers
            sent |= dict.fromkeys(of_call, (place, time.perf_counter()))
            answers.append(asyncio.create_task(post(self.session, self.nodes[place].http, request)))
        for answer in await asyncio.gather(*answers):
            assert not answer["rejected"], answer["rejected"][:1]
        return sent

    def _cpu(self) -> tuple[float, float]:
        return (
            sum(cpu_seconds(node.pid) for node in self.nodes),
            sum(map(cpu_seconds, self.children)),
        )

    async def _gossiped(self) -> int:
        answers = await self._everybodys_peers()
        return sum(int(answer["gossip"]["ordersNew"]) for answer in answers)


def _durations(
    sent: dict[bytes, tuple[int, float]], heard: Sequence[dict[bytes, float]]
) -> tuple[list[float], list[float]]:
    """Return the milliseconds at the node that took an order in, and at all others."""
    at_home: list[float] = []
    elsewhere: list[float] = []
    for name, (home, at) in sent.items():
        for place, times in enumerate(heard):
            (at_home if place == home else elsewhere).append((times[name] - at) * 1e3)
    return sorted(at_home), sorted(elsewhere)


def calls_of(orders: Iterable[SignedOrder], size: int) -> list[list[SignedOrder]]:
    """Return *orders* in calls of *size*."""
    rest = iter(orders)
    return list(iter(lambda: list(itertools.islice(rest, size)), []))


def percentile(ascending: Sequence[float], share: float) -> float:
    """Return the value that *share* of *ascending* do not exceed."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]


@contextlib.asynccontextmanager
async def open_crowd(devnet: Devnet, size: int, **settings: str) -> AsyncIterator[Crowd]:
    """Run *size* nodes on *devnet*, connected, with a subscriber each."""
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        nodes = [
            await stack.enter_async_context(
                open_node(devnet, **PEERS, BLOCK_POLLING_INTERVAL="1s", **settings)
            )
            for _ in range(size)
        ]
        crowd = Crowd(nodes, session)
        await crowd.connect()
        for listener in crowd.listeners:
            socket = await stack.enter_async_context(
                session.ws_connect(listener.node.rpc, max_msg_size=0)
            )
            await socket.send_str(SUBSCRIBE)
            await socket.receive()
            task = asyncio.create_task(listener.listen(socket))
            stack.callback(task.cancel)
        yield crowd
