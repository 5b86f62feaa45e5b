"""The composition root: open what the node needs, make each part once, run the tasks.

cli --> run --> store, chain, identity --> zeroex --> api --> ready
                '--------------- one TaskGroup ---------------'
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import Callable
from importlib.metadata import version

import msgspec

from fondaco.api.access import Access
from fondaco.api.declarations import Registry
from fondaco.api.openrpc import built_in_methods
from fondaco.api.server import Listen, Server, open_server
from fondaco.chain.budget import BudgetSnapshot, RpcBudget
from fondaco.chain.contracts import ChainContracts, built_in, parse_custom
from fondaco.chain.rpc import open_ethereum
from fondaco.clock import Clock
from fondaco.config import Config
from fondaco.errors import StorageError
from fondaco.identity.keyring import open_identity
from fondaco.ready import ReadyInfo
from fondaco.store import metadata
from fondaco.store.database import Database, open_database
from fondaco.zeroex.assembly import open_zeroex
from fondaco.zeroex.chainfacts import ChainFacts

log = logging.getLogger(__name__)

DATABASE_NAME = "fondaco.sqlite"
"""Name of the database in DATA_DIR."""

BUDGET_KEY = "ethereum.budget"
"""Name of the RPC budget in the node's metadata."""

BUDGET_INTERVAL = 60.0
"""Seconds between two writings of the RPC budget (0x Mesh)."""

CATCH_UP_PATIENCE = 10.0
"""Seconds the doors stay closed for stored orders to become current. An endpoint that is
away for longer must not keep clients from what is known."""


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
        budget = await _open_budget(config, database, clock)
        client = await stack.enter_async_context(
            open_ethereum(config.ethereum_rpc_url, budget=budget, clock=clock)
        )
        facts = ChainFacts(client=client, database=database, clock=clock, contracts=contracts)
        await facts.check_stored_chain()
        zeroex = await stack.enter_async_context(
            open_zeroex(
                config,
                contracts=contracts,
                client=client,
                database=database,
                clock=clock,
                peer_id=identity.peer_id,
                zrx_asset_data=await facts.zrx_asset_data(),
            )
        )
        registry = Registry()
        zeroex.rpc.declare(registry)
        registry.add(*built_in_methods(registry, version=version("fondaco")))
        ready = asyncio.Event()
        server = await stack.enter_async_context(
            open_server(
                _listen(config),
                registry,
                allowed=_access(config),
                ready=ready,
                token_bytes=secrets.token_bytes,
            )
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(facts.verify(), name="chain check")
            tasks.create_task(zeroex.watch(), name="order watcher")
            tasks.create_task(zeroex.housekeeping.run(), name="housekeeping")
            tasks.create_task(_keep_budget(budget, database, clock), name="RPC budget")
            await _until_current(zeroex.watcher.caught_up, clock)
            ready.set()
            on_ready(_ready_info(server, identity.peer_id))


async def _until_current(caught_up: asyncio.Event, clock: Clock) -> None:
    """Return when the stored orders are current, or the endpoint took too long."""
    either = [
        asyncio.ensure_future(caught_up.wait()),
        asyncio.ensure_future(clock.sleep(CATCH_UP_PATIENCE)),
    ]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in either:
            task.cancel()


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


def _ready_info(server: Server, peer_id: str) -> ReadyInfo:
    return ReadyInfo(
        rpc=server.addresses[0].ws,
        http=server.addresses[-1].http,
        peer_id=peer_id,
        pid=os.getpid(),
    )


async def _open_budget(config: Config, database: Database, clock: Clock) -> RpcBudget:
    text = await database.read(lambda connection: metadata.get(connection, BUDGET_KEY))
    return RpcBudget(
        per_day=config.ethereum_rpc_max_requests_per_24_hr_utc,
        per_second=config.ethereum_rpc_max_requests_per_second,
        now_ns=clock.now_ns(),
        stored=None if text is None else msgspec.json.decode(text, type=BudgetSnapshot),
        is_enabled=config.enable_ethereum_rpc_rate_limiting,
    )


async def _keep_budget(budget: RpcBudget, database: Database, clock: Clock) -> None:
    try:
        while True:
            await clock.sleep(BUDGET_INTERVAL)
            await _save_budget(budget, database, clock)
    finally:
        await _save_budget(budget, database, clock)


async def _save_budget(budget: RpcBudget, database: Database, clock: Clock) -> None:
    text = msgspec.json.encode(budget.snapshot(clock.now_ns())).decode()
    try:
        await database.write(lambda connection: metadata.put(connection, BUDGET_KEY, text))
    except StorageError as problem:
        # After a crash now the day's count would start too low; no reason to stop today.
        log.warning("the RPC budget is not saved: %s", problem)
