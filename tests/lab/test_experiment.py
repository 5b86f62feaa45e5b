"""Whole laboratories: real nodes in processes of their own, one chain, links between them.

The long form, with the sizes that the project promises, is ``test_experiment_soak``; order sync
alone is only there, since it takes half a minute to begin.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fondaco.clock import SystemClock
from fondaco.config import load
from fondaco.devnet.chain import Devnet
from fondaco.errors import ConfigurationError
from fondaco.lab.experiment import Experiment, check, free_door, perform, settings_of
from fondaco.lab.figures import Report
from fondaco.lab.topology import Link, connect
from fondaco.testing.until import until
from support.left_over import processes_with


async def performed(folder: Path, **changes: object) -> Report:
    report = await perform(
        Experiment(**changes),  # type: ignore[arg-type]
        clock=SystemClock(),
        folder=folder,
    )
    await until(lambda: not processes_with(folder))
    return report


def check_all_is_everywhere(report: Report) -> None:
    """What must hold however slow the machine is."""
    assert report.coverage == 1.0, report
    assert report.refused == 0, report
    assert report.digests_equal, report
    assert {row.held for row in report.per_node} == {report.orders}
    assert sum(row.posted for row in report.per_node) == report.orders
    assert not any(row.bans for row in report.per_node), report
    assert report.p50_ms is not None
    assert report.p99_ms is not None
    assert 0 < report.p50_ms <= report.p99_ms
    assert report.gossip_share is not None
    assert report.sync_share is not None
    assert report.gossip_share + report.sync_share == pytest.approx(1.0)


@pytest.mark.chain
@pytest.mark.xdist_group("peers")
async def test_gossip_alone_brings_every_order(tmp_path: Path) -> None:
    report = await performed(tmp_path / "lab", nodes=2, orders=500, has_order_sync=False)
    check_all_is_everywhere(report)
    assert (report.gossip_share, report.sync_share) == (1.0, 0.0)
    assert (report.reconciliation_rounds, report.reconciliation_bytes) == (0, 0)
    # One link: each order passes it once, in some 700 bytes with what belongs to it.
    assert report.bytes_per_order is not None
    assert 200 < report.bytes_per_order < 1_000


@pytest.mark.chain
@pytest.mark.xdist_group("peers")
async def test_halves_that_were_parted_agree_over_slow_links_with_losses(tmp_path: Path) -> None:
    report = await performed(
        tmp_path / "lab", nodes=5, orders=300, latency=0.05, loss=0.02, partition=4.0
    )
    check_all_is_everywhere(report)
    assert report.most_ms is not None
    assert report.most_ms > 4_000, "some orders had to wait for the end of the partition"
    assert report.seconds_to_equal is not None
    assert report.reconciliation_rounds > 0
    assert (report.links, report.degree) == (10, 4)
    assert (report.latency_ms, report.loss, report.partition_s) == (50.0, 0.02, 4.0)


@pytest.mark.chain
async def test_a_node_is_set_up_for_its_place_in_the_network(devnet: Devnet) -> None:
    links = [Link(0, 1), Link(2, 1)]
    door = free_door("127.2.0.1")
    direct = settings_of(0, door, Experiment(nodes=3, has_gossip=False), devnet, links)
    assert (direct["ENABLE_GOSSIP"], direct["ENABLE_ORDER_SYNC"]) == ("false", "true")
    assert (direct["P2P_LISTEN_ADDR"], direct["P2P_DENY"]) == ("127.2.0.1", "127.2.0.3/32")
    late = settings_of(1, ("127.2.0.2", 5), Experiment(nodes=3, latency=0.1), devnet, links)
    assert (late["P2P_LISTEN_ADDR"], late["P2P_TCP_PORT"]) == ("127.2.0.2", "5")
    assert late["P2P_DENY"] == "127.2.0.0/24"
    config = load(None, {**late, "DATA_DIR": "anywhere"}, {})
    assert config.ethereum_rpc_url == devnet.http_url
    assert config.without_effect == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"nodes": 1}, "N: is not in 2 … 50"),
        ({"nodes": 51}, "N: is not in 2 … 50"),
        ({"orders": 0}, "--orders"),
        ({"orders": 10**6}, "--orders"),
        ({"rate": 0.0}, "--rate: is not positive; leave it out"),
        ({"degree": 1}, "--degree: is not in 2 … 3"),
        ({"degree": 4}, "--degree: is not in 2 … 3"),
        ({"loss": 1.0}, "--loss"),
        ({"loss": -0.1}, "--loss"),
        ({"has_gossip": False, "has_order_sync": False}, "leave no way for orders to spread"),
        ({"partition": 5.0, "has_order_sync": False}, "--partition: heals by order sync alone"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_starts(
    changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check(Experiment(**{"nodes": 4, **changes}), free_mb=None)  # type: ignore[arg-type]
    assert problem in str(caught.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"needs the extra p2p; install fondaco\[p2p\]"):
        check(Experiment(nodes=4), free_mb=None, has_peers=False)


def test_a_door_is_free() -> None:
    host, port = free_door("127.2.0.9")
    with socket.create_server((host, port)):
        assert free_door(host) != (host, port)


def test_more_than_fits_into_memory_is_refused() -> None:
    check(Experiment(nodes=5), free_mb=1_300.0)
    check(Experiment(nodes=50), free_mb=None)
    with pytest.raises(ConfigurationError, match=r"takes 1500 MB and 1300 MB are free; ask for 5"):
        check(Experiment(nodes=6), free_mb=1_300.0)
    with pytest.raises(ConfigurationError, match="free some"):
        check(Experiment(nodes=2), free_mb=300.0)


def test_chance_is_one_of_each_purpose() -> None:
    one = Experiment(nodes=8, seed=3)
    again = Experiment(nodes=8, orders=5, loss=0.5, seed=3)
    assert connect(8, 3, one.chance("topology")) == connect(8, 3, again.chance("topology"))
    numbers = {
        each.chance(purpose).random()
        for each in (one, Experiment(nodes=8, seed=4))
        for purpose in ("topology", "orders", "plan", "losses 0 1", "losses 1 0")
    }
    assert len(numbers) == 10
