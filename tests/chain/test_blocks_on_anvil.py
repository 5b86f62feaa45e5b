"""The block watcher on a real chain: mining, reorganisations, retreats, new heads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from fondaco.chain import wire
from fondaco.chain.blocks import BlockBatch, BlockWatcher, verify_chain_id
from fondaco.chain.headers import BlockEventKind
from fondaco.chain.rpc import EthereumClient, open_ethereum
from fondaco.clock import SystemClock
from fondaco.devnet.anvil import Anvil
from fondaco.errors import ConfigurationError
from fondaco.testing.ethereum import ample_budget

pytestmark = pytest.mark.chain

EMITTER = b"\x11" * 20
EMITTER_CODE = "0x60003560006000a100"
"""LOG1 with the first word of the calldata as its topic."""

TOPIC, OTHER = b"\x01" * 32, b"\x02" * 32

QUICK = 0.05
"""Seconds between polls: these tests wait for real."""


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[EthereumClient]:
    clock = SystemClock()
    async with open_ethereum(url, budget=ample_budget(clock), clock=clock) as client:
        yield client


def watcher_of(client: EthereumClient, interval: float = QUICK) -> BlockWatcher:
    return BlockWatcher(client, SystemClock(), [TOPIC], polling_interval=interval)


class Emitter:
    """An account that sends logs."""

    def __init__(self, anvil: Anvil) -> None:
        self._rpc = anvil.rpc
        self._sender = ""

    async def prepare(self) -> None:
        self._sender = (await self._rpc.call("eth_accounts"))[0]
        await self._rpc.call("anvil_setCode", wire.encode_data(EMITTER), EMITTER_CODE)

    async def emit(self, topic: bytes = TOPIC) -> None:
        """Mine one block with one log."""
        transaction = {
            "from": self._sender,
            "to": wire.encode_data(EMITTER),
            "data": wire.encode_data(topic),
        }
        sent = await self._rpc.call("eth_sendTransaction", transaction)
        # anvil answers before the block is there.
        async with asyncio.timeout(10):
            while await self._rpc.call("eth_getTransactionReceipt", sent) is None:
                pass


@pytest.fixture
async def emitter(anvil: Anvil) -> Emitter:
    made = Emitter(anvil)
    await made.prepare()
    return made


async def following(watcher: BlockWatcher, count: int) -> BlockBatch:
    """Return the next *count* block events, of as many polls as they take."""
    events: list[object] = []
    gap_too_large = False
    batch = BlockBatch()
    async with asyncio.timeout(20):
        while len(events) < count:
            batch = await watcher.next_batch()
            events += batch.events
            gap_too_large |= batch.gap_too_large
    return BlockBatch(events=tuple(events), gap_too_large=gap_too_large)  # type: ignore[arg-type]


def short(batch: BlockBatch) -> list[str]:
    sign = {BlockEventKind.ADDED: "+", BlockEventKind.REMOVED: "-"}
    return [f"{sign[event.kind]}{event.header.number}:{len(event.logs)}" for event in batch]


async def test_blocks_and_the_logs_wanted_in_them(anvil: Anvil, emitter: Emitter) -> None:
    async with opened(anvil.http_url) as client:
        watcher = watcher_of(client)
        assert (await watcher.start([])).gap_too_large
        await emitter.emit()
        await emitter.emit(OTHER)
        await emitter.emit()
        batch = await following(watcher, 3)
        assert short(batch) == ["+1:1", "+2:0", "+3:1"]
        (log,) = batch.events[0].logs
        assert (log.address, log.topics, log.removed) == (EMITTER, (TOPIC,), False)


async def test_a_reorganisation(anvil: Anvil, emitter: Emitter) -> None:
    async with opened(anvil.http_url) as client:
        watcher = watcher_of(client)
        await watcher.start([])
        for _ in range(4):
            await emitter.emit()
        await following(watcher, 4)
        old = watcher.head
        await anvil.rpc.call("anvil_reorg", 2, [])
        batch = await following(watcher, 4)
        assert short(batch) == ["-4:1", "-3:1", "+3:0", "+4:0"]
        assert [log.removed for event in batch for log in event.logs] == [True, True]
        assert not batch.gap_too_large
        assert watcher.head != old
        await emitter.emit()
        assert short(await following(watcher, 1)) == ["+5:1"]


@pytest.mark.parametrize("way", ["evm_revert", "anvil_rollback"])
async def test_a_head_that_goes_back_without_a_new_block(
    anvil: Anvil, emitter: Emitter, way: str
) -> None:
    async with opened(anvil.http_url) as client:
        watcher = watcher_of(client)
        await watcher.start([])
        await emitter.emit()
        await following(watcher, 1)
        mark = await anvil.rpc.call("evm_snapshot")
        await emitter.emit()
        await emitter.emit()
        await following(watcher, 2)
        await anvil.rpc.call(way, mark if way == "evm_revert" else 2)
        assert short(await following(watcher, 2)) == ["-3:1", "-2:1"]
        assert watcher.head is not None
        assert watcher.head.number == 1
        await emitter.emit()
        assert short(await following(watcher, 1)) == ["+2:1"]


async def test_catching_up_after_a_pause(anvil: Anvil, emitter: Emitter) -> None:
    async with opened(anvil.http_url) as client:
        watcher = watcher_of(client)
        await watcher.start([])
        stored = watcher.retained
        await anvil.rpc.call("anvil_mine", hex(50))
        await emitter.emit()
        await anvil.rpc.call("anvil_mine", hex(30))
        await emitter.emit()
        again = watcher_of(client)
        result = await again.start(stored)
        assert short(result) == ["+51:1", "+82:1"]
        assert not result.gap_too_large
        assert again.head is not None
        assert again.head.number == 82
        await anvil.rpc.call("anvil_mine", hex(200))
        assert (await watcher_of(client).start(again.retained)).gap_too_large


async def test_new_heads_wake_a_watcher_that_would_poll_much_later(
    anvil: Anvil, emitter: Emitter
) -> None:
    async with opened(anvil.ws_url) as client:
        watcher = watcher_of(client, interval=3_600)
        await watcher.start([])
        task = asyncio.create_task(following(watcher, 1))
        await client.next_head(0)  # the subscription stands
        await emitter.emit()
        assert short(await task) == ["+1:1"]
        await anvil.rpc.call("anvil_reorg", 1, [])
        assert short(await following(watcher, 2)) == ["-1:1", "+1:0"]


async def test_the_chain_id(anvil: Anvil) -> None:
    async with opened(anvil.http_url) as client:
        await verify_chain_id(client, anvil.options.chain_id)
        with pytest.raises(ConfigurationError, match="serves chain 1337"):
            await verify_chain_id(client, 1)
