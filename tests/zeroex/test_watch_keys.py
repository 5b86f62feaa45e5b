"""What an order is found by, read out of its bytes. The rules are those of the watch index."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fondaco.zeroex.asset_data import (
    Erc20,
    Erc20Bridge,
    Erc721,
    Erc1155,
    MemberAsset,
    StaticCall,
    basket,
    encode,
)
from fondaco.zeroex.contract_events import ContractRole
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.watch_keys import WatchKeys, token_key
from support.watched import (
    ALICE,
    CHAI,
    CHAI_BRIDGE,
    CONTRACTS,
    MULTI,
    OTHER_TOKEN,
    TOKEN,
    UNIQUES,
    ZRX,
    order,
)

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
assert CONTRACTS.v2
assert CONTRACTS.v3
KEYS = WatchKeys({V2: CONTRACTS.v2, V3: CONTRACTS.v3}, encode(Erc20(ZRX)))
CALL = StaticCall(TOKEN, b"\xd7\x28\xf5\xb7", bytes(32))
CHAI_ASSET = Erc20Bridge(CHAI, CHAI_BRIDGE, b"")


@pytest.mark.parametrize(
    ("asset", "keys", "contracts"),
    [
        (Erc20(TOKEN), [TOKEN + ALICE], {(TOKEN, ContractRole.ERC20)}),
        (
            Erc721(UNIQUES, 7),
            [UNIQUES + ALICE, token_key(UNIQUES, ALICE, 7)],
            {(UNIQUES, ContractRole.ERC721)},
        ),
        (Erc1155(MULTI, (1, 2), (1, 1), b""), [MULTI + ALICE], {(MULTI, ContractRole.ERC1155)}),
        (
            basket((1, Erc20(TOKEN)), (2, Erc721(UNIQUES, 7))),
            [TOKEN + ALICE, UNIQUES + ALICE, token_key(UNIQUES, ALICE, 7)],
            {(TOKEN, ContractRole.ERC20), (UNIQUES, ContractRole.ERC721)},
        ),
        (CHAI_ASSET, [CHAI + ALICE], {(CHAI, ContractRole.ERC20)}),
        (CALL, [], set()),
    ],
    ids=["erc20", "erc721", "erc1155", "basket", "chai", "static call"],
)
def test_each_kind_of_asset(
    asset: MemberAsset, keys: list[bytes], contracts: set[tuple[bytes, ContractRole]]
) -> None:
    found, known = KEYS.of(order(ALICE, asset))
    assert set(found) == {ALICE, *keys}
    assert set(known) == contracts


@pytest.mark.parametrize(("version", "token"), [(V2, ZRX), (V3, OTHER_TOKEN)])
def test_the_fee_is_paid_by_the_maker_too(version: ProtocolVersion, token: bytes) -> None:
    fee = b"" if version is V2 else encode(Erc20(OTHER_TOKEN))
    paying = order(ALICE, Erc20(TOKEN), version=version, maker_fee=1, maker_fee_asset_data=fee)
    assert set(KEYS.of(paying)[0]) == {ALICE, TOKEN + ALICE, token + ALICE}
    # The asset of a fee of zero says nothing.
    assert set(KEYS.of(replace(paying, maker_fee=0))[0]) == {ALICE, TOKEN + ALICE}


def test_bytes_that_are_no_asset() -> None:
    broken = replace(order(ALICE, Erc20(TOKEN)), maker_asset_data=b"\xf4\x72")
    assert KEYS.of(broken) == ({ALICE: None}, {})
    assert not KEYS.is_exotic(broken)


@pytest.mark.parametrize(
    ("asset", "is_exotic"),
    [
        (Erc20(TOKEN), False),
        (basket((1, Erc20(TOKEN)), (1, Erc721(UNIQUES, 7))), False),
        (CALL, True),
        (CHAI_ASSET, True),
        (basket((1, Erc20(TOKEN)), (1, CALL)), True),
        (basket((1, basket((1, CHAI_ASSET)))), True),
    ],
)
def test_what_only_dev_utils_can_tell(asset: MemberAsset, is_exotic: bool) -> None:
    assert KEYS.is_exotic(order(ALICE, asset)) is is_exotic
    # As a fee it costs the same question; as what the taker pays, none.
    fee = encode(asset)
    plain = order(ALICE, Erc20(TOKEN), taker_asset_data=fee, maker_fee_asset_data=fee)
    assert not KEYS.is_exotic(plain)
    assert KEYS.is_exotic(replace(plain, maker_fee=1)) is is_exotic
