"""The kinds of values that clients and peers send: text, numbers, names. See ``fields``."""

from __future__ import annotations

import enum
import re
from decimal import Decimal
from typing import Any, TypeVar

from fondaco.identity import names
from fondaco.identity.names import Guid, InvalidGuid
from fondaco.market.fields import Kind, Misread
from fondaco.market.limits import MAX_NUMBER_TEXT, MAX_URL
from fondaco.market.money import COIN, EXPECTED_PRICE, Satoshi, read_bitcoin
from fondaco.market.quirks import read_switch
from fondaco.market.validator import is_public_address

E = TypeVar("E", bound=enum.Enum)

# --- text ----------------------------------------------------------------------------

# Everything but tab and the ends of lines; and those, too.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def text(most: int, least: int = 0) -> Kind[str]:
    """Words, of one or more lines."""
    return _letters(most, least, _CONTROLS, f"text of at most {most} characters")


def line(most: int, least: int = 0) -> Kind[str]:
    """One line, without the blanks around it."""
    return _letters(most, least, _LINE_BREAKS, f"one line of at most {most} characters")


def pattern(expression: str, expected: str) -> Kind[str]:
    """Text of which every letter is ruled; "" is not given."""
    whole = re.compile(expression)

    def read(value: object) -> str:
        stripped = value.strip() if isinstance(value, str) else None
        if stripped is None or not whole.fullmatch(stripped):
            raise Misread("", expected)
        return stripped

    schema = {"type": "string", "pattern": f"^(?:{expression})$"}
    return Kind(expected=expected, read=read, schema=schema, blank_is_absent=True)


def short_name(most: int) -> Kind[str]:
    """What somebody calls himself, cut and cleaned instead of refused."""

    def read(value: object) -> str:
        return _LINE_BREAKS.sub("", value)[:most].strip() if isinstance(value, str) else ""

    schema = {"type": "string", "maxLength": most}
    return Kind(expected="a name", read=read, schema=schema)


def forgiven(kind: Kind[str], instead: str = "") -> Kind[str]:
    """A trimming of somebody else's page: *instead*, the field's default, where it does not fit."""

    def read(value: object) -> str:
        try:
            return kind.read(value)
        except Misread:
            return instead

    return Kind(expected=kind.expected, read=read, schema=kind.schema, blank_is_absent=True)


def _letters(most: int, least: int, forbidden: re.Pattern[str], expected: str) -> Kind[str]:
    if least:
        expected += ", not empty"

    def read(value: object) -> str:
        # No regular expression walks through what is too long anyway.
        if not isinstance(value, str) or len(value) > most or forbidden.search(value):
            raise Misread("", expected)
        stripped = value.strip() if forbidden is _LINE_BREAKS else value
        if len(stripped) < least:
            raise Misread("", expected)
        return stripped

    schema = {"type": "string", "maxLength": most} | ({"minLength": least} if least else {})
    return Kind(expected=expected, read=read, schema=schema)


def _read_web_address(value: object) -> str:
    stripped = value.strip() if isinstance(value, str) else ""
    if stripped and "://" not in stripped[:12]:
        stripped = f"http://{stripped}"
    if not is_public_address(stripped):
        raise Misread("", WEB_ADDRESS.expected)
    return stripped


WEB_ADDRESS: Kind[str] = Kind(
    expected=f"an http or https address on a public host, of at most {MAX_URL} characters",
    read=_read_web_address,
    schema={"type": "string", "format": "uri", "maxLength": MAX_URL},
    blank_is_absent=True,
)
"""What a stranger's browser may be sent to."""


# --- numbers, choices ----------------------------------------------------------------


def whole(most: int, least: int = 0) -> Kind[int]:
    """A whole number, or its digits as text: what comes out of a form's field."""
    expected = f"a whole number from {least} to {most}"

    def read(value: object) -> int:
        number = _digits(value)
        if number is None or not least <= number <= most:
            raise Misread("", expected)
        return number

    schema = {"type": ["integer", "string"], "minimum": least, "maximum": most}
    return Kind(expected=expected, read=read, schema=schema, blank_is_absent=True)


def numbered(choices: type[E]) -> Kind[E]:
    """A member of an enumeration by its number, which may be text: a radio button's value."""
    known = {member.value: member for member in choices}
    listed = ", ".join(f"{member.value} ({member.name.lower()})" for member in choices)

    def read(value: object) -> E:
        member = known.get(_digits(value))
        if member is None:
            raise Misread("", f"one of: {listed}")
        return member

    return Kind(
        expected=f"one of: {listed}",
        read=read,
        spell=lambda member: member.value,
        schema={"enum": [*known, *map(str, known)]},
        blank_is_absent=True,
    )


