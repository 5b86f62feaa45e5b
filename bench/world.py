"""A real market to measure: anvil, the contracts, a node of its own process, a client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from bench.processes import child_of, memory_mb
from fondaco.devnet.chain import Devnet, open_devnet
from fondaco.devnet.offers import offer
from fondaco.devnet.traders import Traders
from fondaco.zeroex.asset_data import Erc20, encode
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.order import Address, SignedOrder

FAR = 4_102_444_800
"""Unix seconds: the year 2100."""

MAKERS = 9
TOKENS = 5

PEERS = {"ENABLE_P2P": "true", "USE_BOOTSTRAP_LIST": "false"}
"""Settings of a node that has peers: those that are named to it."""

GET_STATS = b'{"jsonrpc":"2.0","id":1,"method":"mesh_getStats","params":[]}'
GET_PEERS = b'{"jsonrpc":"2.0","id":1,"method":"mesh_getPeers","params":[]}'


@dataclass(frozen=True)
class RunningNode:
    """A node in a process of its own."""

    rpc: str
    http: str
    pid: int
    peer_id: str
    p2p: tuple[str, ...]
    """Where peers reach it; empty where it has none."""

    def memory_mb(self) -> float:
        """Resident memory of the main process."""
        return memory_mb(self.pid)

    def peak_memory_mb(self) -> float:
        """The most it ever was."""
        return memory_mb(self.pid, "VmHWM:")

    def child_pid(self) -> int:
        """Its p2p process."""
        return child_of(self.pid)


@contextlib.asynccontextmanager
async def open_world(makers: int = MAKERS) -> AsyncIterator[tuple[Devnet, Traders]]:
    """Run a chain whose accounts 1 … *makers* own and have approved everything."""
    async with open_devnet() as devnet:
        traders = Traders(devnet)
        for account in devnet.accounts[1 : makers + 1]:
            await traders.equip(account.address)
        yield devnet, traders


@contextlib.asynccontextmanager
async def open_node(devnet: Devnet, **settings: str) -> AsyncIterator[RunningNode]:
    """Run a node on *devnet* in a process of its own, with a fresh data directory.

    It has no peers, unless *settings* say otherwise: ``**PEERS``. It listens on loopback.
    """
    with tempfile.TemporaryDirectory(prefix="fondaco-bench-") as folder:
        environment = {
            **os.environ,
            "ETHEREUM_RPC_URL": devnet.http_url,
            "ETHEREUM_CHAIN_ID": str(devnet.chain_id),
            "CUSTOM_CONTRACT_ADDRESSES": json.dumps(devnet.contracts),
            "ENABLE_ETHEREUM_RPC_RATE_LIMITING": "false",
            "BLOCK_POLLING_INTERVAL": "50ms",
            "MAX_ORDERS_IN_STORAGE": "1000000",
            "DATA_DIR": folder,
            "RPC_ADDR": "127.0.0.1:0",
            "ENABLE_P2P": "false",
            "P2P_TCP_PORT": "0",
            "P2P_LISTEN_ADDR": "127.0.0.1",
            "VERBOSITY": "warn",
            **settings,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "fondaco", "run", "--json"),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            ready = json.loads(await process.stdout.readline())
            yield RunningNode(
                ready["rpc"], ready["http"], ready["pid"], ready["peerID"], tuple(ready["p2p"])
            )
        finally:
            process.terminate()
            await process.wait()


def plain_orders(devnet: Devnet, count: int, first_salt: int = 1) -> list[SignedOrder]:
    """Return *count* signed v3 orders of one ERC20 for another, over all makers and tokens."""
    at = devnet.addresses
    tokens = [
        encode(Erc20(Address(address))) for name, address in at.items() if name.startswith("erc20 ")
    ][:TOKENS]
    return [
        offer(
            at,
            devnet.accounts[1 + salt % MAKERS],
            give=(tokens[salt % len(tokens)], 1_000 + salt % 7),
            want=(tokens[(salt + 1) % len(tokens)], 500 + salt % 11),
            salt=salt,
            expires_at=FAR,
        )
        for salt in range(first_salt, first_salt + count)
    ]


def add_call(orders: Sequence[SignedOrder]) -> bytes:
    """Return the ``mesh_addOrders`` request for *orders*."""
    return b'{"jsonrpc":"2.0","id":1,"method":"mesh_addOrders","params":[[%s]]}' % b",".join(
        map(encode_order, orders)
    )


def add_peer_call(node: RunningNode) -> bytes:
    """Return the ``mesh_addPeer`` request for *node*."""
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "mesh_addPeer", "params": [node.peer_id, node.p2p]}
    ).encode()


async def post(session: aiohttp.ClientSession, url: str, request: bytes) -> Any:
    """Return the result of a call."""
    headers = {"Content-Type": "application/json"}
    async with session.post(url, data=request, headers=headers) as answer:
        decoded = msgspec.json.decode(await answer.read())
    if "error" in decoded:
        raise RuntimeError(decoded["error"])
    return decoded["result"]
