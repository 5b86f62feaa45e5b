"""The composition root: open what the node needs, make each part once, run the tasks.

cli --> run --> store, chain, identity, p2p --> zeroex --> api --> ready
                '------------------ one TaskGroup ------------------'
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
from collections.abc import Callable
from importlib.metadata import version

from fondaco.api.access import Access
from fondaco.api.declarations import Registry
from fondaco.api.health import HealthPage
from fondaco.api.metrics import MetricsPage
from fondaco.api.openrpc import built_in_methods
from fondaco.api.pages import Pages
from fondaco.api.server import Listen, Server, open_server
from fondaco.chain.contracts import ChainContracts, built_in, parse_custom
from fondaco.chain.rpc import open_ethereum
from fondaco.clock import Clock, until_set
from fondaco.config import Config
from fondaco.identity.keyring import open_identity
from fondaco.p2p.metrics import NetworkMetrics
from fondaco.p2p.network import Network
from fondaco.p2p.opening import open_configured
from fondaco.ready import ReadyInfo
from fondaco.remembered import keep_budget, keep_known_peers, load_budget, load_known_peers
from fondaco.store.database import open_database
from fondaco.zeroex.assembly import ZeroexHalf, open_zeroex
from fondaco.zeroex.chainfacts import ChainFacts

DATABASE_NAME = "fondaco.sqlite"
"""Name of the database in DATA_DIR."""

CATCH_UP_PATIENCE = 10.0
"""Seconds the doors stay closed for stored orders to become current. An endpoint that is
away for longer must not keep clients from what is known."""

LISTEN_PATIENCE = 10.0
"""Seconds to wait for the p2p process to listen. It takes 2 to 3 to start; one that does
not come up is started again and again, and must not keep clients from the book."""


async def run(config: Config, *, clock: Clock, on_ready: Callable[[ReadyInfo], None]) -> None:
    """Run a node until cancelled.

    Args:
        on_ready: called once, when the doors are open.

    Raises:
        ConfigurationError: a setting cannot be used, on its own or on this chain.
    """
    contracts = _contracts(config)
    identity = open_identity(config)
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(config.data_dir / DATABASE_NAME))
        budget = await load_budget(config, database, clock)
        client = await stack.enter_async_context(
            open_ethereum(config.ethereum_rpc_url, budget=budget, clock=clock)
        )
        facts = ChainFacts(client=client, database=database, clock=clock, contracts=contracts)
        await facts.check_stored_chain()
        seed, known = secrets.randbits(64), await load_known_peers(database)
        network = await stack.enter_async_context(
            open_configured(config, identity, clock=clock, seed=seed, known_peers=known)
        )
        zeroex = await stack.enter_async_context(
            open_zeroex(
                config,
                contracts=contracts,
                client=client,
                database=database,
                clock=clock,
                network=network,
                chance=random.Random(seed),
                zrx_asset_data=await facts.zrx_asset_data(),
            )
        )
        await zeroex.sharing.open()
        ready = asyncio.Event()
        server = await stack.enter_async_context(
            open_server(
                _listen(config),
                _declared(zeroex),
                allowed=_access(config),
                ready=ready,
                token_bytes=secrets.token_bytes,
                pages=_pages(zeroex, network, ready),
            )
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(facts.verify(), name="chain check")
            tasks.create_task(zeroex.watch(), name="order watcher")
            tasks.create_task(zeroex.housekeeping.run(), name="housekeeping")
            tasks.create_task(zeroex.sharing.run(), name="sharing with peers")
            tasks.create_task(keep_budget(budget, database, clock), name="RPC budget")
            tasks.create_task(keep_known_peers(network, database, clock), name="known peers")
            await until_set(zeroex.watcher.caught_up, clock, CATCH_UP_PATIENCE)
            addresses = await _until_listening(network)
            ready.set()
            on_ready(_ready_info(server, identity.peer_id, addresses))


def _declared(zeroex: ZeroexHalf) -> Registry:
    registry = Registry()
    zeroex.declare(registry)
    registry.add(*built_in_methods(registry, version=version("fondaco")))
    return registry


def _pages(zeroex: ZeroexHalf, network: Network, ready: asyncio.Event) -> Pages:
    sources = (*zeroex.sources, NetworkMetrics(network))
    names = {"version": version("fondaco"), "peer_id": network.peer_id}
    return {
        "/metrics": MetricsPage(sources, child=lambda: network.child_pid, **names),
        "/health": HealthPage(ready, sources, **names),
    }


async def _until_listening(network: Network) -> tuple[str, ...]:
    """Return where peers reach us; nothing where they cannot, or not yet.

    Raises:
        ConfigurationError: the port is taken, or the address is not of this machine.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LISTEN_PATIENCE):
            return await network.ready()
    return ()


def _contracts(config: Config) -> ChainContracts:
    if config.custom_contract_addresses:
        return parse_custom(
            config.custom_contract_addresses, config.ethereum_chain_id, config.order_protocols
        )
    return built_in(config.ethereum_chain_id, config.order_protocols)


def _listen(config: Config) -> list[Listen]:
    places = [Listen(host=config.rpc_addr.host, port=config.rpc_addr.port)]
    if (second := config.http_rpc_addr) is not None:
        places.append(Listen(host=second.host, port=second.port, setting="HTTP_RPC_ADDR"))
    return places


def _access(config: Config) -> Access:
    return Access(
        token=config.rpc_token,
        origins=frozenset(config.allowed_origins),
        hosts=frozenset(config.allowed_hosts),
    )


def _ready_info(server: Server, peer_id: str, addresses: tuple[str, ...]) -> ReadyInfo:
    return ReadyInfo(
        rpc=server.addresses[0].ws,
        http=server.addresses[-1].http,
        peer_id=peer_id,
        pid=os.getpid(),
        p2p=addresses,
    )
