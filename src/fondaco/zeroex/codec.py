"""Signed orders as JSON: one spelling per value going out, a strict rim coming in.

    bytes --> 14 or 17 colons? --yes--> typed decode --> convert --.
                    |                        | any fault            +--> SignedOrder
                    '--no---> careful parse <'                      |
                              every fault listed --> InvalidSchema  |
                              none (extras, odd blanks) ------------'

The left way costs a few microseconds; the right one runs only for orders with extra
properties and for broken ones, and is the one that explains.

Source: 0x Mesh ``core/schema`` v6 and v9 (which fields, which patterns, which words),
``zeroex.SignedOrder`` (sequence of the fields going out).
"""

from __future__ import annotations

import json
import re
from binascii import unhexlify
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from fondaco.zeroex.errors import InvalidSchema
from fondaco.zeroex.limits import MAX_CHAIN_ID, MAX_QUOTED, MAX_SCHEMA_ERRORS
from fondaco.zeroex.order import (
    UINT256_MAX,
    Address,
    Amount,
    ProtocolVersion,
    SignedOrder,
)

ADDRESS_PATTERN = "^0x[0-9a-fA-F]{40}$"
HEX_PATTERN = "^0x(([0-9a-fA-F][0-9a-fA-F])+)?$"
WHOLE_NUMBER_PATTERN = "^(0|[1-9][0-9]{0,77})$"
"""Narrower than Mesh's ``^\\d+$``, which lets "007" name the same order as "7"."""

NULL_ADDRESS_TEXT = "0x" + "00" * 20

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,77}")

_V2_COLONS = 14
_V3_COLONS = 17


