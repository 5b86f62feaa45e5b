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
from support.distant_nodes import Standing, Town, open_town

pytestmark = [pytest.mark.system, pytest.mark.chain, pytest.mark.xdist_group("namespaces")]

DELAY = 0.05
"""Seconds, one way."""

LOSS = 0.02

PATIENCE = 600.0
"""Seconds for all orders to be everywhere."""

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


async def spread(town: Town, count: int, *, per_second: float = 0.0) -> tuple[float, float, str]:
    """Post *count* orders over all nodes and wait until each node has them; return the share
    that came by gossip alone, the seconds it took, and a line of figures."""
    now = asyncio.get_running_loop().time
    orders = town.offers(count)
    before = (await town.places.report()).counts
    begun = now()
    await town.post(orders, per_second=per_second)
    posted = now() - begun
    standings = await town.until_equal(count, patience=PATIENCE)
    seconds = now() - begun
    report = await town.places.report()
    check_the_way(town, standings)
    carried = report.counts.bytes - before.bytes
    lost = report.counts.lost / (report.counts.lost + report.counts.packets)
    assert 0.01 < lost < 0.03
    assert report.counts.crowded_out == 0
    by_gossip = sum(standing.by_gossip for standing in standings)
    by_sync = sum(standing.by_sync for standing in standings)
    assert sum(standing.by_client for standing in standings) == count
    assert by_gossip + by_sync == count * (len(town.nodes) - 1)
    share = by_gossip / (by_gossip + by_sync)
    line = (
        f"{len(town.nodes)} nodes, {count:,} orders: posted in {posted:.1f} s, everywhere after "
        f"{seconds:.1f} s; by gossip alone {share:.2%}; {carried / count:,.0f} bytes an order on "
        f"all cables; {lost:.2%} of packets lost"
    )
    return share, seconds, line


def check_the_way(town: Town, standings: Sequence[Standing]) -> None:
    """Peers know each other on the cable and nowhere else."""
    ours = {place.peer_address for place in town.places.laid.places}
    for standing in standings:
        assert standing.addresses
        assert {address.split("/")[2] for address in standing.addresses} <= ours


async def check_orders_went_over_the_cable(town: Town, count: int) -> None:
    """Each node needs at least the signatures of all orders, which nothing can compress."""
    counts = (await town.places.report()).counts
    assert counts.bytes > 65 * count * (len(town.nodes) - 1)


@pytest.mark.parametrize(
    ("nodes", "orders"),
    [
        (2, 2_000),
        (5, 1_000),
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
        _, _, line = await spread(town, orders)
        await check_orders_went_over_the_cable(town, orders)
        show(line)


@pytest.mark.soak
@pytest.mark.parametrize("nodes", [2, 5, 10])
async def test_gossip_alone_brings_nearly_all(
    open_far_town: OpenTown, show: Show, nodes: int
) -> None:
    """At a pace that the cables can carry. TCP makes up for packets that get lost."""
    async with open_far_town(nodes, ENABLE_ORDER_SYNC="false") as town:
        share, _, line = await spread(town, 10_000, per_second=50.0)
        assert share == 1.0
        show(f"order sync off, 50 orders a second: {line}")


@pytest.mark.soak
@pytest.mark.parametrize("nodes", [2, 5, 10])
async def test_order_sync_alone_brings_all(open_far_town: OpenTown, show: Show, nodes: int) -> None:
    async with open_far_town(nodes, ENABLE_GOSSIP="false") as town:
        share, _, line = await spread(town, 10_000)
        assert share == 0.0
        show(f"gossip off: {line}")


@pytest.mark.parametrize(
    ("nodes", "orders", "cut_seconds"),
    [
        (3, 300, 0.0),
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
    async with open_far_town(nodes) as town:
        await spread(town, orders)
        now = asyncio.get_running_loop().time
        begun = now()
        await town.places.cut(*sides)
        for side in sides:
            await town.post(town.offers(orders // 2), at=side)
        if not cut_seconds:
            await town.until_peers(sides)
        # The length of the cut is what is tested: there is nothing else to wait for.
        await asyncio.sleep(max(0.0, begun + cut_seconds - now()))
        parted = await town.standings()
        assert {standing.orders for standing in parted} == {orders + orders // 2}
        assert len({standing.digest for standing in parted}) == 2
        lasted = now() - begun
        await town.places.mend()
        mended = now()
        standings = await town.until_equal(2 * orders, patience=HEALED_WITHIN)
        show(
            f"{nodes} nodes cut in two for {lasted:.0f} s, {orders // 2:,} orders on either side: "
            f"equal {now() - mended:.1f} s after"
        )
        check_the_way(town, standings)
