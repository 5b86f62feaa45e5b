"""The long form of ``test_experiment``: what the project promises, at its sizes.

Each run prints its figures as one line of JSON (``pytest -m soak -s tests/lab``).
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fondaco.clock import SystemClock
from fondaco.lab.experiment import Experiment, perform
from fondaco.lab.figures import Report
from fondaco.testing.until import until
from support.left_over import processes_with

pytestmark = [pytest.mark.chain, pytest.mark.soak, pytest.mark.xdist_group("peers")]

ORDERS = 10_000

RATES = {2: 300.0, 5: 100.0, 10: 50.0}
"""Nodes -> orders a second: what two cores carry with room to spare."""

SECONDS_TO_HEAL = 30.0
"""Until digests are equal after a partition: 5 to dial again, the rest to compare and fetch
thousands of orders on two cores."""


async def performed(folder: Path, **changes: object) -> Report:
    report = await perform(
        Experiment(orders=ORDERS, **changes),  # type: ignore[arg-type]
        clock=SystemClock(),
        folder=folder,
    )
    print(msgspec.json.encode(report).decode())
    await until(lambda: not processes_with(folder))
    assert report.coverage == 1.0
    assert report.digests_equal
    assert report.refused == 0
    assert not any(row.bans for row in report.per_node)
    return report


@pytest.mark.parametrize("nodes", RATES)
async def test_ten_thousand_orders_reach_every_node_by_gossip(nodes: int, tmp_path: Path) -> None:
    report = await performed(tmp_path / "lab", nodes=nodes, rate=RATES[nodes])
    assert report.gossip_share is not None
    assert report.gossip_share >= 0.99


@pytest.mark.parametrize("nodes", RATES)
async def test_all_at_once_they_arrive_too(nodes: int, tmp_path: Path) -> None:
    await performed(tmp_path / "lab", nodes=nodes)


@pytest.mark.parametrize("nodes", RATES)
async def test_with_latency_and_loss_they_arrive_too(nodes: int, tmp_path: Path) -> None:
    await performed(tmp_path / "lab", nodes=nodes, rate=RATES[nodes], latency=0.05, loss=0.02)


async def test_gossip_alone_brings_them(tmp_path: Path) -> None:
    report = await performed(tmp_path / "lab", nodes=10, rate=RATES[10], has_order_sync=False)
    assert report.reconciliation_rounds == 0


async def test_order_sync_alone_brings_them(tmp_path: Path) -> None:
    report = await performed(tmp_path / "lab", nodes=10, rate=RATES[10], has_gossip=False)
    assert report.gossip_share == 0.0


@pytest.mark.parametrize("nodes", RATES)
async def test_after_a_minute_apart_they_agree_within_seconds(nodes: int, tmp_path: Path) -> None:
    report = await performed(tmp_path / "lab", nodes=nodes, partition=60.0, rate=ORDERS / 50)
    assert report.seconds_to_equal is not None
    assert report.seconds_to_equal < SECONDS_TO_HEAL
