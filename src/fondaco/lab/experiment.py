"""One run: a chain, nodes, links between them, orders, and what became of these.

anvil <-- node --link-- node --link-- ...        every node a process
            ^             ^
            '-- lab: posts orders, follows all nodes by one clock
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random

import msgspec

from fondaco.clock import Clock
from fondaco.devnet.chain import Devnet, open_devnet
from fondaco.errors import ConfigurationError
from fondaco.lab import topology
from fondaco.lab.addresses import MOST_NODES, denied, multiaddress, node_address
from fondaco.lab.figures import Report
from fondaco.lab.fleet import RunningNode, open_fleet
from fondaco.lab.measurement import Measurement, Progress, Station, open_measurement
from fondaco.lab.orders import equip_makers, make_orders
from fondaco.lab.plan import make_plan
from fondaco.lab.processes import free_memory_mb
from fondaco.lab.proxy import Links, Quality, open_links
from fondaco.lab.topology import Link

MOST_ORDERS = 100_000
"""Orders of one run: signing them takes 20 s, and every node stores all of them."""

MEMORY_PER_NODE_MB = 250.0
"""What a node and its p2p process take with some thousand orders."""

GOSSIP_PATIENCE = 15.0
"""Seconds without news after which, without order sync, none is expected any more."""

SYNC_PATIENCE = 120.0
"""Seconds without news with order sync: two of its longest intervals."""

CALLS_AT_ONCE = 32
"""Calls to one node where a rate is to be kept: as many as it works on."""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """What to do."""

    nodes: int
    orders: int = 1_000
    rate: float | None = None
    """Orders a second over all nodes; None posts all at once."""
    degree: int | None = None
    """Neighbours of a node at most; None takes USUAL_DEGREE, or all where there are fewer."""
    latency: float = 0.0
    """Seconds, one way, on every link."""
    loss: float = 0.0
    """Share of TCP segments lost on every link."""
    partition: float = 0.0
    """Seconds for which, from the first order on, two halves of the nodes do not hear of
    each other."""
    has_gossip: bool = True
    has_order_sync: bool = True
    seed: int = 1

    @property
    def neighbours(self) -> int:
        """Neighbours of a node at most."""
        return min(topology.USUAL_DEGREE, self.nodes - 1) if self.degree is None else self.degree

    @property
    def has_proxies(self) -> bool:
        """Whether the links are more than this machine's own loopback."""
        return bool(self.latency or self.loss or self.partition)

    def chance(self, purpose: str) -> Random:
        """Return a generator of its own for each purpose: one does not disturb another."""
        return Random(f"fondaco lab {self.seed} {purpose}")


Door = tuple[str, int]
"""IP address and TCP port at which a node listens for peers."""


