"""Post orders to running nodes and watch them arrive everywhere. It starts nothing.

    async with open_measurement(stations, orders, clock=clock) as measured:
        await measured.until_linked(peers=[1, 1])
        before = await measured.read()
        await measured.post(plan)
        await measured.until_everywhere(patience=60.0)
        equality = await measured.until_equal(measured.sightings.last_accepted, patience=60.0)
        report = measured.report(before, await measured.read(), equality)

Each node has two connections: one is subscribed to its orders, one is for calls. All times
are of one clock, this process's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from fondaco.clock import Clock
from fondaco.errors import Unavailable
from fondaco.lab import figures, processes
from fondaco.lab.client import NodeClient, NodeRefused, follow, open_client
from fondaco.lab.figures import Equality, Reading, Report
from fondaco.lab.orders import LabOrder
from fondaco.lab.plan import Posting, by_node
from fondaco.lab.sightings import Sightings

LOOK_SECONDS = 0.05
"""Between two looks at what has arrived."""

ASK_SECONDS = 0.2
"""Between two questions to all nodes."""

LINK_SECONDS = 120.0
"""For nodes that were told of each other to be connected and listen to the orders' topics."""

SETTLE_SECONDS = 2.0
"""Two heartbeats of GossipSub: neighbours that know each other's topics form meshes."""

MISSING_SHOWN = 4
"""Nodes without all their links that are named."""

COUNT_SECONDS = 1.5
"""Until a node's counters are up to date: its p2p process reports once a second."""

SEND_AGAIN_SECONDS = 0.5
"""Before an order is sent again that a node asked to be sent again."""

SENT_AGAIN = "EthRPCRequestFailed"
"""The code with which a node says so: it was too busy, or its chain was."""

Progress = Callable[[str], None]
"""Takes a line about how far things are, often; shows some of them."""


class NotLinked(Unavailable):
    """Nodes that were told of each other are not connected."""

    code = "NotLinked"


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """A running node."""

    name: str
    rpc: str
    """``ws://host:port`` of its JSON-RPC."""
    pid: int | None = None
    """Its main process, where that is in sight: for processor time and memory."""
    token: str = ""
    """Its ``RPC_TOKEN``, which it needs where *rpc* is not on loopback."""


