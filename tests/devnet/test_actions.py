"""Actions on the real contracts: each does what its name says."""

from __future__ import annotations

import pytest

from fondaco.devnet import actions
from fondaco.devnet.deploy import FUNGIBLE_IDS
from fondaco.devnet.rpc import Reverted
from fondaco.devnet.traders import ETHER
from fondaco.testing.contracts import (
    EIP1271_MAGIC,
    SET_REFUSING,
    VALIDATOR_V2_MAGIC,
    WALLET_MAGIC,
    accepting,
)
from fondaco.zeroex.asset_data import Erc20, Erc721, Erc1155, basket, encode
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import Address, ProtocolVersion
from fondaco.zeroex.signatures import SignatureType
from support.market import CANCELLED, FILLABLE, FULLY_FILLED, Market

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
VERSIONS = pytest.mark.parametrize("version", [V2, V3], ids=["v2", "v3"])


@VERSIONS
@pytest.mark.parametrize("kind", [SignatureType.EIP712, SignatureType.ETH_SIGN])
async def test_a_signed_order_is_filled(
    market: Market, version: ProtocolVersion, kind: SignatureType
) -> None:
    order = market.offer(version, signature_type=kind)
    assert await market.status(order) == (FILLABLE, order_hash(order), 0)
    before = await market.traders.balance_of(market.at["erc20 PEP"], market.taker.address)
    (receipt,) = await market.traders.do(actions.fill(order, market.taker.address, 10))
    after = await market.traders.balance_of(market.at["erc20 PEP"], market.taker.address)
    assert after - before == 25
    assert await market.status(order) == (FILLABLE, order_hash(order), 10)
    assert len(receipt.logs) == 3, "two transfers and one fill"
    await market.traders.do(actions.fill(order, market.taker.address, 30))
    assert (await market.status(order))[0] == FULLY_FILLED


@VERSIONS
async def test_every_kind_of_asset_changes_hands(market: Market, version: ProtocolVersion) -> None:
    token, shares = market.at["erc721 VOY"], market.at["erc1155"]
    await market.traders.do(actions.mint_erc721(token, market.maker.address, 7))
    voyage = Erc721(Address(token), 7)
    silk = Erc1155(Address(shares), FUNGIBLE_IDS, (2, 3), b"")
    give = encode(basket((1, voyage), (5, silk), (9, Erc20(Address(market.at["zrxToken"])))))
    order = market.offer(version, give=(give, 1))
    await market.traders.do(actions.fill(order, market.taker.address, 40))
    owner = await market.traders.call(token, "ownerOf(uint256)", 7)
    assert owner[12:] == market.taker.address
    shared = await market.traders.call(
        shares, "balanceOf(address,uint256)", market.taker.address, FUNGIBLE_IDS[1]
    )
    assert int.from_bytes(shared, "big") == 10**6 + 15


@VERSIONS
async def test_cancel_and_cancel_up_to(market: Market, version: ProtocolVersion) -> None:
    first, second, third = (market.offer(version, salt=salt) for salt in (1, 2, 3))
    await market.traders.do(
        actions.cancel(third),
        actions.cancel_up_to(first.exchange_address, market.maker.address, 1),
    )
    statuses = [(await market.status(order))[0] for order in (first, second, third)]
    assert statuses == [CANCELLED, FILLABLE, CANCELLED]


async def test_v3_pays_fees_in_any_asset(market: Market) -> None:
    recipient = Address(b"\x77" * 20)
    fee = encode(Erc20(Address(market.at["erc20 SAF"])))
    order = market.offer(V3, maker_fee=4, maker_fee_asset_data=fee, fee_recipient_address=recipient)
    await market.traders.do(actions.fill(order, market.taker.address, 20))
    assert await market.traders.balance_of(market.at["erc20 SAF"], recipient) == 2


async def test_v2_pays_fees_in_zrx(market: Market) -> None:
    recipient = Address(b"\x77" * 20)
    order = market.offer(V2, maker_fee=4, taker_fee=8, fee_recipient_address=recipient)
    await market.traders.do(actions.fill(order, market.taker.address, 20))
    assert await market.traders.balance_of(market.at["zrxToken"], recipient) == 6


@VERSIONS
async def test_a_pre_signed_order_is_valid_only_after_it(
    market: Market, version: ProtocolVersion
) -> None:
    order = market.offer(version, signature=b"\x06")
    with pytest.raises(Reverted):
        await market.traders.do(actions.fill(order, market.taker.address, 2))
    await market.traders.do(actions.pre_sign(order, order_hash(order)))
    await market.traders.do(actions.fill(order, market.taker.address, 2))
    assert (await market.status(order))[2] == 2


