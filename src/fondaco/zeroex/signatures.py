"""Who signed an order: what can be told here, and what only the chain can tell.

    type 2 EIP712, 3 EthSign                          recovered here (libsecp256k1)
    type 4 Wallet, 5 Validator, 6 PreSigned, 7 EIP1271 Wallet    asked of the Exchange
    everything else                                   never valid

A signature is malleable (its mirror image with s' = n - s is as good to the contract),
so nothing may be keyed by it; an order's name is its hash.

Source: 0x v2.1 and v3 ``MixinSignatureValidator``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

from coincurve import PrivateKey, PublicKey
from tiny_keccak import keccak256

from fondaco.errors import Unavailable
from fondaco.zeroex.errors import OrderRejected, RejectionCode
from fondaco.zeroex.order import NULL_ADDRESS, Address, OrderHash, ProtocolVersion, SignedOrder


class SignatureType(enum.IntEnum):
    """The last byte of a signature."""

    ILLEGAL = 0
    INVALID = 1
    EIP712 = 2
    ETH_SIGN = 3
    WALLET = 4
    VALIDATOR = 5
    PRE_SIGNED = 6
    EIP1271_WALLET = 7
    """Only in v3."""


ECDSA_SIGNATURE_SIZE = 66
"""Bytes of types 2 and 3: v (1), r (32), s (32), type (1)."""

MIN_VALIDATOR_SIGNATURE_SIZE = 21
"""Bytes of the shortest type 5: the validator's address (20) and the type."""

_TYPES = {int(kind): kind for kind in SignatureType}
_RECOVERABLE = frozenset({SignatureType.EIP712, SignatureType.ETH_SIGN})
_ASKED = {
    ProtocolVersion.V2: frozenset(
        {SignatureType.WALLET, SignatureType.VALIDATOR, SignatureType.PRE_SIGNED}
    ),
    ProtocolVersion.V3: frozenset(
        {
            SignatureType.WALLET,
            SignatureType.VALIDATOR,
            SignatureType.PRE_SIGNED,
            SignatureType.EIP1271_WALLET,
        }
    ),
}

_ETH_SIGN_PREFIX = b"\x19Ethereum Signed Message:\n32"


def check_shape(order: SignedOrder) -> SignatureType:
    """Return the type of the signature of *order* when its form allows it to be valid.

    Raises:
        OrderRejected: INVALID_SIGNATURE; the detail says what is wrong with the form.
    """
    signature = order.signature
    if not signature:
        raise _bad("the signature is empty")
    kind = signature[-1]
    if kind in _RECOVERABLE:
        if len(signature) != ECDSA_SIGNATURE_SIZE:
            raise _bad(f"type {kind} takes {ECDSA_SIGNATURE_SIZE} bytes, not {len(signature)}")
    elif kind not in _ASKED[order.version]:
        raise _bad(f"type {kind} does not exist or is never valid in v{order.version}")
    elif kind == SignatureType.VALIDATOR and len(signature) < MIN_VALIDATOR_SIGNATURE_SIZE:
        raise _bad(f"type 5 takes at least {MIN_VALIDATOR_SIGNATURE_SIZE} bytes")
    return _TYPES[kind]


def _bad(detail: str) -> OrderRejected:
    return OrderRejected(RejectionCode.INVALID_SIGNATURE, detail)


def needs_chain(order: SignedOrder) -> bool:
    """Return whether only a contract can say if the signature of *order* is valid.

    The answer may then change from block to block. Meaningful after ``check_shape``.
    """
    return bool(order.signature) and order.signature[-1] in _ASKED[order.version]


def split(signature: bytes) -> tuple[int, bytes, bytes]:
    """Return (v, r, s) of a 66-byte signature of type 2 or 3."""
    return signature[0], signature[1:33], signature[33:65]


def recover(order_hash: OrderHash, signature: bytes) -> Address | None:
    """Return the account that signed *order_hash*, None when there is none.

    Only types 2 and 3 of 66 bytes have an answer. As the contract's ``ecrecover``:
    v is 27 or 28 and a high s is as good as its mirror image.
    """
    if len(signature) != ECDSA_SIGNATURE_SIZE or signature[0] not in (27, 28):
        return None
    kind = signature[-1]
    if kind == SignatureType.ETH_SIGN:
        digest = keccak256(_ETH_SIGN_PREFIX + order_hash)
    elif kind == SignatureType.EIP712:
        digest = order_hash
    else:
        return None
    try:
        key = PublicKey.from_signature_and_message(
            signature[1:65] + bytes((signature[0] - 27,)), digest, hasher=None
        )
    except ValueError:  # r or s out of range, or no point on the curve
        return None
    return Address(keccak256(key.format(compressed=False)[1:])[12:])


