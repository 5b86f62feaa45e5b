"""Each kind of contract event, made by a real transaction and seen whole by a subscriber."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_keccak import keccak256

from fondaco.devnet import actions
from fondaco.devnet.actions import Action
from fondaco.devnet.deploy import FUNGIBLE_IDS
from fondaco.devnet.traders import Receipt
from fondaco.testing.contracts import EIP1271_MAGIC, VALIDATOR_V2_MAGIC, accepting
from fondaco.zeroex.asset_data import Erc20, Erc721, Erc1155, encode
from fondaco.zeroex.contract_events import EventKind
from fondaco.zeroex.order import NULL_ADDRESS, Address, Amount, ProtocolVersion, SignedOrder
from support.scene import Scene, name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
RECIPIENT = Address(b"\x77" * 20)
TOKEN_ID = 2**200 + 7
"""Wider than any number that JSON readers keep whole."""


def mixed(address: bytes) -> str:
    """Return *address* as EIP-55 spells it: a letter is upper case where the hash says 8+."""
    digits = address.hex()
    mask = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(bit, 16) >= 8 else digit
        for digit, bit in zip(digits, mask, strict=False)
    )


def lower(data: bytes) -> str:
    return f"0x{data.hex()}"


def cause(receipt: Receipt, position: int, kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of one log of *receipt*, written by hand."""
    log = receipt.logs[position]
    return {
        "blockHash": lower(receipt.block_hash),
        "txHash": lower(receipt.transaction_hash),
        "txIndex": log.transaction_index,
        "logIndex": log.log_index,
        "isRemoved": False,
        "address": lower(log.address),
        "kind": kind,
        "parameters": parameters,
    }


async def told_by(scene: Scene, *todo: Action) -> tuple[str, list[dict[str, Any]], Receipt]:
    """Send transactions; return the one event's end state and causes, and the last receipt."""
    receipts = await scene.do(*todo)
    (event,) = await scene.events()
    return event["endState"], event["contractEvents"], receipts[-1]


async def test_erc20_transfer(scene: Scene, version: ProtocolVersion) -> None:
    await scene.add(scene.market.offer(version))
    amount = 10**24 - 1
    pepper = scene.at("erc20 PEP")
    end_state, told, receipt = await told_by(
        scene, actions.transfer(pepper, scene.maker, scene.taker, amount)
    )
    parameters = {"from": mixed(scene.maker), "to": mixed(scene.taker), "value": str(amount)}
    assert end_state == "UNFUNDED"
    assert told == [cause(receipt, 0, "ERC20TransferEvent", parameters)]
    assert told[0]["address"] == lower(pepper)


async def test_erc20_approval(scene: Scene, version: ProtocolVersion) -> None:
    await scene.add(scene.market.offer(version))
    proxy = scene.of("erc20Proxy", version)
    end_state, told, receipt = await told_by(
        scene, actions.approve(scene.at("erc20 PEP"), scene.maker, proxy, 0)
    )
    parameters = {"owner": mixed(scene.maker), "spender": mixed(proxy), "value": "0"}
    assert end_state == "UNFUNDED"
    assert told == [cause(receipt, 0, "ERC20ApprovalEvent", parameters)]


async def add_voyage(scene: Scene, version: ProtocolVersion) -> SignedOrder:
    """Add an order for one ERC721 token that its maker has."""
    token = scene.at("erc721 VOY")
    await scene.do(actions.mint_erc721(token, scene.maker, TOKEN_ID))
    order = scene.market.offer(version, give=(encode(Erc721(Address(token), TOKEN_ID)), 1))
    await scene.add(order)
    return order


async def test_erc721_transfer(scene: Scene, version: ProtocolVersion) -> None:
    await add_voyage(scene, version)
    token = scene.at("erc721 VOY")
    end_state, told, receipt = await told_by(
        scene, actions.transfer_erc721(token, scene.maker, scene.taker, TOKEN_ID)
    )
    parameters = {
        "from": mixed(scene.maker),
        "to": mixed(scene.taker),
        "tokenId": str(TOKEN_ID),
    }
    assert end_state == "UNFUNDED"
    assert told == [cause(receipt, 0, "ERC721TransferEvent", parameters)]


async def test_erc721_approval(scene: Scene, version: ProtocolVersion) -> None:
    token, proxy = scene.at("erc721 VOY"), scene.of("erc721Proxy", version)
    await add_voyage(scene, version)
    # With the token approved alone, the approval of all can go unnoticed.
    await scene.do(
        actions.approve_erc721(token, scene.maker, proxy, TOKEN_ID),
        actions.approve_all(token, scene.maker, proxy, False),
    )
    assert await scene.events() == []
    end_state, told, receipt = await told_by(
        scene, actions.approve_erc721(token, scene.maker, NULL_ADDRESS, TOKEN_ID)
    )
    parameters = {
        "owner": mixed(scene.maker),
        "approved": lower(NULL_ADDRESS),
        "tokenId": str(TOKEN_ID),
    }
    assert end_state == "UNFUNDED"
    assert told == [cause(receipt, 0, "ERC721ApprovalEvent", parameters)]


