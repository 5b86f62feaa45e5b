"""The small test contracts, on a real chain."""

from __future__ import annotations

import pytest

from fondaco.devnet import actions
from fondaco.devnet.rpc import DevnetRefused, Reverted
from fondaco.devnet.traders import Traders
from fondaco.testing import contracts


def test_the_assembler_resolves_places_before_and_after() -> None:
    code = contracts.assemble("start: @end JUMP 0xabcd end: @start JUMP")
    assert code.hex() == "5b600756" + "61abcd" + "5b600056"


@pytest.mark.parametrize(
    ("listing", "problem"),
    [("JUMPP", "unknown word"), ("@nowhere", "no place"), ("a: a:", "twice")],
)
def test_a_listing_with_a_mistake_is_refused(listing: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        contracts.assemble(listing)


@pytest.mark.chain
async def test_looping_eats_all_gas(traders: Traders) -> None:
    address = await traders.create(contracts.LOOPING)
    with pytest.raises(DevnetRefused, match="OutOfGas"):
        await traders.call(address, "balanceOf(address)", address)


@pytest.mark.chain
async def test_reverting_reverts(traders: Traders) -> None:
    address = await traders.create(contracts.REVERTING)
    with pytest.raises(Reverted):
        await traders.call(address, "balanceOf(address)", address)


@pytest.mark.chain
@pytest.mark.parametrize("answer", [b"", b"\x01", bytes(31), b"\xff" * 32])
async def test_answering_answers(traders: Traders, answer: bytes) -> None:
    address = await traders.create(contracts.answering(answer))
    assert await traders.call(address, "balanceOf(address)", address) == answer


@pytest.mark.chain
async def test_accepting_can_be_switched_off_and_on(traders: Traders) -> None:
    address = await traders.create(contracts.accepting(b"abcd"))
    anybody = traders.devnet.accounts[3].address
    question = ("isValidSignature(bytes32,bytes)", bytes(32), b"any")
    yes, no = b"abcd" + bytes(28), bytes(32)
    assert await traders.call(address, *question) == yes
    for is_refusing, answer in ((True, no), (False, yes)):
        await traders.do(actions.call(anybody, address, contracts.SET_REFUSING, is_refusing))
        assert await traders.call(address, *question) == answer
