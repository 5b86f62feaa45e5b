"""``/metrics`` and ``/health`` of real nodes, read over real sockets as a scraper does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from fondaco import node
from fondaco.api.health import STARTING_REASON
from fondaco.chain.limits import SILENCE_SECONDS
from fondaco.clock import Clock
from fondaco.documentation.metrics import declared
from fondaco.p2p.child import MODULE
from fondaco.ready import ReadyInfo
from fondaco.zeroex.order import ProtocolVersion
from support.cable import open_cable
from support.jumping_clock import JumpingClock
from support.market import Market
from support.mesh_socket import open_socket
from support.node_process import node_settings
from support.running_node import node_in_process

pytestmark = [pytest.mark.chain, pytest.mark.xdist_group("peers")]

PATIENCE = 60.0
"""Seconds; order sync has a minute."""

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TOKEN = "the-token-of-this-test"
V3 = ProtocolVersion.V3

Samples = dict[tuple[str, ...], float]
T = TypeVar("T")


async def ask(
    url: str, path: str, method: str = "GET", **headers: str
) -> tuple[aiohttp.ClientResponse, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url + path, headers=headers) as response,
    ):
        return response, await response.text()


async def health(url: str) -> tuple[int, str, list[str]]:
    """Return HTTP status, ``status`` and ``reasons``."""
    response, text = await ask(url, "/health")
    said = json.loads(text)
    return response.status, said["status"], said["reasons"]


async def scrape(url: str) -> Samples:
    """Return name and label values, by the labels' names, of every sample -> its value."""
    response, text = await ask(url, "/metrics")
    assert response.status == 200
    return {
        (
            sample.name.removeprefix("fondaco_"),
            *(sample.labels[key] for key in sorted(sample.labels)),
        ): (sample.value)
        for family in read_text(text)
        for sample in family.samples
    }


async def until(look: Callable[[], Awaitable[T]], wanted: Callable[[T], bool]) -> T:
    """Look until what is found is *wanted*."""
    async with asyncio.timeout(PATIENCE):
        while not wanted(found := await look()):
            pass
    return found


OpenNode = Callable[..., contextlib.AbstractAsyncContextManager[ReadyInfo]]


@pytest.fixture
def open_node(market: Market, tmp_path: Path) -> OpenNode:
    @contextlib.asynccontextmanager
    async def opened(
        name: str, clock: Clock | None = None, **more: str
    ) -> AsyncIterator[ReadyInfo]:
        chain = market.traders.devnet
        settings = node_settings(
            ethereum_url=chain.http_url,
            contracts=chain.contracts,
            ENABLE_ETHEREUM_RPC_RATE_LIMITING="false",
        )
        folder = tmp_path / name
        async with node_in_process(settings | more, data_dir=folder, clock=clock) as info:
            yield info

    return opened


@pytest.mark.parametrize("has_peers", [False, True])
async def test_every_declared_metric_is_served_from_the_start(
    open_node: OpenNode, has_peers: bool
) -> None:
    async with open_node("ann", ENABLE_P2P=str(has_peers)) as ann:
        response, text = await ask(ann.http, "/metrics", Accept=OPENMETRICS)
        found = await scrape(ann.http)
    assert response.headers["Content-Type"].startswith(OPENMETRICS)
    families = {family.name: family for family in read_openmetrics(text)}  # type: ignore[no-untyped-call]
    for metric in (metric for _, metrics in declared() for metric in metrics):
        family = families.pop(metric.name.removesuffix("_total"))
        assert (family.type, family.documentation) == (metric.kind.value, metric.text)
        assert family.samples, metric.name
        assert all({*sample.labels} == {*metric.labels} for sample in family.samples)
    processes = {name.partition("process_")[0] for name in families}
    assert processes == ({"", "fondaco_p2p_"} if has_peers else {""}), "nothing else is served"
    assert found["info", ann.peer_id, version("fondaco")] == 1
    assert found["p2p_up",] == has_peers
    assert found["ethereum_block",] > 0
    assert found["ethereum_requests_total",] > 0
    assert found["troubles",] == 0