async def test_erc721_approval_for_all(scene: Scene, version: ProtocolVersion) -> None:
    await add_voyage(scene, version)
    await for_all(scene, scene.at("erc721 VOY"), scene.of("erc721Proxy", version), "ERC721")


async def for_all(scene: Scene, token: bytes, proxy: bytes, standard: str) -> None:
    """Take an approval of everything back and give it again."""
    for is_approved, expected in ((False, "UNFUNDED"), (True, "ADDED")):
        end_state, told, receipt = await told_by(
            scene, actions.approve_all(token, scene.maker, proxy, is_approved)
        )
        parameters = {
            "owner": lower(scene.maker),
            "operator": lower(proxy),
            "approved": is_approved,
        }
        assert end_state == expected
        assert told == [cause(receipt, 0, f"{standard}ApprovalForAllEvent", parameters)]


async def add_shares(scene: Scene, version: ProtocolVersion) -> SignedOrder:
    """Add an order for ten lots of two kinds of shares; its maker has a million of each."""
    shares = Erc1155(Address(scene.at("erc1155")), FUNGIBLE_IDS, (2, 3), b"")
    order = scene.market.offer(version, give=(encode(shares), 10))
    await scene.add(order)
    return order


async def test_erc1155_transfer_single(scene: Scene, version: ProtocolVersion) -> None:
    await add_shares(scene, version)
    amount = 10**6 - 19
    end_state, told, receipt = await told_by(
        scene,
        actions.transfer_erc1155(
            scene.at("erc1155"), scene.maker, scene.taker, FUNGIBLE_IDS[0], amount
        ),
    )
    parameters = {
        "operator": mixed(scene.maker),
        "from": mixed(scene.maker),
        "to": mixed(scene.taker),
        "id": str(FUNGIBLE_IDS[0]),
        "value": str(amount),
    }
    assert end_state == "UNFUNDED"
    assert told == [cause(receipt, 0, "ERC1155TransferSingleEvent", parameters)]


async def test_erc1155_transfer_batch(scene: Scene, version: ProtocolVersion) -> None:
    await add_shares(scene, version)
    amounts = [5, 10**6 - 29]
    end_state, told, receipt = await told_by(
        scene,
        actions.transfer_erc1155_batch(
            scene.at("erc1155"), scene.maker, scene.taker, FUNGIBLE_IDS, amounts
        ),
    )
    parameters = {
        "operator": mixed(scene.maker),
        "from": mixed(scene.maker),
        "to": mixed(scene.taker),
        "ids": [str(number) for number in FUNGIBLE_IDS],
        "values": [str(amount) for amount in amounts],
    }
    assert end_state == "UNFUNDED"
    assert told == [cause(receipt, 0, "ERC1155TransferBatchEvent", parameters)]


async def test_erc1155_approval_for_all(scene: Scene, version: ProtocolVersion) -> None:
    await add_shares(scene, version)
    await for_all(scene, scene.at("erc1155"), scene.of("erc1155Proxy", version), "ERC1155")


async def add_ether(scene: Scene, version: ProtocolVersion) -> None:
    """Add an order for wrapped ether; its maker has ten."""
    give, want = (scene.market.weth, 10**19), (scene.market.pepper, 40)
    await scene.add(scene.market.offer(version, give=give, want=want))


async def test_weth_withdrawal(scene: Scene, version: ProtocolVersion) -> None:
    weth = scene.at("weth9")
    await add_ether(scene, version)
    end_state, told, receipt = await told_by(scene, actions.withdraw(weth, scene.maker, 1))
    parameters = {"owner": mixed(scene.maker), "value": "1"}
    assert end_state == "UNFUNDED"
    assert told == [cause(receipt, 0, "WethWithdrawalEvent", parameters)]


async def test_weth_deposit(scene: Scene, version: ProtocolVersion) -> None:
    weth = scene.at("weth9")
    await add_ether(scene, version)
    await scene.do(actions.withdraw(weth, scene.maker, 1))
    await scene.events()
    end_state, told, receipt = await told_by(scene, actions.deposit(weth, scene.maker, 10**18))
    parameters = {"owner": mixed(scene.maker), "value": str(10**18)}
    assert end_state == "ADDED"
    assert told == [cause(receipt, 0, "WethDepositEvent", parameters)]


