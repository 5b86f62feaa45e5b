"""Many strangers behind one address, as a botnet's or an office's: they get their share."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from fondaco.devnet.fetch import PartsStore
from fondaco.p2p import limits
from support.distant_nodes import PEER_PORT, open_town
from support.namespaces import command_in

pytestmark = [pytest.mark.system, pytest.mark.chain, pytest.mark.xdist_group("namespaces")]

TESTS = Path(__file__).parent.parent
CROWD = 30
PATIENCE = 60.0


async def test_a_crowd_behind_one_address_keeps_nobody_else_out(
    tmp_path: Path, chain_parts: PartsStore
) -> None:
    async with open_town(3, tmp_path, chain_parts, delay=0.001, loss=0.0, seed=1) as town:
        victim, friend, _ = town.nodes
        address = f"/ip4/{victim.peer_address}/tcp/{PEER_PORT}/p2p/{victim.peer_id}"
        crowd = await asyncio.create_subprocess_exec(
            *command_in(town.places[2], sys.executable, "-m", "support.crowd_process"),
            address,
            str(CROWD),
            cwd=TESTS,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert crowd.stdout is not None
            async with asyncio.timeout(PATIENCE):
                kept = int(await crowd.stdout.readline())
            assert kept == limits.MAX_CONNECTIONS_PER_ADDRESS
            await friend.join(victim)
            answer = await victim.client.call("mesh_getPeers")
            assert friend.peer_id in {peer["peerID"] for peer in answer["peers"]}
            assert len(answer["peers"]) == kept + 1
            assert answer["network"]["connections-refused"] == CROWD - kept
        finally:
            crowd.kill()
            await crowd.wait()
