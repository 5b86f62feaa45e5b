"""The last step in: capacity, pinned orders, the moving maximum, remembered refusals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from fondaco.errors import StorageError
from fondaco.testing.orders import make_order
from fondaco.zeroex import codec, refusals
from fondaco.zeroex.admission import Admitted, Assessed, Origin
from fondaco.zeroex.capacity import GROWTH_INTERVAL, GROWTH_OFFSET, UNLIMITED_EXPIRATION
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import OrderRejected, RejectionCode
from fondaco.zeroex.intake import NO_HASH, Candidate, Refusal, refuse
from fondaco.zeroex.order import SignedOrder
from support.order_bench import OrderBench, names, open_bench

MESH = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
NOW = 1_578_052_800
MINUTE = 60


def expiring(*expirations: int, salt: int = 0) -> list[SignedOrder]:
    return [
        make_order(expiration_time_seconds=at, salt=salt + number)
        for number, at in enumerate(expirations, 1)
    ]


def candidate(order: SignedOrder) -> Candidate:
    return Candidate(order_hash=order_hash(order), order=order, body=codec.encode_order(order))


async def admit(
    bench: OrderBench, orders: Sequence[SignedOrder], *, pinned: bool = False
) -> Admitted:
    """Store orders that the chain has said can be filled."""
    assessed = [
        Assessed(candidate=candidate(order), fillable=order.taker_asset_amount) for order in orders
    ]
    admitted = await bench.admission.admit(assessed, Origin.GOSSIP, pinned=pinned)
    await check_counts(bench)
    return admitted


async def check_counts(bench: OrderBench) -> None:
    """What the index counted as it went is what the table holds."""
    counts = await bench.counts()
    index = bench.index
    assert (index.count, index.removed_count, index.pinned_count) == (
        counts.kept,
        counts.removed,
        counts.pinned,
    )


def expirations(orders: Sequence[SignedOrder]) -> list[int]:
    return [order.expiration_time_seconds for order in orders]


def codes(refused: Sequence[Refusal]) -> list[str]:
    return [refusal.rejection.code for refusal in refused]


async def test_new_orders_are_kept_watched_and_told(bench: OrderBench) -> None:
    orders = expiring(NOW + 1, NOW + 2)
    admitted = await admit(bench, orders)
    assert [order.candidate.order for order in admitted.new] == orders
    assert bench.index.hashes() == names(*orders)
    assert [(e["endState"], e["fillableTakerAssetAmount"]) for e in bench.told] == [
        ("ADDED", "42"),
        ("ADDED", "42"),
    ]
    assert {e["contractEvents"] for e in bench.told} == {None}
    assert {e["timestamp"] for e in bench.told} == {"2020-01-03T12:00:00Z"}
    assert bench.told[0]["reason"] == "received: gossip"


async def test_decrease_expiration_scenario(tmp_path: Path) -> None:
    """A full book takes one more: the latest two make room for it."""
    vector = MESH["decrease_expiration_scenario"]
    async with open_bench(tmp_path / "db", max_orders=vector["maxOrders"]) as bench:
        await admit(
            bench,
            expiring(*(NOW + (10 + minute) * MINUTE for minute in range(vector["maxOrders"]))),
        )
        bench.told.clear()
        admitted = await admit(bench, expiring(NOW + 10 * MINUTE + 1, salt=100))
        assert bench.end_states == vector["events"]
        maximum = bench.ceiling.current
        stopped = [e for e in bench.told if e["endState"] == "STOPPED_WATCHING"]
        told = [int(e["signedOrder"]["expirationTimeSeconds"]) for e in stopped]
        assert min(told) == maximum + 1
        assert {e["contractEvents"] for e in stopped} == {None}
        assert await bench.stored_ceiling() == str(maximum)
        assert bench.index.count == vector["remainingOrders"]
        assert (await bench.counts()).kept == vector["remainingOrders"]
        assert len(admitted.new) == 1
        # What was dropped is not in the index either, and stays out.
        assert not set(admitted.dropped) & set(bench.index.hashes())


async def test_trim_by_expiration(tmp_path: Path) -> None:
    """Mesh's own case, through the whole step: equal expirations, and pinned ones between."""
    vector = MESH["trim_by_expiration"]
    unpinned = expiring(*map(int, vector["unpinnedExpirations"]))
    kept = expiring(*map(int, vector["pinnedExpirations"]), salt=50)
    async with open_bench(tmp_path / "db", max_orders=len(unpinned) + len(kept)) as bench:
        await admit(bench, kept, pinned=True)
        await admit(bench, unpinned)
        newcomers = expiring(1, 2, salt=99)  # room for two: the vector's target of 4
        admitted = await admit(bench, newcomers)
        assert admitted.max_expiration == int(vector["newMaxExpirationTime"])
        assert len(admitted.dropped) == vector["removedCount"]
        gone = [order for order in unpinned if names(order)[0] in admitted.dropped]
        assert (
            sorted(map(str, expirations(gone)), reverse=True)
            == vector["removedExpirations(derived)"]
        )
        assert (await bench.counts()).kept == vector["remaining"] + len(newcomers)
        assert (await bench.counts()).pinned == len(kept)