def with_fees(scene: Scene, version: ProtocolVersion) -> SignedOrder:
    """Return an order in which no two values of a fill are alike."""
    fees: dict[str, object] = {
        "fee_recipient_address": RECIPIENT,
        "maker_fee": Amount(20),
        "taker_fee": Amount(60),
    }
    if version is V3:  # v2 takes its fees in ZRX, always
        fees["maker_fee_asset_data"] = encode(Erc20(Address(scene.at("erc20 SAF"))))
        fees["taker_fee_asset_data"] = encode(Erc20(Address(scene.at("zrxToken"))))
    return scene.market.offer(version, **fees)


async def test_exchange_fill(scene: Scene, version: ProtocolVersion) -> None:
    order = with_fees(scene, version)
    await scene.add(order)
    end_state, told, receipt = await told_by(scene, actions.fill(order, scene.taker, 10))
    parameters = {
        "makerAddress": mixed(scene.maker),
        "takerAddress": mixed(scene.taker),
        "senderAddress": mixed(scene.taker),
        "feeRecipientAddress": mixed(RECIPIENT),
        "makerAssetFilledAmount": "25",
        "takerAssetFilledAmount": "10",
        "makerFeePaid": "5",
        "takerFeePaid": "15",
        "orderHash": name_of(order),
        "makerAssetData": lower(order.maker_asset_data),
        "takerAssetData": lower(order.taker_asset_data),
    }
    if version is V3:
        parameters |= {
            "protocolFeePaid": "0",
            "makerFeeAssetData": lower(order.maker_fee_asset_data),
            "takerFeeAssetData": lower(order.taker_fee_asset_data),
        }
    assert end_state == "FILLED"
    fills = [entry for entry in told if entry["kind"] == "ExchangeFillEvent"]
    (position,) = [
        place
        for place, log in enumerate(receipt.logs)
        if log.address == scene.of("exchange", version)
    ]
    assert fills == [cause(receipt, position, "ExchangeFillEvent", parameters)]
    # The rest are the transfers of what the maker gave, in the sequence of the block.
    assert {entry["kind"] for entry in told} == {"ExchangeFillEvent", "ERC20TransferEvent"}
    assert [entry["logIndex"] for entry in told] == sorted(entry["logIndex"] for entry in told)
    assert sorted(
        entry["parameters"]["value"] for entry in told if entry["kind"] == "ERC20TransferEvent"
    ) == ["25", "5"]


async def test_exchange_cancel(scene: Scene, version: ProtocolVersion) -> None:
    order = scene.market.offer(version, fee_recipient_address=RECIPIENT)
    await scene.add(order)
    end_state, told, receipt = await told_by(scene, actions.cancel(order))
    parameters = {
        "makerAddress": mixed(scene.maker),
        "senderAddress": mixed(scene.maker),
        "feeRecipientAddress": mixed(RECIPIENT),
        "orderHash": name_of(order),
        "makerAssetData": lower(order.maker_asset_data),
        "takerAssetData": lower(order.taker_asset_data),
    }
    assert end_state == "CANCELLED"
    assert told == [cause(receipt, 0, "ExchangeCancelEvent", parameters)]


async def test_exchange_cancel_up_to(scene: Scene, version: ProtocolVersion) -> None:
    salt = 2**255
    order = scene.market.offer(version, salt=salt)
    await scene.add(order)
    end_state, told, receipt = await told_by(
        scene, actions.cancel_up_to(order.exchange_address, scene.maker, salt)
    )
    sender = "senderAddress" if version is V2 else "orderSenderAddress"
    parameters = {
        "makerAddress": mixed(scene.maker),
        sender: lower(NULL_ADDRESS),
        "orderEpoch": str(salt + 1),
    }
    assert end_state == "CANCELLED"
    assert told == [cause(receipt, 0, "ExchangeCancelUpToEvent", parameters)]


async def test_an_event_that_clients_do_not_know_is_not_shown(
    scene: Scene, version: ProtocolVersion
) -> None:
    """SignatureValidatorApproval moves orders, but the published clients throw on it."""
    magic = VALIDATOR_V2_MAGIC if version is V2 else EIP1271_MAGIC
    validator = await scene.market.traders.create(accepting(magic))
    order = scene.market.offer(version, signature=validator + b"\x05")
    approval = (order.exchange_address, scene.maker, validator)
    await scene.do(actions.approve_validator(*approval))
    await scene.add(order)
    end_state, told, _ = await told_by(
        scene, actions.approve_validator(*approval, is_approved=False)
    )
    assert (end_state, told) == ("INVALID", [])


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind.is_listed])
def test_no_kind_is_left_out(kind: EventKind) -> None:
    assert f"test_{kind.name.lower()}" in globals()
