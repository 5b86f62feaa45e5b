"""Posting and watching, on nodes that do as they are told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from fondaco.lab import measurement
from fondaco.lab.client import NodeGone
from fondaco.lab.measurement import Measurement, NotLinked, Station, open_measurement
from fondaco.lab.orders import LabOrder
from fondaco.lab.plan import Posting
from support.jumping_clock import JumpingClock
from support.scripted_node import ScriptedNode, scripted_nodes

ORDERS = [LabOrder(f"0x{n:02}", msgspec.json.encode({"salt": f"0x{n:02}"})) for n in range(4)]
PLAN = [Posting(0.0, 0, (0, 1)), Posting(0.5, 1, (2,)), Posting(0.5, 0, (3,))]


@contextlib.asynccontextmanager
async def measuring(
    clock: JumpingClock | None = None, progress: Callable[[str], None] = lambda line: None
) -> AsyncIterator[tuple[Measurement, list[ScriptedNode]]]:
    """Measure two scripted nodes by a clock that runs a hundred times as fast."""
    async with scripted_nodes(2) as nodes:
        stations = [
            Station(name=f"n{n + 1}", rpc=node.url, pid=os.getpid() if n == 0 else None)
            for n, node in enumerate(nodes)
        ]
        async with open_measurement(
            stations, ORDERS, clock=clock or JumpingClock(100.0), progress=progress
        ) as measured:
            yield measured, nodes


def posted(node: ScriptedNode) -> list[list[str]]:
    """The orders of each ``mesh_addOrders`` that *node* was sent."""
    return [
        [order["salt"] for order in params[0]]
        for method, params in node.calls
        if method == "mesh_addOrders"
    ]


async def test_a_node_is_shown_its_token_by_both_connections() -> None:
    async with scripted_nodes(2) as (ann, bob):
        stations = [
            Station(name="ann", rpc=ann.url, token="a-token-of-anns"),
            Station(name="bob", rpc=bob.url),
        ]
        async with open_measurement(stations, ORDERS, clock=JumpingClock(100.0)):
            assert ann.authorizations == ["Bearer a-token-of-anns"] * 2
            assert bob.authorizations == [None] * 2


@pytest.mark.parametrize("calls_at_once", [1, 8])
async def test_orders_are_posted_as_planned_and_seen_everywhere(calls_at_once: int) -> None:
    async with measuring() as (measured, (ann, bob)):
        await measured.post(PLAN, calls_at_once=calls_at_once)
        assert await measured.until_everywhere(patience=1_000.0)
        assert posted(ann) == [["0x00", "0x01"], ["0x03"]]
        assert posted(bob) == [["0x02"]]
        seen = measured.sightings
        assert (seen.pairs, seen.arrivals(), seen.posted_to(0)) == (8, 4, 3)
        equality = await measured.until_equal(seen.last_accepted, patience=1_000.0)
        assert equality.is_reached
        assert equality.seconds is not None


async def test_a_posting_does_not_leave_before_its_time() -> None:
    clock = JumpingClock(100.0)
    async with measuring(clock=clock) as (measured, _):
        start = clock.monotonic()
        await measured.post([Posting(2.0, 0, (0,)), Posting(5.0, 1, (1,))], calls_at_once=1)
        await measured.until_everywhere(patience=10.0)
        assert measured.sightings.first_posted >= start + 2.0
        assert measured.sightings.last_accepted >= start + 5.0


async def test_what_a_node_asks_to_be_sent_again_is() -> None:
    async with measuring() as (measured, (ann, bob)):
        ann.refuses_once["0x01"] = measurement.SENT_AGAIN
        await measured.post(PLAN, calls_at_once=1)
        assert await measured.until_everywhere(patience=1_000.0)
        assert posted(ann) == [["0x00", "0x01"], ["0x01"], ["0x03"]]
        assert measured.sightings.refusals == {}
        assert set(bob.held) == {order.name for order in ORDERS}


async def test_nobody_waits_for_a_refused_order() -> None:
    async with measuring() as (measured, (ann, _)):
        ann.refuses["0x03"] = "OrderExpired"
        await measured.post(PLAN, calls_at_once=1)
        assert await measured.until_everywhere(patience=1_000.0)
        assert measured.sightings.refusals == {3: "OrderExpired"}
        assert (await measured.until_equal(0.0, patience=1_000.0)).is_reached


async def test_an_order_that_is_lost_is_given_up_on() -> None:
    async with measuring() as (measured, (_, bob)):
        bob.deaf_to.add("0x01")
        await measured.post(PLAN, calls_at_once=1)
        assert not await measured.until_everywhere(patience=10.0)
        equality = await measured.until_equal(0.0, patience=1.0)
        assert (equality.is_reached, equality.seconds) == (False, None)
        bob.deaf_to.clear()
        await bob.take(["0x01"])
        assert await measured.until_everywhere(patience=1_000.0)
        assert (await measured.until_equal(0.0, patience=1_000.0)).is_reached


async def test_equal_is_not_enough_while_orders_are_missing() -> None:
    async with measuring() as (measured, _):
        assert not (await measured.until_equal(0.0, patience=1.0)).is_reached


async def test_readings_are_of_the_nodes_own_counters() -> None:
    async with measuring() as (measured, (ann, bob)):
        ann.counters |= {"bytesSent": 3, "bytesReceived": 4, "bytes-in": 9, "ordersFetched": 2}
        bob.counters |= {"ordersNew": 5, "rounds": 6, "orderBytesReceived": 7, "bytes-out": 8}
        one, other = await measured.read()
        assert (one.reconciliation_bytes, one.bytes_in, one.fetched) == (7, 9, 2)
        assert (other.gossip_new, other.rounds, other.order_bytes, other.bytes_out) == (5, 6, 7, 8)
        assert one.cpu_seconds is not None
        assert one.cpu_seconds > 0.0
        assert (other.cpu_seconds, other.memory_mb) == (None, None)


async def test_links_are_waited_for() -> None:
    async with measuring() as (measured, (ann, bob)):
        await measured.add_peer(0, "16Uiu2bob", ["/ip4/127.3.1.2/tcp/5"])
        bob.peers.append({"peerID": "16Uiu2ann", "topics": ["one", "two"]})
        assert ann.calls[-1] == ("mesh_addPeer", ["16Uiu2bob", ["/ip4/127.3.1.2/tcp/5"]])
        await measured.until_linked([1, 1])
        await measured.until_linked([0, 1], topics=2)


async def test_a_link_that_does_not_come_is_named() -> None:
    async with measuring() as (measured, (_, bob)):
        bob.peers.append({"peerID": "16Uiu2ann", "topics": []})
        with pytest.raises(NotLinked, match="n1 has 0 of 1, n2 has 0 of 1"):
            await measured.until_linked([1, 1])


async def test_who_cannot_be_dialled_at_once_is_waited_for() -> None:
    async with measuring() as (measured, (ann, bob)):
        ann.is_broken = True
        await measured.add_peer(0, "16Uiu2bob", ["/ip4/127.3.1.2/tcp/5"])
        ann.is_broken = False
        for node in (ann, bob):
            node.peers.append({"peerID": "16Uiu2", "topics": ["one"]})
        await measured.until_linked([1, 1])


async def test_a_node_that_goes_ends_the_measurement() -> None:
    async def measure() -> None:
        async with measuring() as (measured, (ann, _)):
            await ann.hang_up()
            await measured.until_everywhere(patience=1e9)

    with pytest.raises(ExceptionGroup) as caught:
        await measure()
    assert caught.group_contains(NodeGone)


async def test_progress_is_told_in_lines() -> None:
    lines: list[str] = []
    async with measuring(progress=lines.append) as (measured, _):
        await measured.post(PLAN, calls_at_once=1)
        await measured.until_everywhere(patience=1_000.0)
        assert measured.story == "orders: 8 of 8 are where they should be (4 orders, 2 nodes)"
    assert lines
    assert all("\n" not in line for line in lines)


async def test_a_report_has_the_names_of_the_nodes() -> None:
    async with measuring() as (measured, _):
        before = await measured.read()
        await measured.post(PLAN, calls_at_once=1)
        await measured.until_everywhere(patience=1_000.0)
        equality = await measured.until_equal(0.0, patience=1_000.0)
        report = measured.report(before, await measured.read(), equality, seed=3)
    assert [row.node for row in report.per_node] == ["n1", "n2"]
    assert (report.coverage, report.seed, report.digests_equal) == (1.0, 3, True)