class Measurement:
    """What is done to the nodes and seen of them. Made by ``open_measurement``."""

    def __init__(
        self,
        stations: Sequence[Station],
        clients: Sequence[NodeClient],
        orders: Sequence[LabOrder],
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._stations = stations
        self._clients = clients
        self._orders = orders
        self._indices = {order.name: index for index, order in enumerate(orders)}
        self._clock = clock
        self._progress = progress
        self.sightings = Sightings([order.name for order in orders], len(stations))

    async def add_peer(self, node: int, peer_id: str, addresses: Sequence[str]) -> None:
        """Let *node* dial a peer; returns when it is connected, or has not been for a minute.

        The node goes on dialling then; ``until_linked`` says who is missing.
        """
        with contextlib.suppress(NodeRefused):
            await self._clients[node].call("mesh_addPeer", peer_id, list(addresses))

    async def until_linked(self, peers: Sequence[int], *, topics: int = 1) -> None:
        """Return when each node has that many peers which listen to that many topics.

        Raises:
            NotLinked: it does not happen.
        """
        until = self._clock.monotonic() + LINK_SECONDS
        while missing := await self._unlinked(peers, topics):
            more = f" and {len(missing) - MISSING_SHOWN} more" * (len(missing) > MISSING_SHOWN)
            waiting = ", ".join(missing[:MISSING_SHOWN]) + more
            if self._clock.monotonic() > until:
                raise NotLinked(f"links are missing after {LINK_SECONDS:.0f} s: {waiting}")
            self._progress(f"waiting for links: {waiting}")
            await self._clock.sleep(ASK_SECONDS)
        await self._clock.sleep(SETTLE_SECONDS)

    async def _unlinked(self, wanted: Sequence[int], topics: int) -> list[str]:
        missing = []
        for station, answer, count in zip(
            self._stations, await self._ask_all("mesh_getPeers"), wanted, strict=True
        ):
            found = sum(len(peer["topics"]) >= topics for peer in answer["peers"])
            if found < count:
                missing.append(f"{station.name} has {found} of {count}")
        return missing

    async def read(self) -> list[Reading]:
        """Return what each node says of itself now."""
        await self._clock.sleep(COUNT_SECONDS)
        answers = await self._ask_all("mesh_getPeers")
        return [
            reading_of(answer, None if station.pid is None else processes.usage(station.pid))
            for station, answer in zip(self._stations, answers, strict=True)
        ]

    async def post(self, plan: Sequence[Posting], *, calls_at_once: int) -> None:
        """Carry out *plan*; return when every call is answered.

        Args:
            calls_at_once: to one node. With one, orders go out as fast as each node takes
                them; with more, a node that is behind does not hold up those to come.
        """
        start = self._clock.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for node, calls in by_node(plan).items():
                tasks.create_task(self._post_to(node, calls, start, calls_at_once))

    async def _post_to(
        self, node: int, calls: Sequence[Posting], start: float, at_once: int
    ) -> None:
        room = asyncio.Semaphore(at_once)

        async def send(posting: Posting) -> None:
            try:
                await self._send(node, posting.orders)
            finally:
                room.release()

        async with asyncio.TaskGroup() as tasks:
            for posting in calls:
                await self._clock.sleep(start + posting.at - self._clock.monotonic())
                await room.acquire()
                tasks.create_task(send(posting))

    async def _send(self, node: int, orders: Sequence[int]) -> None:
        while orders:
            self.sightings.posted(node, orders, self._clock.monotonic())
            bodies = [msgspec.Raw(self._orders[order].body) for order in orders]
            answer = await self._clients[node].call("mesh_addOrders", bodies)
            again = []
            for refusal in answer["rejected"]:
                index, code = self._indices[refusal["orderHash"]], refusal["status"]["code"]
                if code == SENT_AGAIN:
                    again.append(index)
                else:
                    self.sightings.refused(index, code)
            self._progress(self.story)
            if orders := again:
                await self._clock.sleep(SEND_AGAIN_SECONDS)

    async def until_everywhere(self, patience: float) -> bool:
        """Wait until every node has told of every order; return whether they have.

        Args:
            patience: seconds without any news after which it is given up.
        """
        seen = self.sightings
        while not seen.is_complete:
            if self._clock.monotonic() - seen.last_news > patience:
                return False
            self._progress(self.story)
            await self._clock.sleep(LOOK_SECONDS)
        return True

    async def until_equal(self, since: float, patience: float) -> Equality:
        """Wait until all nodes say that they hold the same sets.

        Args:
            since: the moment from which the seconds are counted.
            patience: seconds from now after which it is given up.
        """
        until = self._clock.monotonic() + patience
        while True:
            books = [_book(answer) for answer in await self._ask_all("mesh_getStats")]
            now = self._clock.monotonic()
            if len(set(books)) == 1 and sum(count for _, count, _ in books[0]) >= (
                self.sightings.wanted
            ):
                return Equality(is_reached=True, seconds=max(0.0, now - since))
            if now > until:
                return Equality(is_reached=False)
            self._progress(f"{self.story}; {len(set(books))} different books")
            await self._clock.sleep(ASK_SECONDS)

    def report(
        self,
        before: Sequence[Reading],
        after: Sequence[Reading],
        equality: Equality,
        **conditions: object,
    ) -> Report:
        """Return the figures; see ``figures.report``."""
        names = [station.name for station in self._stations]
        return figures.report(self.sightings, names, before, after, equality, **conditions)

    @property
    def story(self) -> str:
        """How far it is, in a line."""
        seen = self.sightings
        return (
            f"orders: {seen.pairs} of {seen.wanted * seen.nodes} are where they should be"
            f" ({seen.orders} orders, {seen.nodes} nodes)"
        )

    async def _ask_all(self, method: str) -> list[Any]:
        return await asyncio.gather(*(client.call(method) for client in self._clients))


@contextlib.asynccontextmanager
async def open_measurement(
    stations: Sequence[Station],
    orders: Sequence[LabOrder],
    *,
    clock: Clock,
    progress: Progress = lambda line: None,
) -> AsyncIterator[Measurement]:
    """Connect to every node and subscribe to its orders.

    Raises:
        ExceptionGroup: with a NodeGone, as soon as a node cannot be reached any more.
    """
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(open_client(one.rpc, token=one.token))
            for one in stations
        ]
        measured = Measurement(stations, clients, orders, clock, progress)
        async with asyncio.TaskGroup() as tasks:
            following, opened = [], []
            for node, station in enumerate(stations):
                is_open = asyncio.Event()
                work = _follow(station, node, measured.sightings, clock, is_open)
                following.append(tasks.create_task(work, name=f"orders of {station.name}"))
                opened.append(is_open)
            for is_open in opened:
                await is_open.wait()
            try:
                yield measured
            finally:
                for task in following:
                    task.cancel()


async def _follow(
    station: Station, node: int, sightings: Sightings, clock: Clock, is_open: asyncio.Event
) -> None:
    def tell(names: Sequence[str]) -> None:
        sightings.seen(node, names, clock.monotonic())

    await follow(station.rpc, tell, is_open.set, token=station.token)


def reading_of(answer: dict[str, Any], used: processes.Usage | None) -> Reading:
    """Return the figures in an answer to ``mesh_getPeers``."""
    sync, network = answer["sync"], answer["network"]
    return Reading(
        peers=len(answer["peers"]),
        bytes_in=network.get("bytes-in", 0),
        bytes_out=network.get("bytes-out", 0),
        gossip_new=answer["gossip"]["ordersNew"],
        fetched=sync["ordersFetched"],
        rounds=sync["rounds"],
        reconciliation_bytes=sync["bytesSent"] + sync["bytesReceived"],
        order_bytes=sync["orderBytesReceived"],
        dials_failed=network.get("dials-failed", 0),
        bans=network.get("bans", 0),
        cpu_seconds=None if used is None else used.cpu_seconds,
        memory_mb=None if used is None else used.memory_mb,
    )


def _book(answer: dict[str, Any]) -> tuple[tuple[str, int, str], ...]:
    return tuple((one["set"], one["orders"], one["digest"]) for one in answer["setDigests"])
