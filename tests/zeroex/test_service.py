"""Orders on their way in: what each door gets, and the races between doors, chain and disk."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from fondaco.chain.errors import BlockGone, EndpointUnavailable
from fondaco.errors import Verdict
from fondaco.testing.chain import transfer
from fondaco.testing.orders import ZRX, make_order
from fondaco.testing.until import until
from fondaco.zeroex import codec, refusals
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.lifecycle import Rejected, Valid
from fondaco.zeroex.service import ANSWER_SECONDS, CHUNK, AddResult
from support.order_bench import OrderBench, names, open_bench, orders

ORDER = make_order()
NAME = order_hash(ORDER)
BODY = codec.encode_order(ORDER)
UNFUNDED = Rejected(RejectionCode.UNFUNDED, "0 of 42 can be delivered")


def codes(result: AddResult) -> list[str]:
    return [refusal.rejection.code for refusal in result.rejected]


def details(result: AddResult) -> list[str]:
    return [refusal.rejection.detail for refusal in result.rejected]


def new(result: AddResult) -> list[bool]:
    return [accepted.is_new for accepted in result.accepted]


# ---------------------------------------------------------------- what becomes of orders


async def test_a_new_order_is_stored_then_told(bench: OrderBench) -> None:
    async with bench.watching():
        (accepted,) = (await bench.add(ORDER)).accepted
    assert (accepted.order_hash, accepted.body, accepted.fillable, accepted.is_new) == (
        NAME,
        BODY,
        42,
        True,
    )
    assert bench.end_states == ["ADDED"]
    assert [asked.are_stored for asked in bench.assessor.asked] == [False]


async def test_a_known_order_costs_no_question(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        bench.assessor.asked.clear()
        again = await bench.add(ORDER, pinned=True)
        assert new(again) == [False]
        assert bench.assessor.asked == []
        (row,) = await bench.stored(ORDER)
        assert row is not None
        assert not row.is_pinned  # adding it again changes nothing of it


async def test_the_answer_is_sorted(bench: OrderBench) -> None:
    """New before known; unreadable before refused; each order once."""
    async with bench.watching():
        known, fresh, poor = orders(3)
        await bench.add(known)
        bench.assessor.outcomes[names(poor)[0]] = UNFUNDED
        texts = [codec.encode_order(order) for order in (known, poor, fresh, fresh, known, poor)]
        result = await bench.service.add([*texts, b"{}", b"{}"], Origin.LOCAL, pinned=True)
    assert [accepted.order_hash for accepted in result.accepted] == names(fresh, known)
    assert new(result) == [True, False]
    assert codes(result) == ["InvalidSchema", "InvalidSchema", "OrderUnfunded"]
    assert bench.end_states == ["ADDED", "ADDED"]


async def test_more_than_one_chunk(bench: OrderBench) -> None:
    """A repeat is found though it stands in another chunk, whichever is read first."""
    sent = orders(CHUNK + 3)
    async with bench.watching():
        result = await bench.add(*sent, sent[0])
    assert {accepted.order_hash for accepted in result.accepted} == set(names(*sent))
    assert len(result.accepted) == len(sent)
    sizes = sorted(len(asked.hashes) for asked in bench.assessor.asked)
    assert sizes in ([3, CHUNK], [4, CHUNK - 1])


async def test_small_requests_of_many_clients_share_their_cost(bench: OrderBench) -> None:
    """What is theirs stays theirs: repeats, refusals and what nobody can read."""
    given = orders(30)
    poor, known = given[0], given[1]
    forged = make_order(salt=given[2].salt, signature=b"\x1b" + bytes(64) + b"\x02")
    assert names(forged) == names(given[2])
    bench.assessor.outcomes[names(poor)[0]] = UNFUNDED
    async with bench.watching():
        await bench.add(known)
        bench.assessor.asked.clear()
        requests: list[list[bytes]] = [[codec.encode_order(order)] for order in given]
        requests.append([codec.encode_order(forged)])
        requests.append([codec.encode_order(order) for order in (*given[3:6], given[5])])
        requests.append([b"{}", codec.encode_order(poor), b"{}"])
        results = await asyncio.gather(
            *(bench.service.add(texts, Origin.LOCAL, pinned=True) for texts in requests)
        )
    *singles, of_forged, of_three, of_unreadable = results
    assert codes(singles[0]) == ["OrderUnfunded"]
    assert [new(result) for result in singles[1:]] == [[False]] + [[True]] * 28
    assert [result.accepted[0].order_hash for result in singles[1:]] == names(*given[1:])
    assert new(of_forged) == [False], "known by then: its signature is not looked at"
    assert new(of_three) == [False] * 3
    assert codes(of_unreadable) == ["InvalidSchema", "InvalidSchema", "OrderUnfunded"]
    assert len(bench.assessor.asked) < 10
    assert bench.end_states == ["ADDED"] * 29


async def test_pinned_and_unpinned_requests_stay_apart(bench: OrderBench) -> None:
    given = orders(20)
    async with bench.watching():
        await asyncio.gather(
            *(bench.add(order, pinned=number % 2 == 0) for number, order in enumerate(given))
        )
        rows = await bench.stored(*given)
    assert [row is not None and row.is_pinned for row in rows] == [True, False] * 10


async def test_nothing_sent_is_nothing_done(bench: OrderBench) -> None:
    assert await bench.add() == AddResult(accepted=[], rejected=[])
    assert bench.database.writes == 0


async def test_an_order_that_is_kept_though_unfillable(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
        bench.assessor.outcomes[NAME] = UNFUNDED
        bench.blocks.mine(transfer(ZRX, ORDER.maker_address))
        await bench.quiet()
        assert codes(await bench.add(ORDER)) == ["OrderAlreadyStoredAndUnfillable"]


@pytest.mark.parametrize("code", [RejectionCode.INVALID_SIGNATURE, RejectionCode.UNFUNDED])
async def test_what_a_block_said_is_nobodys_fault(bench: OrderBench, code: RejectionCode) -> None:
    """Another block may say something else, so no peer is blamed."""
    async with bench.watching():
        bench.assessor.outcomes[NAME] = Rejected(code, "said the chain")
        (refusal,) = (await bench.add(ORDER, origin=Origin.GOSSIP)).rejected
    assert (refusal.rejection.code, refusal.rejection.detail) == (code.code, "said the chain")
    assert refusal.rejection.verdict is Verdict.IGNORE


async def test_what_the_bytes_say_is_the_senders_fault(bench: OrderBench) -> None:
    forged = msgspec.structs.replace(ORDER, signature=make_order(salt=9).signature)
    (refusal,) = (await bench.add(forged, origin=Origin.GOSSIP)).rejected
    assert refusal.rejection.code == "OrderHasInvalidSignature"
    assert refusal.rejection.verdict is Verdict.REJECT
    assert bench.assessor.asked == []


async def test_why_an_order_was_refused_is_remembered(bench: OrderBench) -> None:
    async with bench.watching():
        bench.assessor.outcomes[NAME] = UNFUNDED
        await bench.add(ORDER, origin=Origin.SYNC)
        (kept,) = await bench.database.read(lambda connection: refusals.about(connection, NAME))
    assert (kept.code, kept.detail, kept.origin) == ("OrderUnfunded", UNFUNDED.detail, "sync")


# ---------------------------------------------------------------- the chain is slow or away


async def test_before_the_first_block_nothing_can_be_judged(bench: OrderBench) -> None:
    result = await bench.add(ORDER)
    assert codes(result) == ["EthRPCRequestFailed"]
    assert details(result) == ["no block has been seen yet"]


async def test_an_endpoint_that_is_away(bench: OrderBench) -> None:
    async with bench.watching():
        bench.assessor.problem = EndpointUnavailable("connection failed")
        result = await bench.add(*orders(2))
        assert codes(result) == ["EthRPCRequestFailed"] * 2
        assert details(result) == ["connection failed"] * 2
        assert bench.index.count == 0
        bench.assessor.problem = None
        assert new(await bench.add(*orders(2))) == [True, True]


async def test_an_answer_that_does_not_come(bench: OrderBench) -> None:
    async with bench.watching():
        bench.assessor.gate.clear()
        adding = asyncio.create_task(bench.add(ORDER))
        await until(lambda: bench.assessor.waiting == 1)
        await bench.clock.advance(ANSWER_SECONDS - 1)
        assert not adding.done()
        await bench.clock.advance(1)
        result = await adding
        assert codes(result) == ["EthRPCRequestFailed"]
        assert "within 20 s" in details(result)[0]
        await until(lambda: bench.assessor.waiting == 0)  # nobody asks on


async def test_a_block_that_has_left_the_chain(bench: OrderBench) -> None:
    """The block asked about is gone, and there is no other one yet: try again later."""
    async with bench.watching():
        bench.assessor.problem = BlockGone("unknown block")
        assert codes(await bench.add(ORDER)) == ["EthRPCRequestFailed"]
        assert bench.blocks.refreshes == 1


async def test_a_client_may_know_a_newer_block(bench: OrderBench) -> None:
    """Its order is funded by a block the node has not seen: it looks before it refuses."""

    def fund() -> None:
        del bench.assessor.outcomes[NAME]
        bench.blocks.mine()

    async with bench.watching():
        bench.assessor.outcomes[NAME] = UNFUNDED
        bench.blocks.on_refresh = fund
        assert new(await bench.add(ORDER)) == [True]
        assert [asked.at.number for asked in bench.assessor.asked] == [1, 2]


async def test_there_may_be_no_newer_block(bench: OrderBench) -> None:
    async with bench.watching():
        bench.assessor.outcomes[NAME] = UNFUNDED
        assert codes(await bench.add(ORDER)) == ["OrderUnfunded"]
        assert len(bench.assessor.asked) == bench.blocks.refreshes == 1


async def test_nobody_looks_for_blocks_for_strangers(bench: OrderBench) -> None:
    async with bench.watching():
        bench.assessor.outcomes[NAME] = UNFUNDED
        await bench.add(ORDER, origin=Origin.GOSSIP)
        assert bench.blocks.refreshes == 0


# ---------------------------------------------------------------- races


async def test_a_block_between_reading_and_storing(bench: OrderBench) -> None:
    """It touches the order after its amount was read: the order is looked at again."""
    async with bench.watching():
        bench.assessor.gate.clear()
        adding = asyncio.create_task(bench.add(ORDER))
        await until(lambda: bench.assessor.waiting == 1)
        read_at = bench.assessor.asked[0].at
        head = bench.blocks.mine(transfer(ZRX, ORDER.maker_address))
        await until(lambda: bench.watcher.noted == head)
        bench.assessor.gate.set()
        assert new(await adding) == [True]
        await bench.quiet()
        assert [(a.at, a.are_stored) for a in bench.assessor.asked] == [
            (read_at, False),
            (head, True),
        ]
        assert bench.end_states == ["ADDED"]  # nothing had changed after all


async def test_a_block_that_takes_the_money_while_the_order_is_stored(bench: OrderBench) -> None:
    async with bench.watching():
        bench.database.gate.clear()
        adding = asyncio.create_task(bench.add(ORDER))
        await until(lambda: bench.database.waiting == 1)
        head = bench.blocks.mine(transfer(ZRX, ORDER.maker_address))
        await until(lambda: bench.watcher.noted == head)
        bench.assessor.outcomes[NAME] = UNFUNDED
        bench.database.gate.set()
        await adding
        await bench.quiet()
    assert bench.end_states == ["ADDED", "UNFUNDED"]
    assert [event["kind"] for event in bench.told[1]["contractEvents"]] == ["ERC20TransferEvent"]


async def test_blocks_are_unseen_while_a_touched_order_is_being_stored(bench: OrderBench) -> None:
    """A kill now must find the block that touched it unseen, or the order stays wrong."""
    async with bench.watching():
        await bench.quiet()
        first = bench.blocks.tip.number
        bench.assessor.gate.clear()
        adding = asyncio.create_task(bench.add(ORDER))
        await until(lambda: bench.assessor.waiting == 1)
        head = bench.blocks.mine(transfer(ZRX, ORDER.maker_address))
        # The request's patience, and the watcher that will try again to store the block.
        await until(lambda: bench.clock.sleeping == 2)
        assert await bench.seen_blocks() == [first]
        bench.assessor.gate.set()
        await adding
        await bench.quiet()
        assert await bench.seen_blocks() == [first, head.number]


async def test_two_callers_with_the_same_order(bench: OrderBench) -> None:
    """The second waits for the first, and one of them is told that it is new."""
    async with bench.watching():
        results = await asyncio.gather(bench.add(ORDER), bench.add(ORDER, origin=Origin.GOSSIP))
    assert [new(result) for result in results] == [[True], [False]]
    assert len(bench.assessor.asked) == 1
    assert bench.end_states == ["ADDED"]


async def test_two_callers_when_the_first_fails(bench: OrderBench) -> None:
    async with bench.watching():
        bench.assessor.gate.clear()
        bench.assessor.problem = EndpointUnavailable("away")
        first = asyncio.create_task(bench.add(ORDER))
        await until(lambda: bench.assessor.waiting == 1)
        second = asyncio.create_task(bench.add(ORDER))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        bench.assessor.problem = None
        bench.assessor.gate.set()
        assert new(await second) == [True]


async def test_a_caller_who_leaves_while_his_order_is_stored(bench: OrderBench) -> None:
    """The order is there and told; who sends it next is told that it is known; and a block
    that came in between is not missed."""
    async with bench.watching():
        bench.database.gate.clear()
        leaving = asyncio.create_task(bench.add(ORDER))
        await until(lambda: bench.database.waiting == 1)
        second = asyncio.create_task(bench.add(ORDER))
        leaving.cancel()
        head = bench.blocks.mine(transfer(ZRX, ORDER.maker_address))
        await until(lambda: bench.watcher.noted == head)
        bench.assessor.outcomes[NAME] = Valid(21)
        bench.database.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert new(await second) == [False]
        await bench.quiet()
        (row,) = await bench.stored(ORDER)
        assert row is not None
        assert row.fillable == 21
    assert bench.end_states == ["ADDED", "FILLED"]


async def test_all_blocks_were_passed_over(bench: OrderBench) -> None:
    async with bench.watching():
        bench.assessor.gate.clear()
        adding = asyncio.create_task(bench.add(ORDER))
        await until(lambda: bench.assessor.waiting == 1)
        head = bench.blocks.skip()
        await until(lambda: bench.watcher.noted == head)
        bench.assessor.gate.set()
        await adding
        await bench.quiet()
        assert [asked.at.number for asked in bench.assessor.asked] == [1, 2]


# ---------------------------------------------------------------- the disk


async def test_a_full_disk_refuses_orders_and_keeps_the_node(
    bench: OrderBench, caplog: pytest.LogCaptureFixture
) -> None:
    poor, *good = orders(3)
    async with bench.watching():
        bench.assessor.outcomes[names(poor)[0]] = UNFUNDED
        bench.database.is_full = True
        with caplog.at_level(logging.WARNING, logger="fondaco.zeroex.service"):
            result = await bench.add(poor, *good)
        assert codes(result) == ["OrderUnfunded", "InternalError", "InternalError"]
        assert result.rejected[1].rejection.kind.value == "MESH_ERROR"
        assert "refusals not remembered" in caplog.text
        assert (bench.told, bench.index.count) == ([], 0)
        bench.database.is_full = False
        assert new(await bench.add(*good)) == [True, True]
        assert len(await bench.stored(*good)) == 2


async def test_a_disk_that_cannot_be_read(bench: OrderBench) -> None:
    async with bench.watching():
        bench.database.is_unreadable = True
        result = await bench.add(ORDER)
        bench.database.is_unreadable = False
    assert codes(result) == ["InternalError"]
    assert details(result) == ["the disk does not answer"]


# ---------------------------------------------------------------- what strangers may cost


async def test_orders_of_strangers_cost_no_more_than_their_allowance(bench: OrderBench) -> None:
    exotic = orders(4)
    bench.assessor.alone.update(names(*exotic))
    async with bench.watching():
        result = await bench.add(*exotic, origin=Origin.GOSSIP)
        assert (len(result.accepted), codes(result)) == (2, ["EthRPCRequestFailed"] * 2)
        assert "a request of their own" in details(result)[0]
        assert codes(await bench.add(*exotic, origin=Origin.SYNC)) == ["EthRPCRequestFailed"] * 2
        # The node's own clients are not bound by it.
        assert len((await bench.add(*exotic)).accepted) == 4


async def test_the_allowance_comes_back_with_time(bench: OrderBench) -> None:
    exotic = orders(4)
    bench.assessor.alone.update(names(*exotic))
    async with bench.watching():
        await bench.add(*exotic, origin=Origin.GOSSIP)
        await bench.clock.advance(60)
        result = await bench.add(*exotic, origin=Origin.GOSSIP)
        assert new(result) == [True, False, False]


async def test_plain_orders_of_strangers_are_free(bench: OrderBench) -> None:
    async with bench.watching():
        result = await bench.add(*orders(50), origin=Origin.GOSSIP)
    assert len(result.accepted) == 50


async def test_the_policy_of_the_moment_holds(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", stored_ceiling=4_000_000_000) as bench:
        assert codes(await bench.add(ORDER)) == ["OrderMaxExpirationExceeded"]
        bench.ceiling.current = ORDER.expiration_time_seconds
        async with bench.watching():
            assert new(await bench.add(ORDER)) == [True]
