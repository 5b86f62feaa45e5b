"""Off-chain verdicts: the vectors of the original, its sequence, and our two extra rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.errors import Verdict
from fondaco.testing.orders import CHAIN_ID, EXCHANGE, WETH, ZRX, erc20, erc721, make_order
from fondaco.zeroex.asset_data import Erc20, Erc1155, basket, encode
from fondaco.zeroex.codec import decode_order, encode_order, encoded_size
from fondaco.zeroex.errors import InvalidSchema, OrderRejected, OrderTooLarge, RejectionCode
from fondaco.zeroex.limits import MAX_ORDER_SIZE
from fondaco.zeroex.order import UINT256_MAX, Address, ProtocolVersion, SignedOrder
from fondaco.zeroex.order_filter import CustomSchema
from fondaco.zeroex.validator import Policy, check_order, check_policy

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
FOLDER = Path(__file__).parents[1] / "vectors"
VECTORS = json.loads((FOLDER / "mesh_vectors.json").read_text())
ADDRESSES = VECTORS["contract_addresses"]


def deployment(table: dict[str, str]) -> Deployment:
    def at(key: str) -> bytes:
        return bytes.fromhex(table[key][2:])

    return Deployment(
        exchange=at("exchange"),
        dev_utils=at("devUtils"),
        erc20_proxy=at("erc20Proxy"),
        erc721_proxy=at("erc721Proxy"),
        erc1155_proxy=at("erc1155Proxy"),
        chai_bridge=at("chaiBridge") if "chaiBridge" in table else None,
        maximum_gas_price=at("maximumGasPrice") if "maximumGasPrice" in table else None,
    )


POLICY = Policy(
    contracts=ChainContracts(
        chain_id=CHAIN_ID,
        v2=deployment(ADDRESSES["v6.1.2-beta"]["1337"]),
        v3=deployment(ADDRESSES["v9.4.3"]["1337"]),
    )
)


def rejection_of(order: SignedOrder, policy: Policy = POLICY) -> OrderRejected | None:
    """What the two off-chain stages say, in their sequence."""
    try:
        check_policy(order, encode_order(order), policy)
        check_order(order, policy)
    except OrderRejected as rejection:
        return rejection
    return None


def code_of(order: SignedOrder, policy: Policy = POLICY) -> str | None:
    rejection = rejection_of(order, policy)
    return rejection.code if rejection else None


def read(fields: dict[str, Any]) -> SignedOrder:
    return decode_order(json.dumps(fields).encode())


OFF_CHAIN = [*VECTORS["offchain_validation"]["v2_v6"], *VECTORS["offchain_validation"]["v3_v9"]]


@pytest.mark.parametrize("case", OFF_CHAIN + VECTORS["mesh_validation"]["cases"])
def test_vectors_of_the_original(case: dict[str, Any]) -> None:
    rejection = rejection_of(read(case["signedOrder"]))
    assert (rejection.code if rejection else None) == case["statusCode"]
    assert (rejection.kind.value if rejection else None) == case["kind"]


ON_CHAIN = [
    pytest.param(version, case, id=f"v{version} {case['note']}")
    for version in (2, 3)
    for case in json.loads((FOLDER / f"mesh_onchain_v{version}_vectors.json").read_text())[
        "getOrderRelevantStates"
    ]["cases"]
]

POISON = {
    # Passes every check of the original, then makes the contract fail: refused on purpose.
    (2, "MultiAsset with a zero nested amount"): "OrderHasInvalidMakerAssetData",
}


@pytest.mark.parametrize(("version", "case"), ON_CHAIN)
def test_off_chain_part_of_the_recorded_verdicts(version: int, case: dict[str, Any]) -> None:
    words = case["meshResult"].get("offchain", "").split()
    expected = POISON.get((version, case["note"]), words[0] if words else None)
    assert code_of(read(case["signedOrder"])) == expected


def test_good_orders_pass() -> None:
    assert code_of(make_order()) is None
    assert code_of(make_order(version=V2)) is None


# -- policy --------------------------------------------------------------------------


def test_the_exchange_decides_by_version() -> None:
    elsewhere = Address(b"\x99" * 20)
    assert code_of(make_order(version=V2, exchange_address=elsewhere)) == "OrderForIncorrectChain"
    assert code_of(make_order(exchange_address=elsewhere)) == "IncorrectExchangeAddress"
    assert code_of(make_order(chain_id=42)) == "OrderForIncorrectChain"
    assert code_of(make_order(chain_id=42, exchange_address=elsewhere)) == "OrderForIncorrectChain"


@pytest.mark.parametrize("version", [V2, V3])
def test_a_version_that_is_not_served(version: ProtocolVersion) -> None:
    contracts = POLICY.contracts
    only = ChainContracts(
        chain_id=CHAIN_ID,
        v2=contracts.v2 if version is V3 else None,
        v3=contracts.v3 if version is V2 else None,
    )
    rejection = rejection_of(make_order(version=version), replace(POLICY, contracts=only))
    assert rejection is not None
    assert rejection.code == "OrderForIncorrectChain"
    assert rejection.verdict is Verdict.IGNORE


def test_the_expiration_maximum_moves() -> None:
    order = make_order(expiration_time_seconds=1_000)
    assert code_of(order, replace(POLICY, max_expiration=1_000)) is None
    late = rejection_of(order, replace(POLICY, max_expiration=999))
    assert late is not None
    assert late.code == "OrderMaxExpirationExceeded"
    assert late.verdict is Verdict.IGNORE


def test_int64_bounds_the_expiration() -> None:
    assert code_of(make_order(expiration_time_seconds=2**63 - 1)) is None
    assert code_of(make_order(expiration_time_seconds=2**63)) == "OrderMaxExpirationExceeded"


@pytest.mark.parametrize("version", [V2, V3])
def test_an_order_of_exactly_the_limit_passes(version: ProtocolVersion) -> None:
    def sized(extra: int) -> SignedOrder:
        return make_order(version=version, maker_asset_data=erc20(ZRX) + bytes(extra), salt=0)

    limit = MAX_ORDER_SIZE[version]
    bare = encoded_size(version, encode_order(sized(0)))
    room = limit - bare
    order = make_order(
        version=version,
        maker_asset_data=erc20(ZRX) + bytes(room // 2),
        salt=0 if room % 2 == 0 else 10,
    )
    assert encoded_size(version, encode_order(order)) == limit
    assert code_of(order) is None
    larger = make_order(version=version, maker_asset_data=order.maker_asset_data, salt=100)
    rejection = rejection_of(larger)
    assert isinstance(rejection, OrderTooLarge)
    assert str(limit) in rejection.message


def test_the_custom_filter_is_a_schema_matter_and_nobodys_fault() -> None:
    schema = CustomSchema(json.dumps({"properties": {"takerAssetAmount": {"const": "42"}}}))
    policy = replace(POLICY, custom_schema=schema)
    assert code_of(make_order(), policy) is None
    assert code_of(make_order(version=V2), policy) is None
    rejection = rejection_of(make_order(taker_asset_amount=43), policy)
    assert isinstance(rejection, InvalidSchema)
    assert rejection.field == "takerAssetAmount"
    assert "takerAssetAmount does not match" in rejection.message
    assert rejection.verdict is Verdict.IGNORE


# -- sequence ------------------------------------------------------------------------

STAGES: list[tuple[str, dict[str, Any]]] = [
    ("OrderMaxExpirationExceeded", {"expiration_time_seconds": UINT256_MAX}),
    ("SenderAddressNotAllowed", {"sender_address": Address(b"\x01" * 20)}),
    ("OrderForIncorrectChain", {"chain_id": 1}),
    ("IncorrectExchangeAddress", {"exchange_address": Address(b"\x02" * 20)}),
    ("OrderHasInvalidMakerAssetAmount", {"maker_asset_amount": 0}),
    ("OrderHasInvalidTakerAssetAmount", {"taker_asset_amount": 0}),
    ("OrderHasInvalidMakerAssetData", {"maker_asset_data": b"\0"}),
    ("OrderHasInvalidTakerAssetData", {"taker_asset_data": b"\0"}),
    ("OrderHasInvalidMakerFeeAssetData", {"maker_fee_asset_data": b"\0"}),
    ("OrderHasInvalidTakerFeeAssetData", {"taker_fee_asset_data": b"\0"}),
    ("OrderHasInvalidSignature", {"signature": b"\1"}),
]


@pytest.mark.parametrize("first", range(len(STAGES)))
def test_the_first_fault_of_many_is_reported(first: int) -> None:
    faults: dict[str, Any] = {}
    for _, changes in STAGES[first:]:
        faults |= changes
    policy = replace(POLICY, max_expiration=2**62)
    assert code_of(make_order(**faults), policy) == STAGES[first][0]


@pytest.mark.parametrize(("code", "changes"), STAGES)
def test_each_fault_alone(code: str, changes: dict[str, Any]) -> None:
    rejection = rejection_of(make_order(**changes), replace(POLICY, max_expiration=2**62))
    assert rejection is not None
    assert rejection.code == code


# -- poison --------------------------------------------------------------------------


@pytest.mark.parametrize("version", [V2, V3])
@pytest.mark.parametrize(
    ("maker", "taker", "is_refused"),
    [
        (UINT256_MAX, UINT256_MAX, True),
        (2**200, 2**200, True),
        (2**128, 2**128, True),
        (2**128 - 1, 2**128 + 1, False),
        (1, UINT256_MAX, False),
        (UINT256_MAX, 1, False),
        (2, 2**255, True),
        (10**18, 10**27, False),
    ],
)
def test_amounts_whose_complete_fill_overflows(
    version: ProtocolVersion, maker: int, taker: int, is_refused: bool
) -> None:
    order = make_order(version=version, maker_asset_amount=maker, taker_asset_amount=taker)
    rejection = rejection_of(order)
    assert (rejection is not None) is is_refused
    if rejection is not None:
        assert rejection.code == "OrderHasInvalidMakerAssetAmount"
        assert "makerAssetAmount times takerAssetAmount" in rejection.detail


@pytest.mark.parametrize("name", ["maker_fee", "taker_fee"])
def test_fees_whose_complete_fill_overflows(name: str) -> None:
    changes: dict[str, Any] = {name: UINT256_MAX, "taker_asset_amount": 1}
    assert code_of(make_order(version=V2, **changes)) is None
    rejection = rejection_of(make_order(version=V2, **{**changes, "taker_asset_amount": 2}))
    assert rejection is not None
    assert rejection.code == "OrderHasInvalidMakerAssetAmount"
    assert "Fee times" in rejection.detail


ZERO_BASKETS = [
    encode(basket((0, Erc20(ZRX)), (1, Erc20(WETH)))),
    encode(Erc1155(ZRX, (1, 2), (1, 0), b"")),
    encode(basket((1, basket((0, Erc20(ZRX)))))),
]


@pytest.mark.parametrize("data", ZERO_BASKETS)
def test_a_zero_component_is_poison_for_v2_makers_only(data: bytes) -> None:
    rejection = rejection_of(make_order(version=V2, maker_asset_data=data))
    assert rejection is not None
    assert rejection.rejection is RejectionCode.INVALID_MAKER_ASSET_DATA
    assert "zero" in rejection.detail
    assert code_of(make_order(version=V2, taker_asset_data=data)) is None
    assert code_of(make_order(maker_asset_data=data, maker_fee_asset_data=data)) is None


def test_an_empty_basket_is_left_to_the_chain() -> None:
    """The contract finds nothing transferable in it: unfunded, harming nobody."""
    for version in (V2, V3):
        assert code_of(make_order(version=version, maker_asset_data=encode(basket()))) is None


def test_a_fee_needs_an_asset_to_be_paid_in() -> None:
    assert code_of(make_order(maker_fee=1)) == "OrderHasInvalidMakerFeeAssetData"
    assert code_of(make_order(maker_fee=1, maker_fee_asset_data=erc20(ZRX))) is None
    assert code_of(make_order(version=V2, maker_fee=1, taker_fee=1)) is None
    assert code_of(make_order(maker_fee=1, maker_fee_asset_data=erc721(ZRX, 1))) is None


def test_fixtures_and_tables_agree() -> None:
    assert POLICY.deployment(V2) is POLICY.contracts.v2
    assert POLICY.deployment(V3) is POLICY.contracts.v3
    assert POLICY.contracts.v3 is not None
    assert POLICY.contracts.v3.exchange == EXCHANGE
