"""Whole nodes far from each other: each a process in a namespace of its own, one chain.

    async with open_town(5, tmp_path, parts, delay=0.05, loss=0.02, seed=1) as town:
        await town.join()
        async with town.measuring(1_000) as measured:
            await measured.post(plan, calls_at_once=1)

Peers meet over the cable of ``namespaces`` only; the chain and JSON-RPC are reached by
another way, without delay. What is posted and measured, the laboratory's code does.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from fondaco.clock import SystemClock
from fondaco.devnet.chain import Devnet, open_devnet
from fondaco.devnet.fetch import PartsStore
from fondaco.lab.client import NodeClient, open_client
from fondaco.lab.measurement import Measurement, Station, open_measurement
from fondaco.lab.orders import equip_makers, make_orders
from fondaco.lab.plan import MOST_AT_ONCE, Posting
from support.namespaces import Places, command_in, open_places
from support.node_process import FONDACO, NodeProcess, node_settings
from support.wire_process import Place

JOIN_PATIENCE = 120.0
"""Seconds for nodes to be connected, or to give each other up."""

LOOK_SECONDS = 0.25
"""Seconds between two looks at the nodes: often enough for figures, too seldom to matter."""

PEER_PORT = 60558
"""Each place has ports of its own."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself at one moment."""

    orders: int
    """Of version 3."""
    digest: str
    peers: frozenset[str]
    """Peer IDs of whoever is connected."""
    addresses: tuple[str, ...]
    """Where these are."""


class DistantNode:
    """A node and a client of it."""

    def __init__(self, place: Place, process: NodeProcess, client: NodeClient) -> None:
        self.peer_address = place.peer_address
        self.process = process
        self.client = client

    @property
    def peer_id(self) -> str:
        return self.process.ready.peer_id

    async def join(self, other: DistantNode) -> None:
        """Connect to *other* and stay so."""
        # Its ready line may have come before it listened.
        address = f"/ip4/{other.peer_address}/tcp/{PEER_PORT}"
        await self.client.call("mesh_addPeer", other.peer_id, [address])

    async def standing(self) -> Standing:
        """Ask the node."""
        stats = await self.client.call("mesh_getStats")
        (v3,) = (each for each in stats["setDigests"] if each["version"] == 3)
        return Standing(
            orders=v3["orders"],
            digest=v3["digest"],
            peers=frozenset(peer["peerID"] for peer in stats["peers"]),
            addresses=tuple(where for peer in stats["peers"] for where in peer["addresses"]),
        )


class Town:
    """Nodes, their cable and their chain. Made by ``open_town``."""

    def __init__(
        self, places: Places, chain: Devnet, nodes: Sequence[DistantNode], token: str, seed: int
    ) -> None:
        self.places = places
        self.nodes = tuple(nodes)
        self._chain = chain
        self._token = token
        self.chance = random.Random(seed)

    async def join(self) -> None:
        """Connect each node to the next two; the others find each other by exchange."""
        count = len(self.nodes)
        pairs = {
            frozenset({number, (number + step) % count})
            for number in range(count)
            for step in (1, 2)
        }
        async with asyncio.TaskGroup() as tasks:
            for one, other in (sorted(pair) for pair in pairs if len(pair) == 2):
                tasks.create_task(self.nodes[one].join(self.nodes[other]))
        await self.until_parted([range(count)])

    async def until_parted(self, sides: Sequence[Sequence[int]]) -> None:
        """Wait until each node is connected to two at least of its side, or to the only
        other there, and to nobody else."""
        side_of = {number: side for side in sides for number in side}
        ids = [node.peer_id for node in self.nodes]

        def is_so(standings: Sequence[Standing]) -> bool:
            for number, standing in enumerate(standings):
                mine = {ids[other] for other in side_of[number] if other != number}
                if len(standing.peers) < min(2, len(mine)) or not standing.peers <= mine:
                    return False
            return True

        async with asyncio.timeout(JOIN_PATIENCE):
            while True:
                if is_so(await self.standings()):
                    return
                await asyncio.sleep(LOOK_SECONDS)

    @contextlib.asynccontextmanager
    async def measuring(self, orders: int) -> AsyncIterator[Measurement]:
        """Sign that many orders and watch where they are."""
        made = await asyncio.to_thread(make_orders, self._chain, orders, self.chance)
        stations = [
            Station(
                name=node.peer_address,
                rpc=node.process.ready.rpc,
                pid=node.process.ready.pid,
                token=self._token,
            )
            for node in self.nodes
        ]
        async with open_measurement(stations, made, clock=SystemClock()) as measured:
            yield measured

    async def standings(self, at: Sequence[int] = ()) -> list[Standing]:
        """Ask the nodes named, or all, at once."""
        asked = [self.nodes[number] for number in at] or self.nodes
        return await asyncio.gather(*(node.standing() for node in asked))

    async def until_equal(
        self, orders: int, *, patience: float, at: Sequence[int] = ()
    ) -> list[Standing]:
        """Wait until the nodes named, or all, hold the same set of that many orders.

        Raises:
            AssertionError: they never did; the text says how far each got.
        """
        standings: list[Standing] = []
        try:
            async with asyncio.timeout(patience):
                while True:
                    standings = await self.standings(at)
                    digests = {standing.digest for standing in standings}
                    if len(digests) == 1 and standings[0].orders == orders:
                        return standings
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            held = [standing.orders for standing in standings]
            raise AssertionError(f"{held} of {orders} orders after {patience:.0f} s") from None


