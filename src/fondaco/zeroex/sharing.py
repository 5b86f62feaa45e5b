"""Put together what shares the book with peers: gossip, order sync, and the words about both.

    ledger --> memory (sets, refusals) <-- gossip, order sync --> service
       '-----> gossip

Before ``run`` nobody is told anything; ``open`` makes this node answer its peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fondaco.api.declarations import Registry
from fondaco.clock import Clock
from fondaco.p2p.network import Network
from fondaco.store.database import Database
from fondaco.zeroex.agreement import Agreements
from fondaco.zeroex.bookwalk import BookWalk
from fondaco.zeroex.gossip import OrderGossip
from fondaco.zeroex.ledger import Ledger
from fondaco.zeroex.meshsync import MeshSync
from fondaco.zeroex.metrics import SharingMetrics
from fondaco.zeroex.order_fetch import OrderFetch
from fondaco.zeroex.order_memory import OrderMemory
from fondaco.zeroex.orderset import OrderSets
from fondaco.zeroex.ordersync import OrderSync
from fondaco.zeroex.peer_reports import PeerReports
from fondaco.zeroex.peer_rpc import PeerRpc
from fondaco.zeroex.service import OrderService
from fondaco.zeroex.sync_schedule import Chance
from fondaco.zeroex.sync_server import SyncServer
from fondaco.zeroex.trading import Trading


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all parts of sharing stand on."""

    network: Network
    database: Database
    service: OrderService
    memory: OrderMemory
    """Told of the book already (``Ledger.tell``)."""
    trading: Trading
    clock: Clock
    chance: Chance
    """Of the schedule; unpredictable where strangers can connect."""
    new_id: Callable[[], str]
    """Returns a fresh UUID as text."""


class Sharing:
    """The token orders among peers, ready to run. Each part is made once, here.

    Args:
        ledger: tells gossip of every commit.
        has_gossip, has_order_sync: whether new orders travel at once, and whether books
            are compared.
    """

    def __init__(
        self,
        ground: Ground,
        ledger: Ledger,
        *,
        has_gossip: bool = True,
        has_order_sync: bool = True,
    ) -> None:
        network, database, memory = ground.network, ground.database, ground.memory
        self.trading = ground.trading
        self.walk = BookWalk(database=database, sets=memory.sets, clock=ground.clock)
        self.agreements = Agreements()
        self.gossip = OrderGossip(
            network=network,
            service=ground.service,
            memory=memory,
            trading=self.trading,
            clock=ground.clock,
            is_on=has_gossip,
        )
        ledger.tell(self.gossip.take)
        self.fetch = OrderFetch(network=network, service=ground.service, memory=memory)
        self.mesh = _mesh_sync(ground, self.walk)
        self.sync = _order_sync(ground, self.walk, self.fetch, self.agreements, self.mesh)
        self.server = SyncServer(
            network=network,
            database=database,
            walk=self.walk,
            memory=memory,
            trading=self.trading,
            on_offer=self.sync.offered,
        )
        self.reports = PeerReports(
            peers=network.peers,
            agreements=self.agreements,
            trading=self.trading,
            sets=memory.sets,
            clock=ground.clock,
        )
        self._network, self._database = network, database
        self._has_gossip, self._has_order_sync = has_gossip, has_order_sync

    def metrics(self) -> SharingMetrics:
        """Return what is measured of it."""
        return SharingMetrics(
            states=self.reports.states,
            agreements=self.agreements,
            gossip=self.gossip.stats,
            sync=self.sync.stats,
            served=self.server.counts,
        )

    def declare(self, registry: Registry) -> None:
        """Offer the methods about peers and filters."""
        PeerRpc(
            network=self._network,
            reports=self.reports,
            trading=self.trading,
            gossip=self.gossip,
            sync=self.sync,
            database=self._database,
        ).declare(registry)

    async def open(self) -> None:
        """Answer peers from now on. Due before anybody connects: what is not spoken when a
        peer asks for our protocols, it does not ask for later."""
        if self._has_order_sync:
            await self.server.open()
            await self.mesh.open()

    async def run(self) -> None:
        """Share until cancelled."""
        if not self._has_order_sync:
            await self.sync.prepare()  # gossip asks the sets, and users their digests
        async with asyncio.TaskGroup() as tasks:
            if self._has_gossip:
                tasks.create_task(self.gossip.run(), name="gossip")
            if self._has_order_sync:
                tasks.create_task(self.sync.run(), name="order sync")


def _mesh_sync(ground: Ground, walk: BookWalk) -> MeshSync:
    return MeshSync(
        network=ground.network,
        database=ground.database,
        service=ground.service,
        walk=walk,
        memory=ground.memory,
        trading=ground.trading,
        clock=ground.clock,
        chance=ground.chance,
        new_id=ground.new_id,
    )


def _order_sync(
    ground: Ground, walk: BookWalk, fetch: OrderFetch, agreements: Agreements, mesh: MeshSync
) -> OrderSync:
    return OrderSync(
        network=ground.network,
        fetch=fetch,
        walk=walk,
        memory=ground.memory,
        trading=ground.trading,
        agreements=agreements,
        paged=mesh,
        clock=ground.clock,
        chance=ground.chance,
    )


def new_memory(clock: Clock, block: Callable[[], int]) -> OrderMemory:
    """Return a memory of nothing; *block* returns the newest block's number, 0 before."""
    return OrderMemory(OrderSets(), now=clock.monotonic, block=block)
