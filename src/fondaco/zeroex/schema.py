"""What an order's text must look like, said in the words of Mesh's schema library.

``codec`` reads good orders in a few microseconds without this module. It comes here
with everything else, for the reason of a refusal or for the order behind the extras:

    text --> pairs of one JSON object --> version --> every fault, field by field
                                                        | none: WireV2 or WireV3
                                                        '-> InvalidSchema

Source: 0x Mesh ``core/schema`` v6 and v9: which fields, which patterns, which words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from fondaco.zeroex.errors import InvalidSchema
from fondaco.zeroex.limits import MAX_CHAIN_ID, MAX_QUOTED, MAX_SCHEMA_ERRORS
from fondaco.zeroex.order import UINT256_MAX, ProtocolVersion

ADDRESS_PATTERN = "^0x[0-9a-fA-F]{40}$"
HEX_PATTERN = "^0x(([0-9a-fA-F][0-9a-fA-F])+)?$"
WHOLE_NUMBER_PATTERN = "^(0|[1-9][0-9]{0,77})$"
"""Narrower than Mesh's ``^\\d+$``, which lets "007" name the same order as "7"."""

NULL_ADDRESS_TEXT = "0x" + "00" * 20

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,77}")


class WireV2(msgspec.Struct, forbid_unknown_fields=True, gc=False):
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


class WireV3(msgspec.Struct, forbid_unknown_fields=True, gc=False):
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
    ProtocolVersion.V2: WireV2.__struct_fields__,
    ProtocolVersion.V3: WireV3.__struct_fields__,
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


def read_carefully(data: bytes) -> WireV2 | WireV3:
    """Return the texts of the order *data*: every one is well formed.

    Raises:
        InvalidSchema: it is not an order; lists every fault.
    """
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
    texts: dict[str, Any] = {name: fields[name] for name in _NAMES[version]}
    if version is ProtocolVersion.V2:
        return WireV2(**texts)
    return WireV3(**{**texts, "chainId": int(texts["chainId"])})


def _repeated(pairs: _Object) -> dict[str, str]:
    seen: set[str] = set()
    faults: dict[str, str] = {}
    for name, _ in pairs:
        if name in seen:
            # A stranger chose the name: plain ASCII of it, and not all of it.
            shown = name.encode("ascii", "backslashreplace").decode()[:MAX_QUOTED]
            faults[shown] = f"(root): {shown} is given more than once"
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
