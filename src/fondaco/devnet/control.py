"""The levers of the local chain: blocks, time, and reorganisations.

Source: the ``anvil_*`` and ``evm_*`` methods of Foundry's anvil 1.7.
"""

from __future__ import annotations

import msgspec

from fondaco.chain import wire
from fondaco.devnet.rpc import DevnetRpc


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What a test asks of a block."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    """Unix seconds."""
    transactions: tuple[bytes, ...]
    """Their hashes."""


class ChainControl:
    """Moves one local chain by hand."""

    def __init__(self, rpc: DevnetRpc) -> None:
        self._rpc = rpc

    async def block(self, number: int | None = None) -> Block:
        """Return the block at *number*, else the newest."""
        tag = "latest" if number is None else hex(number)
        raw = await self._rpc.call("eth_getBlockByNumber", tag, False)
        return Block(
            number=wire.quantity(raw["number"]),
            hash=wire.data(raw["hash"]),
            parent_hash=wire.data(raw["parentHash"]),
            timestamp=wire.quantity(raw["timestamp"]),
            transactions=tuple(wire.data(tx) for tx in raw["transactions"]),
        )

    async def mine(self, count: int = 1, *, interval: int = 1) -> Block:
        """Make *count* blocks, *interval* seconds apart; return the last one."""
        await self._rpc.call("anvil_mine", hex(count), hex(interval))
        return await self.block()

    async def set_automine(self, is_on: bool) -> None:
        """Make a block with each transaction, or only by ``mine``."""
        await self._rpc.call("evm_setAutomine", is_on)

    async def is_automining(self) -> bool:
        """Return whether each transaction makes a block."""
        return bool(await self._rpc.call("anvil_getAutomine"))

    async def set_next_timestamp(self, seconds: int) -> None:
        """Set the Unix time of the next block; it must be later than the newest's."""
        await self._rpc.call("evm_setNextBlockTimestamp", seconds)

    async def increase_time(self, seconds: int) -> None:
        """Let chain time jump ahead; the next block shows it."""
        await self._rpc.call("evm_increaseTime", seconds)

    async def snapshot(self) -> str:
        """Return a mark that ``revert`` goes back to."""
        return str(await self._rpc.call("evm_snapshot"))

    async def revert(self, mark: str) -> None:
        """Go back to a mark, which is used up. The head just becomes an older block."""
        await self._rpc.call("evm_revert", mark)

    async def reorg(self, depth: int) -> Block:
        """Replace the last *depth* blocks by as many empty ones; return the new head.

        The transactions of the old blocks are gone, not back in the pool. A block
        that the state file brought along cannot be replaced.
        """
        await self._rpc.call("anvil_reorg", depth, [])
        return await self.block()
