"""A chain, a node on it, and a subscriber that must see every event and no other.

    await scene.add(order)
    await scene.do(actions.fill(order, scene.taker, 10))
    assert [brief(event) for event in await scene.events()] == [("FILLED", "30", [FILL])]

``events`` waits until the node has dealt with the newest block, so that an empty list
means that nothing was told, not that nothing has been told yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fondaco.clock import NANOSECONDS, Clock, rfc3339
from fondaco.devnet.actions import Action
from fondaco.devnet.control import ChainControl
from fondaco.devnet.traders import Receipt
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from support.market import Market
from support.mesh_socket import PATIENCE, Event, MeshSocket, Subscription, wire

FIELDS = {
    "sequence",
    "orderHash",
    "signedOrder",
    "endState",
    "fillableTakerAssetAmount",
    "contractEvents",
    "timestamp",
}
"""Members of every event: Mesh's, and ``sequence``."""

OPTIONAL_FIELDS = {"blockNumber", "reason"}
"""Members of ours that only some events have."""

BY_THE_NODE = {"ADDED", "STOPPED_WATCHING"}
"""End states that no block need bring about."""

Brief = tuple[str, str, list[str] | None]


class Scene:
    """Everything a scenario needs. Made by the ``scene`` fixture."""

    def __init__(
        self,
        market: Market,
        client: MeshSocket,
        watching: Subscription,
        *,
        database: Path,
        clock: Clock,
    ) -> None:
        self._database = database
        self._clock = clock
        self.market = market
        self.client = client
        self.watching = watching
        self.sequence = 0
        """Of the last event that was looked at."""

    @property
    def control(self) -> ChainControl:
        return self.market.traders.control

    @property
    def maker(self) -> bytes:
        return self.market.maker.address

    @property
    def taker(self) -> bytes:
        return self.market.taker.address

    def at(self, name: str) -> bytes:
        """Return the address of a contract by its name in ``devnet.deploy``."""
        return self.market.at[name]

    def of(self, name: str, version: ProtocolVersion) -> bytes:
        """Return the address of the contract *name* of one protocol version."""
        return self.at(name if version is ProtocolVersion.V3 else f"{name}V2")

    async def do(self, *todo: Action) -> list[Receipt]:
        """Send transactions; they come into one block."""
        return await self.market.traders.do(*todo)

    async def add(self, *orders: SignedOrder, pinned: bool = True) -> list[Event]:
        """Add new orders, each of which must be accepted; return their events."""
        await self.settle()
        result = await self.client.add(*orders, options={"pinned": pinned})
        assert result["rejected"] == []
        assert [entry["isNew"] for entry in result["accepted"]] == [True] * len(orders)
        events = await self.events()
        assert {event["endState"] for event in events} == {"ADDED"}
        assert sorted(event["orderHash"] for event in events) == sorted(map(name_of, orders))
        return events

    async def settle(self) -> dict[str, Any]:
        """Wait until the node has dealt with the newest block; return its statistics."""
        head = f"0x{(await self.control.block()).hash.hex()}"
        async with asyncio.timeout(PATIENCE):
            while True:
                stats = await self.client.stats()
                if stats["latestBlock"]["hash"] == head and not stats["ordersWaitingForChain"]:
                    return stats

    async def events(self) -> list[Event]:
        """Return every event told since the last look, once nothing more is to come."""
        stats = await self.settle()
        last: int = stats["lastSequence"]
        events = await self.watching.until(last, after=self.sequence)
        self.sequence = last
        for event in events:
            await self._check_envelope(event)
        return events

    async def _check_envelope(self, event: Event) -> None:
        """Hold what does not depend on the scenario against the rules."""
        assert event.keys() >= FIELDS
        assert event.keys() - FIELDS <= OPTIONAL_FIELDS
        assert isinstance(event["fillableTakerAssetAmount"], str)
        if "blockNumber" in event:
            block = await self.control.block(event["blockNumber"])
            assert event["timestamp"] == rfc3339(block.timestamp * NANOSECONDS)
        else:
            assert event["endState"] in BY_THE_NODE
            assert event["contractEvents"] is None
            told_at = datetime.datetime.fromisoformat(event["timestamp"]).timestamp()
            assert abs(told_at - self._clock.now_ns() / NANOSECONDS) < 60

    async def brief(self) -> list[Brief]:
        """Return what was told since the last look, in brief."""
        return [brief(event) for event in await self.events()]

    async def looked_at_again(self, order: SignedOrder, cause: Callable[[], None]) -> None:
        """Do what has an order looked at though no block touched it; return once it was."""
        name = name_of(order)
        before = (await self.client.call("mesh_explain", name))["lastLookedAt"]
        cause()
        async with asyncio.timeout(PATIENCE):
            while (await self.client.call("mesh_explain", name))["lastLookedAt"] == before:
                pass

    def stored(self, order: SignedOrder) -> tuple[str, int] | None:
        """Return how an order stands in the database, with its amount; None: it is not there.

        Read from the file, since no client is shown the amount of an expired order.
        """
        with contextlib.closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as at:
            row = at.execute(
                "SELECT is_removed, fillable FROM zeroex_orders WHERE order_hash = ?",
                (order_hash(order),),
            ).fetchone()
        return None if row is None else ("removed" if row[0] else "live", int.from_bytes(row[1]))


def name_of(order: SignedOrder) -> str:
    """Return the hash of *order* as JSON spells it."""
    return f"0x{order_hash(order).hex()}"


def brief(event: Event) -> Brief:
    """Return end state, amount and the kinds of the contract events (None: ``null``)."""
    causes = event["contractEvents"]
    kinds = None if causes is None else [cause["kind"] for cause in causes]
    return event["endState"], event["fillableTakerAssetAmount"], kinds


def told_of(events: list[Event], order: SignedOrder) -> list[Brief]:
    """Return what *events* say of one order, in brief."""
    return [brief(event) for event in events if event["orderHash"] == name_of(order)]


def wire_orders(*orders: SignedOrder) -> list[Any]:
    """Return *orders* as a request carries them."""
    return [wire(order) for order in orders]
