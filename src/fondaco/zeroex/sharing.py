"""Put together what shares the book with peers: gossip, order sync, and the words about both.

    ledger --> memory (sets, refusals) <-- gossip, order sync --> service
       '-----> gossip

Before ``run`` nobody is told anything; ``open`` makes this node answer its peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fondaco.clock import Clock
from fondaco.config import Config
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


class Sharing:
    """The token orders among peers, ready to run."""

    def __init__(
        self,
        *,
        config: Config,
        network: Network,
        database: Database,
        memory: OrderMemory,
        trading: Trading,
        clock: Clock,
        agreements: Agreements,
        walk: BookWalk,
        gossip: OrderGossip,
        sync: OrderSync,
        mesh: MeshSync,
    ) -> None:
        self.trading = trading
        self.gossip = gossip
        self.sync = sync
        self.mesh = mesh
        self.server = SyncServer(
            network=network,
            database=database,
            walk=walk,
            memory=memory,
            trading=trading,
            on_offer=sync.offered,
        )
        self.reports = PeerReports(
            peers=network.peers,
            agreements=agreements,
            trading=trading,
            sets=memory.sets,
            clock=clock,
        )
        self.metrics = SharingMetrics(
            states=self.reports.states,
            agreements=agreements,
            gossip=gossip.stats,
            sync=sync.stats,
            served=self.server.counts,
        )
        self.rpc = PeerRpc(
            network=network,
            reports=self.reports,
            trading=trading,
            gossip=gossip,
            sync=sync,
            database=database,
        )
        self._has_gossip = config.enable_gossip
        self._has_sync = config.enable_order_sync

    async def open(self) -> None:
        """Answer peers from now on. Due before anybody connects: what is not spoken when a
        peer asks for our protocols, it does not ask for later."""
        if self._has_sync:
            await self.server.open()
            await self.mesh.open()

    async def run(self) -> None:
        """Share until cancelled."""
        if not self._has_sync:
            await self.sync.prepare()  # gossip asks the sets, and users their digests
        async with asyncio.TaskGroup() as tasks:
            if self._has_gossip:
                tasks.create_task(self.gossip.run(), name="gossip")
            if self._has_sync:
                tasks.create_task(self.sync.run(), name="order sync")


def make_sharing(
    config: Config,
    *,
    network: Network,
    database: Database,
    ledger: Ledger,
    service: OrderService,
    memory: OrderMemory,
    trading: Trading,
    clock: Clock,
    chance: Chance,
    new_id: Callable[[], str],
) -> Sharing:
    """Make the parts. *memory* is told of the book already (``Ledger.tell``).

    Args:
        chance: of the schedule; unpredictable where strangers can connect.
        new_id: returns a fresh UUID as text.
    """
    gossip = _make_gossip(config, network, ledger, service, memory, trading, clock)
    agreements = Agreements()
    walk = BookWalk(database=database, sets=memory.sets, clock=clock)
    mesh = MeshSync(
        network=network,
        database=database,
        service=service,
        walk=walk,
        memory=memory,
        trading=trading,
        clock=clock,
        chance=chance,
        new_id=new_id,
    )
    sync = OrderSync(
        network=network,
        fetch=OrderFetch(network=network, service=service, memory=memory),
        walk=walk,
        memory=memory,
        trading=trading,
        agreements=agreements,
        paged=mesh,
        clock=clock,
        chance=chance,
    )
    return Sharing(
        config=config,
        network=network,
        database=database,
        memory=memory,
        trading=trading,
        clock=clock,
        agreements=agreements,
        walk=walk,
        gossip=gossip,
        sync=sync,
        mesh=mesh,
    )


def _make_gossip(
    config: Config,
    network: Network,
    ledger: Ledger,
    service: OrderService,
    memory: OrderMemory,
    trading: Trading,
    clock: Clock,
) -> OrderGossip:
    """Return gossip that hears of every commit."""
    gossip = OrderGossip(
        network=network,
        service=service,
        memory=memory,
        trading=trading,
        clock=clock,
        is_on=config.enable_gossip,
    )
    ledger.tell(gossip.take)
    return gossip


def new_memory(clock: Clock, block: Callable[[], int]) -> OrderMemory:
    """Return a memory of nothing; *block* returns the newest block's number, 0 before."""
    return OrderMemory(OrderSets(), now=clock.monotonic, block=block)
