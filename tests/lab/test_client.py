"""The laboratory's client, against a node that answers as it is told to."""

from __future__ import annotations

import asyncio

import pytest

from fondaco.lab.client import NodeGone, NodeRefused, follow, open_client
from support.scripted_node import ScriptedNode, scripted_nodes

NOWHERE = "ws://127.0.0.1:1"


async def test_answers_find_their_questions() -> None:
    async with scripted_nodes(1) as (node,), open_client(node.url) as client:
        node.counters["rounds"] = 7
        node.held.append("0x01")
        peers, stats = await asyncio.gather(
            client.call("mesh_getPeers"), client.call("mesh_getStats")
        )
        assert peers["sync"]["rounds"] == 7
        assert stats["setDigests"] == [{"set": "v3", "orders": 1, "digest": "0x01"}]
        assert await client.call("mesh_addPeer", "16Uiu2", ["/ip4/127.3.1.2/tcp/1"]) is None
        assert node.calls[-1] == ("mesh_addPeer", ["16Uiu2", ["/ip4/127.3.1.2/tcp/1"]])


async def test_a_token_is_sent_where_there_is_one() -> None:
    async with scripted_nodes(1) as (node,):
        async with open_client(node.url, token="s3cret") as client:
            await client.call("mesh_getStats")
        async with open_client(node.url) as client:
            await client.call("mesh_getStats")
        assert node.tokens == ["Bearer s3cret", ""]


async def test_an_error_names_node_and_method() -> None:
    async with scripted_nodes(1) as (node,), open_client(node.url) as client:
        node.is_broken = True
        with pytest.raises(NodeRefused, match=f"{node.url}: mesh_getStats: .*broken"):
            await client.call("mesh_getStats")


async def test_nobody_there_is_said() -> None:
    with pytest.raises(NodeGone, match=NOWHERE):
        async with open_client(NOWHERE):
            pass
    with pytest.raises(NodeGone, match=NOWHERE):
        await follow(NOWHERE, print, print)


class Followed:
    """What a subscription has told."""

    def __init__(self, node: ScriptedNode) -> None:
        self.told: asyncio.Queue[list[str]] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.task = asyncio.create_task(
            follow(node.url, lambda names: self.told.put_nowait(list(names)), self.opened.set)
        )


async def test_new_orders_are_told_and_nothing_else() -> None:
    async with scripted_nodes(1) as (node,):
        followed = Followed(node)
        await followed.opened.wait()
        await node.tell("0x01", "0x02")
        await node.tell("0x01", state="FILLED")
        await node.tell("0x03")
        assert [await followed.told.get() for _ in range(3)] == [["0x01", "0x02"], [], ["0x03"]]
        followed.task.cancel()
        await asyncio.wait([followed.task])


async def test_the_end_of_a_subscription_is_a_fault() -> None:
    async with scripted_nodes(1) as (node,):
        followed = Followed(node)
        await followed.opened.wait()
        await node.notify({"error": {"code": 3, "message": "too slow"}})
        with pytest.raises(NodeGone, match="too slow"):
            await followed.task


async def test_the_end_of_a_connection_is_a_fault() -> None:
    async with scripted_nodes(1) as (node,):
        followed = Followed(node)
        await followed.opened.wait()
        await node.hang_up()
        with pytest.raises(NodeGone):
            await followed.task


async def test_a_subscription_that_is_refused_is_a_fault() -> None:
    async with scripted_nodes(1) as (node,):
        node.is_broken = True
        with pytest.raises(NodeGone, match="refused a subscription"):
            await follow(node.url, print, print)


async def test_whoever_waits_when_the_node_goes_is_told() -> None:
    async with scripted_nodes(1) as (node,), open_client(node.url) as client:
        node.hangs_up_at = "mesh_getStats"
        with pytest.raises(NodeGone, match=node.url):
            await client.call("mesh_getStats")
        with pytest.raises(NodeGone, match="no answer to mesh_getPeers"):
            await client.call("mesh_getPeers")
