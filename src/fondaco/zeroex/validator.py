"""The rules an order can be held against without asking the chain, in Mesh's sequence.

    check_policy   custom filter, expiration maximum, sender, chain, exchange, size
        v          (then the store says whether the order is known)
    check_order    expiration, amounts, asset data, form of the signature
        v          (then the signature is recovered, or the chain is asked)

First hit wins, so a client sees the code it would have seen from Mesh.

Two rules are ours, against poison: orders that pass every check of Mesh and then make
the contract itself fail, alone or with all that share the call. An order whose complete
fill overflows, and a v2 basket that holds zero of something, are refused here; the
detail says why, since the code is only the nearest there is.

Source: 0x Mesh v6 and v9.4.3 ``core.validateOrders``, ``OrderValidator.BatchOffchainValidation``.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.errors import Verdict
from fondaco.zeroex import asset_data
from fondaco.zeroex.asset_data import Asset, AssetDataError
from fondaco.zeroex.codec import encoded_size
from fondaco.zeroex.errors import OrderRejected, OrderTooLarge, RejectionCode
from fondaco.zeroex.limits import MAX_EXPIRATION, MAX_ORDER_SIZE
from fondaco.zeroex.order import NULL_ADDRESS, UINT256_MAX, ProtocolVersion, SignedOrder
from fondaco.zeroex.order_filter import CustomSchema
from fondaco.zeroex.signatures import check_shape

# Reading a member off an enum costs more than a whole comparison in Python 3.11.
_V2 = ProtocolVersion.V2
_V3 = ProtocolVersion.V3


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What this node takes at the moment."""

    contracts: ChainContracts
    """Chain and exchanges; a version without contracts is not taken."""

    max_expiration: int = UINT256_MAX
    """Unix seconds; falls when the store is full (Mesh ``maxExpirationTime``)."""

    custom_schema: CustomSchema | None = None
    """``CUSTOM_ORDER_FILTER``; None when every order satisfies it."""

    max_order_size: Mapping[ProtocolVersion, int] = msgspec.field(
        default_factory=lambda: MAX_ORDER_SIZE
    )
    """Bytes, counted as ``codec.encoded_size`` does."""

    def deployment(self, version: ProtocolVersion) -> Deployment | None:
        """Return the contracts of *version*, None when it is not served."""
        return self.contracts.v2 if version is _V2 else self.contracts.v3


def check_policy(order: SignedOrder, body: bytes, policy: Policy) -> None:
    """Accept *order* when it is one that this node takes.

    Args:
        order: any well-formed order.
        body: the same, as ``codec.encode_order`` spells it.
        policy: what the node takes now.

    Raises:
        InvalidSchema: the custom filter refuses it.
        OrderTooLarge: its encoding is over the limit.
        OrderRejected: MAX_EXPIRATION_EXCEEDED, SENDER_ADDRESS_NOT_ALLOWED,
            INCORRECT_CHAIN or INCORRECT_EXCHANGE_ADDRESS.
    """
    if policy.custom_schema is not None:
        policy.custom_schema.check(body)
    if order.expiration_time_seconds > policy.max_expiration:
        raise OrderRejected(
            RejectionCode.MAX_EXPIRATION_EXCEEDED,
            f"expires at {order.expiration_time_seconds}, at most {policy.max_expiration} taken",
        )
    if order.sender_address != NULL_ADDRESS:
        raise OrderRejected(RejectionCode.SENDER_ADDRESS_NOT_ALLOWED)
    _check_destination(order, policy)
    size, limit = encoded_size(order.version, body), policy.max_order_size[order.version]
    if size > limit:
        raise OrderTooLarge(size, limit)


