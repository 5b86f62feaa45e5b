"""A market with a node on it, and a subscriber who sees everything."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from fondaco.clock import Clock, SystemClock
from fondaco.node import DATABASE_NAME
from fondaco.zeroex.order import ProtocolVersion
from support.market import Market
from support.mesh_socket import open_socket
from support.node_process import node_settings
from support.running_node import node_in_process
from support.scene import Scene

OpenScene = Callable[..., contextlib.AbstractAsyncContextManager[Scene]]


@pytest.fixture(params=[ProtocolVersion.V2, ProtocolVersion.V3], ids=["v2", "v3"])
def version(request: pytest.FixtureRequest) -> ProtocolVersion:
    """Both protocol versions, for what both can show."""
    assert isinstance(request.param, ProtocolVersion)
    return request.param


@pytest.fixture
def settings(market: Market) -> dict[str, str]:
    """The environment of a node that looks for blocks fifty times a second.

    The traders are equipped before there is a node that could see them poor.
    """
    chain = market.traders.devnet
    return node_settings(
        ethereum_url=chain.http_url,
        contracts=chain.contracts,
        BLOCK_POLLING_INTERVAL="20ms",
        ENABLE_ETHEREUM_RPC_RATE_LIMITING="false",
    )


@pytest.fixture
def open_scene(market: Market, settings: dict[str, str], tmp_path: Path) -> OpenScene:
    """Opens a scene whose node has further settings, or another clock."""

    @contextlib.asynccontextmanager
    async def opened(clock: Clock | None = None, **more: str) -> AsyncIterator[Scene]:
        clock = clock or SystemClock()
        async with (
            node_in_process(settings | more, data_dir=tmp_path / "node", clock=clock) as node,
            open_socket(node.rpc) as client,
        ):
            database = tmp_path / "node" / DATABASE_NAME
            watching = await client.subscribe()
            yield Scene(market, client, watching, database=database, clock=clock)

    return opened


@pytest.fixture
async def scene(open_scene: OpenScene) -> AsyncIterator[Scene]:
    """A node with both protocol versions on and the default settings."""
    async with open_scene() as opened:
        yield opened
