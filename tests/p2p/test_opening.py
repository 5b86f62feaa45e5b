from __future__ import annotations

import asyncio
import sys

import pytest

from fondaco.clock import SystemClock
from fondaco.config import load
from fondaco.p2p.absent import AbsentNetwork
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.opening import is_installed, open_configured, open_network
from fondaco.p2p.relay_messages import HOP
from support.peers import connect, counted, key_of, node


def test_it_looks_for_the_extra() -> None:
    assert is_installed()
    assert not is_installed(["libp2p", "no_such_library"])


async def test_without_the_extra_there_are_no_peers_and_all_else_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_network(
        key_of("a"),
        host="127.0.0.1",
        port=0,
        clock=SystemClock(),
        seed=1,
        libraries=["no_such_library"],
    ) as network:
        assert isinstance(network, AbsentNetwork)
        assert not network.is_available
    assert "the extra p2p is not installed" in caplog.text


async def test_the_main_process_never_imports_the_library() -> None:
    """It costs a second and 90 MB, and belongs to the other event loop."""
    text = """
import asyncio, sys
import fondaco.cli, fondaco.node, fondaco.zeroex.service
from fondaco.clock import SystemClock
from fondaco.identity.keys import IdentityKey
from fondaco.p2p.opening import open_network

async def main():
    key = IdentityKey(b"\\x01" * 32)
    async with open_network(
        key, host="127.0.0.1", port=0, clock=SystemClock(), seed=1
    ) as network:
        await network.ready()
        assert network.peer_id == key.peer_id
        assert key.peer_id in network.addresses[0]

asyncio.run(main())
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"libp2p", "trio", "multiaddr"}, loaded
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", text)
    assert await process.wait() == 0


async def test_the_settings_decide() -> None:
    chain = {"ETHEREUM_RPC_URL": "http://127.0.0.1:1", "ETHEREUM_CHAIN_ID": "1337"}
    off = load(None, chain | {"ENABLE_P2P": "false"}, {})
    async with open_configured(off, key_of("a"), clock=SystemClock(), seed=1) as network:
        assert not network.is_available
    here = {"P2P_TCP_PORT": "0", "P2P_LISTEN_ADDR": "127.0.0.1"}
    relay = f"/ip4/127.0.0.1/tcp/1/p2p/{key_of('relay').peer_id}"
    reach = {"P2P_RELAYS": relay, "SERVE_RELAY": "true"}
    on = load(None, chain | here | reach, {})
    async with open_configured(on, key_of("a"), clock=SystemClock(), seed=1) as network:
        assert isinstance(network, LinkedNetwork)
        [address] = await network.ready()
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        # The relay of the settings is dialled, and others find one here.
        await counted(network, lambda stats: stats.get("known-peers") == 1)
        async with node("b") as other:
            await connect(other, network)
            [seen] = other.peers()
            assert HOP in seen.protocols
