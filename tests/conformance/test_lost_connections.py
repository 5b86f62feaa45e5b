"""The published clients when the node goes away: silence, a crash, an orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conformance.book import Book
from conformance.mesh_client import MeshClient, as_user, open_client
from support.node_process import NodeProcess

pytestmark = pytest.mark.chain

NO_HEARTBEAT = 3001
"""The close code with which both clients give up a silent node, after 20 s."""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
async def test_a_client_finds_the_node_again(
    client: MeshClient, node: NodeProcess, book: Book, sign: signal.Signals
) -> None:
    """A stop must not close with 1000, which tells these clients not to come back."""
    before, after = book.orders(2)
    subscription = await client.subscribe()
    await client.call("addOrdersAsync", [as_user(before)])
    (event,) = await client.orders(subscription)
    assert event["orderHash"] == book.hash(before)

    seen = len(client.seen)
    assert await node.stop(sign) == (-sign if sign is signal.SIGKILL else 0)
    await client.wait_for({"event": "close"}, after=seen)
    await node.restart()
    await client.wait_for({"event": "reconnected"}, after=seen)
    # Only then are its subscriptions made again.
    await client.wait_for({"event": "connect"}, after=seen)

    results = await client.call("addOrdersAsync", [as_user(before), as_user(after)])
    is_new = {entry["orderHash"]: entry["isNew"] for entry in results["accepted"]}
    assert is_new == {book.hash(before): False, book.hash(after): True}
    (event,) = await client.orders(subscription)
    assert event["orderHash"] == book.hash(after)
    await client.call("unsubscribeAsync", subscription)
    await client.destroy()


@contextlib.asynccontextmanager
async def every_client(
    installations: dict[str, Path], node: NodeProcess
) -> AsyncIterator[list[MeshClient]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(open_client(installation, node.ready.rpc))
            for installation in installations.values()
        ]


async def test_heartbeats_tell_a_silent_node_from_a_quiet_one(
    node: NodeProcess, quiet_node: NodeProcess, installations: dict[str, Path]
) -> None:
    async with (
        every_client(installations, quiet_node) as patient,
        every_client(installations, node) as deserted,
    ):
        for client in (*patient, *deserted):
            await client.call("getStatsAsync")
        with node.suspended():
            await asyncio.gather(
                *(client.wait_for({"event": "socket", "state": "closing"}) for client in deserted)
            )
        for client in deserted:
            closed = {"event": "socket", "state": "closed", "code": NO_HEARTBEAT}
            seen = await client.wait_for(closed)
            await client.wait_for({"event": "connect"}, after=seen)
            await client.wait_for({"event": "reconnected"}, after=seen)
            assert (await client.call("getStatsAsync"))["numOrders"] == 0
        # The same twenty seconds with a node that had nothing to say but its heartbeat.
        for client in patient:
            assert [note["event"] for note in client.seen].count("connect") == 1
            assert not [note for note in client.seen if note["event"] == "close"]
            assert (await client.call("getStatsAsync"))["numOrders"] == 0
