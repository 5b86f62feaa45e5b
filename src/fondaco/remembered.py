"""What the node writes down from time to time, to know it after a restart.

RPC budget    each minute and at the end   else a restart would reset the day's count
known peers   likewise                     else every start would need a bootstrap node
"""

from __future__ import annotations

import logging

import msgspec

from fondaco.chain.budget import BudgetSnapshot, RpcBudget
from fondaco.clock import Clock
from fondaco.config import Config
from fondaco.errors import StorageError
from fondaco.p2p.network import KnownPeer, Network
from fondaco.store import metadata
from fondaco.store.database import Database

log = logging.getLogger(__name__)

BUDGET_KEY = "ethereum.budget"
"""Name of the RPC budget in the node's metadata."""

KNOWN_PEERS_KEY = "p2p.known_peers"
"""Name of the peers worth dialling again in the node's metadata."""

INTERVAL = 60.0
"""Seconds between two writings (0x Mesh, of the budget)."""


async def load_budget(config: Config, database: Database, clock: Clock) -> RpcBudget:
    """Return the budget of *config*, less what an earlier run has spent today."""
    text = await _load(database, BUDGET_KEY)
    return RpcBudget(
        per_day=config.ethereum_rpc_max_requests_per_24_hr_utc,
        per_second=config.ethereum_rpc_max_requests_per_second,
        now_ns=clock.now_ns(),
        stored=None if text is None else msgspec.json.decode(text, type=BudgetSnapshot),
        is_enabled=config.enable_ethereum_rpc_rate_limiting,
    )


async def keep_budget(budget: RpcBudget, database: Database, clock: Clock) -> None:
    """Write the budget down until cancelled, and once more then."""
    try:
        while True:
            await clock.sleep(INTERVAL)
            await _save(database, BUDGET_KEY, budget.snapshot(clock.now_ns()))
    finally:
        await _save(database, BUDGET_KEY, budget.snapshot(clock.now_ns()))


async def load_known_peers(database: Database) -> list[KnownPeer]:
    """Return the peers that an earlier run has met."""
    text = await _load(database, KNOWN_PEERS_KEY)
    return [] if text is None else msgspec.json.decode(text, type=list[KnownPeer])


async def keep_known_peers(network: Network, database: Database, clock: Clock) -> None:
    """Write the known peers down where they have changed, until cancelled, and then."""
    written: list[KnownPeer] | None = None
    try:
        while True:
            await clock.sleep(INTERVAL)
            known = network.known_peers()
            if known != written and await _save(database, KNOWN_PEERS_KEY, known):
                written = known
    finally:
        await _save(database, KNOWN_PEERS_KEY, network.known_peers())


async def _load(database: Database, key: str) -> str | None:
    return await database.read(lambda connection: metadata.get(connection, key))


async def _save(database: Database, key: str, value: object) -> bool:
    """Write *value* down; return whether it is."""
    text = msgspec.json.encode(value).decode()
    try:
        await database.write(lambda connection: metadata.put(connection, key, text))
    except StorageError as problem:
        # After a crash now an older state would be read; no reason to stop today.
        log.warning("%s is not saved: %s", key, problem)
        return False
    return True
