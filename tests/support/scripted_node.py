"""A node that is no node: it answers the calls of a laboratory's client, as it is told to.

    async with scripted_nodes(2) as (ann, bob):
        ann.refuses["0xab"] = "OrderExpired"
        async with open_client(ann.url) as client: ...

All nodes of one call hear of an order as soon as one of them is given it, unless it is in
``deaf_to``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class ScriptedNode:
    """One of them."""

    def __init__(self) -> None:
        self.url = ""
        self.others: list[ScriptedNode] = []
        self.calls: list[tuple[str, list[Any]]] = []
        self.authorizations: list[str | None] = []
        """What each connection showed in the header of this name."""
        self.held: list[str] = []
        """Order hashes; the salt of an order is its hash here."""
        self.refuses: dict[str, str] = {}
        """Hash -> code, until told otherwise."""
        self.tokens: list[str] = []
        """What each connection was opened with."""
        self.refuses_once: dict[str, str] = {}
        self.deaf_to: set[str] = set()
        self.peers: list[dict[str, Any]] = []
        self.counters: dict[str, int] = {}
        self.is_broken = False
        """Whether it answers every call with an error."""
        self.hangs_up_at = ""
        """The method whose call ends the connection."""
        self._subscribers: list[ServerConnection] = []

    async def serve(self, connection: ServerConnection) -> None:
        """Answer until the client goes."""
        assert connection.request is not None
        self.tokens.append(connection.request.headers.get("Authorization", ""))
        assert connection.request is not None
        self.authorizations.append(connection.request.headers.get("Authorization"))
        with contextlib.suppress(ConnectionClosed):
            async for text in connection:
                call = json.loads(text)
                self.calls.append((call["method"], call["params"]))
                if call["method"] == self.hangs_up_at:
                    return
                answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call["id"]}
                if self.is_broken:
                    answer["error"] = {"code": -32000, "message": "broken"}
                else:
                    handler = getattr(self, call["method"])
                    answer["result"] = await handler(connection, *call["params"])
                await connection.send(json.dumps(answer))

    async def tell(self, *names: str, state: str = "ADDED") -> None:
        """Send an event for each of *names* to whoever is subscribed."""
        events = [{"orderHash": name, "endState": state, "signedOrder": {}} for name in names]
        await self.notify({"result": events})

    async def notify(self, parameters: dict[str, Any]) -> None:
        """Send a notification."""
        message = {
            "jsonrpc": "2.0",
            "method": "mesh_subscription",
            "params": {"subscription": "0x1", **parameters},
        }
        for connection in self._subscribers:
            await connection.send(json.dumps(message))

    async def take(self, names: list[str]) -> None:
        """Hold *names* from now on, and tell of them."""
        new = [name for name in names if name not in self.held and name not in self.deaf_to]
        self.held += new
        if new:
            await self.tell(*new)

    async def hang_up(self) -> None:
        """End every subscription's connection."""
        for connection in self._subscribers:
            await connection.close()

    async def mesh_subscribe(self, connection: ServerConnection, name: str) -> str:
        self._subscribers.append(connection)
        return "0x1"

    async def mesh_addOrders(
        self, connection: ServerConnection, orders: list[dict[str, str]]
    ) -> dict[str, Any]:
        accepted, rejected = [], []
        for order in orders:
            name = order["salt"]
            code = self.refuses_once.pop(name, None) or self.refuses.get(name)
            if code is None:
                accepted.append(name)
            else:
                rejected.append({"orderHash": name, "status": {"code": code, "message": ""}})
        await self.take(accepted)
        for other in self.others:
            await other.take(accepted)
        return {"accepted": [{"orderHash": name} for name in accepted], "rejected": rejected}

    async def mesh_addPeer(
        self, connection: ServerConnection, peer_id: str, addresses: list[str]
    ) -> None:
        self.peers.append({"peerID": peer_id, "topics": ["one"]})

    async def mesh_getPeers(self, connection: ServerConnection) -> dict[str, Any]:
        def count(name: str) -> int:
            return self.counters.get(name, 0)

        return {
            "peers": self.peers,
            "gossip": {"ordersNew": count("ordersNew")},
            "sync": {
                name: count(name)
                for name in (
                    "ordersFetched", "rounds", "bytesSent", "bytesReceived", "orderBytesReceived",
                )
            },
            "network": {"bytes-in": count("bytes-in"), "bytes-out": count("bytes-out")},
        }  # fmt: skip

    async def mesh_getStats(self, connection: ServerConnection) -> dict[str, Any]:
        digest = "-".join(sorted(self.held))
        return {"setDigests": [{"set": "v3", "orders": len(self.held), "digest": digest}]}


@contextlib.asynccontextmanager
async def scripted_nodes(count: int) -> AsyncIterator[list[ScriptedNode]]:
    """Run *count* nodes that hear of each other's orders."""
    async with contextlib.AsyncExitStack() as stack:
        nodes = [ScriptedNode() for _ in range(count)]
        for node in nodes:
            node.others = [other for other in nodes if other is not node]
            server = await stack.enter_async_context(serve(node.serve, "127.0.0.1", 0))
            host, port = next(iter(server.sockets)).getsockname()[:2]
            node.url = f"ws://{host}:{port}"
        yield nodes
