"""Status and amount of orders: recorded answers, and rule by rule."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fondaco.testing.orders import WETH, ZRX, make_order
from fondaco.zeroex.asset_data import (
    Erc20,
    Erc20Bridge,
    Erc721,
    Erc1155,
    MemberAsset,
    StaticCall,
    UnknownAsset,
    basket,
    decode,
    encode,
)
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.fillable import OrderState, plan
from fondaco.zeroex.order import Address, OrderHash, ProtocolVersion, SignedOrder
from support.chain_words import CONTRACTS, MAX, NOW, PROXIES, ZRX_ASSET, World
from support.recorded_chain import RECORDED, recorded_order, world_of

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3


RECORDED_CASES = [
    pytest.param(version, case, id=f"v{version}: {case['note']}")
    for version, cases in RECORDED.items()
    for case in cases
    if case.get("decoded")
]


@pytest.mark.parametrize(("version", "case"), RECORDED_CASES)
def test_recorded_answer_of_dev_utils(version: ProtocolVersion, case: dict[str, Any]) -> None:
    order, decoded = recorded_order(case), case["decoded"]
    state = world_of(version, case).state(order)
    assert state.status == decoded["orderStatus"]
    assert state.filled == int(decoded["orderTakerAssetFilledAmount"])
    # DevUtils v2 computes an amount whatever the status; v3's rule is 0.
    fillable = int(decoded["fillableTakerAssetAmount"]) if state.status == 3 else 0
    assert state.fillable == fillable
    assert not state.needs_dev_utils


@pytest.mark.parametrize("version", ProtocolVersion)
def test_sequence_of_the_status_checks(version: ProtocolVersion) -> None:
    """Everything wrong at once; repaired one by one in the contract's sequence."""
    world = World()
    spoiled: dict[str, Any] = {
        "version": version,
        "maker_asset_amount": 0,
        "taker_asset_amount": 0,
        "expiration_time_seconds": NOW,
        "salt": 5,
    }

    def status() -> int:
        order = make_order(**spoiled)
        world.epoch(order.maker_address, order.sender_address, 6)
        world.fill(order_hash(order), filled)
        if is_cancelled:
            world.cancel(order_hash(order))
        return world.state(order).status

    filled, is_cancelled = 42, True
    seen = [status()]
    spoiled["maker_asset_amount"] = 100
    seen.append(status())
    spoiled["taker_asset_amount"] = 42
    seen.append(status())
    filled = 41
    seen.append(status())
    spoiled["expiration_time_seconds"] = NOW + 1
    seen.append(status())
    is_cancelled, spoiled["taker_fee"] = False, 1  # another hash, not cancelled
    seen.append(status())
    spoiled["salt"] = 6
    seen.append(status())
    assert seen == [1, 2, 5, 4, 6, 6, 3]


def funded(order: SignedOrder, balance: int = 10**6, allowance: int = 10**6) -> World:
    world = World()
    asset = decode(order.maker_asset_data)
    assert isinstance(asset, Erc20)
    world.erc20(asset.token, order.maker_address, balance, allowance)
    return world


@pytest.mark.parametrize(
    ("balance", "allowance", "fillable"),
    [
        pytest.param(100, 100, 42, id="exactly enough"),
        pytest.param(99, 100, 41, id="rounded down"),
        pytest.param(100, 50, 21, id="half allowed"),
        pytest.param(2, 100, 0, id="too little for one unit"),
        pytest.param(MAX, MAX, 42, id="all there is"),
        pytest.param(0, MAX, 0, id="nothing"),
    ],
)
def test_lower_of_balance_and_allowance(balance: int, allowance: int, fillable: int) -> None:
    order = make_order()
    assert funded(order, balance, allowance).state(order).fillable == fillable


def test_fee_in_another_asset_and_in_the_same() -> None:
    other = make_order(maker_fee=10, maker_fee_asset_data=encode(Erc20(WETH)))
    world = funded(other, 100, MAX)
    world.erc20(WETH, other.maker_address, 5, MAX)
    assert world.state(other).fillable == 21
    same = make_order(maker_fee=100, maker_fee_asset_data=other.maker_asset_data)
    assert world.state(same).fillable == 21


def test_v2_fees_are_in_zrx_whatever_the_order_says() -> None:
    order = make_order(version=V2, maker_fee=10, maker_asset_data=encode(Erc20(WETH)))
    world = funded(order, 100, MAX)
    assert world.state(order).fillable == 0
    world.erc20(ZRX, order.maker_address, 5, MAX)
    assert world.state(order).fillable == 21
    zrx = make_order(version=V2, maker_fee=100)
    assert funded(zrx, 100, MAX).state(zrx).fillable == 21


