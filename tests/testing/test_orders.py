"""The builder makes what it promises: orders that pass until one thing is changed."""

from __future__ import annotations

import pytest

from fondaco.testing.orders import (
    MAKER_KEY,
    OTHER_MAKER_KEY,
    address_of,
    erc20,
    erc721,
    make_order,
    resign,
)
from fondaco.zeroex.asset_data import Erc20, Erc721, decode
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import Address, ProtocolVersion
from fondaco.zeroex.signatures import SignatureType, recover_is_valid


@pytest.mark.parametrize("version", ProtocolVersion)
@pytest.mark.parametrize("kind", [SignatureType.EIP712, SignatureType.ETH_SIGN])
def test_orders_are_signed_by_their_maker(version: ProtocolVersion, kind: SignatureType) -> None:
    order = make_order(version=version, signature_type=kind, maker_key=OTHER_MAKER_KEY, salt=7)
    assert order.maker_address == address_of(OTHER_MAKER_KEY)
    assert order.salt == 7
    assert recover_is_valid(order_hash(order), order)
    assert decode_order(encode_order(order)) == order


def test_a_given_signature_is_kept() -> None:
    order = make_order(signature=b"\x04")
    assert order.signature == b"\x04"
    assert recover_is_valid(order_hash(order), resign(order, MAKER_KEY))


def test_asset_data_of_the_two_common_kinds() -> None:
    token = Address(b"\x07" * 20)
    assert decode(erc20(token)) == Erc20(token)
    assert decode(erc721(token, 5)) == Erc721(token, 5)