class _WireV2(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A v2 order as text; also the sequence in which Mesh v6 prints it."""

    makerAddress: str
    makerAssetData: str
    makerAssetAmount: str
    makerFee: str
    takerAddress: str
    takerAssetData: str
    takerAssetAmount: str
    takerFee: str
    senderAddress: str
    exchangeAddress: str
    feeRecipientAddress: str
    expirationTimeSeconds: str
    salt: str
    signature: str


class _WireV3(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A v3 order as text; also the sequence in which Mesh v9 prints it."""

    chainId: int
    exchangeAddress: str
    makerAddress: str
    makerAssetData: str
    makerFeeAssetData: str
    makerAssetAmount: str
    makerFee: str
    takerAddress: str
    takerAssetData: str
    takerFeeAssetData: str
    takerAssetAmount: str
    takerFee: str
    senderAddress: str
    feeRecipientAddress: str
    expirationTimeSeconds: str
    salt: str
    signature: str


_decode_v2 = msgspec.json.Decoder(_WireV2).decode
_decode_v3 = msgspec.json.Decoder(_WireV3).decode


def decode_order(raw: bytes | msgspec.Raw) -> SignedOrder:
    """Return the signed order that *raw* spells.

    ``chainId`` or a fee-asset field makes it v3, else it is v2. Extra properties are
    dropped. Which chain and exchange are meant is not looked at (``validator``).

    Raises:
        InvalidSchema: *raw* is anything else; names the first bad field and lists
            all of them.
    """
    data = bytes(raw)
    # Each property has one colon and no value of an order has any, so the right
    # number with all fields present rules out repeated and extra properties.
    colons = data.count(b":")
    try:
        if colons == _V3_COLONS:
            wire = _decode_v3(data)
            # Left to the careful way: 0, which can also be spelled "-0".
            if 0 < wire.chainId <= MAX_CHAIN_ID:
                return _build_v3(wire)
        elif colons == _V2_COLONS:
            return _build_v2(_decode_v2(data))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # The careful way finds the fault again and names it.
    return _decode_carefully(data)


def _address(text: str) -> Address:
    if len(text) != 42 or text[:2] != "0x":
        raise ValueError(ADDRESS_PATTERN)
    return Address(unhexlify(text[2:]))


def _bytes(text: str) -> bytes:
    if text[:2] != "0x":
        raise ValueError(HEX_PATTERN)
    return unhexlify(text[2:])


def _asset_data(text: str) -> bytes:
    # v6 prints empty data as "", which its own schema then refuses; we read it back.
    return _bytes(text) if text else b""


def _uint(text: str) -> int:
    # int() also takes "1_0", " 7", "+7" and digits of other scripts.
    if not (text.isascii() and text.isdecimal()) or len(text) > 78:
        raise ValueError(WHOLE_NUMBER_PATTERN)
    if text[0] == "0" and text != "0":
        raise ValueError(WHOLE_NUMBER_PATTERN)
    number = int(text)
    if number > UINT256_MAX:
        raise ValueError("over 2**256 - 1")
    return number


def _build_v2(wire: _WireV2) -> SignedOrder:
    return SignedOrder(
        version=ProtocolVersion.V2,
        chain_id=0,
        exchange_address=_address(wire.exchangeAddress),
        maker_address=_address(wire.makerAddress),
        taker_address=_address(wire.takerAddress),
        fee_recipient_address=_address(wire.feeRecipientAddress),
        sender_address=_address(wire.senderAddress),
        maker_asset_amount=Amount(_uint(wire.makerAssetAmount)),
        taker_asset_amount=Amount(_uint(wire.takerAssetAmount)),
        maker_fee=Amount(_uint(wire.makerFee)),
        taker_fee=Amount(_uint(wire.takerFee)),
        expiration_time_seconds=_uint(wire.expirationTimeSeconds),
        salt=_uint(wire.salt),
        maker_asset_data=_asset_data(wire.makerAssetData),
        taker_asset_data=_asset_data(wire.takerAssetData),
        maker_fee_asset_data=b"",
        taker_fee_asset_data=b"",
        signature=_bytes(wire.signature),
    )


def _build_v3(wire: _WireV3) -> SignedOrder:
    return SignedOrder(
        version=ProtocolVersion.V3,
        chain_id=wire.chainId,
        exchange_address=_address(wire.exchangeAddress),
        maker_address=_address(wire.makerAddress),
        taker_address=_address(wire.takerAddress),
        fee_recipient_address=_address(wire.feeRecipientAddress),
        sender_address=_address(wire.senderAddress),
        maker_asset_amount=Amount(_uint(wire.makerAssetAmount)),
        taker_asset_amount=Amount(_uint(wire.takerAssetAmount)),
        maker_fee=Amount(_uint(wire.makerFee)),
        taker_fee=Amount(_uint(wire.takerFee)),
        expiration_time_seconds=_uint(wire.expirationTimeSeconds),
        salt=_uint(wire.salt),
        maker_asset_data=_asset_data(wire.makerAssetData),
        taker_asset_data=_asset_data(wire.takerAssetData),
        maker_fee_asset_data=_asset_data(wire.makerFeeAssetData),
        taker_fee_asset_data=_asset_data(wire.takerFeeAssetData),
        signature=_bytes(wire.signature),
    )


# -- the careful way ---------------------------------------------------------------


class _Integer(str):
    """A JSON number without fraction or exponent, not converted: it may be huge."""


class _Fraction(str):
    """Any other JSON number."""


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that repeated names are seen."""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_careful = json.JSONDecoder(
    object_pairs_hook=_Object,
    parse_int=_Integer,
    parse_float=_Fraction,
    parse_constant=_refuse_constant,
)


def _type_name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case _Integer():
            return "integer"
        case _Fraction():
            return "number"
        case str():
            return "string"
        case _Object():
            return "object"
        case _:
            return "array"


def _wrong_type(name: str, expected: str, value: object) -> str:
    return f"{name}: Invalid type. Expected: {expected}, given: {_type_name(value)}"


def _check_text(name: str, value: object, pattern: re.Pattern[str], shown: str) -> str | None:
    if _type_name(value) != "string":
        return _wrong_type(name, "string", value)
    if not pattern.fullmatch(str(value)):
        return f"{name}: Does not match pattern '{shown}'"
    return None


def _check_address(name: str, value: object) -> str | None:
    return _check_text(name, value, _ADDRESS, ADDRESS_PATTERN)


def _check_hex(name: str, value: object) -> str | None:
    return _check_text(name, value, _HEX, HEX_PATTERN)


def _check_asset_data(name: str, value: object) -> str | None:
    is_empty = _type_name(value) == "string" and value == ""
    return None if is_empty else _check_hex(name, value)


def _check_uint(name: str, value: object) -> str | None:
    fault = _check_text(name, value, _WHOLE_NUMBER, WHOLE_NUMBER_PATTERN)
    if fault is None and int(str(value)) > UINT256_MAX:
        return f"{name}: Must be less than or equal to {UINT256_MAX}"
    return fault


def _check_chain_id(name: str, value: object) -> str | None:
    if not isinstance(value, _Integer):
        return _wrong_type(name, "integer", value)
    # "-0" is the one integer with two spellings left.
    if value.startswith("-"):
        return f"{name}: Must be greater than or equal to 0"
    if len(value) > 19 or int(value) > MAX_CHAIN_ID:
        return f"{name}: Must be less than or equal to {MAX_CHAIN_ID}"
    return None


class _Field(NamedTuple):
    check: Callable[[str, object], str | None]
    """Returns the fault in Mesh's words, None when the value is good."""
    fallback: str | int
    """What a rejected order shows where the value cannot be read."""


_ADDRESS_FIELD = _Field(_check_address, NULL_ADDRESS_TEXT)
_UINT_FIELD = _Field(_check_uint, "0")
_DATA_FIELD = _Field(_check_asset_data, "0x")
_FIELDS = {
    "chainId": _Field(_check_chain_id, 0),
    **dict.fromkeys(
        (
            "exchangeAddress",
            "makerAddress",
            "takerAddress",
            "senderAddress",
            "feeRecipientAddress",
        ),
        _ADDRESS_FIELD,
    ),
    **dict.fromkeys(
        (
            "makerAssetAmount",
            "takerAssetAmount",
            "makerFee",
            "takerFee",
            "expirationTimeSeconds",
            "salt",
        ),
        _UINT_FIELD,
    ),
    **dict.fromkeys(
        ("makerAssetData", "takerAssetData", "makerFeeAssetData", "takerFeeAssetData"),
        _DATA_FIELD,
    ),
    "signature": _Field(_check_hex, "0x"),
}

_NAMES = {
    ProtocolVersion.V2: _WireV2.__struct_fields__,
    ProtocolVersion.V3: _WireV3.__struct_fields__,
}

_V3_MARKS = frozenset({"chainId", "makerFeeAssetData", "takerFeeAssetData"})
"""One of these makes an order v3."""

_ALL_OF = "(root): Must validate all the schemas (allOf)"


def _parse(data: bytes) -> object:
    try:
        return _careful.decode(data.decode())
    except UnicodeDecodeError as fault:
        raise InvalidSchema("(root)", detail=f"not UTF-8 at byte {fault.start}") from None
    except RecursionError:
        raise InvalidSchema("(root)", detail="nested too deeply") from None
    except ValueError as fault:
        raise InvalidSchema("(root)", detail=str(fault)) from None


def _version_of(fields: Mapping[str, object]) -> ProtocolVersion:
    return ProtocolVersion.V2 if _V3_MARKS.isdisjoint(fields) else ProtocolVersion.V3


def _decode_carefully(data: bytes) -> SignedOrder:
    value = _parse(data)
    if not isinstance(value, _Object):
        raise InvalidSchema("(root)", [_wrong_type("(root)", "object", value)])
    fields = dict(value)
    faults = _repeated(value) if len(fields) != len(value) else {}
    version = _version_of(fields)
    for name in _NAMES[version]:
        if name not in fields:
            faults.setdefault(name, f"(root): {name} is required")
        elif fault := _FIELDS[name].check(name, fields[name]):
            faults.setdefault(name, fault)
    if faults:
        errors = [*faults.values()][:MAX_SCHEMA_ERRORS]
        raise InvalidSchema(next(iter(faults)), [*errors, _ALL_OF])
    if version is ProtocolVersion.V2:
        return _build_v2(_WireV2(**{name: fields[name] for name in _NAMES[version]}))
    texts = {name: fields[name] for name in _NAMES[version]}
    return _build_v3(_WireV3(**{**texts, "chainId": int(texts["chainId"])}))


def _repeated(pairs: _Object) -> dict[str, str]:
    seen: set[str] = set()
    faults: dict[str, str] = {}
    for name, _ in pairs:
        if name in seen:
            shown = name if name in _FIELDS else name[:MAX_QUOTED]
            faults[name] = f"(root): {shown!a} is given more than once"
        seen.add(name)
    return faults


def best_effort(raw: bytes | msgspec.Raw, default_version: ProtocolVersion) -> dict[str, str | int]:
    """Return what can be read of an order that was refused as InvalidSchema.

    Every field of its version is there, since clients throw on a missing one: an
    unreadable address is the null address, an amount ``"0"``, bytes ``"0x"``, and
    ``chainId``, the one integer, 0.

    Args:
        raw: what ``decode_order`` refused.
        default_version: version to show when *raw* is no JSON object at all.
    """
    try:
        value = _parse(bytes(raw))
    except InvalidSchema:
        value = None
    fields = dict(value) if isinstance(value, _Object) else {}
    version = _version_of(fields) if fields else default_version
    return {name: _readable(name, fields.get(name)) for name in _NAMES[version]}


def _readable(name: str, value: object) -> str | int:
    field = _FIELDS[name]
    if field is _UINT_FIELD and isinstance(value, _Integer):
        # A number where its decimal text was meant: what the sender had in mind is clear.
        value = str(value)
    if field.check(name, value) is not None:
        return field.fallback
    if isinstance(value, _Integer):
        return int(value)
    return str(value).lower() or field.fallback


# -- going out ---------------------------------------------------------------------


def encode_order(order: SignedOrder) -> bytes:
    """Return the one spelling of *order*: what clients, peers and the store are given.

    Lower-case hex, canonical decimals, no blanks, the sequence of fields of Mesh v6
    (v2) or v9 (v3). Empty asset data is ``""`` in v2 and ``"0x"`` in v3, as each
    printed it; ``chainId`` is an integer.
    """
    return (_encode_v2 if order.version is ProtocolVersion.V2 else _encode_v3)(order).encode()


def _encode_v2(order: SignedOrder) -> str:
    maker_data, taker_data = order.maker_asset_data, order.taker_asset_data
    return (
        f'{{"makerAddress":"0x{order.maker_address.hex()}",'
        f'"makerAssetData":"{"0x" + maker_data.hex() if maker_data else ""}",'
        f'"makerAssetAmount":"{order.maker_asset_amount}",'
        f'"makerFee":"{order.maker_fee}",'
        f'"takerAddress":"0x{order.taker_address.hex()}",'
        f'"takerAssetData":"{"0x" + taker_data.hex() if taker_data else ""}",'
        f'"takerAssetAmount":"{order.taker_asset_amount}",'
        f'"takerFee":"{order.taker_fee}",'
        f'"senderAddress":"0x{order.sender_address.hex()}",'
        f'"exchangeAddress":"0x{order.exchange_address.hex()}",'
        f'"feeRecipientAddress":"0x{order.fee_recipient_address.hex()}",'
        f'"expirationTimeSeconds":"{order.expiration_time_seconds}",'
        f'"salt":"{order.salt}",'
        f'"signature":"0x{order.signature.hex()}"}}'
    )


def _encode_v3(order: SignedOrder) -> str:
    return (
        f'{{"chainId":{order.chain_id},'
        f'"exchangeAddress":"0x{order.exchange_address.hex()}",'
        f'"makerAddress":"0x{order.maker_address.hex()}",'
        f'"makerAssetData":"0x{order.maker_asset_data.hex()}",'
        f'"makerFeeAssetData":"0x{order.maker_fee_asset_data.hex()}",'
        f'"makerAssetAmount":"{order.maker_asset_amount}",'
        f'"makerFee":"{order.maker_fee}",'
        f'"takerAddress":"0x{order.taker_address.hex()}",'
        f'"takerAssetData":"0x{order.taker_asset_data.hex()}",'
        f'"takerFeeAssetData":"0x{order.taker_fee_asset_data.hex()}",'
        f'"takerAssetAmount":"{order.taker_asset_amount}",'
        f'"takerFee":"{order.taker_fee}",'
        f'"senderAddress":"0x{order.sender_address.hex()}",'
        f'"feeRecipientAddress":"0x{order.fee_recipient_address.hex()}",'
        f'"expirationTimeSeconds":"{order.expiration_time_seconds}",'
        f'"salt":"{order.salt}",'
        f'"signature":"0x{order.signature.hex()}"}}'
    )


_V2_MESSAGE_OVERHEAD = len('{"MessageType":"order","Order":}')


def encoded_size(version: ProtocolVersion, body: bytes) -> int:
    """Return the bytes of an order that count against ``limits.MAX_ORDER_SIZE``.

    v2 counts the whole gossip message around the order, v3 the order alone.

    Args:
        version: of the order.
        body: the order as ``encode_order`` spells it.
    """
    return len(body) + (_V2_MESSAGE_OVERHEAD if version is ProtocolVersion.V2 else 0)
