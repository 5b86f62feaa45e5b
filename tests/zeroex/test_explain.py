"""Whatever became of an order, the node can say it."""

from __future__ import annotations

from fondaco.errors import NodeError
from fondaco.testing.orders import make_order
from fondaco.zeroex import repository
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.explain import SUMMARIES, Explanation, explain
from fondaco.zeroex.lifecycle import Rejected
from fondaco.zeroex.order import OrderHash, SignedOrder
from support.order_bench import OrderBench

ORDER = make_order(salt=1)
NAME = order_hash(ORDER)


async def told(bench: OrderBench, name: OrderHash = NAME) -> Explanation:
    return await bench.database.read(lambda connection: explain(connection, name))


async def add_and_spoil(bench: OrderBench, order: SignedOrder, code: RejectionCode) -> None:
    """Put *order* on offer; then the chain says *code* of it."""
    await bench.add(order)
    bench.assessor.outcomes[order_hash(order)] = Rejected(code)
    bench.watcher.look_again({order_hash(order): ()})


async def test_an_order_nobody_ever_saw(bench: OrderBench) -> None:
    found = await told(bench)
    assert (found.status, found.steps) == ("unknown", [])
    assert found.summary == SUMMARIES["unknown"]
    assert found.order_hash == f"0x{NAME.hex()}"
    assert found.fillable_taker_asset_amount is None


async def test_a_refused_order_says_why_and_by_which_door(bench: OrderBench) -> None:
    bench.assessor.outcomes[NAME] = Rejected(RejectionCode.UNFUNDED, "3 of 7 can be delivered")
    async with bench.watching():
        await bench.add(ORDER)
    found = await told(bench)
    assert found.status == "refused"
    [step] = found.steps
    assert step.what == "REFUSED"
    assert step.why == "OrderUnfunded: 3 of 7 can be delivered (came by local)"
    assert step.sequence is None


async def test_an_order_on_offer(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER, pinned=True)
    found = await told(bench)
    assert (found.status, found.is_pinned) == ("live", True)
    assert found.fillable_taker_asset_amount == str(ORDER.taker_asset_amount)
    [step] = found.steps
    assert (step.what, step.sequence) == ("ADDED", 1)
    assert "local" in step.why


async def test_an_order_that_cannot_be_filled_now_shows_each_step(bench: OrderBench) -> None:
    async with bench.watching():
        await add_and_spoil(bench, ORDER, RejectionCode.UNFUNDED)
        await bench.quiet()
        await bench.add(ORDER)
    found = await told(bench)
    assert (found.status, found.fillable_taker_asset_amount) == ("removed", "0")
    assert [step.what for step in found.steps] == ["ADDED", "UNFUNDED", "REFUSED"]
    assert found.steps[1].why == RejectionCode.UNFUNDED.message
    assert found.steps[1].block_number is not None
    assert found.steps[2].why.startswith("OrderAlreadyStoredAndUnfillable")


async def test_an_order_that_was_here(bench: OrderBench) -> None:
    async with bench.watching():
        await bench.add(ORDER)
    await bench.database.write(
        lambda connection: repository.forget(connection, [NAME], last_sequence=1)
    )
    found = await told(bench)
    assert found.status == "gone"
    assert [step.what for step in found.steps] == ["ADDED"]


async def test_every_status_has_its_words() -> None:
    assert set(SUMMARIES) == {"live", "removed", "gone", "refused", "unknown"}
    assert len(set(SUMMARIES.values())) == len(SUMMARIES)
    assert not issubclass(Explanation, NodeError)
