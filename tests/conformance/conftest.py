"""A chain, a node of its own on it, and the published clients connected to that node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conformance.book import Book
from conformance.mesh_client import CLIENTS, KIND, MeshClient, open_client
from fondaco.zeroex.order import ProtocolVersion
from support.market import Market
from support.node_process import NodeProcess, node_settings, running_node
from support.npm import install

SPOKEN = {"6.0.1-beta": ProtocolVersion.V2, "9.4.2": ProtocolVersion.V3}
"""The protocol of the orders that each client was made for."""


@pytest.fixture
def settings(market: Market) -> dict[str, str]:
    """The environment of a node with both protocol versions on.

    The traders are equipped before there is a node that could see them poor.
    """
    chain = market.traders.devnet
    return node_settings(ethereum_url=chain.http_url, contracts=chain.contracts)


@pytest.fixture
async def node(settings: dict[str, str], tmp_path: Path) -> AsyncIterator[NodeProcess]:
    async with running_node(settings, data_dir=tmp_path / "node") as process:
        yield process


@pytest.fixture
async def quiet_node(settings: dict[str, str], tmp_path: Path) -> AsyncIterator[NodeProcess]:
    """A second node on the same chain that nobody disturbs."""
    async with running_node(settings, data_dir=tmp_path / "quiet node") as process:
        yield process


@pytest.fixture
def books(market: Market) -> dict[str, Book]:
    """For each client the orders it speaks of."""
    return {name: Book(market, version) for name, version in SPOKEN.items()}


@pytest.fixture(scope="session")
def installations() -> dict[str, Path]:
    """Where each published client is installed."""
    return {name: install(project, KIND) for name, project in CLIENTS.items()}


@pytest.fixture(params=list(CLIENTS))
def client_version(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture
def book(books: dict[str, Book], client_version: str) -> Book:
    return books[client_version]


@pytest.fixture
async def client(
    node: NodeProcess, installations: dict[str, Path], client_version: str
) -> AsyncIterator[MeshClient]:
    """One published client with its own default options."""
    async with open_client(installations[client_version], node.ready.rpc) as connected:
        yield connected
