"""Blocks and time move stored orders; whatever fails is done later, and nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fondaco.chain.errors import EndpointUnavailable
from fondaco.testing.chain import FakeBlocks, transfer
from fondaco.testing.ethereum import BLOCK_TIME
from fondaco.testing.orders import ZRX, make_order
from fondaco.testing.until import until
from fondaco.zeroex.assessor import ORDERS_PER_READ
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.lifecycle import Rejected, Valid
from fondaco.zeroex.watcher import LOGS_AT_ONCE
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


# ---------------------------------------------------------------- blocks


async def test_a_block_moves_the_orders_it_touches(bench: OrderBench) -> None:
    other = make_order(maker_asset_data=ORDER.taker_asset_data, salt=2)
    async with bench.watching():
        await bench.add(ORDER, other)
        bench.assessor.outcomes[NAME] = Valid(21)
        head = bench.blocks.mine(MOVED)
        await bench.quiet()
    assert bench.assessor.asked[-1].hashes == (NAME,)
    assert (bench.assessor.asked[-1].at, bench.assessor.asked[-1].are_stored) == (head, True)
    told = bench.told[-1]
    assert (told["endState"], told["fillableTakerAssetAmount"]) == ("FILLED", "21")
    assert [event["kind"] for event in told["contractEvents"]] == ["ERC20TransferEvent"]
    assert told["contractEvents"][0]["isRemoved"] is False
    assert (told["blockNumber"], told["timestamp"]) == (2, "2020-01-03T12:00:12Z")


async def test_one_event_though_several_blocks_touched_it(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        bench.assessor.gate.clear()
        bench.blocks.mine(MOVED)
        await until(lambda: bench.assessor.waiting == 1)
        bench.blocks.mine(MOVED, MOVED)  # comes while the one before is looked at
        bench.assessor.outcomes[NAME] = Valid(21)
        bench.assessor.gate.set()
        await bench.quiet()
    # The look at the first block found the amount; the second found nothing new.
    assert bench.end_states == ["ADDED", "FILLED"]
    assert [len(event["contractEvents"] or ()) for event in bench.told] == [0, 1]


async def test_what_is_read_is_never_newer_than_the_events_told_with_it(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        bench.assessor.gate.clear()
        first = bench.blocks.mine(MOVED)
        await until(lambda: bench.assessor.waiting == 1)
        second = bench.blocks.mine(MOVED)
        await until(lambda: bench.blocks.head == second)  # the next poll is done already
        assert bench.watcher.head == bench.watcher.noted == first
        bench.assessor.gate.set()
        await bench.quiet()
    assert [asked.at for asked in bench.assessor.asked[-2:]] == [first, second]


async def test_blocks_that_came_meanwhile_are_not_stored_as_seen(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.quiet()
        await bench.add(ORDER)
        bench.assessor.gate.clear()
        first = bench.blocks.mine(MOVED)
        await until(lambda: bench.assessor.waiting == 1)
        second = bench.blocks.mine(MOVED)
        await until(lambda: bench.blocks.head == second)
        bench.database.gate.clear()
        bench.assessor.gate.set()
        await until(lambda: bench.database.waiting == 1)  # what was found at the first
        bench.assessor.gate.clear()
        bench.database.gate.set()
        await until(lambda: bench.assessor.waiting == 1)  # the second is being looked at
        assert await bench.seen_blocks() == [1, first.number]
        bench.assessor.gate.set()
        await bench.quiet()
        assert await bench.seen_blocks() == [1, first.number, second.number]


async def test_a_reorganisation_brings_an_order_back(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        bench.assessor.outcomes[NAME] = UNFUNDED
        bench.blocks.mine(MOVED)
        await bench.quiet()
        del bench.assessor.outcomes[NAME]
        bench.blocks.reorganise(1, [])
        await bench.quiet()
    assert bench.end_states == ["ADDED", "UNFUNDED", "ADDED"]
    assert [event["isRemoved"] for event in bench.told[-1]["contractEvents"]] == [True]
    assert bench.index.removed_count == 0


async def test_after_a_gap_every_order_is_looked_at(bench: OrderBench) -> None:
    many = orders(LOGS_AT_ONCE + 20)
    async with bench.watching():
        await bench.add(*many)
        bench.assessor.asked.clear()
        head = bench.blocks.skip()
        await bench.quiet()
        assert set(bench.assessor.asked[0].hashes) == set(names(*many))
        assert await bench.seen_blocks() == [head.number]


async def test_a_block_of_thousands_of_logs_lets_others_have_their_turn(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while bench.watcher.noted != bench.blocks.tip:
                turns += 1
                await asyncio.sleep(0)

        bench.blocks.mine(*[MOVED] * (8 * LOGS_AT_ONCE))
        before = bench.watcher.noted
        await until(lambda: bench.watcher.head != before)
        await count()
        assert turns >= 8
        await bench.quiet()
        (looked,) = bench.assessor.asked[1:]
        assert looked.hashes == (NAME,)


async def test_more_orders_than_one_read_takes(bench: OrderBench) -> None:
    async with open_bench(bench.database.path.with_name("big"), max_orders=10_000) as big:
        many = orders(ORDERS_PER_READ + 5, signature=b"\x04")  # judged by a contract: quick
        async with big.watching():
            await big.add(*many)
            big.assessor.asked.clear()
            big.blocks.mine(MOVED)
            await big.quiet()
        assert [len(asked.hashes) for asked in big.assessor.asked] == [ORDERS_PER_READ, 5]


# ---------------------------------------------------------------- time


async def test_time_alone_expires_and_revives(bench: OrderBench) -> None:
    order = make_order(expiration_time_seconds=soon(bench, 1))
    async with bench.watching():
        await bench.add(order)
        bench.assessor.asked.clear()
        bench.blocks.mine()
        await bench.quiet()
        assert bench.assessor.asked == []  # time needs no question
        (row,) = await bench.stored(order)
        assert row is not None
        assert (row.is_removed, row.fillable) == (True, 42)
        bench.blocks.reorganise(1, [], [], seconds=2)
        await bench.quiet()
    assert [(e["endState"], e["fillableTakerAssetAmount"]) for e in bench.told] == [
        ("ADDED", "42"),
        ("EXPIRED", "0"),
        ("UNEXPIRED", "42"),
    ]
    assert [event["contractEvents"] for event in bench.told] == [None, None, None]


async def test_expiry_of_an_order_that_a_block_touched_too(bench: OrderBench) -> None:
    """The chain's answer goes first: one event, and it lists the cause."""
    touched, other = (
        make_order(expiration_time_seconds=soon(bench, 1), salt=1),
        make_order(
            expiration_time_seconds=soon(bench, 1), salt=2, maker_asset_data=ORDER.taker_asset_data
        ),
    )
    async with bench.watching():
        await bench.add(touched, other)
        bench.assessor.outcomes[names(touched)[0]] = Rejected(RejectionCode.EXPIRED)
        bench.blocks.mine(MOVED)
        await bench.quiet()
    assert {
        event["orderHash"]: len(event["contractEvents"] or ())
        for event in bench.told
        if event["endState"] == "EXPIRED"
    } == {f"0x{names(touched)[0].hex()}": 1, f"0x{names(other)[0].hex()}": 0}


