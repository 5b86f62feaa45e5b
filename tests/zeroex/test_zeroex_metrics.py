"""The book and what is shared with peers, as a scraper sees them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from fondaco.metrics import Sample
from fondaco.testing.orders import make_order
from fondaco.testing.until import until
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.agreement import AgreementState
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.lifecycle import EndState, Rejected
from fondaco.zeroex.metrics import METRICS, OrderMetrics, SharingMetrics
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.tally import Tally
from support.order_bench import OrderBench, names, open_bench, orders
from support.peer_nodes import PeerNode, open_town


class Watcher(msgspec.Struct):
    """The order watcher, as the test sets it."""

    due_count: int = 0
    last_error: str | None = None


def shown(samples: Iterable[Sample]) -> dict[tuple[str, ...], float]:
    return {(s.metric.name.removeprefix("fondaco_"), *s.labels): s.value for s in samples}


def of_book(bench: OrderBench, tally: Tally, watcher: Watcher) -> OrderMetrics:
    return OrderMetrics(
        census=bench.index.census,
        tally=tally,
        refused=bench.admission.refused,
        feed=lambda: (bench.feed.subscriber_count, bench.feed.last),
        watcher=watcher,
    )


def of_peers(node: PeerNode) -> SharingMetrics:
    return SharingMetrics(
        states=lambda: {AgreementState.AGREES: 1},
        agreements=node.agreements,
        gossip=node.gossip.stats,
        sync=node.sync.stats,
        served=node.server.counts,
    )


async def test_the_book(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "orders.sqlite") as bench, bench.watching():
        tally, watcher = Tally(), Watcher()
        bench.ledger.tell(tally.take)
        metrics = of_book(bench, tally, watcher)
        assert {s.metric for s in metrics.samples()} == set(metrics.metrics)
        assert set(shown(metrics.samples()).values()) == {0}
        poor = make_order(salt=77)
        bench.assessor.outcomes[names(poor)[0]] = Rejected(RejectionCode.UNFUNDED)
        await bench.add(*orders(4), pinned=True)
        await bench.add(*orders(2, version=ProtocolVersion.V2), origin=Origin.GOSSIP)
        await bench.add(poor, poor, origin=Origin.SYNC)
        bench.index.set_removed(names(*orders(1))[0], True)
        watcher.due_count = 5
        found = shown(metrics.samples())
    assert found["orders", "v3", "live"] == 3
    assert found["orders", "v3", "removed"] == 1
    assert found["orders", "v2", "live"] == 2
    assert (found["orders_pinned", "v3"], found["orders_pinned", "v2"]) == (4, 0)
    assert found["orders_added_total", "local"] == 4
    assert found["orders_added_total", "gossip"] == 2
    assert found["orders_added_total", "sync"] == 0
    refused = {key: value for key, value in found.items() if key[0] == "orders_refused_total"}
    assert refused.pop(("orders_refused_total", "sync", "OrderUnfunded")) == 1
    assert set(refused.values()) == {0}
    assert found["order_events_total", EndState.ADDED.value] == 6
    assert (found["last_sequence",], found["orders_waiting",]) == (6, 5)


async def test_orders_that_wait_are_trouble_when_something_keeps_them(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "orders.sqlite") as bench:
        watcher = Watcher(due_count=3)
        metrics = of_book(bench, Tally(), watcher)
        assert metrics.troubles() == [], "they are being looked at"
        watcher.last_error = "disk full"
        assert metrics.troubles() == ["3 orders wait to be looked at: disk full"]
        watcher.due_count = 0
        assert metrics.troubles() == []


async def test_what_gossip_brings(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann", syncs=False), await town.node("bob", syncs=False)
        metrics = of_peers(ann)
        assert {s.metric for s in metrics.samples()} == set(metrics.metrics)
        town.hub.connect(ann.network, bob.network)
        await bob.bench.add(*orders(40))
        await until(lambda: ann.gossip.stats().ordersNew == 40)
        found, sent = shown(metrics.samples()), shown(of_peers(bob).samples())
    assert found["gossip_orders_total", "received"] == 40
    assert found["gossip_orders_total", "new"] == sent["gossip_orders_total", "published"] == 40
    assert found["gossip_received_bytes_total",] == sent["gossip_sent_bytes_total",] > 40 * 400
    assert found["gossip_verdicts_total", "accept"] == sent["gossip_messages_sent_total",] > 0
    assert found["sync_sessions_total",] == 0


async def test_what_reconciliation_brings(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        ann, bob = await town.node("ann", gossips=False), await town.node("bob", gossips=False)
        metrics = of_peers(ann)
        await bob.bench.add(*orders(40))
        town.hub.connect(ann.network, bob.network)
        await town.until_equal(ann, bob)
        await until(lambda: ann.agrees_with(bob) and bob.agrees_with(ann))
        found, served = shown(metrics.samples()), shown(of_peers(bob).samples())
        assert metrics.troubles() == []
    assert found["peers", "agrees"] == 1
    assert found["peers", "differs"] == found["peers", "unknown"] == 0
    assert found["orders_differing", "true"] == found["orders_differing", "false"] == 0
    assert found["sync_orders_total", "new"] == 40
    assert found["sync_order_bytes_total", "in"] == served["sync_order_bytes_total", "out"] > 0
    assert served["sync_requests_served_total", "orders"] == 1
    assert found["sync_dialogues_total",] >= found["sync_sessions_total",] >= 1
    assert found["sync_rounds_total",] >= found["sync_dialogues_total",]


def test_the_two_sources_share_the_table() -> None:
    assert [*OrderMetrics.metrics, *SharingMetrics.metrics] == [*METRICS]
