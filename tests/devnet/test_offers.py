"""Signed offers: who made them, for which exchange."""

from __future__ import annotations

import pytest

from fondaco.devnet import deploy
from fondaco.devnet.accounts import derive_accounts
from fondaco.devnet.anvil import MNEMONIC
from fondaco.devnet.offers import offer
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.signatures import SignatureType, recover_is_valid

MAKER = derive_accounts(MNEMONIC, 2)[1]
ASSET = bytes.fromhex("f47261b0") + bytes(12) + b"\x22" * 20


@pytest.mark.parametrize("version", list(ProtocolVersion))
@pytest.mark.parametrize("kind", [SignatureType.EIP712, SignatureType.ETH_SIGN])
def test_an_offer_is_signed_for_the_exchange_of_its_version(
    version: ProtocolVersion, kind: SignatureType
) -> None:
    order = offer(
        deploy.ADDRESSES,
        MAKER,
        give=(ASSET, 5),
        want=(ASSET, 7),
        salt=9,
        expires_at=1_700_000_000,
        version=version,
        signature_type=kind,
    )
    exchange = "exchange" if version is ProtocolVersion.V3 else "exchangeV2"
    assert order.exchange_address == deploy.ADDRESSES[exchange]
    assert (order.maker_asset_amount, order.taker_asset_amount, order.salt) == (5, 7, 9)
    assert order.signature[-1] == kind
    assert recover_is_valid(order_hash(order), order)
    assert decode_order(encode_order(order)) == order
