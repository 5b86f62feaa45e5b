"""One js-libp2p process and one network of ours for the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from fondaco.p2p import limits
from fondaco.p2p.linked import LinkedNetwork
from interop.js_peer import KIND, PROJECT, JsProcess, open_js
from support.npm import install
from support.p2pd import install_p2pd
from support.peers import LONELY, node


@pytest.fixture(scope="session")
def js_packages() -> Path:
    """Where js-libp2p is installed."""
    return install(PROJECT, KIND)


@pytest.fixture(scope="session")
def p2pd() -> Path:
    """The go-libp2p daemon's program."""
    return install_p2pd()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def js(
    js_packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[JsProcess]:
    async with open_js(js_packages, tmp_path_factory.mktemp("js")) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ours() -> AsyncIterator[LinkedNetwork]:
    """Our p2p process: the real one, with its seconds shortened, that dials nobody itself."""
    # js verifies a burst on the one thread that answers pings: it gets the real patience.
    tuning = msgspec.structs.replace(LONELY, ping_timeout=limits.PING_TIMEOUT)
    async with node("ours among others", tuning=tuning) as network:
        yield network
