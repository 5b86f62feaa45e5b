"""The deployed chain as a file: built once per user, loaded in a tenth of a second.

    state_file(parts) -> in the cache? -> its path
                             | no
                             '-> empty anvil -> deploy.plan() -> anvil_dumpState -> cache

The file's name is a digest of packages.toml and of the modules that build it, so a
change of either builds anew. Every build gives the same blocks with the same hashes.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import tempfile
from pathlib import Path

import msgspec

from fondaco.chain import wire
from fondaco.devnet import abi, deploy
from fondaco.devnet.anvil import Anvil, AnvilOptions, open_anvil
from fondaco.devnet.fetch import MANIFEST, PartsStore, locked
from fondaco.devnet.rpc import DevnetError, DevnetRpc

GENESIS_TIME = 1_577_836_800
"""Unix seconds of the saved blocks: 2020-01-01, the time of the recorded vectors."""

GAS = 16_000_000
"""Gas of a deploying transaction; the largest contract takes 5.5 million."""

STATES_KEPT = 8
"""Saved chains of the latest versions of this code; 2.4 MB each."""

_DIGEST_OF = (MANIFEST, *(Path(str(module.__file__)) for module in (abi, deploy)), Path(__file__))


def state_name() -> str:
    """Return the file name of the saved chain that this version of the code builds."""
    digest = hashlib.sha256()
    for path in _DIGEST_OF:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"chain-{digest.hexdigest()[:16]}.json"


async def state_file(parts: PartsStore) -> Path:
    """Return the saved chain, built now when this user has none.

    Raises:
        PartsError: anvil or a contract package could not be had.
        AnvilError, DevnetError: the chain could not be built.
    """
    target = parts.folder / "states" / state_name()
    if not await asyncio.to_thread(target.is_file):
        state = await build_state(parts)
        await asyncio.to_thread(_save, state, target)
    return target


async def build_state(parts: PartsStore) -> bytes:
    """Deploy everything on an empty chain; return its state as anvil loads it."""
    steps = await asyncio.to_thread(_prepare, parts)
    program = await asyncio.to_thread(parts.anvil)
    # Blocks are made by hand: a miner of its own and a nonce that jumps do not agree on
    # when a transaction is ready.
    options = AnvilOptions(timestamp=GENESIS_TIME, no_mining=True)
    async with open_anvil(program, options) as anvil:
        await _run(anvil, steps)
        dump = wire.data(await anvil.rpc.call("anvil_dumpState"))
    return gzip.decompress(dump)


def _prepare(parts: PartsStore) -> list[tuple[int | None, dict[str, str]]]:
    """Return (nonce to set before, transaction) for each step of the plan."""
    decoder = msgspec.json.Decoder(deploy.Artifact)
    sender = wire.encode_data(deploy.DEPLOYER)
    prepared: list[tuple[int | None, dict[str, str]]] = []
    for step in deploy.plan():
        fields = {"from": sender, "gas": hex(GAS), "gasPrice": "0x0"}
        if isinstance(step, deploy.Call):
            fields |= {"to": wire.encode_data(step.target), "data": wire.encode_data(step.data)}
            prepared.append((None, fields))
        else:
            placement = step.placement
            path = parts.contracts(placement.source) / f"{placement.artifact}.json"
            code = decoder.decode(path.read_bytes()).creation_code(deploy.ADDRESSES)
            fields["data"] = wire.encode_data(code + step.arguments)
            prepared.append((placement.nonce, fields))
    return prepared


async def _run(anvil: Anvil, steps: list[tuple[int | None, dict[str, str]]]) -> None:
    sender = wire.encode_data(deploy.DEPLOYER)
    # One second a block, else the time it takes to build would show in the hashes.
    await anvil.rpc.call("anvil_setBlockTimestampInterval", 1)
    next_nonce = deploy.SETUP_NONCE
    for placed_at, fields in steps:
        nonce = next_nonce if placed_at is None else placed_at
        next_nonce += placed_at is None
        await anvil.rpc.call("anvil_setNonce", sender, hex(nonce))
        await _send(anvil.rpc, {**fields, "nonce": hex(nonce)})
    # What account 0 does from now on must not meet an address that is taken.
    await anvil.rpc.call("anvil_setNonce", sender, hex(next_nonce))
    for name, address in deploy.ADDRESSES.items():
        if await anvil.rpc.call("eth_getCode", wire.encode_data(address), "latest") == "0x":
            raise DevnetError(f"{name} is not at {address.hex()}")
    await anvil.rpc.call("anvil_mine", "0x1")


async def _send(rpc: DevnetRpc, fields: dict[str, str]) -> None:
    transaction_hash = await rpc.call("eth_sendTransaction", fields)
    await rpc.call("anvil_mine", "0x1")
    receipt = await rpc.call("eth_getTransactionReceipt", transaction_hash)
    if receipt is None or receipt["status"] != "0x1":
        # Run once more as a call, only to learn the reason.
        await rpc.call("eth_call", fields, "latest")
        raise DevnetError(f"no receipt of {transaction_hash}, or a revert without a reason")


def _save(state: bytes, target: Path) -> None:
    with locked(target.parent.parent / "lock"):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=target.parent, prefix=".state-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(state)
            os.replace(scratch, target)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
        by_age = sorted(target.parent.glob("chain-*.json"), key=lambda path: path.stat().st_mtime)
        for old in by_age[:-STATES_KEPT]:
            old.unlink(missing_ok=True)
