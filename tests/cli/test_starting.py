"""Commands that start something, as processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest

from fondaco.devnet.fetch import PartsStore

COMMAND = [sys.executable, "-m", "fondaco"]
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
