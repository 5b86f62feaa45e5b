"""What is counted of orders as the ledger tells it."""

from __future__ import annotations

from pathlib import Path

from fondaco.testing.orders import make_order
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.lifecycle import Rejected
from fondaco.zeroex.tally import Tally
from support.order_bench import names, open_bench, orders


async def test_new_orders_by_their_door_and_events_by_their_kind(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "orders.sqlite") as bench, bench.watching():
        tally = Tally()
        bench.ledger.tell(tally.take)
        given = orders(10)
        poor = make_order(salt=77)
        bench.assessor.outcomes[names(poor)[0]] = Rejected(RejectionCode.UNFUNDED)
        await bench.add(*given[:3])
        await bench.add(*given[2:8], origin=Origin.GOSSIP)
        await bench.add(*given[5:], origin=Origin.SYNC)
        await bench.add(poor, origin=Origin.SYNC)
    assert tally.added == {Origin.LOCAL: 3, Origin.GOSSIP: 5, Origin.SYNC: 2}
    assert tally.events == {"ADDED": 10}


async def test_what_was_rolled_back_is_not_counted(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "orders.sqlite") as bench, bench.watching():
        tally = Tally()
        bench.ledger.tell(tally.take)
        bench.database.is_full = True
        await bench.add(*orders(2))
    assert tally.events == tally.added == {}
