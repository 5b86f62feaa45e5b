"""Fixtures for tests on a real chain. They fail, never skip, when it cannot start."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fondaco.devnet.anvil import Anvil, open_anvil
from fondaco.devnet.fetch import PartsStore


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