@VERSIONS
async def test_a_validator_signs_while_it_is_approved(
    market: Market, version: ProtocolVersion
) -> None:
    magic = VALIDATOR_V2_MAGIC if version is V2 else EIP1271_MAGIC
    validator = await market.traders.create(accepting(magic))
    # Each try is a new order: v2 looks at the signature only before the first fill.
    orders = [market.offer(version, signature=validator + b"\x05", salt=salt) for salt in range(3)]
    fills = [actions.fill(order, market.taker.address, 2) for order in orders]
    approval = (orders[0].exchange_address, market.maker.address, validator)
    with pytest.raises(Reverted):
        await market.traders.do(fills[0])
    await market.traders.do(actions.approve_validator(*approval))
    await market.traders.do(fills[1])
    await market.traders.do(actions.approve_validator(*approval, is_approved=False))
    with pytest.raises(Reverted):
        await market.traders.do(fills[2])


@pytest.mark.parametrize(
    ("version", "magic", "kind"),
    [
        pytest.param(V2, WALLET_MAGIC, SignatureType.WALLET, id="v2 wallet"),
        pytest.param(V3, WALLET_MAGIC, SignatureType.WALLET, id="v3 wallet"),
        pytest.param(V3, EIP1271_MAGIC, SignatureType.EIP1271_WALLET, id="v3 EIP-1271"),
    ],
)
async def test_a_contract_wallet_signs_until_it_refuses(
    market: Market, version: ProtocolVersion, magic: bytes, kind: SignatureType
) -> None:
    wallet = await market.traders.create(accepting(magic))
    await market.traders.equip(wallet)
    signed = {"maker_address": Address(wallet), "signature": bytes([kind])}
    fills = [
        actions.fill(market.offer(version, salt=salt, **signed), market.taker.address, 2)
        for salt in range(3)
    ]
    await market.traders.do(fills[0])
    await market.traders.do(actions.call(market.taker.address, wallet, SET_REFUSING, True))
    with pytest.raises(Reverted):
        await market.traders.do(fills[1])
    await market.traders.do(actions.call(market.taker.address, wallet, SET_REFUSING, False))
    await market.traders.do(fills[2])


@VERSIONS
async def test_a_plain_account_has_no_wallet_signature(
    market: Market, version: ProtocolVersion
) -> None:
    # The v2.0 Exchange of contract-artifacts 2.2.2 takes it; v2.1 must not.
    order = market.offer(version, signature=b"\x04")
    reason = "WALLET_ERROR" if version is V2 else "reverted"
    with pytest.raises(Reverted, match=reason):
        await market.traders.do(actions.fill(order, market.taker.address, 2))


async def test_ether_is_wrapped_and_unwrapped(market: Market) -> None:
    weth, maker = market.at["weth9"], market.maker.address
    await market.traders.do(actions.deposit(weth, maker, ETHER))
    await market.traders.do(actions.withdraw(weth, maker, 2 * ETHER))
    assert await market.traders.balance_of(weth, maker) == 9 * ETHER


async def test_single_tokens_are_made_lent_moved_and_burnt(market: Market) -> None:
    token, maker, taker = market.at["erc721 VOY"], market.maker.address, market.taker.address
    await market.traders.do(
        actions.mint_erc721(token, maker, 1),
        actions.approve_erc721(token, maker, taker, 1),
    )
    assert (await market.traders.call(token, "getApproved(uint256)", 1))[12:] == taker
    await market.traders.do(actions.transfer_erc721(token, maker, taker, 1))
    await market.traders.do(actions.burn_erc721(token, taker, 1))
    with pytest.raises(Reverted):
        await market.traders.call(token, "ownerOf(uint256)", 1)


async def test_shares_move_one_by_one_and_in_batches(market: Market) -> None:
    token, maker, taker = market.at["erc1155"], market.maker.address, market.taker.address
    first, second = FUNGIBLE_IDS
    receipts = await market.traders.do(
        actions.transfer_erc1155(token, maker, taker, first, 4),
        actions.transfer_erc1155_batch(token, maker, taker, FUNGIBLE_IDS, (1, 2)),
    )
    topics = {receipt.logs[0].topics[0].hex()[:8] for receipt in receipts}
    assert topics == {"c3d58168", "4a39dc06"}, "TransferSingle and TransferBatch"
    question = "balanceOf(address,uint256)"
    assert int.from_bytes(await market.traders.call(token, question, taker, first)) == 10**6 + 5
    assert int.from_bytes(await market.traders.call(token, question, maker, second)) == 10**6 - 2
