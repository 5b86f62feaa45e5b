"""The recorded on-chain vectors from text to final verdict, each beside an innocent neighbour."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from fondaco.chain.errors import Reverted
from fondaco.chain.headers import Header
from fondaco.chain.multiread import MultiRead, Read
from fondaco.testing.orders import EXCHANGE
from fondaco.zeroex import intake
from fondaco.zeroex.assessor import Assessor
from fondaco.zeroex.intake import Candidate, Refusal
from fondaco.zeroex.lifecycle import Outcome, Rejected, Valid
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.validator import Policy
from support.chain_words import CONTRACTS, MAX, NOW, ZRX_ASSET, World
from support.recorded_chain import RECORDED, world_of

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
HEAD = Header(number=7, hash=bytes(32), parent_hash=bytes(32), timestamp=NOW)

ON_PURPOSE = {
    # v2 was recorded on Exchange 2.0, which takes a plain account's Wallet signature;
    # 2.1 refuses it, and we talk to 2.1.
    (V2, "Wallet signature (type 4), maker is an EOA"): "OrderHasInvalidSignature",
    # Poison: in Mesh the whole chunk ends as EthRPCRequestFailed. Here the order alone gets
    # a verdict, and the same one each time.
    (V3, "Wallet signature (type 4), maker is an EOA"): "OrderHasInvalidSignature",
    (V2, "MultiAsset with a zero nested amount"): "OrderHasInvalidMakerAssetData",
    (V2, "takerAssetAmount 2^256-1, makerAssetAmount 1"): MAX,
}
"""Verdicts that differ from what was recorded: a code, or the amount of an accepted order."""


class RecordedChain:
    """Answers words from a ``World``; the Exchange says of signatures what *signed* says."""

    def __init__(self, world: World, signed: bool | None) -> None:
        self.world = world
        self.signed = signed
        """None: the call reverts."""

    async def read(self, reads: Sequence[Read], at: Header) -> MultiRead:
        return self.world.answer(reads)

    async def call(self, target: bytes, data: bytes, at: Header) -> bytes:
        assert target == EXCHANGE
        if self.signed is None:
            raise Reverted(3, "execution reverted", None, output=b"")
        return self.signed.to_bytes(32, "big")


def recorded_verdict(version: ProtocolVersion, case: dict[str, Any]) -> str | int:
    """What the vector says: a code, or the amount of an accepted order."""
    mesh = case["meshResult"]
    derived = mesh.get("derivedFromContractAnswer", "")
    if "offchain" in mesh:
        return str(mesh["offchain"].split()[0])
    if mesh.get("accepted"):
        return int(mesh["fillableTakerAssetAmount"])
    if derived.startswith("ACCEPT"):
        return int(derived.removeprefix("ACCEPT "))
    return str(mesh.get("statusCode", derived))


async def verdicts(
    version: ProtocolVersion, case: dict[str, Any], neighbour: dict[str, Any]
) -> list[str | int]:
    """Take both orders in as the service does, up to the outcome."""
    policy = Policy(contracts=CONTRACTS)
    texts = [json.dumps(each["signedOrder"]).encode() for each in (case, neighbour)]
    answers: list[Candidate | Refusal | Outcome] = []
    for read in intake.read_orders(texts, policy, version):
        answers += [read] if isinstance(read, Refusal) else intake.check_orders([read], policy)
    candidates = [answer for answer in answers if isinstance(answer, Candidate)]
    world = world_of(version, case)
    world.words |= world_of(version, neighbour).words
    # Exchange 2.1 and 3 answer "no" for, or revert on, a Wallet without code.
    signed = None if version is V3 and "decoded" not in case else False
    assessor = Assessor(
        RecordedChain(world, signed),
        CONTRACTS,
        zrx_asset_data=ZRX_ASSET,
        accept_partially_funded=False,
    )
    orders = [(candidate.order_hash, candidate.order) for candidate in candidates]
    for candidate, outcome in zip(candidates, await assessor.assess(orders, HEAD), strict=True):
        answers[answers.index(candidate)] = outcome
    return [in_words(answer) for answer in answers]


def in_words(answer: Candidate | Refusal | Outcome) -> str | int:
    match answer:
        case Refusal():
            return answer.rejection.code
        case Rejected():
            return answer.code.code
        case Valid():
            return answer.fillable
    raise AssertionError("no verdict")


@pytest.mark.parametrize(
    ("version", "case"),
    [
        pytest.param(version, case, id=f"v{version}: {case['note']}")
        for version, cases in RECORDED.items()
        for case in cases
    ],
)
async def test_verdict_and_an_innocent_neighbour(
    version: ProtocolVersion, case: dict[str, Any]
) -> None:
    neighbour = next(c for c in RECORDED[version] if c["note"] == "maker 850, taker 1, balance 850")
    expected = ON_PURPOSE.get((version, case["note"]), recorded_verdict(version, case))
    if case is neighbour:
        neighbour = RECORDED[version][0]
    seen, beside = await verdicts(version, case, neighbour)
    assert seen == expected
    assert beside == recorded_verdict(version, neighbour)


def test_what_differs_on_purpose_does_differ() -> None:
    for version, note in ON_PURPOSE:
        (case,) = [case for case in RECORDED[version] if case["note"] == note]
        assert recorded_verdict(version, case) != ON_PURPOSE[version, note]
