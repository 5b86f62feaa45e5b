"""Whole nodes with their p2p processes: what one is given, the others hold, and can prove it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from fondaco.ready import ReadyInfo
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from support.market import Market
from support.mesh_socket import MeshSocket, open_socket
from support.node_process import node_settings
from support.running_node import node_in_process

pytestmark = [pytest.mark.chain, pytest.mark.xdist_group("peers")]

PATIENCE = 60.0
"""Seconds; order sync has a minute."""


class Node:
    """A node and a client of it."""

    def __init__(self, info: ReadyInfo, client: MeshSocket) -> None:
        self.info = info
        self.client = client

    async def join(self, other: Node) -> None:
        await self.client.call("mesh_addPeer", other.info.peer_id, list(other.info.p2p))

    async def digest(self) -> tuple[int, str]:
        """Return how many v3 orders there are, and the digest of their set."""
        stats = await self.client.call("mesh_getStats")
        (v3,) = (each for each in stats["setDigests"] if each["version"] == 3)
        return v3["orders"], v3["digest"]

    async def standing(self) -> list[str]:
        """Return how it stands to each peer."""
        return [peer["state"] for peer in (await self.client.call("mesh_getPeers"))["peers"]]


OpenNode = Callable[..., contextlib.AbstractAsyncContextManager[Node]]


@pytest.fixture
def open_node(market: Market, tmp_path: Path) -> OpenNode:
    @contextlib.asynccontextmanager
    async def opened(name: str, **more: str) -> AsyncIterator[Node]:
        chain = market.traders.devnet
        settings = node_settings(
            ethereum_url=chain.http_url,
            contracts=chain.contracts,
            ENABLE_P2P="true",
            ENABLE_ETHEREUM_RPC_RATE_LIMITING="false",
        )
        async with (
            node_in_process(settings | more, data_dir=tmp_path / name) as info,
            open_socket(info.rpc) as client,
        ):
            yield Node(info, client)

    return opened


async def offers(market: Market, count: int) -> list[SignedOrder]:
    return [market.offer(ProtocolVersion.V3, salt=salt) for salt in range(1, count + 1)]


async def until_equal(*nodes: Node, orders: int) -> None:
    """Wait until all *nodes* say that they hold the same set of that many."""
    async with asyncio.timeout(PATIENCE):
        while True:
            digests = {await node.digest() for node in nodes}
            if len(digests) == 1 and digests.pop()[0] == orders:
                return
            await asyncio.sleep(0.05)


async def until_standing(node: Node, wanted: list[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if await node.standing() == wanted:
                return
            await asyncio.sleep(0.05)


async def until_listened_to(node: Node) -> None:
    """Wait until a peer has said that it listens to the topics of both protocol versions."""
    async with asyncio.timeout(PATIENCE):
        while True:
            peers = (await node.client.call("mesh_getPeers"))["peers"]
            if peers and all(len(peer["topics"]) == 2 for peer in peers):
                return
            await asyncio.sleep(0.05)


async def test_a_new_order_is_told_at_the_peer(open_node: OpenNode, market: Market) -> None:
    async with (
        open_node("ann", ENABLE_ORDER_SYNC="false") as ann,
        open_node("bob", ENABLE_ORDER_SYNC="false") as bob,
    ):
        await ann.join(bob)
        await until_listened_to(ann)
        heard = await bob.client.subscribe()
        (order,) = await offers(market, 1)
        await ann.client.add(order)
        (event,) = await heard.take(1)
        assert event["endState"] == "ADDED"
        assert event["signedOrder"] == json.loads(encode_order(order))
        await until_equal(ann, bob, orders=1)
        assert (await bob.client.call("mesh_getPeers"))["gossip"]["ordersNew"] == 1


async def test_old_orders_come_by_comparison_and_both_can_prove_it(
    open_node: OpenNode, market: Market
) -> None:
    async with (
        open_node("ann", ENABLE_GOSSIP="false") as ann,
        open_node("bob", ENABLE_GOSSIP="false") as bob,
    ):
        made = await offers(market, 12)
        await ann.client.add(*made[:8])
        await bob.client.add(*made[6:])
        await ann.join(bob)
        await until_equal(ann, bob, orders=12)
        await until_standing(ann, ["agrees"])
        await until_standing(bob, ["agrees"])
        assert (await ann.client.call("mesh_getStats"))["numPeers"] == 1


async def test_a_node_knows_its_peers_again(open_node: OpenNode, market: Market) -> None:
    async with open_node("bob") as bob:
        async with open_node("ann") as ann:
            await ann.join(bob)
            await until_standing(ann, ["agrees"])
        async with open_node("ann") as again:
            await until_standing(again, ["agrees"])


async def test_a_port_that_is_taken_is_told(open_node: OpenNode) -> None:
    async with open_node("ann") as ann:
        port = ann.info.p2p[0].split("/")[4]
        with pytest.raises(ExceptionGroup) as caught:
            async with open_node("bob", P2P_TCP_PORT=port):
                pass  # pragma: no cover - it must not start
        assert "p2p_tcp_port: cannot listen" in str(caught.value.exceptions[0])
