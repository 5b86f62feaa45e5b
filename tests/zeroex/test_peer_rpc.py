"""``mesh_getPeers``, ``mesh_addPeer`` and the words about filters, on running nodes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from fondaco.api.declarations import Registry
from fondaco.testing.api import Client, connect, serve
from fondaco.testing.until import until
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.peer_rpc import stored_filters
from fondaco.zeroex.scopes import Scope, compiled
from support.order_bench import orders
from support.peer_nodes import PeerNode, open_town

LOW = '{"properties":{"salt":{"maxLength":1}}}'
ODD = '{"properties":{"salt":{"pattern":"[13579]$"}}}'
V3 = Scope(ProtocolVersion.V3)


@contextlib.asynccontextmanager
async def client_of(node: PeerNode) -> AsyncIterator[Client]:
    registry = Registry()
    node.sharing.declare(registry)
    async with serve(registry) as address, connect(address) as client:
        yield client


async def test_peers_are_added_and_shown_with_equal_digests(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann"), await town.node("bob")
        await bob.bench.add(*orders(12))
        async with client_of(ann) as client, client_of(bob) as other:
            assert (await client.call("mesh_getPeers"))["peers"] == []
            assert await client.call("mesh_addPeer", "bob", ["/memory/bob"]) is None
            await until(lambda: ann.agrees_with(bob) and bob.agrees_with(ann))
            mine, yours = await client.call("mesh_getPeers"), await other.call("mesh_getPeers")
            [peer] = mine["peers"]
            assert (peer["peerID"], peer["state"], peer["differs"]) == ("bob", "agrees", 0)
            assert {own["set"]: own["orders"] for own in mine["setDigests"]} == {"v3": 12, "v2": 0}
            assert mine["setDigests"] == yours["setDigests"]
            assert mine["sync"]["ordersFetched"] == 12
            assert mine["gossip"]["messagesReceived"] == 0
            assert mine["network"]["requests"] > 0
            answer = await client.ask("mesh_addPeer", "nobody", [])
            assert "no such node" in answer["error"]["message"]


async def test_filters_are_joined_and_left_and_remembered(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann", filter_text=LOW), await town.node("bob")
        await bob.bench.add(*orders(30))
        town.hub.connect(ann.network, bob.network)
        await until(lambda: ann.agrees_with(bob))
        async with client_of(ann) as client:
            assert await client.call("mesh_getFilters") == [{"filter": LOW, "isConfigured": True}]
            assert await client.call("mesh_joinFilter", json.loads(ODD)) is True
            assert await client.call("mesh_joinFilter", f" {ODD} ") is False
            assert await client.call("mesh_getFilters") == [
                {"filter": LOW, "isConfigured": True},
                {"filter": compiled(ODD).text, "isConfigured": False},
            ]
            assert len(ann.network.topics) == 3
            assert await ann.bench.database.read(stored_filters) == [compiled(ODD).text]
            await until(lambda: len(ann.memory.sets.get(V3) or ()) == 9 + 10)
            assert await client.call("mesh_leaveFilter", ODD) is True
            assert await client.call("mesh_leaveFilter", ODD) is False
            assert len(ann.network.topics) == 2
            assert await ann.bench.database.read(stored_filters) == []


async def test_what_cannot_be_joined_left_or_remembered(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann = await town.node("ann", filter_text=LOW)
        async with client_of(ann) as client:
            for method, wanted in (
                ("mesh_joinFilter", "nonsense"),
                ("mesh_joinFilter", {"$ref": "#"}),
                ("mesh_leaveFilter", LOW),
            ):
                answer = await client.ask(method, wanted)
                assert "expected" in answer["error"]["message"]
            ann.bench.database.is_full = True
            answer = await client.ask("mesh_joinFilter", ODD)
            assert "error" in answer
            assert ann.trading.filters == (LOW,)
            assert len(ann.network.topics) == 2
