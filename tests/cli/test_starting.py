"""Commands that start something, as processes."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from fondaco.devnet.chain import Devnet
from fondaco.devnet.fetch import PartsStore
from fondaco.devnet.order_events import order_events

COMMAND = [sys.executable, "-m", "fondaco"]
README = Path(__file__).parents[2] / "README.md"
STOP_SECONDS = 60


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )


def chain_id(url: str) -> int:
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    request = urllib.request.Request(
        url, json.dumps(call).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(json.loads(answer.read())["result"], 16)


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert isinstance(line, dict)
    return line


@pytest.mark.chain
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_devnet_says_where_it_is_and_stops(chain_parts: PartsStore, sign: signal.Signals) -> None:
    with start("devnet", "--json", "--port", "0") as process:
        try:
            ready = first_line(process)
            assert list(ready) == ["ready", "ethereum", "chainId", "mnemonic", "contracts"]
            assert chain_id(ready["ethereum"]) == ready["chainId"] == 1337
            assert {"exchange", "exchangeV2", "tokens"} <= set(ready["contracts"])
            assert set(ready["contracts"]["tokens"]) == {"weth9", "erc20", "erc721", "erc1155"}
        finally:
            process.send_signal(sign)
        assert process.wait(STOP_SECONDS) == 0
    with pytest.raises(urllib.error.URLError):
        chain_id(ready["ethereum"])


@pytest.mark.chain
def test_demo_says_where_it_is_and_its_book_moves(chain_parts: PartsStore) -> None:
    with start("demo", "--json", "--rpc-addr", "127.0.0.1:0") as process:
        try:
            ready = first_line(process)
            assert list(ready) == [
                *("ready", "rpc", "http", "peerID", "pid", "p2p"),
                *("ethereum", "chainId", "mnemonic", "contracts"),
            ]
            assert ready["pid"] == process.pid
            seen = asyncio.run(states_until(ready["rpc"], {"ADDED", "FILLED"}))
            told = first_order_of_the_readme(ready["http"])
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.read() == ""
        assert process.wait(STOP_SECONDS) == 0
    assert {"ADDED", "FILLED"} <= seen
    # The traders may have taken the order in between; then it is refused as known.
    codes = [entry["status"]["code"] for entry in told["rejected"]]
    assert (len(told["accepted"]), codes) in [(1, []), (0, ["OrderAlreadyStoredAndUnfillable"])]
    with pytest.raises(urllib.error.URLError):
        chain_id(ready["ethereum"])


def first_order_of_the_readme(node: str) -> dict[str, Any]:
    """Run the README's Python lines against *node*; return what they print."""
    (lines,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    script = lines.replace("http://127.0.0.1:60557", node)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    answer = ast.literal_eval(done.stdout)
    assert isinstance(answer, dict)
    return answer


async def states_until(rpc_url: str, wanted: set[str]) -> set[str]:
    """End states of a node's events, until all of *wanted* were among them."""
    seen: set[str] = set()
    async with asyncio.timeout(120):
        async for batch in order_events(rpc_url):
            seen |= {event["endState"].replace("FULLY_", "") for event in batch.events}
            if seen >= wanted:
                break
    return seen


@pytest.mark.chain
async def test_run_logs_what_has_no_effect_and_stops(devnet: Devnet, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "run",
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "ETHEREUM_RPC_URL": devnet.http_url,
            "ETHEREUM_CHAIN_ID": "1337",
            "CUSTOM_CONTRACT_ADDRESSES": json.dumps(devnet.contracts),
            "RPC_ADDR": "127.0.0.1:0",
            "P2P_TCP_PORT": "0",
            "P2P_LISTEN_ADDR": "127.0.0.1",
            "RPC_PORT": "60557",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(STOP_SECONDS):
            lines = [(await process.stdout.readline()).decode() for _ in range(3)]
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = await process.communicate()
    assert process.returncode == 0
    assert "JSON-RPC at ws://127.0.0.1:" in lines[0]
    assert lines[1].startswith("peers at /ip4/127.0.0.1/tcp/")
    assert "peer ID 16Uiu2HA" in lines[2]
    first = json.loads(log.splitlines()[0])
    assert first["msg"] == "setting without effect"
    assert first["setting"].startswith("RPC_PORT (environment)")
    assert (tmp_path / "fondaco_data" / "keys" / "seed").stat().st_mode & 0o777 == 0o600


@pytest.mark.chain
def test_an_address_in_use_is_told(chain_parts: PartsStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*COMMAND, "demo", "--rpc-addr", address],
            capture_output=True,
            text=True,
            timeout=STOP_SECONDS,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(f"fondaco: RPC_ADDR: cannot listen on {address}")
