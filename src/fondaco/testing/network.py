"""Nodes in one process that talk as if over a network: latency, loss, partitions.

    hub = MemoryHub(clock, chance); a, b = hub.join("a"), hub.join("b"); await hub.connect(a, b)

Each keeps to ``fondaco.p2p.network.Network``. Gossip floods: what a node accepts goes to all
its neighbours of the topic that have not had it. Copies of messages can get lost; requests
run over what would be TCP, and only take time. With no latency nothing waits, and what
arrives depends on nothing but the order of the calls and the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from random import Random
from typing import Any

from fondaco.clock import Clock
from fondaco.errors import PeerError, Verdict
from fondaco.p2p import limits
from fondaco.p2p.link import KnownPeer
from fondaco.p2p.network import (
    GossipMessage,
    Handler,
    PeerEvent,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    RequestFailed,
)
from fondaco.p2p.scores import Offence, Scores, Standing


class MemoryHub:
    """The wires between nodes. Leave it (``async with``) to end what is on its way."""

    def __init__(
        self, clock: Clock, chance: Random, *, latency: float = 0.0, loss: float = 0.0
    ) -> None:
        self.clock = clock
        self.latency = latency
        """Seconds one way."""
        self.loss = loss
        """Share of gossip copies that do not arrive, 0 to 1."""
        self._chance = chance
        self._nodes: dict[str, MemoryNetwork] = {}
        self._islands: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> MemoryHub:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def join(self, peer_id: str) -> MemoryNetwork:
        """Return a new node, connected to nobody."""
        node = self._nodes[peer_id] = MemoryNetwork(self, peer_id)
        return node

    def connect(self, one: MemoryNetwork, other: MemoryNetwork) -> None:
        """Connect two nodes; *one* has dialled.

        Raises:
            RequestFailed: a partition is between them, or one has banned the other.
        """
        if not self.is_open(one.peer_id, other.peer_id):
            raise RequestFailed("no way there")
        if one.refuses(other.peer_id) or other.refuses(one.peer_id):
            raise RequestFailed("banned")
        one.joined(other, is_outbound=True)
        other.joined(one, is_outbound=False)

    def disconnect(self, one: str, other: str) -> None:
        """End the connection between two nodes, if there is one."""
        for here, there in ((one, other), (other, one)):
            if here in self._nodes:
                self._nodes[here].left(there)

    def partition(self, *islands: Sequence[MemoryNetwork]) -> None:
        """Cut the wires between islands; nodes of none are an island together."""
        self._islands = {
            node.peer_id: number for number, island in enumerate(islands, 1) for node in island
        }
        for one in self._nodes:
            for other in self._nodes:
                if not self.is_open(one, other):
                    self.disconnect(one, other)

    def heal(self) -> None:
        """Mend the wires. Who was connected has to connect again."""
        self._islands = {}

    def is_open(self, one: str, other: str) -> bool:
        """Return whether no partition is between two nodes."""
        return self._islands.get(one, 0) == self._islands.get(other, 0)

    def node(self, peer_id: str) -> MemoryNetwork | None:
        """Return the node of that name."""
        return self._nodes.get(peer_id)

    def is_lost(self) -> bool:
        """Draw whether the next copy gets lost."""
        return self.loss > 0 and self._chance.random() < self.loss

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* until the hub is left."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class MemoryNetwork:
    """One node's network."""

    def __init__(self, hub: MemoryHub, peer_id: str) -> None:
        self.peer_id = peer_id
        self.counts: Counter[str] = Counter()
        self.verdicts: dict[bytes, Verdict] = {}
        """Message id -> what this node said of it."""
        self.offences: list[tuple[str, Offence]] = []
        self.rendezvous: tuple[str, ...] = ()
        """What this node reported, in its sequence."""
        self._hub = hub
        self._scores = Scores()
        self._banned: set[str] = set()
        self._peers: dict[str, PeerInfo] = {}
        self._topics: dict[str, None] = {}
        self._handlers: dict[str, Handler] = {}
        self._seen: dict[bytes, GossipMessage] = {}
        self._number = 0
        self._messages: asyncio.Queue[GossipMessage] = asyncio.Queue()
        self._readers: set[asyncio.Queue[PeerEvent]] = set()

    # --- connections --------------------------------------------------------------------

    def joined(self, other: MemoryNetwork, *, is_outbound: bool) -> None:
        """The hub has connected us to *other*."""
        if other.peer_id in self._peers:
            return
        info = self._peers[other.peer_id] = PeerInfo(
            peer_id=other.peer_id,
            addresses=(f"/memory/{other.peer_id}",),
            since_ns=self._hub.clock.now_ns(),
            is_outbound=is_outbound,
            score=0.0,
            topics=(),
            agent="memory",
            protocols=tuple(other.protocols),
        )
        self._tell(PeerJoined(info))

    def left(self, peer: str) -> None:
        """The connection to *peer* has ended."""
        if self._peers.pop(peer, None) is not None:
            self._tell(PeerLeft(peer))

    def refuses(self, peer: str) -> bool:
        """Return whether we have banned *peer*."""
        return peer in self._banned

    @property
    def protocols(self) -> list[str]:
        return list(self._handlers)

    @property
    def topics(self) -> list[str]:
        return list(self._topics)

    def _tell(self, event: PeerEvent) -> None:
        for queue in self._readers:
            queue.put_nowait(event)

    # --- gossip -------------------------------------------------------------------------

    async def subscribe(self, topic: str) -> None:
        self._topics[topic] = None

    async def unsubscribe(self, topic: str) -> None:
        self._topics.pop(topic, None)

    async def publish(self, topic: str, data: bytes) -> None:
        if not 0 < len(data) <= limits.MAX_DATA_SIZE:
            raise ValueError(f"message of {len(data)} bytes")
        self._number += 1
        message_id = self.peer_id.encode() + self._number.to_bytes(8, "big")
        message = GossipMessage(topic=topic, message_id=message_id, peer=self.peer_id, data=data)
        self._seen[message_id] = message
        self.counts["published"] += 1
        self._flood(message, came_from=self.peer_id)

    async def messages(self) -> AsyncIterator[GossipMessage]:
        while True:
            yield await self._messages.get()

    def verdict(self, message_id: bytes, verdict: Verdict) -> None:
        self.verdicts[message_id] = verdict
        message = self._seen[message_id]
        if verdict is Verdict.ACCEPT:
            self._flood(message, came_from=message.peer)
        elif verdict is Verdict.REJECT:
            self.report(message.peer, Offence.INVALID_MESSAGE)

    def _flood(self, message: GossipMessage, *, came_from: str) -> None:
        for peer in self._peers:
            node = self._hub.node(peer)
            if peer == came_from or node is None or message.topic not in node.topics:
                continue
            self.counts["sent"] += 1
            if self._hub.is_lost():
                self.counts["lost"] += 1
            elif self._hub.latency > 0:
                self._hub.spawn(self._carry(node, message))
            else:
                node.receive(message, self.peer_id)

    async def _carry(self, node: MemoryNetwork, message: GossipMessage) -> None:
        await self._hub.clock.sleep(self._hub.latency)
        if node.peer_id in self._peers:
            node.receive(message, self.peer_id)

    def receive(self, message: GossipMessage, peer: str) -> None:
        """Take a copy that has arrived."""
        if message.message_id in self._seen or message.topic not in self._topics:
            self.counts["duplicates"] += 1
            return
        copy = GossipMessage(
            topic=message.topic, message_id=message.message_id, peer=peer, data=message.data
        )
        self._seen[message.message_id] = copy
        self.counts["messages"] += 1
        self._messages.put_nowait(copy)

    # --- requests -----------------------------------------------------------------------

    async def serve(self, protocol: str, handler: Handler) -> None:
        self._handlers[protocol] = handler

    async def serve_lines(self, protocol: str, handler: Handler) -> None:
        self._handlers[protocol] = handler

    async def request_lines(
        self,
        peer: str,
        protocol: str,
        line: bytes,
        *,
        timeout: float = limits.REQUEST_TIMEOUT,  # noqa: ASYNC109
    ) -> bytes:
        if b"\n" in line:
            raise ValueError("a line has no newline in it")
        return await self.request(peer, protocol, line, timeout=timeout)

    async def request(
        self,
        peer: str,
        protocol: str,
        payload: bytes,
        *,
        timeout: float = limits.REQUEST_TIMEOUT,  # noqa: ASYNC109
    ) -> bytes:
        self.counts["requests"] += 1
        self.counts["bytes-out"] += len(payload)
        try:
            async with asyncio.timeout(timeout):
                await self._travel()
                node = self._hub.node(peer)
                if peer not in self._peers or node is None:
                    raise RequestFailed("not connected")
                answer = await node.answer(self.peer_id, protocol, payload)
                await self._travel()
        except TimeoutError:
            raise RequestFailed(f"no answer within {timeout:g} s") from None
        if peer not in self._peers:
            raise RequestFailed("the connection has ended")
        self.counts["bytes-in"] += len(answer)
        return answer

    async def answer(self, peer: str, protocol: str, payload: bytes) -> bytes:
        """Let our handler answer *peer*."""
        handler = self._handlers.get(protocol)
        if handler is None:
            raise RequestFailed(f"does not speak {protocol}")
        try:
            return await handler(peer, payload)
        except PeerError as exc:
            if exc.verdict is Verdict.REJECT:
                self.report(peer, Offence.MALFORMED_STREAM)
            raise RequestFailed("closed without an answer") from None
        # As a stream would: the peer sees it closed, not why.
        except Exception:  # noqa: BLE001
            raise RequestFailed("closed without an answer") from None

    async def _travel(self) -> None:
        if self._hub.latency > 0:
            await self._hub.clock.sleep(self._hub.latency)

    # --- peers --------------------------------------------------------------------------

    @property
    def is_available(self) -> bool:
        return True

    @property
    def child_pid(self) -> None:
        return None

    @property
    def addresses(self) -> tuple[str, ...]:
        return (f"/memory/{self.peer_id}",)

    async def ready(self) -> tuple[str, ...]:
        return self.addresses

    def peers(self) -> list[PeerInfo]:
        return list(self._peers.values())

    async def events(self) -> AsyncIterator[PeerEvent]:
        queue: asyncio.Queue[PeerEvent] = asyncio.Queue()
        for info in self._peers.values():
            queue.put_nowait(PeerJoined(info))
        self._readers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._readers.discard(queue)

    async def add_peer(
        self,
        peer_id: str,
        addresses: Sequence[str],
        *,
        timeout: float = 60.0,  # noqa: ASYNC109
    ) -> None:
        node = self._hub.node(peer_id)
        if node is None:
            raise RequestFailed("no such node")
        self._banned.discard(peer_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._travel()
                self._hub.connect(self, node)

    async def set_rendezvous(self, names: Sequence[str]) -> None:
        self.rendezvous = tuple(names)

    def report(self, peer: str, offence: Offence, weight: float = 1.0) -> None:
        self.offences.append((peer, offence))
        now = self._hub.clock.monotonic()
        if self._scores.report(peer.encode(), offence, now, weight) is Standing.BANNED:
            self.counts["bans"] += 1
            self._banned.add(peer)
            self._hub.disconnect(self.peer_id, peer)

    def reward(self, peer: str) -> None:
        self._scores.reward(peer.encode(), self._hub.clock.monotonic())

    def known_peers(self) -> list[KnownPeer]:
        return []

    def stats(self) -> Mapping[str, int]:
        return {"is-up": 1, "restarts": 0, "bans": 0, **self.counts}
