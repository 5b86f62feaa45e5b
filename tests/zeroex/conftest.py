"""A bench for the modules that tie the token orders together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.order_bench import OrderBench, open_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[OrderBench]:
    """A bench whose watcher is not running."""
    async with open_bench(tmp_path / "orders.sqlite") as opened:
        yield opened
