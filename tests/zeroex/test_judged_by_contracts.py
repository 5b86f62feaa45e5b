"""What is judged off-chain, put to the real contracts: they agree, alone and unfiltered."""

from __future__ import annotations

from typing import Any

import pytest

from fondaco.chain import wire
from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.devnet import actions
from fondaco.devnet.deploy import FUNGIBLE_IDS
from fondaco.devnet.rpc import DevnetRefused
from fondaco.devnet.traders import GAS
from fondaco.zeroex import dev_utils
from fondaco.zeroex.asset_data import (
    ERC20_ID,
    Erc20,
    Erc1155,
    MultiAsset,
    UnknownAsset,
    basket,
    encode,
)
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import OrderRejected
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder
from fondaco.zeroex.signatures import (
    SignatureType,
    decode_signature_answer,
    encode_signature_call,
    recover_is_valid,
    split,
)
from fondaco.zeroex.validator import Policy, check_order
from support.market import Market

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
VERSIONS = pytest.mark.parametrize("version", [V2, V3])
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


async def ask(market: Market, target: bytes, data: bytes) -> bytes:
    question = {"to": wire.encode_data(target), "data": wire.encode_data(data), "gas": hex(GAS)}
    return wire.data(await market.traders.devnet.rpc.call("eth_call", question, "latest"))


async def contract_says_valid(market: Market, order: SignedOrder) -> bool:
    call = encode_signature_call(order, order_hash(order))
    return decode_signature_answer(await ask(market, order.exchange_address, call))


async def fillable(market: Market, order: SignedOrder) -> int:
    target = market.at["devUtils" if order.version is V3 else "devUtilsV2"]
    answer = await ask(market, target, dev_utils.encode_call([order]))
    return dev_utils.decode_answer(answer, 1)[0].fillable


def spoilt(signature: bytes, position: int, value: int) -> bytes:
    return signature[:position] + bytes((value,)) + signature[position + 1 :]


