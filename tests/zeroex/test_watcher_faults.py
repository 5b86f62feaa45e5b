"""The watcher when endpoint, disk or node fail: it is done later, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from fondaco.chain.errors import EndpointUnavailable
from fondaco.errors import Unavailable
from fondaco.testing.chain import FakeBlocks, transfer
from fondaco.testing.ethereum import BLOCK_TIME
from fondaco.testing.orders import ZRX, make_order
from fondaco.testing.until import until
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.lifecycle import Rejected, Valid
from fondaco.zeroex.order import SignedOrder
from fondaco.zeroex.watcher import MAX_RETRY_SECONDS, RETRY_SECONDS, TRIES_ALONE
from support.order_bench import OrderBench, names, open_bench, orders

ORDER = make_order()
NAME = order_hash(ORDER)
MOVED = transfer(ZRX, ORDER.maker_address)
UNFUNDED = Rejected(RejectionCode.UNFUNDED, "0 of 42 can be delivered")
UNSURE = Rejected(RejectionCode.ETH_RPC_REQUEST_FAILED, "no answer within 30 s")
AWAY = EndpointUnavailable("connection failed")


def soon(bench: OrderBench, blocks: int) -> int:
    """Unix seconds that so many blocks from now will have reached."""
    return bench.blocks.tip.timestamp + blocks * BLOCK_TIME


async def settled(bench: OrderBench) -> None:
    """Let the watcher try, and fail: it then waits for the clock."""
    await until(lambda: bench.clock.sleeping > 0)


# ---------------------------------------------------------------- the endpoint fails


async def test_an_endpoint_that_is_away_loses_nothing(
    bench: OrderBench, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        await bench.quiet()
        bench.assessor.problem = AWAY
        with caplog.at_level(logging.WARNING, logger="fondaco.zeroex.watcher"):
            bench.blocks.mine(MOVED)
            await settled(bench)
        assert "orders wait: connection failed" in caplog.text
        assert (bench.watcher.due_count, bench.watcher.last_error) == (1, "connection failed")
        assert await bench.seen_blocks() == [1]
        bench.assessor.problem = None
        bench.assessor.outcomes[NAME] = UNFUNDED
        await bench.clock.advance(MAX_RETRY_SECONDS)
        await bench.quiet()
        assert (bench.watcher.due_count, bench.watcher.last_error) == (0, None)
        assert await bench.seen_blocks() == [1, 2]
    assert bench.end_states == ["ADDED", "UNFUNDED"]
    assert len(bench.told[-1]["contractEvents"]) == 1


async def test_it_fails_in_the_middle_of_a_list(bench: OrderBench) -> None:
    """Some orders got an answer, one got none: they are done, it is asked about again."""
    many = orders(5)
    async with bench.watching():
        await bench.add(*many)
        await bench.quiet()
        for name in names(*many):
            bench.assessor.outcomes[name] = Valid(21)
        lost = names(*many)[2]
        bench.assessor.outcomes[lost] = UNSURE
        bench.blocks.mine(MOVED)
        await settled(bench)
        assert bench.end_states == ["ADDED"] * 5 + ["FILLED"] * 4
        assert (bench.watcher.due_count, bench.watcher.last_error) == (1, UNSURE.detail)
        assert await bench.seen_blocks() == [1]
        bench.assessor.outcomes[lost] = Valid(7)
        await bench.clock.advance(2 * RETRY_SECONDS)
        await bench.quiet()
        assert bench.told[-1]["fillableTakerAssetAmount"] == "7"
        assert len(bench.told[-1]["contractEvents"]) == 1
        assert bench.assessor.asked[-1].hashes == (lost,)
        assert await bench.seen_blocks() == [1, 2]


async def test_it_asks_less_often_the_longer_it_fails(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        bench.assessor.problem = AWAY
        bench.blocks.mine(MOVED)
        await settled(bench)
        bench.assessor.asked.clear()
        asked_at = []
        for second in range(70):
            count = len(bench.assessor.asked)
            await bench.clock.advance(1)
            await settled(bench)
            if len(bench.assessor.asked) > count:
                asked_at.append(second + 1)
    assert asked_at == [2, 6, 14, 30, 46, 62]


async def test_a_new_block_is_a_reason_to_try_at_once(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        bench.assessor.problem = AWAY
        bench.blocks.mine(MOVED)
        await settled(bench)
        bench.assessor.problem = None
        bench.blocks.mine()
        await bench.quiet()
        assert bench.watcher.due_count == 0


async def test_an_order_alone_does_not_cost_questions_for_ever(
    bench: OrderBench, caplog: pytest.LogCaptureFixture
) -> None:
    """A contract written to make its call fail: after some tries the cleanup has to do."""
    evil, good = orders(2)
    async with bench.watching():
        await bench.add(evil, good)
        await bench.quiet()
        bench.assessor.outcomes[names(evil)[0]] = UNSURE
        bench.assessor.asked.clear()
        bench.blocks.mine(MOVED)
        with caplog.at_level(logging.WARNING, logger="fondaco.zeroex.watcher"):
            await until(lambda: bool(bench.assessor.asked))
            for _ in range(2 * TRIES_ALONE):
                await until(lambda: bench.clock.sleeping > 0 or not bench.watcher.due_count)
                await bench.clock.advance(MAX_RETRY_SECONDS)
        await bench.quiet()
        assert len(bench.assessor.asked) == TRIES_ALONE
        assert "an order is left to the cleanup" in caplog.text
        bench.assessor.outcomes[names(evil)[0]] = UNFUNDED
        bench.watcher.look_again({names(evil)[0]: ()})  # the cleanup comes
        await until(lambda: bench.end_states[-1] == "UNFUNDED")
        assert bench.told[-1]["contractEvents"] == []


async def test_before_the_first_block_nothing_can_be_looked_at(bench: OrderBench) -> None:
    bench.watcher.look_again({NAME: ()})
    assert bench.watcher.due_count == 1
    assert bench.watcher.noted is None
    async with bench.watching():
        await until(lambda: bench.watcher.due_count == 0)  # nobody has ever stored it


async def test_caught_up_means_that_every_order_is_current(tmp_path: Path) -> None:
    blocks = FakeBlocks()
    async with open_bench(tmp_path / "db", blocks=blocks) as bench, bench.watching():
        await bench.add(ORDER)
        await bench.quiet()
    blocks.mine(MOVED)
    async with open_bench(tmp_path / "db", blocks=blocks) as bench:
        bench.assessor.problem = Unavailable("away")
        async with bench.watching():
            assert not bench.watcher.caught_up.is_set()
            bench.assessor.problem = None
            await settled(bench)
            await bench.clock.advance(MAX_RETRY_SECONDS)
            await bench.quiet()
            assert bench.watcher.caught_up.is_set()


# ---------------------------------------------------------------- the disk fails


async def test_a_full_disk_kills_nobody_and_is_caught_up_with(
    bench: OrderBench, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        await bench.quiet()
        bench.database.is_full = True
        bench.assessor.outcomes[NAME] = Valid(21)
        with caplog.at_level(logging.WARNING, logger="fondaco.zeroex.watcher"):
            bench.blocks.mine(MOVED)
            await settled(bench)
            bench.blocks.mine()
            await until(lambda: bench.watcher.noted == bench.blocks.tip)
            await settled(bench)
        assert "orders wait:" in caplog.text
        assert bench.watcher.due_count == 1
        assert "read-only" in str(bench.watcher.last_error)
        assert bench.end_states == ["ADDED"]
        assert await bench.seen_blocks() == [1]
        bench.database.is_full = False
        await bench.clock.advance(MAX_RETRY_SECONDS)
        await bench.quiet()
        assert bench.end_states == ["ADDED", "FILLED"]
        assert len(bench.told[-1]["contractEvents"]) == 1
        assert await bench.seen_blocks() == [1, 2, 3]
        assert bench.watcher.last_error is None


async def test_a_full_disk_when_only_blocks_are_to_be_stored(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.quiet()
        bench.database.is_full = True
        bench.blocks.mine()
        await settled(bench)
        assert bench.watcher.last_error is not None
        bench.database.is_full = False
        await bench.clock.advance(MAX_RETRY_SECONDS)
        await bench.quiet()
        assert await bench.seen_blocks() == [1, 2]


async def test_a_disk_that_cannot_be_read(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        bench.assessor.outcomes[NAME] = UNFUNDED
        bench.database.is_unreadable = True
        bench.blocks.mine(MOVED)
        await settled(bench)
        assert bench.watcher.last_error == "the disk does not answer"
        bench.database.is_unreadable = False
        await bench.clock.advance(MAX_RETRY_SECONDS)
        await bench.quiet()
    assert bench.end_states == ["ADDED", "UNFUNDED"]


# ---------------------------------------------------------------- kills


async def test_a_kill_between_a_block_and_its_effects(tmp_path: Path) -> None:
    """What the first run saw and could not store, the second finds and tells once."""
    blocks = FakeBlocks()
    async with open_bench(tmp_path / "db", blocks=blocks) as bench, bench.watching():
        await bench.add(ORDER)
        await bench.quiet()
        bench.assessor.problem = AWAY
        blocks.mine(MOVED)
        await settled(bench)
    async with open_bench(tmp_path / "db", blocks=blocks) as bench:
        bench.assessor.outcomes[NAME] = UNFUNDED
        async with bench.watching():
            await bench.quiet()
        assert bench.end_states == ["UNFUNDED"]
        assert len(bench.told[0]["contractEvents"]) == 1


async def test_a_kill_between_the_effects_and_the_block(tmp_path: Path) -> None:
    """The effects are stored, the block is not: it is seen again and changes nothing."""
    blocks = FakeBlocks()
    async with open_bench(tmp_path / "db", blocks=blocks) as bench:
        bench.assessor.outcomes[NAME] = Valid(42)
        async with bench.watching():
            await bench.add(ORDER)
            await bench.quiet()
            bench.assessor.outcomes[NAME] = Valid(21)
            blocks.mine(MOVED)
            bench.ledger.tell(lambda events: bench.database.gate.clear())  # no commit after
            await until(lambda: bench.end_states == ["ADDED", "FILLED"])
            await until(lambda: bench.database.waiting == 1)
            bench.database.is_full = True  # and this one never succeeds
            bench.database.gate.set()
    async with open_bench(tmp_path / "db", blocks=blocks) as bench:
        assert await bench.seen_blocks() == [1]
        bench.assessor.outcomes[NAME] = Valid(21)
        async with bench.watching():
            await bench.quiet()
        assert bench.end_states == []
        assert await bench.seen_blocks() == [1, 2]


async def test_a_trimmed_order_is_not_written_again(tmp_path: Path) -> None:
    """It was dropped for others while the chain was asked about it."""

    def late(salt: int) -> SignedOrder:
        return make_order(expiration_time_seconds=ORDER.expiration_time_seconds + 9, salt=salt)

    async with open_bench(tmp_path / "db", max_orders=3) as bench, bench.watching():
        await bench.add(ORDER, late(2), late(3))
        bench.assessor.gate.clear()
        bench.blocks.mine(MOVED)
        await until(lambda: bench.assessor.waiting == 1)
        newcomer = asyncio.create_task(bench.add(make_order(salt=50)))
        await until(lambda: bench.assessor.waiting == 2)
        for name in names(ORDER, late(2), late(3)):
            bench.assessor.outcomes[name] = UNFUNDED
        bench.assessor.gate.set()
        await newcomer
        await bench.quiet()
        counts = await bench.counts()
        assert (bench.index.count, bench.index.removed_count) == (counts.kept, counts.removed)
        assert bench.index.count == len(set(bench.index.hashes()))
        told = [(event["orderHash"], event["endState"]) for event in bench.told]
        assert len(set(told)) == len(told)