@pytest.mark.parametrize("version", ProtocolVersion)
def test_erc721_needs_owner_and_one_of_two_approvals(version: ProtocolVersion) -> None:
    token, proxies = b"\x77" * 20, PROXIES[version]
    assert proxies
    order = make_order(
        version=version, maker_asset_amount=1, maker_asset_data=encode(Erc721(Address(token), 9))
    )
    maker = order.maker_address
    world = World()
    world.erc721(token, 9, maker)
    assert world.state(order).fillable == 0
    world.erc721(token, 9, maker, proxies.erc721_proxy)
    assert world.state(order).fillable == 42
    world.erc721(token, 9, b"\x99" * 20, proxies.erc721_proxy)
    assert world.state(order).fillable == 0
    world.erc721(token, 9, maker)
    world.approve_for_all(token, maker, proxies.erc721_proxy)
    assert world.state(order).fillable == 42
    world.approve_for_all(token, maker, proxies.erc721_proxy, word=2)
    assert world.state(order).fillable == 0


@pytest.mark.parametrize("version", ProtocolVersion)
def test_erc1155_basket(version: ProtocolVersion) -> None:
    token, proxies = Address(b"\x55" * 20), PROXIES[version]
    assert proxies
    asset = Erc1155(token, (1, 2, 3), (2, 3, 0), b"")
    order = make_order(version=version, maker_asset_amount=4, maker_asset_data=encode(asset))
    world = World()
    world.erc1155(token, order.maker_address, 1, 8)
    world.erc1155(token, order.maker_address, 2, 11)
    assert world.state(order).fillable == 0
    world.approve_for_all(token, order.maker_address, proxies.erc1155_proxy)
    assert world.state(order).fillable == 42 * 3 // 4


@pytest.mark.parametrize("version", ProtocolVersion)
@pytest.mark.parametrize(
    "asset",
    [
        pytest.param(basket(), id="empty basket"),
        pytest.param(basket((0, Erc20(ZRX))), id="only a zero amount"),
        pytest.param(basket((1, Erc20(ZRX)), (1, UnknownAsset(b"\1\2\3\4"))), id="unknown member"),
        pytest.param(basket((1, basket((1, Erc20(ZRX))))), id="basket in a basket"),
        pytest.param(Erc1155(ZRX, (), (), b""), id="no token"),
    ],
)
def test_what_no_contract_can_move_is_not_fillable(
    asset: MemberAsset, version: ProtocolVersion
) -> None:
    order = make_order(version=version, maker_asset_amount=1, maker_asset_data=encode(asset))
    world = World()
    world.erc20(ZRX, order.maker_address, MAX, MAX)
    assert world.state(order) == OrderState(3, 0, 0, False)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xf4\x72\x61", id="three bytes"),
        pytest.param(bytes.fromhex("f47261b0") + bytes(5), id="cut short"),
        pytest.param(bytes.fromhex("94cfcdd7") + b"\xff" * 64, id="offsets outside"),
        pytest.param(bytes.fromhex("12345678") + bytes(32), id="unknown proxy"),
    ],
)
def test_data_that_does_not_decode_is_not_fillable(data: bytes) -> None:
    world = World()
    for version in ProtocolVersion:
        order = make_order(version=version, maker_asset_data=data)
        world.erc20(ZRX, order.maker_address, MAX, MAX)
        assert world.state(order) == OrderState(3, 0, 0, False)
    fee = make_order(maker_fee=1, maker_fee_asset_data=data)
    assert world.state(fee) == OrderState(3, 0, 0, False)
    assert world.state(make_order(maker_fee_asset_data=data)).fillable == 42


def test_only_v3_minds_data_that_is_not_whole_words() -> None:
    odd = encode(Erc20(ZRX)) + b"\0"
    for version, fillable in ((V2, 42), (V3, 0)):
        for field in ("maker_asset_data", "taker_asset_data"):
            changes: dict[str, Any] = {field: odd}
            order = make_order(version=version, **changes)
            world = World()
            world.erc20(ZRX, order.maker_address, 100, MAX)
            assert world.state(order).fillable == fillable
    free = make_order(taker_fee_asset_data=odd)
    paid = make_order(taker_fee_asset_data=odd, taker_fee=1)
    assert [state.fillable for state in funded(free).states([free, paid])] == [42, 0]


