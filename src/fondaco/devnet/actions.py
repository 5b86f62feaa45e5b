"""What traders do on the chain, as transactions still to be sent. Pure.

    await traders.do(actions.approve(token, maker, proxy), actions.fill(order, taker, 42))

Each function returns one transaction. Amounts are base units, addresses 20 bytes.
Who sends it is an argument where anybody may, else the one account that can.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fondaco.devnet import abi
from fondaco.devnet.deploy import DEPLOYER
from fondaco.zeroex.order import UINT256_MAX, ProtocolVersion, SignedOrder


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction before it is sent."""

    sender: bytes
    target: bytes | None
    """None creates a contract."""
    data: bytes = b""
    value: int = 0
    """Wei."""


def call(sender: bytes, target: bytes, signature: str, *arguments: object) -> Action:
    """Call any function of any contract; see ``abi.encode_call``."""
    return Action(sender=sender, target=target, data=abi.encode_call(signature, *arguments))


def create(creation_code: bytes, sender: bytes = DEPLOYER) -> Action:
    """Create a contract; its address is in the receipt."""
    return Action(sender=sender, target=None, data=creation_code)


# -- ERC20 and WETH ----------------------------------------------------------------


def set_balance(token: bytes, owner: bytes, amount: int) -> Action:
    """Give a dummy ERC20's balance out of nothing; neither ZRX nor WETH can do that."""
    return call(DEPLOYER, token, "setBalance(address,uint256)", owner, amount)


def transfer(token: bytes, sender: bytes, recipient: bytes, amount: int) -> Action:
    """Move ERC20 tokens."""
    return call(sender, token, "transfer(address,uint256)", recipient, amount)


def approve(token: bytes, owner: bytes, spender: bytes, amount: int = UINT256_MAX) -> Action:
    """Set an ERC20 allowance; 0 takes it back."""
    return call(owner, token, "approve(address,uint256)", spender, amount)


def deposit(weth: bytes, owner: bytes, amount: int) -> Action:
    """Wrap ether."""
    return Action(sender=owner, target=weth, data=abi.selector("deposit()"), value=amount)


def withdraw(weth: bytes, owner: bytes, amount: int) -> Action:
    """Unwrap ether."""
    return call(owner, weth, "withdraw(uint256)", amount)


# -- ERC721 and ERC1155 --------------------------------------------------------------


def mint_erc721(token: bytes, owner: bytes, token_id: int) -> Action:
    """Make an ERC721 token that does not exist yet."""
    return call(DEPLOYER, token, "mint(address,uint256)", owner, token_id)


def burn_erc721(token: bytes, owner: bytes, token_id: int) -> Action:
    """End an ERC721 token; ``ownerOf`` reverts from then on."""
    return call(DEPLOYER, token, "burn(address,uint256)", owner, token_id)


def transfer_erc721(token: bytes, sender: bytes, recipient: bytes, token_id: int) -> Action:
    """Move an ERC721 token."""
    signature = "transferFrom(address,address,uint256)"
    return call(sender, token, signature, sender, recipient, token_id)


def approve_erc721(token: bytes, owner: bytes, spender: bytes, token_id: int) -> Action:
    """Let *spender* (null: nobody) move one ERC721 token."""
    return call(owner, token, "approve(address,uint256)", spender, token_id)


def approve_all(token: bytes, owner: bytes, operator: bytes, is_approved: bool = True) -> Action:
    """Let *operator* move every token of *owner*: ERC721 and ERC1155."""
    return call(owner, token, "setApprovalForAll(address,bool)", operator, is_approved)


def mint_erc1155(token: bytes, token_id: int, owner: bytes, amount: int) -> Action:
    """Make fungible ERC1155 tokens of an existing type (``deploy.FUNGIBLE_IDS``)."""
    signature = "mintFungible(uint256,address[],uint256[])"
    return call(DEPLOYER, token, signature, token_id, [owner], [amount])


def transfer_erc1155(
    token: bytes, sender: bytes, recipient: bytes, token_id: int, amount: int
) -> Action:
    """Move ERC1155 tokens of one type (event TransferSingle)."""
    signature = "safeTransferFrom(address,address,uint256,uint256,bytes)"
    return call(sender, token, signature, sender, recipient, token_id, amount, b"")


def transfer_erc1155_batch(
    token: bytes, sender: bytes, recipient: bytes, ids: Sequence[int], amounts: Sequence[int]
) -> Action:
    """Move ERC1155 tokens of several types (event TransferBatch)."""
    signature = "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)"
    return call(sender, token, signature, sender, recipient, list(ids), list(amounts), b"")


# -- the Exchange, v2 and v3 ---------------------------------------------------------

_NUMBERS = "uint256,uint256,uint256,uint256,uint256,uint256"
_ORDER_TYPE = {
    ProtocolVersion.V2: f"(address,address,address,address,{_NUMBERS},bytes,bytes)",
    ProtocolVersion.V3: f"(address,address,address,address,{_NUMBERS},bytes,bytes,bytes,bytes)",
}
"""LibOrder.Order of each version."""


def order_signature(version: ProtocolVersion, pattern: str) -> str:
    """Return a function's signature, with the order's type put where *pattern* says {}."""
    return pattern.format(_ORDER_TYPE[version])


def order_tuple(order: SignedOrder) -> tuple[object, ...]:
    """Return *order* as the contract's struct, for ``abi.encode_call``."""
    fields = (
        order.maker_address,
        order.taker_address,
        order.fee_recipient_address,
        order.sender_address,
        order.maker_asset_amount,
        order.taker_asset_amount,
        order.maker_fee,
        order.taker_fee,
        order.expiration_time_seconds,
        order.salt,
        order.maker_asset_data,
        order.taker_asset_data,
    )
    if order.version is ProtocolVersion.V2:
        return fields
    return (*fields, order.maker_fee_asset_data, order.taker_fee_asset_data)


def fill(order: SignedOrder, taker: bytes, taker_amount: int) -> Action:
    """Sell *taker_amount* of the taker asset to the maker of *order*."""
    signature = order_signature(order.version, "fillOrder({},uint256,bytes)")
    arguments = (order_tuple(order), taker_amount, order.signature)
    return call(taker, order.exchange_address, signature, *arguments)


def cancel(order: SignedOrder) -> Action:
    """Cancel one order; its maker sends it."""
    signature = order_signature(order.version, "cancelOrder({})")
    return call(order.maker_address, order.exchange_address, signature, order_tuple(order))


def cancel_up_to(exchange: bytes, maker: bytes, salt: int) -> Action:
    """Cancel every order of *maker* with this salt or a lower one."""
    return call(maker, exchange, "cancelOrdersUpTo(uint256)", salt)


def pre_sign(order: SignedOrder, order_hash: bytes) -> Action:
    """Say on the chain that the maker signed *order* (signature type 6). No event."""
    maker, exchange = order.maker_address, order.exchange_address
    if order.version is ProtocolVersion.V2:
        # The signature is looked at only when somebody else sends it.
        return call(maker, exchange, "preSign(bytes32,address,bytes)", order_hash, maker, b"")
    return call(maker, exchange, "preSign(bytes32)", order_hash)


def approve_validator(
    exchange: bytes, maker: bytes, validator: bytes, is_approved: bool = True
) -> Action:
    """Let a contract sign for *maker* (signature type 5), or no longer."""
    signature = "setSignatureValidatorApproval(address,bool)"
    return call(maker, exchange, signature, validator, is_approved)
