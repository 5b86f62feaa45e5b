"""What the demo sells: every kind, nothing that a fill would round, the same each time."""

from __future__ import annotations

import random

import pytest

from fondaco.devnet import deploy
from fondaco.devnet.wares import KINDS, Wares
from fondaco.zeroex import asset_data
from fondaco.zeroex.order import ProtocolVersion

ASSETS = {
    "tokens": asset_data.Erc20,
    "tokens with a fee": asset_data.Erc20,
    "wrapped ether": asset_data.Erc20,
    "a voyage": asset_data.Erc721,
    "shares": asset_data.Erc1155,
    "a basket": asset_data.MultiAsset,
}


@pytest.mark.parametrize("version", list(ProtocolVersion))
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_filled_step_by_step(kind: str, version: ProtocolVersion) -> None:
    wares = Wares(deploy.ADDRESSES, random.Random(kind))
    for _ in range(50):
        ware = wares.draw(kind, version)
        assert isinstance(asset_data.decode(ware.give[0]), ASSETS[kind])
        amounts = [ware.give[1], ware.want[1]]
        amounts += [fee for name, fee in ware.fees.items() if name.endswith("_fee")]  # type: ignore[misc]
        assert all(amount > 0 and amount % ware.steps == 0 for amount in amounts)


def test_v2_has_no_fee_assets() -> None:
    wares = Wares(deploy.ADDRESSES, random.Random(1))
    fees = [wares.draw("tokens with a fee", version).fees for version in ProtocolVersion]
    assert [any(name.endswith("asset_data") for name in each) for each in fees] == [False, True]


def test_a_seed_gives_the_same_wares_and_no_voyage_twice() -> None:
    def drawn(seed: int) -> list[tuple[bytes, int]]:
        wares = Wares(deploy.ADDRESSES, random.Random(seed))
        return [wares.draw(kind, ProtocolVersion.V3).give for kind in KINDS * 3]

    assert drawn(5) == drawn(5)
    assert drawn(5) != drawn(6)
    voyages = drawn(5)[KINDS.index("a voyage") :: len(KINDS)]
    assert len(set(voyages)) == 3