def test_one_erc721_token_cannot_be_taken_twice_in_a_basket() -> None:
    unique = Erc721(Address(b"\x77" * 20), 9)
    once = encode(basket((1, unique), (1, Erc721(unique.token, 10))))
    twice = encode(basket((1, unique), (1, unique)))
    for version in ProtocolVersion:
        good = make_order(version=version, taker_asset_data=once)
        bad = make_order(version=version, taker_asset_data=twice)
        assert [state.fillable for state in funded(good).states([good, bad])] == [42, 0]


@pytest.mark.parametrize(
    ("asset", "fee", "fee_asset"),
    [
        pytest.param(basket((1, Erc20(ZRX)), (1, Erc20(ZRX))), 0, Erc20(WETH), id="basket"),
        pytest.param(Erc1155(WETH, (1, 1), (1, 1), b""), 0, Erc20(WETH), id="ERC1155 id"),
        pytest.param(Erc20(ZRX), 100, basket((1, Erc20(ZRX))), id="asset and fee"),
        pytest.param(basket((1, Erc20(ZRX))), 100, Erc20(ZRX), id="fee and asset"),
        pytest.param(
            basket((1, Erc20(ZRX)), (1, Erc20(ZRX))), 0, basket((1, Erc20(ZRX))), id="no fee"
        ),
    ],
)
def test_needs_for_one_token_add_up(asset: MemberAsset, fee: int, fee_asset: MemberAsset) -> None:
    """A maker who offers the same 150 units twice cannot deliver 200."""
    order = make_order(
        maker_asset_data=encode(asset), maker_fee=fee, maker_fee_asset_data=encode(fee_asset)
    )
    world = World()
    assert CONTRACTS.v3
    for balance, fillable in ((150, 31), (199, 41), (200, 42)):
        world.erc20(ZRX, order.maker_address, balance, MAX)
        world.erc1155(WETH, order.maker_address, 1, balance)
        world.approve_for_all(WETH, order.maker_address, CONTRACTS.v3.erc1155_proxy)
        assert world.state(order).fillable == fillable


CALL = StaticCall(WETH, b"\xd7\x28\xf5\xb7", bytes(32))
BRIDGE = Erc20Bridge(ZRX, WETH, b"")


@pytest.mark.parametrize("exotic", [CALL, BRIDGE, basket((1, Erc20(ZRX)), (1, CALL))])
def test_exotic_assets_are_left_to_dev_utils(exotic: MemberAsset) -> None:
    data = encode(exotic)
    asset = make_order(maker_asset_data=data)
    fee = make_order(maker_fee=1, maker_fee_asset_data=data)
    no_fee = make_order(maker_fee_asset_data=data)
    world = funded(no_fee)
    assert world.state(asset) == world.state(fee) == OrderState(3, 0, 0, True)
    assert world.state(no_fee) == OrderState(3, 0, 42, False)
    world.cancel(order_hash(asset))
    assert world.state(asset) == OrderState(6, 0, 0, False)


def test_extreme_values_are_computed_not_overflowed() -> None:
    for version in ProtocolVersion:
        huge = make_order(
            version=version,
            maker_asset_amount=MAX,
            taker_asset_amount=MAX,
            maker_fee=MAX,
            maker_fee_asset_data=ZRX_ASSET if version is V3 else b"",
            expiration_time_seconds=MAX,
            salt=MAX,
        )
        state = funded(huge, MAX, MAX).state(huge)
        assert state == OrderState(3, 0, MAX // 2, False)
        asset = basket((MAX, Erc1155(ZRX, (MAX,), (MAX,), b"")))
        nested = make_order(version=version, maker_asset_data=encode(asset), salt=MAX)
        assert World().state(nested).fillable == 0


def test_words_are_read_once() -> None:
    orders = [
        (order_hash(order), order)
        for order in (
            make_order(salt=salt, version=version) for salt in range(50) for version in (V2, V3)
        )
    ]
    read_plan = plan(orders, CONTRACTS, ZRX_ASSET)
    # Per order filled and cancelled; once: the epoch (one exchange address here),
    # the balance, and the allowance of each version's proxy.
    assert len(read_plan.reads) == 2 * len(orders) + 4


def test_version_without_a_deployment_is_our_own_bug() -> None:
    with pytest.raises(ValueError, match="v2"):
        plan(
            [(OrderHash(bytes(32)), make_order(version=V2))],
            msgspec.structs.replace(CONTRACTS, v2=None),
        )
