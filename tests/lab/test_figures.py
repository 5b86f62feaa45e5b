"""From times and counters to the figures that are printed."""

from __future__ import annotations

import msgspec
import pytest

from fondaco.lab.figures import Equality, Reading, Report, report
from fondaco.lab.sightings import Sightings


def reading(**changes: float | None) -> Reading:
    counters = dict.fromkeys(Reading.__struct_fields__, 0)
    return msgspec.convert({**counters, "cpu_seconds": 1.0, "memory_mb": 200.0, **changes}, Reading)


@pytest.fixture
def seen() -> Sightings:
    table = Sightings(["a", "b"], 3)
    table.posted(0, [0], 10.0)
    table.posted(1, [1], 10.0)
    table.seen(0, ["a"], 10.1)
    table.seen(1, ["a", "b"], 10.2)
    table.seen(2, ["a"], 10.4)
    table.seen(2, ["b"], 12.0)
    return table


def made(seen: Sightings, **conditions: object) -> Report:
    before = [reading(bytes_in=100, gossip_new=5)] * 3
    after = [
        reading(peers=2, bytes_in=1_100, bytes_out=7, gossip_new=5, cpu_seconds=1.5),
        reading(peers=2, bytes_in=2_100, gossip_new=6, rounds=3, reconciliation_bytes=40),
        reading(peers=2, bytes_in=3_100, gossip_new=6, fetched=1, order_bytes=900, memory_mb=251.0),
    ]
    equality = Equality(is_reached=True, seconds=0.25)
    return report(seen, ["n1", "n2", "n3"], before, after, equality, **conditions)


def test_the_figures_of_a_small_run(seen: Sightings) -> None:
    found = made(seen, seed=4, latency_ms=50.0, gossip=True)
    assert (found.nodes, found.orders) == (3, 2)
    assert found.coverage == pytest.approx(5 / 6)
    assert (found.p50_ms, found.p99_ms, found.most_ms) == (400.0, 2_000.0, 2_000.0)
    assert (found.accepted_p50_ms, found.accepted_p99_ms) == (100.0, 200.0)
    assert found.bytes_per_order == 1_000.0
    assert found.gossip_share == pytest.approx(2 / 3)
    assert found.sync_share == pytest.approx(1 / 3)
    assert (found.reconciliation_rounds, found.reconciliation_bytes) == (3, 40)
    assert found.order_bytes == 900
    assert (found.digests_equal, found.seconds_to_equal) == (True, 0.25)
    assert (found.duration_s, found.orders_per_second) == (2.0, 1.0)
    assert found.cpu_ms_per_order_and_node == pytest.approx(83.333)
    assert found.memory_mb == 251.0
    assert (found.seed, found.latency_ms, found.loss) == (4, 50.0, 0.0)


def test_each_node_has_its_row(seen: Sightings) -> None:
    first, second, third = made(seen).per_node
    assert (first.node, first.posted, first.held, first.bytes_out) == ("n1", 1, 1, 7)
    assert (first.cpu_ms_per_order, first.p50_ms) == (250.0, None)
    assert (second.by_gossip, second.reconciliation_rounds, second.held) == (1, 3, 2)
    assert (third.by_sync, third.p99_ms, third.memory_mb) == (1, 2_000.0, 251.0)


def test_a_run_of_which_nothing_came_has_figures_too() -> None:
    nothing = Sightings(["a"], 2)
    found = report(nothing, ["n1", "n2"], [reading()] * 2, [reading()] * 2,
                   Equality(is_reached=False))  # fmt: skip
    assert (found.coverage, found.p50_ms, found.gossip_share) == (0.0, None, None)
    assert (found.duration_s, found.orders_per_second) == (0.0, None)
    assert (found.digests_equal, found.seconds_to_equal) == (False, None)


def test_processes_out_of_sight_have_no_figures(seen: Sightings) -> None:
    bare = [reading(cpu_seconds=None, memory_mb=None)] * 3
    found = report(seen, ["n1", "n2", "n3"], bare, bare, Equality(is_reached=True, seconds=0.0))
    assert (found.cpu_ms_per_order_and_node, found.memory_mb) == (None, None)


def test_the_object_has_the_names_that_were_promised(seen: Sightings) -> None:
    names = msgspec.json.decode(msgspec.json.encode(made(seen))).keys()
    assert names >= {
        "nodes", "orders", "coverage", "p50_ms", "p95_ms", "p99_ms", "bytes_per_order",
        "reconciliation_rounds", "memory_mb", "gossip_share", "reconciliation_bytes", "seed",
        "latency_ms", "loss", "duration_s", "digests_equal", "seconds_to_equal",
        "cpu_ms_per_order_and_node", "per_node",
    }  # fmt: skip


def test_a_condition_nobody_knows_is_a_fault(seen: Sightings) -> None:
    with pytest.raises(msgspec.ValidationError):
        made(seen, seed="four")