def recover_is_valid(order_hash: OrderHash, order: SignedOrder) -> bool:
    """Return whether the maker of *order* signed it with type 2 or 3.

    False for every other type (ask ``needs_chain`` first) and for the null maker,
    whom ``ecrecover`` names whenever it fails.
    """
    maker = order.maker_address
    return maker != NULL_ADDRESS and recover(order_hash, order.signature) == maker


def recover_many(items: Iterable[tuple[OrderHash, SignedOrder]]) -> list[bool]:
    """Return ``recover_is_valid`` of each; to be run in a worker thread.

    libsecp256k1 releases the interpreter lock, so the event loop stays usable while a
    batch of hundreds (about 45 us each) is worked through.
    """
    return [recover_is_valid(order_hash, order) for order_hash, order in items]


def sign(
    order_hash: OrderHash,
    private_key: bytes,
    kind: SignatureType = SignatureType.EIP712,
) -> bytes:
    """Return the 66-byte signature of *order_hash*: deterministic (RFC 6979), low s.

    For tests and the devnet; a node signs no orders.

    Raises:
        ValueError: *kind* is not EIP712 or ETH_SIGN, or the key is not 32 good bytes.
    """
    if kind not in _RECOVERABLE:
        raise ValueError(f"{kind!r} is not made with a private key")
    is_eth_sign = kind is SignatureType.ETH_SIGN
    digest = keccak256(_ETH_SIGN_PREFIX + order_hash) if is_eth_sign else order_hash
    raw = PrivateKey(private_key).sign_recoverable(digest, hasher=None)
    return bytes((27 + raw[64],)) + raw[:64] + bytes((kind,))


# -- asking the contract -----------------------------------------------------------

_V2_QUESTION = keccak256(b"isValidSignature(bytes32,address,bytes)")[:4]
_V3_QUESTION = keccak256(
    b"isValidOrderSignature((address,address,address,address,uint256,uint256,uint256,"
    b"uint256,uint256,uint256,bytes,bytes,bytes,bytes),bytes)"
)[:4]

_TRUE = (1).to_bytes(32, "big")
_FALSE = bytes(32)


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _dynamic(data: bytes) -> bytes:
    """ABI ``bytes``: length, content, zeros up to a whole word."""
    return _word(len(data)) + data + bytes(-len(data) % 32)


def _tail(heads: int, values: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Offsets and bodies of dynamic values behind *heads* head words."""
    offsets, bodies, position = [], [], 32 * heads
    for value in values:
        body = _dynamic(value)
        offsets.append(_word(position))
        bodies.append(body)
        position += len(body)
    return offsets, bodies


def encode_order_tuple(order: SignedOrder) -> bytes:
    """Return *order* as the ABI tuple ``Order`` of its version, without the signature.

    Source: 0x v2 and v3 ``LibOrder.Order``.
    """
    data = [order.maker_asset_data, order.taker_asset_data]
    if order.version is ProtocolVersion.V3:
        data += [order.maker_fee_asset_data, order.taker_fee_asset_data]
    offsets, bodies = _tail(10 + len(data), data)
    addresses = (
        order.maker_address,
        order.taker_address,
        order.fee_recipient_address,
        order.sender_address,
    )
    numbers = (
        order.maker_asset_amount,
        order.taker_asset_amount,
        order.maker_fee,
        order.taker_fee,
        order.expiration_time_seconds,
        order.salt,
    )
    heads = [bytes(12) + address for address in addresses]
    return b"".join([*heads, *map(_word, numbers), *offsets, *bodies])


def encode_signature_call(order: SignedOrder, order_hash: OrderHash) -> bytes:
    """Return call data that asks the Exchange of *order* if the signature is valid.

    One order a call: the contracts revert for some signatures (a Wallet without code),
    and a revert must not take neighbours along.

    Source: v2.1 ``isValidSignature(bytes32,address,bytes)``, v3
    ``isValidOrderSignature(Order,bytes)``.
    """
    if order.version is ProtocolVersion.V2:
        signer = bytes(12) + order.maker_address
        offset = _word(3 * 32)
        return _V2_QUESTION + order_hash + signer + offset + _dynamic(order.signature)
    body = encode_order_tuple(order)
    return b"".join(
        (_V3_QUESTION, _word(64), _word(64 + len(body)), body, _dynamic(order.signature))
    )


def decode_signature_answer(answer: bytes) -> bool:
    """Return what the Exchange said.

    Raises:
        Unavailable: *answer* is not exactly one ABI ``bool``: there is no Exchange at
            that address, or the endpoint answers nonsense. It says nothing about
            the signature.
    """
    if answer == _TRUE:
        return True
    if answer == _FALSE:
        return False
    raise Unavailable(f"the Exchange answered {len(answer)} bytes that are not a bool")