def _check_destination(order: SignedOrder, policy: Policy) -> None:
    is_v2 = order.version is _V2
    if not is_v2 and order.chain_id != policy.contracts.chain_id:
        raise OrderRejected(
            RejectionCode.INCORRECT_CHAIN,
            f"for chain {order.chain_id}, this node is on {policy.contracts.chain_id}",
        )
    contracts = policy.deployment(order.version)
    if contracts is None:
        # No fault of the sender: which versions a node serves is its owner's choice.
        raise OrderRejected(
            RejectionCode.INCORRECT_CHAIN,
            f"this node does not serve protocol v{order.version}",
            verdict=Verdict.IGNORE,
        )
    if order.exchange_address != contracts.exchange:
        # v2 orders name their chain by nothing but the exchange.
        code = RejectionCode.INCORRECT_CHAIN if is_v2 else RejectionCode.INCORRECT_EXCHANGE_ADDRESS
        raise OrderRejected(
            code, f"for exchange 0x{order.exchange_address.hex()}, not 0x{contracts.exchange.hex()}"
        )


def check_order(order: SignedOrder, policy: Policy) -> None:
    """Accept *order* when the protocol lets it exist, whatever the chain says later.

    The signature is checked for its form only: see ``signatures.recover_is_valid``
    and ``signatures.needs_chain``.

    Raises:
        OrderRejected: MAX_EXPIRATION_EXCEEDED, INVALID_…_ASSET_AMOUNT,
            INVALID_…_ASSET_DATA or INVALID_SIGNATURE.
    """
    if order.expiration_time_seconds > MAX_EXPIRATION:
        raise OrderRejected(
            RejectionCode.MAX_EXPIRATION_EXCEEDED,
            f"{order.expiration_time_seconds} does not fit a signed 64-bit integer",
        )
    _check_amounts(order)
    contracts = policy.deployment(order.version)
    if contracts is None:
        raise OrderRejected(RejectionCode.INCORRECT_CHAIN)
    _check_assets(order, contracts)
    check_shape(order)


def _check_amounts(order: SignedOrder) -> None:
    maker, taker = order.maker_asset_amount, order.taker_asset_amount
    if maker == 0:
        raise OrderRejected(RejectionCode.INVALID_MAKER_ASSET_AMOUNT)
    if taker == 0:
        raise OrderRejected(RejectionCode.INVALID_TAKER_ASSET_AMOUNT)
    # A fill of the whole order makes the Exchange multiply the filled taker amount by
    # each of these and revert on overflow (LibMath.getPartialAmountFloor). DevUtils does
    # the same as soon as the maker can deliver it all, so it never finds such an order
    # fully funded: measured on both versions, tests/zeroex/test_judged_by_contracts.py.
    for amount, name in (
        (maker, "makerAssetAmount"),
        (order.maker_fee, "makerFee"),
        (order.taker_fee, "takerFee"),
    ):
        if amount * taker > UINT256_MAX:
            raise OrderRejected(
                RejectionCode.INVALID_MAKER_ASSET_AMOUNT,
                f"{name} times takerAssetAmount is over 2**256 - 1, where the contract overflows",
            )


def _check_assets(order: SignedOrder, contracts: Deployment) -> None:
    maker_asset = _check_asset(
        order.maker_asset_data, order, contracts, RejectionCode.INVALID_MAKER_ASSET_DATA
    )
    if order.version is _V2 and asset_data.has_zero_component(maker_asset):
        raise OrderRejected(
            RejectionCode.INVALID_MAKER_ASSET_DATA,
            "the basket holds zero of a component, by which the v2 contract divides",
        )
    _check_asset(order.taker_asset_data, order, contracts, RejectionCode.INVALID_TAKER_ASSET_DATA)
    if order.maker_fee_asset_data:
        _check_asset(
            order.maker_fee_asset_data, order, contracts, RejectionCode.INVALID_MAKER_FEE_ASSET_DATA
        )
    elif order.maker_fee and order.version is _V3:
        raise OrderRejected(
            RejectionCode.INVALID_MAKER_FEE_ASSET_DATA,
            "makerFee is not 0 but no asset is named; the contract reads four bytes of it",
        )
    if order.taker_fee_asset_data:
        _check_asset(
            order.taker_fee_asset_data, order, contracts, RejectionCode.INVALID_TAKER_FEE_ASSET_DATA
        )


def _check_asset(
    data: bytes, order: SignedOrder, contracts: Deployment, code: RejectionCode
) -> Asset:
    try:
        asset = asset_data.decode(data)
        asset_data.check_supported(asset, order.version, contracts)
    except AssetDataError as fault:
        raise OrderRejected(code, str(fault)) from None
    return asset