def mirrored(signature: bytes) -> bytes:
    v, r, s = split(signature)
    high = (CURVE_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    return bytes((55 - v,)) + r + high + signature[65:]


@VERSIONS
@pytest.mark.parametrize("kind", [SignatureType.EIP712, SignatureType.ETH_SIGN])
async def test_recovered_signatures(
    market: Market, version: ProtocolVersion, kind: SignatureType
) -> None:
    good = market.offer(version, signature_type=kind).signature
    for signature, expected in (
        (good, True),
        (mirrored(good), True),
        (spoilt(good, 0, 0), False),
        (spoilt(good, 0, 29), False),
        (spoilt(good, 0, 55 - good[0]), False),
        (spoilt(good, 40, good[40] ^ 1), False),
        (spoilt(good, 65, 5 - kind), False),
        (good[:1] + bytes(64) + good[65:], False),
    ):
        order = market.offer(version, signature=signature)
        assert recover_is_valid(order_hash(order), order) is expected
        assert await contract_says_valid(market, order) is expected


@VERSIONS
async def test_a_signature_given_beforehand(market: Market, version: ProtocolVersion) -> None:
    order = market.offer(version, signature=b"\x06")
    assert not await contract_says_valid(market, order)
    await market.traders.do(actions.pre_sign(order, order_hash(order)))
    assert await contract_says_valid(market, order)


@VERSIONS
async def test_a_wallet_without_code_reverts(market: Market, version: ProtocolVersion) -> None:
    """Hence one order a call: the answer is a revert, not a no."""
    with pytest.raises(DevnetRefused):
        await contract_says_valid(market, market.offer(version, signature=b"\x04"))


def off_chain_code(market: Market, order: SignedOrder) -> str | None:
    at = market.at

    def deployed(suffix: str) -> Deployment:
        return Deployment(
            exchange=at["exchange" + suffix],
            dev_utils=at["devUtils" + suffix],
            erc20_proxy=at["erc20Proxy" + suffix],
            erc721_proxy=at["erc721Proxy" + suffix],
            erc1155_proxy=at["erc1155Proxy" + suffix],
        )

    contracts = ChainContracts(chain_id=1337, v3=deployed(""), v2=deployed("V2"))
    try:
        check_order(order, Policy(contracts=contracts))
    except OrderRejected as rejection:
        return rejection.code
    return None


OVERFLOW = r"UINT256_OVERFLOW|0xe946c1bb"
"""What v2 and v3 say when a multiplication leaves 256 bits."""


@VERSIONS
@pytest.mark.parametrize(
    ("maker_amount", "taker_amount", "is_refused"),
    [(2**128, 2**128, True), (2**60, 2**200, True), (2**99, 2**156, False), (2**100, 3, False)],
)
async def test_a_complete_fill_overflows_exactly_where_we_refuse(
    market: Market,
    version: ProtocolVersion,
    maker_amount: int,
    taker_amount: int,
    is_refused: bool,
) -> None:
    """With all the funds anyone could wish for."""
    wanted = market.at["erc20 SAF"]
    await market.traders.do(
        actions.set_balance(market.at["erc20 PEP"], market.maker.address, 2**250),
        actions.set_balance(wanted, market.taker.address, 2**250),
    )
    want = (encode(Erc20(Address(wanted))), taker_amount)
    order = market.offer(version, give=(market.pepper, maker_amount), want=want)
    assert (off_chain_code(market, order) == "OrderHasInvalidMakerAssetAmount") is is_refused
    complete = actions.fill(order, market.taker.address, taker_amount)
    if is_refused:
        with pytest.raises(DevnetRefused):
            await fillable(market, order)
        with pytest.raises(DevnetRefused, match=OVERFLOW):
            await market.traders.do(complete)
    else:
        await market.traders.do(complete)


@VERSIONS
@pytest.mark.parametrize("name", ["maker_fee", "taker_fee"])
async def test_fees_overflow_a_complete_fill_as_well(
    market: Market, version: ProtocolVersion, name: str
) -> None:
    changes: dict[str, Any] = {name: 2**255}
    if version is V3:
        changes[f"{name}_asset_data"] = market.pepper
    order = market.offer(version, **changes)
    assert off_chain_code(market, order) == "OrderHasInvalidMakerAssetAmount"
    with pytest.raises(DevnetRefused, match=OVERFLOW):
        await market.traders.do(actions.fill(order, market.taker.address, order.taker_asset_amount))


@VERSIONS
@pytest.mark.parametrize("shape", ["member of three bytes", "member cut short"])
async def test_baskets_that_do_not_decode_cannot_be_evaluated(
    market: Market, version: ProtocolVersion, shape: str
) -> None:
    member = b"abc" if shape == "member of three bytes" else ERC20_ID + bytes(31)
    order = market.offer(version, give=(encode(basket((1, UnknownAsset(member)))), 1))
    assert off_chain_code(market, order) == "OrderHasInvalidMakerAssetData"
    with pytest.raises(DevnetRefused):
        await fillable(market, order)


async def test_a_v2_basket_with_a_zero_cannot_be_evaluated(market: Market) -> None:
    token = Address(market.at["erc1155"])
    for data in (
        encode(basket((0, Erc20(Address(market.at["erc20 PEP"]))))),
        encode(Erc1155(token, (1,), (0,), b"")),
    ):
        order = market.offer(V2, give=(data, 1))
        assert off_chain_code(market, order) == "OrderHasInvalidMakerAssetData"
        with pytest.raises(DevnetRefused):
            await fillable(market, order)
        assert await fillable(market, market.offer(V3, give=(data, 1))) == 0


@VERSIONS
async def test_an_empty_basket_is_evaluated_and_holds_nothing(
    market: Market, version: ProtocolVersion
) -> None:
    order = market.offer(version, give=(encode(basket()), 1))
    assert off_chain_code(market, order) is None
    assert await fillable(market, order) == 0


async def test_a_v3_fee_without_an_asset_cannot_be_evaluated(market: Market) -> None:
    changes: dict[str, Any] = {"maker_fee": 1, "maker_fee_asset_data": b""}
    order = market.offer(V3, **changes)
    assert off_chain_code(market, order) == "OrderHasInvalidMakerFeeAssetData"
    with pytest.raises(DevnetRefused):
        await fillable(market, order)
    assert await fillable(market, market.offer(V3)) > 0


@VERSIONS
async def test_lists_of_different_length_cannot_be_moved(
    market: Market, version: ProtocolVersion
) -> None:
    pepper = Erc20(Address(market.at["erc20 PEP"]))
    kinds = Address(market.at["erc1155"])
    sound = market.offer(version, give=(encode(basket((1, pepper))), 1))
    await market.traders.do(actions.fill(sound, market.taker.address, sound.taker_asset_amount))
    first_kind = FUNGIBLE_IDS[0]
    for lopsided in (
        MultiAsset((1, 1), (encode(pepper),), (pepper,)),
        MultiAsset((1,), (encode(pepper), encode(pepper)), (pepper, pepper)),
        Erc1155(kinds, (first_kind,), (1, 1), b""),
        Erc1155(kinds, (first_kind, first_kind), (1,), b""),
    ):
        order = market.offer(version, give=(encode(lopsided), 1))
        assert off_chain_code(market, order) == "OrderHasInvalidMakerAssetData"
        with pytest.raises(DevnetRefused):
            await market.traders.do(
                actions.fill(order, market.taker.address, order.taker_asset_amount)
            )
