"""Fixtures for tests on a real chain. They fail, never skip, when it cannot start."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

from fondaco.devnet.anvil import Anvil, open_anvil
from fondaco.devnet.chain import Devnet, open_devnet
from fondaco.devnet.fetch import PartsStore
from fondaco.devnet.traders import Traders
from support.market import Market

# How long an example takes says something about the machine, and nothing about the example.
settings.register_profile("fondaco", deadline=None)
settings.load_profile("fondaco")


@pytest.fixture(scope="session")
def chain_parts() -> PartsStore:
    """The chain's programs and contracts, fetched if this machine has not got them."""
    parts = PartsStore()
    parts.fetch_everything()
    return parts


@pytest.fixture
async def anvil(chain_parts: PartsStore) -> AsyncIterator[Anvil]:
    """A fresh chain without any contract."""
    async with open_anvil(chain_parts.anvil()) as chain:
        yield chain


@pytest.fixture
async def devnet(chain_parts: PartsStore) -> AsyncIterator[Devnet]:
    """A chain with 0x v3, v2.1 and tokens; each transaction makes a block."""
    async with open_devnet(chain_parts) as chain:
        yield chain


@pytest.fixture
def traders(devnet: Devnet) -> Traders:
    """The accounts of ``devnet``, ready to send."""
    return Traders(devnet)


@pytest.fixture
async def market(traders: Traders) -> Market:
    """Two equipped traders."""
    market = Market(traders)
    await market.open()
    return market
