"""Whole nodes far from each other: each a process in a namespace of its own, one chain.

    async with open_town(5, tmp_path, delay=0.05, loss=0.02, seed=1) as town:
        await town.join()
        await town.post(orders)
        await town.until_equal(len(orders))

Peers meet over the cable of ``namespaces`` only; the chain and JSON-RPC are reached by
another way, without delay.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fondaco.devnet.chain import open_devnet
from fondaco.devnet.fetch import PartsStore
from fondaco.devnet.traders import Traders
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from support.market import Market
from support.mesh_socket import MeshSocket, open_socket
from support.namespaces import Places, command_in, open_places
from support.node_process import FONDACO, NodeProcess, node_settings
from support.wire_process import Place

JOIN_PATIENCE = 90.0
"""Seconds for all nodes to know all others. Ten on two cores start for half a minute, and
who was not named to each other meets by exchange, which asks every minute."""

PEER_PORT = 60558
"""Each place has ports of its own."""

LOOK_SECONDS = 0.25
"""Seconds between two looks at the nodes: often enough for figures, too seldom to matter."""

POST_CHUNK = 50
"""Orders a client sends at once."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself at one moment."""

    orders: int
    digest: str
    """Of the v3 orders."""
    peers: dict[str, str]
    """Who is connected: peer ID and state."""
    addresses: tuple[str, ...]
    """Where the peers are."""
    by_client: int
    by_gossip: int
    by_sync: int
    """Orders that were new, by the way they came."""


class DistantNode:
    """A node and a client of it."""

    def __init__(self, place: Place, process: NodeProcess, client: MeshSocket) -> None:
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
        await self.client.call("mesh_addPeer", other.peer_id, [address], patience=JOIN_PATIENCE)

    async def standing(self) -> Standing:
        """Ask the node."""
        stats = await self.client.call("mesh_getStats", patience=JOIN_PATIENCE)
        (v3,) = (each for each in stats["setDigests"] if each["version"] == 3)
        came = stats["ordersAddedBy"]
        return Standing(
            orders=v3["orders"],
            digest=v3["digest"],
            peers={peer["peerID"]: peer["state"] for peer in stats["peers"]},
            addresses=tuple(where for peer in stats["peers"] for where in peer["addresses"]),
            by_client=came["local"],
            by_gossip=came["gossip"],
            by_sync=came["sync"],
        )

    async def counters(self) -> dict[str, Any]:
        """Return what ``mesh_getPeers`` counts of gossip, order sync and the network."""
        answer = await self.client.call("mesh_getPeers", patience=JOIN_PATIENCE)
        return {name: answer[name] for name in ("gossip", "sync", "network")}


class Town:
    """Nodes, their cable and their chain. Made by ``open_town``."""

    def __init__(self, places: Places, market: Market, nodes: Sequence[DistantNode]) -> None:
        self.places = places
        self.market = market
        self.nodes = tuple(nodes)
        self._salts = itertools.count(1)

    async def join(self) -> None:
        """Connect each node to the next two, and wait until all know all."""
        count = len(self.nodes)
        pairs = {
            frozenset({number, (number + step) % count})
            for number in range(count)
            for step in (1, 2)
        }
        async with asyncio.TaskGroup() as tasks:
            for one, other in (sorted(pair) for pair in pairs if len(pair) == 2):
                tasks.create_task(self.nodes[one].join(self.nodes[other]))
        await self.until_peers([range(count)])

    async def until_peers(self, sides: Sequence[Sequence[int]]) -> list[Standing]:
        """Wait until each node is connected to at least two of its side (to the other, where
        there are two), and to nobody else."""
        side_of = {number: side for side in sides for number in side}
        ids = [node.peer_id for node in self.nodes]

        def is_so(standings: Sequence[Standing]) -> bool:
            for number, standing in enumerate(standings):
                mine = {ids[other] for other in side_of[number] if other != number}
                if len(standing.peers) < min(2, len(mine)) or not standing.peers.keys() <= mine:
                    return False
            return True

        async with asyncio.timeout(JOIN_PATIENCE):
            while True:
                if is_so(standings := await self.standings()):
                    return standings
                await asyncio.sleep(LOOK_SECONDS)

    def offers(self, count: int) -> list[SignedOrder]:
        """Return *count* orders that nobody has yet."""
        salts = itertools.islice(self._salts, count)
        return [self.market.offer(ProtocolVersion.V3, salt=salt) for salt in salts]

    async def post(
        self, orders: Sequence[SignedOrder], *, at: Sequence[int] = (), per_second: float = 0.0
    ) -> None:
        """Give each node its share of *orders*, as clients do.

        Args:
            at: the nodes; all of them where none is named.
            per_second: how fast over all nodes; as fast as they take them where 0.
        """
        nodes = [self.nodes[number] for number in at] if at else list(self.nodes)
        async with asyncio.TaskGroup() as tasks:
            for start, node in enumerate(nodes):
                share = orders[start :: len(nodes)]
                tasks.create_task(_post(node, share, per_second / len(nodes)))

    async def standings(self) -> list[Standing]:
        """Ask all nodes at once."""
        return await asyncio.gather(*(node.standing() for node in self.nodes))

    async def until_equal(self, orders: int, *, patience: float) -> list[Standing]:
        """Wait until every node holds the same set of that many orders.

        Raises:
            AssertionError: they never did; the text says how far each got.
        """
        standings: list[Standing] = []
        try:
            async with asyncio.timeout(patience):
                while True:
                    standings = await self.standings()
                    digests = {standing.digest for standing in standings}
                    if len(digests) == 1 and standings[0].orders == orders:
                        return standings
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            held = [standing.orders for standing in standings]
            raise AssertionError(f"{held} of {orders} orders after {patience:.0f} s") from None


async def _post(node: DistantNode, orders: Sequence[SignedOrder], per_second: float) -> None:
    now = asyncio.get_running_loop().time
    begun = now()
    for start in range(0, len(orders), POST_CHUNK):
        if per_second:
            await asyncio.sleep(begun + start / per_second - now())
        chunk = orders[start : start + POST_CHUNK]
        answer = await node.client.add(*chunk, patience=JOIN_PATIENCE)
        assert len(answer["accepted"]) == len(chunk), answer["rejected"][:1]


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
        market = Market(Traders(chain))
        await market.open()
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
            client = await stack.enter_async_context(open_socket(process.ready.rpc, token=token))
            nodes.append(DistantNode(place, process, client))
        yield Town(places, market, nodes)


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