@pytest.mark.parametrize(
    ("door", "other_way", "state"),
    [("gossip", "ENABLE_ORDER_SYNC", "unknown"), ("sync", "ENABLE_GOSSIP", "agrees")],
)
async def test_what_came_by_which_door_can_be_read(
    open_node: OpenNode, market: Market, door: str, other_way: str, state: str
) -> None:
    peers = {"ENABLE_P2P": "true", other_way: "false"}
    async with (
        open_node("ann", **peers) as ann,
        open_node("bob", **peers) as bob,
        open_socket(ann.rpc) as client,
        open_socket(bob.rpc) as other,
    ):
        await client.call("mesh_addPeer", bob.peer_id, list(bob.p2p))
        await client.add(*(market.offer(V3, salt=salt) for salt in range(1, 6)))
        await until(
            lambda: scrape(bob.http),
            lambda found: (
                found["orders", "live", "v3"] == 5
                and found["peers", state] == 1
                and found["p2p_received_bytes_total",] > 2_000
            ),
        )
        found, sent = await scrape(bob.http), await scrape(ann.http)
        added = {"local": 0, "gossip": 0, "sync": 0, door: 5}
        assert {name: found["orders_added_total", name] for name in added} == added
        assert (await other.stats())["ordersAddedBy"] == added
    assert sent["orders_added_total", "local"] == 5
    assert sent["gossip_orders_total", "published"] == (5 if door == "gossip" else 0)
    assert found["gossip_orders_total", "new"] == (5 if door == "gossip" else 0)
    assert found["sync_orders_total", "new"] == (5 if door == "sync" else 0)
    assert (found["p2p_peers",], found["orders_differing", "false"]) == (1, 0)
    assert found["p2p_process_resident_memory_bytes",] > 2**24


def kill_p2p_process() -> None:
    """Kill the p2p process of the one node in this process."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and MODULE in (folder / "cmdline").read_text().split("\0"):
                os.kill(int(folder.name), signal.SIGKILL)
                return
    raise AssertionError("no p2p process")


async def test_a_p2p_process_that_died_is_told_and_counted(open_node: OpenNode) -> None:
    async with open_node("ann", ENABLE_P2P="true") as ann:
        assert await health(ann.http) == (200, "ok", [])
        kill_p2p_process()
        status, _, [reason] = await until(
            lambda: health(ann.http), lambda found: found[1] == "degraded"
        )
        assert status == 200
        assert "p2p process is not running" in reason
        found = await until(lambda: scrape(ann.http), lambda found: found["p2p_up",] == 1)
        assert found["p2p_restarts_total",] == 1
        assert await health(ann.http) == (200, "ok", [])


async def test_a_node_that_starts_without_its_chain_and_goes_on_without(
    open_node: OpenNode, market: Market
) -> None:
    async with open_cable(market.traders.devnet.http_url) as cable, asyncio.TaskGroup() as tasks:
        url = cable.url("http")
        async with open_node("ann", ETHEREUM_RPC_URL=url) as ann:
            http, place = ann.http, ann.rpc.removeprefix("ws://")
        await cable.cut()
        clock, ended = JumpingClock(), asyncio.Event()

        async def again() -> None:
            async with open_node("ann", clock, ETHEREUM_RPC_URL=url, RPC_ADDR=place):
                await ended.wait()

        async def asked() -> tuple[int, str, list[str]] | None:
            with contextlib.suppress(aiohttp.ClientError):
                return await health(http)
            return None

        tasks.create_task(again())
        found = await until(asked, lambda found: found is not None)
        assert found == (503, "starting", [STARTING_REASON])
        # Its metrics are there already.
        assert (await scrape(http))["ethereum_staleness_seconds",] >= 0
        clock.jump(node.CATCH_UP_PATIENCE)
        await until(asked, lambda found: found == (200, "ok", []))
        clock.jump(SILENCE_SECONDS)
        status, word, [reason] = await until(lambda: health(http), lambda found: found[1] != "ok")
        assert (status, word) == (200, "degraded")
        assert reason.startswith("the Ethereum endpoint has not answered in full for ")
        assert (await scrape(http))["troubles",] == 1
        await cable.mend()
        clock.jump(SILENCE_SECONDS)
        await until(asked, lambda found: found == (200, "ok", []))
        ended.set()


@pytest.mark.parametrize("path", ["/metrics", "/health"])
async def test_who_may_read_the_pages_on_loopback(open_node: OpenNode, path: str) -> None:
    async with open_node("ann") as ann:

        async def status(method: str = "GET", **headers: str) -> int:
            return (await ask(ann.http, path, method, **headers))[0].status

        assert await status() == 200
        assert await status(Origin=ann.http) == 200
        assert await status(Origin="https://evil.example") == 403
        assert await status(Host="evil.example") == 403
        assert await status(Authorization="Bearer guess") == 401
        assert await status("HEAD") == 200
        response, text = await ask(ann.http, path, "POST")
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert "GET" in json.loads(text)["error"]


@pytest.mark.parametrize("path", ["/metrics", "/health"])
async def test_elsewhere_they_need_the_token(open_node: OpenNode, path: str) -> None:
    async with open_node("ann", RPC_ADDR="0.0.0.0:0", RPC_TOKEN=TOKEN) as ann:
        assert (await ask(ann.http, path))[0].status == 401
        assert (await ask(ann.http, f"{path}?token={TOKEN}"))[0].status == 401
        authorization = f"Bearer {TOKEN}"
        response, text = await ask(ann.http, path, Authorization=authorization)
        assert response.status == 200
        assert TOKEN not in text
        response, text = await ask(ann.http, path, "HEAD", Authorization=authorization)
        assert (response.status, text) == (200, "")
