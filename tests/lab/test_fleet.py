"""Nodes as processes: none is left, whatever goes wrong. Whole ones: test_experiment."""

from __future__ import annotations

from pathlib import Path

import pytest

from fondaco.lab.fleet import LOG_NAME, FleetError, open_fleet
from fondaco.testing.until import until
from support.left_over import processes_with

GOOD = {
    "ETHEREUM_RPC_URL": "http://127.0.0.1:1",
    "ETHEREUM_CHAIN_ID": "1337",
    "RPC_ADDR": "127.0.0.1:0",
    "ENABLE_ETHEREUM_RPC_RATE_LIMITING": "false",
}


async def start(settings: list[dict[str, str]], folder: Path) -> None:
    async with open_fleet(settings, folder):
        raise RuntimeError("nobody is ready")  # pragma: no cover - it must not get here


async def test_a_node_that_does_not_start_is_named_with_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    # The first waits for an endpoint that is not there, and has to be stopped.
    with pytest.raises(ExceptionGroup) as caught:
        await start([GOOD, {**GOOD, "VERBOSITY": "loud"}], tmp_path)
    (error,) = caught.value.exceptions
    assert isinstance(error, FleetError)
    assert str(error).startswith("n02 ended before it was ready; its log ends: fondaco: ")
    assert "VERBOSITY" in str(error)
    assert (tmp_path / "n01" / LOG_NAME).is_file()
    await until(lambda: not processes_with(tmp_path))


async def test_a_node_does_not_see_the_settings_of_whoever_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RPC_ADDR", "nonsense of the shell")
    with pytest.raises(ExceptionGroup) as caught:
        await start([{}], tmp_path)
    assert "ethereum_rpc_url" in str(caught.value.exceptions[0])
    assert "nonsense" not in str(caught.value.exceptions[0])