def _digits(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= MAX_NUMBER_TEXT:
        digits = value.strip()
        return int(digits) if digits.isascii() and digits.isdigit() else None
    return None


def _read_truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Misread("", "true or false")
    return value


TRUTH: Kind[bool] = Kind(expected="true or false", read=_read_truth, schema={"type": "boolean"})

SWITCH: Kind[bool] = Kind(
    expected='true, false, "True", "False" or ""',
    read=read_switch,
    # What is off is empty: a client that asks whether there is something must not find "False".
    spell=lambda is_on: True if is_on else "",
    schema={"enum": [True, False, "True", "False", "", 0, 1, None]},
)
"""A switch in whatever spelling; off in the one that every client takes for off."""

TEXT_SWITCH: Kind[bool] = Kind(
    expected=SWITCH.expected,
    read=read_switch,
    spell=lambda is_on: "True" if is_on else "",
    schema=SWITCH.schema,
)
"""The same among the settings, where clients compare it with a word."""


def _read_price(value: object) -> Satoshi:
    is_number = isinstance(value, str | int | Decimal) and not isinstance(value, bool)
    if isinstance(value, int) and abs(value) > COIN:
        is_number = False  # str() of an endless integer raises
    amount = read_bitcoin(str(value)) if is_number else None
    if amount is None:
        raise Misread("", EXPECTED_PRICE)
    return amount


def spell_price(amount: Satoshi) -> Decimal | int:
    """Return satoshi as a JSON number of bitcoin: 0, 0.5."""
    bitcoins, rest = divmod(amount, COIN)
    return Decimal(f"{bitcoins}.{rest:08}".rstrip("0")) if rest else bitcoins


PRICE: Kind[Satoshi] = Kind(
    expected=EXPECTED_PRICE,
    read=_read_price,
    spell=spell_price,
    schema={"type": ["number", "string"], "minimum": 0},
    blank_is_absent=True,
)
"""Satoshi inside, bitcoin outside."""


# --- names ---------------------------------------------------------------------------


def _read_owners_guid(value: object) -> Guid:
    """Take what a person may have copied: upper case, blanks around it, or a SIN."""
    if isinstance(value, str) and len(value) <= MAX_URL:
        for take, given in (
            (names.read_guid, value.strip().lower()),
            (names.guid_in_sin, value.strip()),
        ):
            try:
                return take(given)
            except InvalidGuid:
                continue
    raise Misread("", ANY_GUID.expected)


def _read_guid(value: object) -> Guid:
    try:
        return names.read_guid(value if isinstance(value, str) else "")
    except InvalidGuid:
        raise Misread("", GUID.expected) from None


_GUID_SCHEMA = {"type": "string", "pattern": "^[0-9a-f]{40}$"}

GUID: Kind[Guid] = Kind(
    expected="40 lower-case hex digits", read=_read_guid, spell=bytes.hex, schema=_GUID_SCHEMA
)
"""Of peers: one spelling."""

ANY_GUID: Kind[Guid] = Kind(
    expected="a GUID of 40 hex digits, or a SIN",
    read=_read_owners_guid,
    spell=bytes.hex,
    schema={"anyOf": [{"type": "string", "pattern": "^[0-9a-fA-F]{40}$"}, {"type": "string"}]},
    blank_is_absent=True,
)
"""Of the owner's clients."""


def octets(size: int) -> Kind[bytes]:
    """So many bytes as lower-case hex."""
    expected = f"{2 * size} lower-case hex digits"
    letters = re.compile(f"[0-9a-f]{{{2 * size}}}")

    def read(value: object) -> bytes:
        if not isinstance(value, str) or not letters.fullmatch(value):
            raise Misread("", expected)
        return bytes.fromhex(value)

    schema = {"type": "string", "pattern": f"^{letters.pattern}$"}
    return Kind(expected=expected, read=read, spell=bytes.hex, schema=schema, blank_is_absent=True)


def _read_public_key(value: object) -> bytes:
    try:
        return names.compressed(octets(names.UNCOMPRESSED_SIZE).read(value))
    except (Misread, ValueError):
        raise Misread("", PUBLIC_KEY.expected) from None


PUBLIC_KEY: Kind[bytes] = Kind(
    expected="130 lower-case hex digits, 04 and a point of secp256k1",
    read=_read_public_key,
    spell=lambda key: names.uncompressed(key).hex(),
    schema={"type": "string", "pattern": "^04[0-9a-f]{128}$"},
)
"""33 bytes inside, the uncompressed point outside."""


# --- anything -----------------------------------------------------------------------


def _read_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Misread("", "an object")
    return value


OBJECT: Kind[dict[str, Any]] = Kind(
    expected="an object", read=_read_object, schema={"type": "object"}
)
"""An object whose inside is somebody else's business."""

ANYTHING: Kind[Any] = Kind(expected="a value", read=lambda value: value)
"""Whatever JSON can say, within the bounds of its message."""
