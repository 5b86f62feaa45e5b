"""One chain for all tests of a module: what they break is nodes and peers, never the chain."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from fondaco.devnet.chain import open_devnet
from fondaco.devnet.fetch import PartsStore
from fondaco.devnet.traders import Traders
from support.market import Market


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bazaar(chain_parts: PartsStore) -> AsyncIterator[Market]:
    """Two equipped traders on a chain of this module's own."""
    async with open_devnet(chain_parts) as devnet:
        market = Market(Traders(devnet))
        await market.open()
        yield market
