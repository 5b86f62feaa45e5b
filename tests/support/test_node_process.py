"""The harness itself, on a program of ten lines that keeps a node's promises to its starter."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from support.node_process import NodeProcessError, node_settings, running_node

PROGRAM = """
import json, os, signal, sys
print("settings", json.dumps(dict(os.environ)), file=sys.stderr, flush=True)
if os.environ.get("FAILS"):
    sys.exit("ConfigurationError: ETHEREUM_RPC_URL: is missing")
address = os.environ["RPC_ADDR"].replace(":0", ":4321")
ready = {"ready": True, "rpc": "ws://" + address, "http": "http://" + address,
         "peerID": "16Uiu2", "pid": os.getpid()}
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print(json.dumps(ready) if not os.environ.get("BABBLES") else "hello", flush=True)
while True:
    signal.pause()
"""

SETTINGS = node_settings(ethereum_url="http://127.0.0.1:1", contracts={"exchange": "0x00"})


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    return [sys.executable, str(program)]


async def test_it_says_where_it_serves_and_ends_cleanly(command: list[str], tmp_path: Path) -> None:
    async with running_node(SETTINGS, data_dir=tmp_path / "node", command=command) as node:
        assert node.ready.rpc == "ws://127.0.0.1:4321"
        assert node.ready.address == "127.0.0.1:4321"
        assert node.ready.peer_id == "16Uiu2"
        assert node.is_running
        assert await node.stop() == 0
        assert not node.is_running


async def test_a_restart_keeps_port_and_data(command: list[str], tmp_path: Path) -> None:
    async with running_node(SETTINGS, data_dir=tmp_path / "node", command=command) as node:
        first = node.ready
        assert await node.kill() == -signal.SIGKILL
        second = await node.restart()
        assert (second.rpc, second.pid == first.pid) == (first.rpc, False)
        line = await node.wait_for_log('"RPC_ADDR": "127.0.0.1:4321"')
        assert f'"DATA_DIR": "{tmp_path / "node"}"' in line


async def test_only_given_settings_reach_the_node(command: list[str], tmp_path: Path) -> None:
    # pytest itself puts this one there.
    assert "PYTEST_CURRENT_TEST" in os.environ
    async with running_node(SETTINGS, data_dir=tmp_path / "node", command=command) as node:
        line = await node.wait_for_log("settings")
    assert '"ETHEREUM_CHAIN_ID": "1337"' in line
    assert "PYTEST_CURRENT_TEST" not in line


async def test_a_suspended_node_is_still_there_afterwards(
    command: list[str], tmp_path: Path
) -> None:
    async with running_node(SETTINGS, data_dir=tmp_path / "node", command=command) as node:
        with node.suspended():
            assert node.is_running
        assert await node.stop() == 0


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        pytest.param("FAILS", "ended before it was ready, with code 1", id="ends early"),
        pytest.param("FAILS", "ETHEREUM_RPC_URL: is missing", id="its log is shown"),
        pytest.param("BABBLES", "not a ready line: 'hello'", id="another first line"),
    ],
)
async def test_a_failed_start_says_why(
    command: list[str], tmp_path: Path, setting: str, text: str
) -> None:
    settings = {**SETTINGS, setting: "yes"}
    with pytest.raises(NodeProcessError, match=text):
        async with running_node(settings, data_dir=tmp_path / "node", command=command):
            pytest.fail("it cannot have started")


async def test_waiting_for_a_line_that_never_comes(command: list[str], tmp_path: Path) -> None:
    async with running_node(SETTINGS, data_dir=tmp_path / "node", command=command) as node:
        with pytest.raises(NodeProcessError, match="no log line with 'xyzzy'"):
            await node.wait_for_log("xyzzy", seconds=0.01)
        await node.kill()
        with pytest.raises(NodeProcessError, match="ended without a log line with 'xyzzy'"):
            await node.wait_for_log("xyzzy")