async def test_time_goes_on_though_the_endpoint_does_not_answer(bench: OrderBench) -> None:
    """But not for who waits to be looked at: the chain's answer goes first."""
    touched, dying = (
        make_order(expiration_time_seconds=soon(bench, 1), salt=1),
        make_order(
            expiration_time_seconds=soon(bench, 1), salt=2, maker_asset_data=ORDER.taker_asset_data
        ),
    )
    async with bench.watching():
        await bench.add(touched, dying)
        bench.assessor.problem = AWAY
        bench.blocks.mine(MOVED)
        await settled(bench)
        assert bench.end_states == ["ADDED", "ADDED", "EXPIRED"]
        assert bench.told[-1]["orderHash"] == f"0x{names(dying)[0].hex()}"
        assert bench.watcher.due_count == 1
        bench.assessor.problem = None
        bench.assessor.outcomes[names(touched)[0]] = Rejected(RejectionCode.EXPIRED)
        bench.blocks.mine()
        await bench.quiet()
        assert bench.end_states[3:] == ["EXPIRED"]
        assert len(bench.told[-1]["contractEvents"]) == 1


async def test_orders_that_expired_while_the_node_was_off(tmp_path: Path) -> None:
    blocks = FakeBlocks()
    order = make_order(expiration_time_seconds=blocks.tip.timestamp + BLOCK_TIME)
    async with open_bench(tmp_path / "db", blocks=blocks) as bench, bench.watching():
        await bench.add(order)
        await bench.quiet()
    blocks.mine()
    async with open_bench(tmp_path / "db", blocks=blocks) as bench, bench.watching():
        await bench.quiet()
        assert bench.end_states == ["EXPIRED"]


async def test_time_that_went_back_while_the_node_was_off(tmp_path: Path) -> None:
    blocks = FakeBlocks()
    order = make_order(expiration_time_seconds=blocks.tip.timestamp + BLOCK_TIME)
    async with open_bench(tmp_path / "db", blocks=blocks) as bench, bench.watching():
        await bench.add(order)
        blocks.mine()
        await bench.quiet()
        assert bench.end_states == ["ADDED", "EXPIRED"]
        await bench.clock.advance(BLOCK_TIME)
        blocks.mine()
        await bench.quiet()
    blocks.reorganise(2, [], seconds=1)
    async with open_bench(tmp_path / "db", blocks=blocks) as bench, bench.watching():
        await bench.quiet()
        assert bench.end_states == ["UNEXPIRED"]
