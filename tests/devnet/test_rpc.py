"""The client of the local chain, on a real one."""

from __future__ import annotations

import pytest

from fondaco.devnet.anvil import Anvil
from fondaco.devnet.rpc import DevnetRefused, DevnetUnavailable, Reverted, open_rpc

pytestmark = pytest.mark.chain


async def test_a_refusal_carries_the_error_object(anvil: Anvil) -> None:
    with pytest.raises(DevnetRefused, match="no_such_method") as caught:
        await anvil.rpc.call("no_such_method")
    assert caught.value.rpc_code == -32601


async def test_a_revert_is_told_apart(anvil: Anvil) -> None:
    # The creation code is: PUSH1 0, DUP1, REVERT.
    with pytest.raises(Reverted) as caught:
        await anvil.rpc.call("eth_call", {"data": "0x600080fd"}, "latest")
    assert caught.value.data == "0x"


async def test_a_batch_keeps_its_sequence(anvil: Anvil) -> None:
    answers = await anvil.rpc.batch(
        [("eth_chainId", ()), ("eth_getBalance", ("0x" + "77" * 20, "latest")), ("net_version", ())]
    )
    assert answers == ["0x539", "0x0", "1337"]


async def test_an_error_in_a_batch_is_raised(anvil: Anvil) -> None:
    with pytest.raises(DevnetRefused, match="no_such_method"):
        await anvil.rpc.batch([("eth_chainId", ()), ("no_such_method", ())])


async def test_a_chain_that_is_gone_is_unavailable() -> None:
    # Port 9 (discard) is not served on any machine these tests run on.
    async with open_rpc("http://127.0.0.1:9") as rpc:
        with pytest.raises(DevnetUnavailable, match=r"127\.0\.0\.1:9"):
            await rpc.call("eth_chainId")