def check(experiment: Experiment, *, free_mb: float | None, has_peers: bool = True) -> None:
    """Raise a ConfigurationError where this cannot be done on this machine.

    Args:
        free_mb: memory to be had; None where that is not known.
        has_peers: whether what nodes need for peers is installed.
    """
    if not sys.platform.startswith("linux"):
        raise ConfigurationError("lab", f"runs on Linux, not on {sys.platform}")
    if not has_peers:
        raise ConfigurationError("lab", "needs the extra p2p", "install fondaco[p2p]")
    if not 2 <= experiment.nodes <= MOST_NODES:
        raise ConfigurationError("N", f"is not in 2 … {MOST_NODES}", "say how many nodes to start")
    if not 1 <= experiment.orders <= MOST_ORDERS:
        raise ConfigurationError("--orders", f"is not in 1 … {MOST_ORDERS}")
    if experiment.rate is not None and experiment.rate <= 0:
        raise ConfigurationError("--rate", "is not positive", "leave it out to post all at once")
    least = topology.least_degree(experiment.nodes)
    if not least <= experiment.neighbours < experiment.nodes:
        raise ConfigurationError("--degree", f"is not in {least} … {experiment.nodes - 1}")
    if not 0 <= experiment.loss < 1:
        raise ConfigurationError("--loss", "is not a share from 0 to 1", "0.02 is two per cent")
    if not (experiment.has_gossip or experiment.has_order_sync):
        raise ConfigurationError(
            "--no-gossip and --no-order-sync", "leave no way for orders to spread", "drop one"
        )
    if experiment.partition and not experiment.has_order_sync:
        raise ConfigurationError("--partition", "heals by order sync alone", "drop --no-order-sync")
    needed = experiment.nodes * MEMORY_PER_NODE_MB
    if free_mb is not None and needed > free_mb:
        most = int(free_mb // MEMORY_PER_NODE_MB)
        remedy = f"ask for {most}" if most >= 2 else "free some"
        raise ConfigurationError(
            "N", f"takes {needed:.0f} MB and {free_mb:.0f} MB are free", remedy
        )


async def perform(
    experiment: Experiment,
    *,
    clock: Clock,
    progress: Progress = lambda line: None,
    folder: Path | None = None,
) -> Report:
    """Do it and return the figures. Leaves no process behind.

    Args:
        folder: keeps the nodes' logs and data; it must not hold any yet. None keeps nothing.

    Raises:
        ConfigurationError: it cannot be done here.
        NodeError, ExceptionGroup: a part did not start, or was lost.
    """
    has_peers = importlib.util.find_spec("libp2p") is not None
    check(experiment, free_mb=free_memory_mb(), has_peers=has_peers)
    links = topology.connect(experiment.nodes, experiment.neighbours, experiment.chance("topology"))
    async with contextlib.AsyncExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fondaco-lab-")))
        progress("starting the chain")
        devnet = await stack.enter_async_context(open_devnet())
        await equip_makers(devnet)
        progress(f"signing {experiment.orders} orders")
        orders = await asyncio.to_thread(
            make_orders, devnet, experiment.orders, experiment.chance("orders")
        )
        doors = [free_door(node_address(node)) for node in range(experiment.nodes)]
        settings = [
            settings_of(node, door, experiment, devnet, links) for node, door in enumerate(doors)
        ]
        nodes = await stack.enter_async_context(open_fleet(settings, folder, progress=progress))
        network = await stack.enter_async_context(_network(experiment, links, doors, clock))
        measured = await stack.enter_async_context(
            open_measurement(_stations(nodes), orders, clock=clock, progress=progress)
        )
        await _join(measured, nodes, doors, links, network)
        topics = 1 if experiment.has_gossip else 0
        await measured.until_linked(topology.degrees(links, len(nodes)), topics=topics)
        return await _measure(experiment, measured, network, links, clock)


def free_door(host: str) -> Door:
    """Return *host* with a port of it that is free now, so that links can lead there before
    the node is up, however long its p2p process takes."""
    with socket.socket() as one:
        one.bind((host, 0))
        return host, one.getsockname()[1]


def settings_of(
    node: int, door: Door, experiment: Experiment, devnet: Devnet, links: Sequence[Link]
) -> dict[str, str]:
    """Return the environment of *node*, which listens for peers at *door*."""
    deny = denied(node, experiment.nodes, links, has_proxies=experiment.has_proxies)
    return {
        "ETHEREUM_RPC_URL": devnet.http_url,
        "ETHEREUM_CHAIN_ID": str(devnet.chain_id),
        "CUSTOM_CONTRACT_ADDRESSES": json.dumps(devnet.contracts),
        "ENABLE_ETHEREUM_RPC_RATE_LIMITING": "false",
        # Nothing happens on the chain; looking often would only load the machine.
        "BLOCK_POLLING_INTERVAL": "1s",
        "MAX_ORDERS_IN_STORAGE": str(2 * MOST_ORDERS),
        "RPC_ADDR": "127.0.0.1:0",
        "P2P_LISTEN_ADDR": door[0],
        "P2P_TCP_PORT": str(door[1]),
        "P2P_DENY": ",".join(deny),
        "USE_BOOTSTRAP_LIST": "false",
        "ENABLE_GOSSIP": str(experiment.has_gossip).lower(),
        "ENABLE_ORDER_SYNC": str(experiment.has_order_sync).lower(),
    }


@contextlib.asynccontextmanager
async def _network(
    experiment: Experiment, links: Sequence[Link], doors: Sequence[Door], clock: Clock
) -> AsyncIterator[Links | None]:
    """Put proxies on the links, where they are needed."""
    if not experiment.has_proxies:
        yield None
        return
    async with open_links(
        links,
        doors,
        quality=Quality(latency=experiment.latency, loss=experiment.loss),
        clock=clock,
        chance_of=lambda link: experiment.chance(f"losses {link.dialler} {link.target}"),
    ) as network:
        yield network


def _stations(nodes: Sequence[RunningNode]) -> list[Station]:
    return [Station(name=node.name, rpc=node.rpc, pid=node.pid) for node in nodes]


async def _join(
    measured: Measurement,
    nodes: Sequence[RunningNode],
    doors: Sequence[Door],
    links: Sequence[Link],
    network: Links | None,
) -> None:
    """Have every link dialled."""
    async with asyncio.TaskGroup() as tasks:
        for link in links:
            direct = multiaddress(*doors[link.target])
            address = direct if network is None else network.address(link)
            peer_id = nodes[link.target].peer_id
            tasks.create_task(measured.add_peer(link.dialler, peer_id, [address]))


async def _measure(
    experiment: Experiment,
    measured: Measurement,
    network: Links | None,
    links: Sequence[Link],
    clock: Clock,
) -> Report:
    plan = make_plan(
        experiment.orders, experiment.nodes, experiment.rate, experiment.chance("plan")
    )
    at_once = 1 if experiment.rate is None else CALLS_AT_ONCE
    before = await measured.read()
    healed = 0.0
    if network is not None and experiment.partition:
        network.cut(topology.halves(experiment.nodes, experiment.chance("partition")))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(measured.post(plan, calls_at_once=at_once))
            await clock.sleep(experiment.partition)
            network.mend()
            healed = clock.monotonic()
    else:
        await measured.post(plan, calls_at_once=at_once)
    patience = SYNC_PATIENCE if experiment.has_order_sync else GOSSIP_PATIENCE
    has_all = await measured.until_everywhere(patience)
    equality = await measured.until_equal(
        max(healed, measured.sightings.last_accepted), patience if has_all else 0.0
    )
    return measured.report(
        before,
        await measured.read(),
        equality,
        seed=experiment.seed,
        degree=experiment.neighbours,
        links=len(links),
        latency_ms=1_000 * experiment.latency,
        loss=experiment.loss,
        rate=experiment.rate,
        partition_s=experiment.partition,
        gossip=experiment.has_gossip,
        order_sync=experiment.has_order_sync,
    )
