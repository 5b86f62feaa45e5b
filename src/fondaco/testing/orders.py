"""Valid signed orders for tests, one argument away from any other order.

    make_order()                              a v3 order of MAKER, 100 of one token for 42
    make_order(version=V2, salt=7)            another version, another salt
    make_order(signature=b"")                 a given signature is kept as it is

The traders are those of the public test mnemonic of 0x; never use them elsewhere.
"""

from __future__ import annotations

from coincurve import PrivateKey
from msgspec.structs import replace
from tiny_keccak import keccak256

from fondaco.zeroex.asset_data import Erc20, Erc721, encode
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import NULL_ADDRESS, Address, Amount, ProtocolVersion, SignedOrder
from fondaco.zeroex.signatures import SignatureType, sign

MAKER_KEY = bytes.fromhex("5d862464fe9303452126c8bc94274b8c5f9874cbd219789b3eb2128075a76f72")
OTHER_MAKER_KEY = bytes.fromhex("df02719c4df8b9b8ac7f551fcb5d9ef48fa27eef7a66453879f4d8fdc6e78fb1")

CHAIN_ID = 1337
EXCHANGE = Address(bytes.fromhex("48bacb9266a570d521063ef5dd96e61686dbe788"))
ZRX = Address(bytes.fromhex("871dd7c2b4b25e1aa18728e9d5f2af4c4e431f5c"))
WETH = Address(bytes.fromhex("0b1ba0af832d7c05fd64161e0db78e85978e8082"))

DEFAULT_EXPIRATION = 4_102_444_800
"""Unix seconds: the first of January 2100."""


def address_of(private_key: bytes) -> Address:
    """Return the Ethereum account of *private_key*."""
    public_key = PrivateKey(private_key).public_key.format(compressed=False)
    return Address(keccak256(public_key[1:])[12:])


def erc20(token: Address) -> bytes:
    """Return the asset data of an ERC20 token."""
    return encode(Erc20(token))


def erc721(token: Address, token_id: int) -> bytes:
    """Return the asset data of an ERC721 token."""
    return encode(Erc721(token, token_id))


def make_order(
    *,
    version: ProtocolVersion = ProtocolVersion.V3,
    maker_key: bytes = MAKER_KEY,
    signature_type: SignatureType = SignatureType.ETH_SIGN,
    **changes: object,
) -> SignedOrder:
    """Return an order of *version*, signed by *maker_key*.

    Args:
        version: V2 orders have chain 0 and no fee asset data.
        maker_key: its account is the maker unless ``maker_address`` is given.
        signature_type: EIP712 or ETH_SIGN.
        changes: fields of SignedOrder to set before signing; ``signature`` is set
            instead of signing.
    """
    unsigned = SignedOrder(
        version=version,
        chain_id=CHAIN_ID if version is ProtocolVersion.V3 else 0,
        exchange_address=EXCHANGE,
        maker_address=address_of(maker_key),
        taker_address=NULL_ADDRESS,
        fee_recipient_address=NULL_ADDRESS,
        sender_address=NULL_ADDRESS,
        maker_asset_amount=Amount(100),
        taker_asset_amount=Amount(42),
        maker_fee=Amount(0),
        taker_fee=Amount(0),
        expiration_time_seconds=DEFAULT_EXPIRATION,
        salt=1_548_619_145_450,
        maker_asset_data=erc20(ZRX),
        taker_asset_data=erc20(WETH),
        maker_fee_asset_data=b"",
        taker_fee_asset_data=b"",
        signature=b"",
    )
    order = replace(unsigned, **changes)
    if "signature" in changes:
        return order
    return resign(order, maker_key, signature_type)


def resign(
    order: SignedOrder,
    maker_key: bytes = MAKER_KEY,
    signature_type: SignatureType = SignatureType.ETH_SIGN,
) -> SignedOrder:
    """Return *order* with a fresh signature by *maker_key*."""
    return replace(order, signature=sign(order_hash(order), maker_key, signature_type))
