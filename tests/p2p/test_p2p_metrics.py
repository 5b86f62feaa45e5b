"""Every name the network counts by becomes a sample, and every sample has such a name."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from fondaco.errors import PeerError, Verdict
from fondaco.p2p import host
from fondaco.p2p.absent import AbsentNetwork
from fondaco.p2p.metrics import LEVELS, METRICS, NOT_SHOWN, ROWS, NetworkMetrics
from fondaco.p2p.network import RequestFailed
from fondaco.p2p.scores import Offence
from support.peers import PATIENCE, connect, counted, node, read

TOPIC = "orders"


class Stats:
    """A network that has counted what the test says."""

    def __init__(self, stats: Mapping[str, int], *, is_available: bool = True) -> None:
        self._stats = stats
        self.is_available = is_available

    def stats(self) -> Mapping[str, int]:
        return self._stats


def shown(metrics: NetworkMetrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.metric.name.removeprefix("fondaco_p2p_"), *sample.labels): sample.value
        for sample in metrics.samples()
    }


def test_rows_are_told_apart() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)
    assert len({(row.metric.name, row.labels) for row in ROWS}) == len(ROWS)
    assert all(len(row.labels) == len(row.metric.labels) for row in ROWS)
    assert not NOT_SHOWN.keys() & {row.key for row in ROWS}


def test_every_name_that_the_p2p_process_counts_by_has_a_row() -> None:
    """Also the names of what no test of this file brings about."""
    sources = [path.read_text() for path in Path(host.__path__[0]).glob("*.py")]
    names = set(re.findall(r"""counts\["([a-z-]+)"\] \+=""", "".join(sources)))
    assert len(names) > 20
    assert not names - {row.key for row in ROWS}


def test_what_was_counted_is_shown_under_its_name() -> None:
    found = shown(
        NetworkMetrics(
            Stats({"bytes-in": 5, "offence-flooding": 2, "ban-flooding": 1, "unjudged": 3})
        )
    )
    assert found["received_bytes_total",] == 5
    assert found["offences_total", "flooding"] == 2
    assert found["bans_total", "flooding"] == 1
    assert found["queued_messages", "unjudged"] == 3
    assert {value for value in found.values() if value not in (5, 2, 1, 3)} == {0}


def test_without_peers_everything_is_there_and_zero() -> None:
    metrics = NetworkMetrics(AbsentNetwork("16Uiu2"))
    assert {sample.metric for sample in metrics.samples()} == set(METRICS)
    assert set(shown(metrics).values()) == {0}
    assert metrics.troubles() == []


def test_a_process_that_is_not_there_is_trouble() -> None:
    assert NetworkMetrics(Stats({"is-up": 1})).troubles() == []
    [trouble] = NetworkMetrics(Stats({"is-up": 0})).troubles()
    assert "not running" in trouble


async def test_a_real_network_counts_by_known_names_only() -> None:
    async with node("a") as a, node("b") as b:
        await a.subscribe(TOPIC)
        await b.subscribe(TOPIC)
        await connect(a, b)
        await a.publish(TOPIC, b"x")
        await read(b, 1)
        stats = await counted(b, lambda stats: stats.get("gossip-accepted", 0) == 1)
    named = {row.key for row in ROWS} | NOT_SHOWN.keys()
    assert not stats.keys() - named
    # What the child always says must be complete, or a row is stale.
    assert not {key for key in LEVELS if key not in stats}
    found = shown(NetworkMetrics(Stats(stats)))
    assert found["up",] == found["peers",] == 1
    assert found["messages_total", "accepted"] == found["messages_total", "delivered"] == 1
    assert found["received_bytes_total",] > 100


async def test_a_peer_that_breaks_a_protocol_is_counted_and_loses_its_connection() -> None:
    async def refuse(peer: str, payload: bytes) -> bytes:
        raise _Broken

    async with node("a") as a, node("b") as b:
        await b.serve("/strict", refuse)
        await connect(a, b)
        for _ in range(4):
            with pytest.raises(RequestFailed):
                await a.request(b.peer_id, "/strict", b"x", timeout=PATIENCE)
        offence = Offence.MALFORMED_STREAM.value
        stats = await counted(
            b, lambda stats: stats.get(f"ban-{offence}") == 1 and stats["connections"] == 0
        )
        found = shown(NetworkMetrics(Stats(stats)))
        assert found["offences_total", offence] == 4
        assert found["bans_total", offence] == 1
        assert found["disconnects_total", "banned"] == 1
        assert found["banned",] == 1
        assert b.peers() == []
        # A new process goes on counting where the last one stopped, and holds nothing.
        assert b.child_pid is not None
        os.kill(b.child_pid, signal.SIGKILL)
        stats = await counted(b, lambda stats: stats["restarts"] == 1 and stats["is-up"] == 1)
        stats = await counted(b, lambda stats: stats.get("banned") == 1)
        after = shown(NetworkMetrics(Stats(stats)))
        assert after["offences_total", offence] == 4
        assert after["bans_total", offence] == 1
        assert after["restarts_total",] == 1
        assert after["received_bytes_total",] >= found["received_bytes_total",]


class _Broken(PeerError):
    """A request that no honest program sends."""

    verdict = Verdict.REJECT