def shared_out(orders: Sequence[int], nodes: Sequence[int]) -> list[Posting]:
    """Return a plan that gives each of *nodes* its share of *orders*, all at once."""
    shares = [(node, orders[start :: len(nodes)]) for start, node in enumerate(nodes)]
    return [
        Posting(0.0, node, tuple(share[at : at + MOST_AT_ONCE]))
        for node, share in shares
        for at in range(0, len(share), MOST_AT_ONCE)
    ]


@contextlib.asynccontextmanager
async def open_town(
    count: int, path: Path, parts: PartsStore, *, delay: float, loss: float, seed: int, **more: str
) -> AsyncIterator[Town]:
    """Start *count* nodes that know nobody.

    Args:
        path: where they keep their data.
        delay, loss, seed: of the cable, see ``namespaces.open_places``.
        more: settings of every node by their environment names.
    """
    async with contextlib.AsyncExitStack() as stack:
        places = await stack.enter_async_context(
            open_places(count, delay=delay, loss=loss, seed=seed)
        )
        chain = await stack.enter_async_context(open_devnet(parts, host=places.laid.host_address))
        await equip_makers(chain)
        # Off loopback there is no door without a token.
        token = secrets.token_hex(16)
        processes = [
            NodeProcess(
                node_settings(
                    ethereum_url=chain.http_url,
                    contracts=chain.contracts,
                    ENABLE_P2P="true",
                    ENABLE_ETHEREUM_RPC_RATE_LIMITING="false",
                    BLOCK_POLLING_INTERVAL="1s",
                    RPC_ADDR=f"{place.door_address}:0",
                    RPC_TOKEN=token,
                    P2P_LISTEN_ADDR=place.peer_address,
                    P2P_TCP_PORT=str(PEER_PORT),
                )
                | more,
                data_dir=path / f"node-{number}",
                command=command_in(place, *FONDACO),
            )
            for number, place in enumerate(places.laid.places)
        ]
        await stack.enter_async_context(_running(processes))
        nodes = []
        for place, process in zip(places.laid.places, processes, strict=True):
            client = await stack.enter_async_context(open_client(process.ready.rpc, token=token))
            nodes.append(DistantNode(place, process, client))
        yield Town(places, chain, nodes, token, seed)


@contextlib.asynccontextmanager
async def _running(processes: Sequence[NodeProcess]) -> AsyncIterator[None]:
    """Start all at once, and end all at once."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for process in processes:
                tasks.create_task(process.start())
        yield
    finally:
        async with asyncio.TaskGroup() as tasks:
            for process in processes:
                if process.is_running:
                    tasks.create_task(process.stop())
