"""Signed orders of the local chain's accounts. Pure.

offer(devnet, maker, give=(weth_data, 5), want=(zrx_data, 7), salt=1, expires_at=...)
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from fondaco.devnet.accounts import Account
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import NULL_ADDRESS, Address, Amount, ProtocolVersion, SignedOrder
from fondaco.zeroex.signatures import SignatureType, sign

CHAIN_ID = 1337


def offer(
    addresses: Mapping[str, bytes],
    maker: Account,
    *,
    give: tuple[bytes, int],
    want: tuple[bytes, int],
    salt: int,
    expires_at: int,
    version: ProtocolVersion = ProtocolVersion.V3,
    signature_type: SignatureType = SignatureType.EIP712,
    **changes: object,
) -> SignedOrder:
    """Return an order signed by *maker*.

    Args:
        addresses: the chain's, for the Exchange of *version*.
        give, want: asset data and base units of what the maker sells and asks for.
        expires_at: Unix seconds.
        changes: any other fields of SignedOrder, set before signing. A ``signature``
            among them is kept instead of signing.
    """
    is_v3 = version is ProtocolVersion.V3
    unsigned = SignedOrder(
        version=version,
        chain_id=CHAIN_ID if is_v3 else 0,
        exchange_address=Address(addresses["exchange" if is_v3 else "exchangeV2"]),
        maker_address=Address(maker.address),
        taker_address=NULL_ADDRESS,
        fee_recipient_address=NULL_ADDRESS,
        sender_address=NULL_ADDRESS,
        maker_asset_amount=Amount(give[1]),
        taker_asset_amount=Amount(want[1]),
        maker_fee=Amount(0),
        taker_fee=Amount(0),
        expiration_time_seconds=expires_at,
        salt=salt,
        maker_asset_data=give[0],
        taker_asset_data=want[0],
        maker_fee_asset_data=b"",
        taker_fee_asset_data=b"",
        signature=b"",
    )
    order = replace(unsigned, **changes)
    if "signature" in changes:
        return order
    signature = sign(order_hash(order), maker.private_key, signature_type)
    return replace(order, signature=signature)
