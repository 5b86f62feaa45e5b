"""Two honest nodes under attack, and whether they still serve each other and their clients."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

from fondaco.devnet.offers import offer
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from fondaco.zeroex.order_filter import CustomSchema, pubsub_topic
from support.market import FAR, Market
from support.mesh_socket import Subscription
from support.peer_processes import PeerProcess, open_peers, until_connected

V3 = ProtocolVersion.V3
CHAIN_ID = 1337
TOPIC = pubsub_topic(V3, CHAIN_ID, CustomSchema())
"""Where v3 orders of the local chain are told."""


LEAST = 3
"""Orders that have to arrive during an attack, however short it is."""


class Scene:
    """Ann and Bob, honest; attacks go to Bob."""

    def __init__(self, market: Market, ann: PeerProcess, bob: PeerProcess, heard: Subscription):
        self.market = market
        self.ann, self.bob = ann, bob
        self.victim = bob.address
        self._heard = heard
        self._salts = itertools.count(1)
        self._children = (ann.child_pid, bob.child_pid)

    def offer(self, *, is_funded: bool = True) -> SignedOrder:
        """Return an order nobody has seen."""
        market = self.market
        return offer(
            market.at,
            market.maker if is_funded else market.traders.devnet.accounts[-1],
            give=(market.pepper, 100),
            want=(market.weth, 40),
            salt=next(self._salts),
            expires_at=FAR,
        )

    def exchange(self) -> bytes:
        return self.market.at["exchange"]

    async def deliver(self) -> None:
        """An order given to Ann arrives at Bob; both are alive and answer."""
        order = self.offer()
        name = f"0x{order_hash(order).hex()}"
        await self.ann.client.add(order)
        while (await self._heard.take(1))[0]["orderHash"] != name:
            pass
        await asyncio.gather(self.ann.client.stats(), self.bob.client.stats())

    @contextlib.asynccontextmanager
    async def service(self) -> AsyncIterator[None]:
        """Meanwhile orders are given to Ann, one after the other, and each arrives at Bob."""
        is_over = asyncio.Event()

        async def serve() -> None:
            served = 0
            while served < LEAST or not is_over.is_set():
                await self.deliver()
                served += 1

        serving = asyncio.create_task(serve())
        try:
            yield
        finally:
            is_over.set()
            await serving
        # Nobody had to be started again, and the two are still connected.
        assert (self.ann.child_pid, self.bob.child_pid) == self._children
        assert self.ann.ready.peer_id in await self.bob.peers()


@contextlib.asynccontextmanager
async def open_scene(market: Market, path: Path) -> AsyncIterator[Scene]:
    """Start both, connected."""
    async with open_peers(market, path) as open_peer:
        ann, bob = await asyncio.gather(open_peer("ann"), open_peer("bob"))
        await ann.join(bob)
        await until_connected(ann, bob)
        heard = await bob.client.subscribe()
        yield Scene(market, ann, bob, heard)