async def test_what_its_own_insertion_would_push_out_is_refused(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", max_orders=10) as bench:
        await admit(bench, expiring(*(NOW + minute * MINUTE for minute in range(10))))
        admitted = await admit(bench, expiring(NOW + 3_600, NOW, salt=100))
        assert codes(admitted.refused) == ["OrderMaxExpirationExceeded"]
        assert expirations([o.candidate.order for o in admitted.new]) == [NOW]
        assert bench.ceiling.current == NOW + 8 * MINUTE - 1


async def test_a_pinned_order_is_taken_however_late_it_expires(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", max_orders=10) as bench:
        await admit(bench, expiring(*(NOW + minute * MINUTE for minute in range(10))))
        (late,) = expiring(NOW + 3_600, salt=100)
        assert (await admit(bench, [late], pinned=True)).refused == []
        (row,) = await bench.stored(late)
        assert row is not None
        assert row.is_pinned
        # It never makes room for others, though it expires last.
        admitted = await admit(bench, expiring(NOW, NOW + 1, salt=200))
        assert names(late)[0] not in admitted.dropped


async def test_full_of_pinned_orders(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", max_orders=4) as bench:
        await admit(bench, expiring(*range(NOW, NOW + 4)), pinned=True)
        for pinned in (True, False):
            admitted = await admit(bench, expiring(NOW, salt=50 + pinned), pinned=pinned)
            assert codes(admitted.refused) == ["DatabaseFullOfOrders"]
            assert (admitted.new, admitted.dropped) == ([], [])
        (refusal,) = admitted.refused
        assert refusal.rejection.message.startswith("database is full of pinned orders and no")
        assert bench.ceiling.current == UNLIMITED_EXPIRATION
        assert bench.end_states == ["ADDED"] * 4


async def test_nearly_full_of_pinned_orders_takes_what_fits(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", max_orders=4) as bench:
        await admit(bench, expiring(NOW, NOW + 1), pinned=True)
        orders = expiring(*range(NOW, NOW + 5), salt=50)
        admitted = await admit(bench, orders, pinned=True)
        assert [o.candidate.order for o in admitted.new] == orders[:2]
        assert codes(admitted.refused) == ["DatabaseFullOfOrders"] * 3


async def test_pinned_orders_go_before_unpinned_ones_that_are_too_few(tmp_path: Path) -> None:
    """90 % of 20 would mean to drop more than there are unpinned: then just enough go."""
    async with open_bench(tmp_path / "db", max_orders=20) as bench:
        await admit(bench, expiring(*range(NOW, NOW + 19)), pinned=True)
        (stranger,) = expiring(NOW + 5, salt=50)
        await admit(bench, [stranger])
        admitted = await admit(bench, expiring(NOW, NOW + 1, salt=60), pinned=True)
        assert admitted.dropped == names(stranger)
        assert len(admitted.new) == 1
        assert codes(admitted.refused) == ["DatabaseFullOfOrders"]
        assert bench.index.count == 20


async def test_an_unpinned_order_takes_the_place_of_a_later_one_among_pinned(
    tmp_path: Path,
) -> None:
    async with open_bench(tmp_path / "db", max_orders=20) as bench:
        await admit(bench, expiring(*range(NOW, NOW + 19)), pinned=True)
        (later,) = expiring(NOW + 5, salt=50)
        await admit(bench, [later])
        admitted = await admit(bench, expiring(NOW, salt=60))
        assert (admitted.dropped, len(admitted.new)) == (names(later), 1)


async def test_unpinned_orders_do_not_push_out_all_others_in_vain(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", max_orders=20) as bench:
        await admit(bench, expiring(*range(NOW, NOW + 19)), pinned=True)
        await admit(bench, expiring(NOW + 5, salt=50))
        admitted = await admit(bench, expiring(NOW, NOW + 1, salt=60))
        assert (admitted.dropped, admitted.new) == ([], [])
        assert codes(admitted.refused) == ["DatabaseFullOfOrders"] * 2


@pytest.mark.parametrize("pinned", [True, False])
async def test_more_at_once_than_the_node_keeps(tmp_path: Path, pinned: bool) -> None:
    async with open_bench(tmp_path / "db", max_orders=5) as bench:
        await admit(bench, expiring(NOW + 9, NOW + 9))
        admitted = await admit(bench, expiring(*range(NOW, NOW + 8), salt=50), pinned=pinned)
        assert bench.index.count == len(admitted.new) == 5
        assert codes(admitted.refused) == ["DatabaseFullOfOrders"] * 3


async def test_a_capacity_that_was_lowered(tmp_path: Path) -> None:
    """More is stored than may be: the next order makes the node as small as it should be."""
    async with open_bench(tmp_path / "db", max_orders=30) as bench:
        await admit(bench, expiring(*range(NOW, NOW + 30)))
    async with open_bench(tmp_path / "db", max_orders=10) as bench:
        await admit(bench, expiring(NOW, salt=50))
        assert bench.index.count == 10


async def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", max_orders=10) as bench:
        stored = expiring(*range(NOW, NOW + 10))
        await admit(bench, stored)
        bench.told.clear()
        bench.database.is_full = True
        with pytest.raises(StorageError):
            await admit(bench, expiring(NOW, salt=50))
        assert (bench.told, bench.ceiling.current) == ([], UNLIMITED_EXPIRATION)
        assert set(bench.index.hashes()) == set(names(*stored))
        await check_counts(bench)


# ---------------------------------------------------------------- the maximum


async def test_the_maximum_grows_while_there_is_room(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", max_orders=20) as bench:
        await admit(bench, expiring(*(NOW + minute * MINUTE for minute in range(20))))
        await admit(bench, expiring(NOW, salt=100))
        lowered = bench.ceiling.current
        await bench.admission.grow_ceiling()
        assert bench.ceiling.current == lowered
        await bench.clock.advance(GROWTH_INTERVAL)
        await bench.admission.grow_ceiling()
        assert bench.ceiling.current == lowered + GROWTH_OFFSET
        assert await bench.stored_ceiling() == str(lowered + GROWTH_OFFSET)


async def test_it_does_not_grow_while_the_book_is_full(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "db", max_orders=4, stored_ceiling=NOW + 99) as bench:
        await admit(bench, expiring(*range(NOW, NOW + 4)))
        await bench.clock.advance(5 * GROWTH_INTERVAL)
        await bench.admission.grow_ceiling()
        assert bench.ceiling.current == NOW + 99


@pytest.mark.parametrize(
    ("stored", "first"),
    [(None, UNLIMITED_EXPIRATION), (NOW + 7, NOW + 7), (NOW - 7, NOW)],
)
async def test_it_starts_where_it_was_but_not_in_the_past(
    tmp_path: Path, stored: int | None, first: int
) -> None:
    async with open_bench(tmp_path / "db", stored_ceiling=stored) as bench:
        assert bench.ceiling.current == first


# ---------------------------------------------------------------- refusals


async def test_refusals_are_remembered_by_name_and_door(bench: OrderBench) -> None:
    (order,) = expiring(NOW)
    rejection = OrderRejected(RejectionCode.UNFUNDED, "0 of 42 can be delivered")
    nameless = Refusal(order_hash=NO_HASH, signed_order=b"{}", rejection=rejection)
    await bench.admission.record_refusals(
        [refuse(candidate(order), rejection), nameless], Origin.SYNC
    )
    (kept,) = await bench.database.read(
        lambda connection: refusals.about(connection, order_hash(order))
    )
    assert (kept.code, kept.detail, kept.origin, kept.at_ns) == (
        "OrderUnfunded",
        "0 of 42 can be delivered",
        "sync",
        bench.clock.now_ns(),
    )
    assert not await bench.database.read(lambda connection: refusals.about(connection, NO_HASH))
    writes = bench.database.writes
    await bench.admission.record_refusals([nameless], Origin.SYNC)
    assert bench.database.writes == writes
    assert bench.admission.refused == {(Origin.SYNC, "OrderUnfunded"): 3}
