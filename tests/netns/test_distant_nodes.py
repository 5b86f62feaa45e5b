"""Two, five and ten real nodes, 50 ms from each other over a cable that loses 2 % of packets.

Latency is that of every way between two nodes, so that an answer takes 100 ms. What the
kernel's TCP makes of the losses is as on a real way: see ``wire_process``. The long forms,
marked ``soak``, have 10,000 orders each and a cut of a minute:

    .venv/bin/pytest -m "system and soak" tests/netns

The figures of every run are shown behind the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from fondaco.devnet.fetch import PartsStore
from fondaco.lab.figures import Equality, Report
from fondaco.lab.plan import make_plan
from support.distant_nodes import Standing, Town, open_town, shared_out

pytestmark = [pytest.mark.system, pytest.mark.chain, pytest.mark.xdist_group("namespaces")]

DELAY = 0.05
"""Seconds, one way."""

LOSS = 0.02

PATIENCE = 120.0
"""Seconds in which at least one order more must have arrived somewhere."""

HEALED_WITHIN = 30.0
"""Seconds after a cut for digests to be equal again. Order sync on its own looks only every
30 to 60 s, dialling has backed off to about 4 s, and a connection that has lived through
the cut tries again every 3 s where the kernel can."""

Show = Callable[[str], None]
"""Takes a line of figures, see conftest."""

OpenTown = Callable[..., contextlib.AbstractAsyncContextManager[Town]]


@pytest.fixture
def open_far_town(tmp_path: Path, chain_parts: PartsStore) -> OpenTown:
    @contextlib.asynccontextmanager
    async def opened(count: int, **more: str) -> AsyncIterator[Town]:
        async with open_town(
            count, tmp_path, chain_parts, delay=DELAY, loss=LOSS, seed=count, **more
        ) as town:
            await town.join()
            yield town

    return opened


async def spread(town: Town, count: int, *, rate: float | None = None, topics: int = 1) -> Report:
    """Post *count* orders over all nodes, *rate* a second; return when all have them, or
    nothing has arrived for PATIENCE."""
    nodes = len(town.nodes)
    async with town.measuring(count) as measured:
        await measured.until_linked([min(2, nodes - 1)] * nodes, topics=topics)
        before, sent = await measured.read(), (await town.places.report()).counts
        await measured.post(make_plan(count, nodes, rate, town.chance), calls_at_once=1)
        equality = Equality(is_reached=False)
        if await measured.until_everywhere(PATIENCE):
            equality = await measured.until_equal(measured.sightings.last_accepted, PATIENCE)
        report = measured.report(before, await measured.read(), equality)
    assert report.refused == 0
    check_the_way(town, await town.standings())
    counts = (await town.places.report()).counts
    # Each node needs at least the signatures of the orders, which nothing can compress.
    assert counts.bytes - sent.bytes > 65 * count * (nodes - 1)
    assert counts.crowded_out == 0
    assert LOSS / 2 < counts.lost / (counts.lost + counts.packets) < LOSS * 2
    return report


def check_all_is_everywhere(report: Report) -> None:
    assert (report.coverage, report.digests_equal) == (1.0, True), figures(report)


def figures(report: Report) -> str:
    """Return a line of them."""
    return (
        f"{report.nodes} nodes, {report.orders:,} orders: {report.coverage:.2%} of them everywhere"
        f" in {report.duration_s:.1f} s, {report.gossip_share:.2%} by gossip alone;"
        f" p50 {report.p50_ms:,.0f}, p99 {report.p99_ms:,.0f} ms;"
        f" {report.bytes_per_order:,.0f} bytes an order and node;"
        f" {report.cpu_ms_per_order_and_node:.1f} ms CPU likewise"
    )


def check_the_way(town: Town, standings: Sequence[Standing]) -> None:
    """Peers know each other on the cable and nowhere else."""
    ours = {place.peer_address for place in town.places.laid.places}
    for standing in standings:
        assert standing.addresses
        assert {address.split("/")[2] for address in standing.addresses} <= ours


@pytest.mark.parametrize(
    ("nodes", "orders"),
    [
        (2, 2_000),
        (10, 400),
        pytest.param(2, 10_000, marks=pytest.mark.soak),
        pytest.param(5, 10_000, marks=pytest.mark.soak),
        pytest.param(10, 10_000, marks=pytest.mark.soak),
    ],
)
async def test_every_order_reaches_every_node(
    open_far_town: OpenTown, show: Show, nodes: int, orders: int
) -> None:
    async with open_far_town(nodes) as town:
        report = await spread(town, orders)
        show(figures(report))
        check_all_is_everywhere(report)


@pytest.mark.soak
@pytest.mark.parametrize("nodes", [2, 5, 10])
async def test_gossip_alone_brings_nearly_all(
    open_far_town: OpenTown, show: Show, nodes: int
) -> None:
    """At a pace that the cables can carry, where TCP makes up for lost packets."""
    async with open_far_town(nodes, ENABLE_ORDER_SYNC="false") as town:
        report = await spread(town, 10_000, rate=50.0)
        show(f"order sync off, 50 orders a second: {figures(report)}")
        assert report.sync_share == 0.0
        assert report.gossip_share is not None
        assert report.gossip_share > 0.99


@pytest.mark.soak
@pytest.mark.parametrize("nodes", [2, 5, 10])
async def test_order_sync_alone_brings_all(open_far_town: OpenTown, show: Show, nodes: int) -> None:
    async with open_far_town(nodes, ENABLE_GOSSIP="false") as town:
        report = await spread(town, 10_000, topics=0)
        show(f"gossip off: {figures(report)}")
        check_all_is_everywhere(report)
        assert report.gossip_share == 0.0


@pytest.mark.parametrize(
    ("nodes", "orders", "cut_seconds"),
    [
        (5, 600, 0.0),
        pytest.param(2, 1_000, 15.0, marks=pytest.mark.soak),
        pytest.param(2, 1_000, 60.0, marks=pytest.mark.soak),
        pytest.param(5, 1_000, 60.0, marks=pytest.mark.soak),
        pytest.param(10, 1_000, 60.0, marks=pytest.mark.soak),
    ],
)
async def test_digests_are_equal_soon_after_a_cut(
    open_far_town: OpenTown, show: Show, nodes: int, orders: int, cut_seconds: float
) -> None:
    """Both sides go on while nothing passes between them. A cut of no given length lasts
    until each side has given up the other."""
    sides = [range(nodes // 2), range(nodes // 2, nodes)]
    now = asyncio.get_running_loop().time
    async with open_far_town(nodes) as town, town.measuring(2 * orders) as measured:
        await measured.post(shared_out(range(orders), range(nodes)), calls_at_once=1)
        await town.until_equal(orders, patience=PATIENCE)
        begun = now()
        await town.places.cut(*sides)
        half = orders + orders // 2
        plan = shared_out(range(orders, half), sides[0]) + shared_out(
            range(half, 2 * orders), sides[1]
        )
        await measured.post(plan, calls_at_once=1)
        if not cut_seconds:
            await town.until_parted(sides)
        # The length of the cut is what is tested: there is nothing else to wait for.
        await asyncio.sleep(max(0.0, begun + cut_seconds - now()))
        parted = [await town.until_equal(half, at=side, patience=PATIENCE) for side in sides]
        assert parted[0][0].digest != parted[1][0].digest
        lasted = now() - begun
        await town.places.mend()
        mended = now()
        standings = await town.until_equal(2 * orders, patience=HEALED_WITHIN)
        show(
            f"{nodes} nodes cut in two for {lasted:.0f} s, {orders // 2:,} orders on either side:"
            f" equal {now() - mended:.1f} s after"
        )
        check_the_way(town, standings)
