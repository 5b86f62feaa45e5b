"""How the original lays out what it clear-signs: folded JSON, and signed text inside signed text.

    -----BEGIN PGP SIGNED MESSAGE-----             the notary's layer
    Hash: SHA512

    - -----BEGIN PGP SIGNED MESSAGE-----           the buyer's, with a dash before
    Hash: SHA512

    - - -----BEGIN PGP SIGNED MESSAGE-----         the seller's, with two
    Hash: SHA512

    {"Seller": ...                                 folded JSON: lines of 52 columns
    - - -----BEGIN PGP SIGNATURE-----
    ...
    {"Buyer": ...
    - -----BEGIN PGP SIGNATURE-----
    ...
    {"Notary": ...
    -----BEGIN PGP SIGNATURE-----

The original finds the parts by the numbers of lines and by ``find``; here one layer after the other
is taken off, and each is a whole. Nothing in this module has been verified: ``clearsign`` hands it
what a signature was found to cover.

**Folding.** Every newline is deleted before the JSON is read, so it makes no difference where a
line ends, but for one trap: blanks at the end of a line are not signed, and what verifies a text
drops them. The original cuts every 52 columns, whatever is there, and so loses blanks of a title
now and then. This node never ends a line with a blank; of a text that does, it reads what was
signed.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec

from fondaco.market.errors import MalformedClearSign

COLUMNS = 52
"""Characters of a line of folded JSON. Source: OpenBazaar, all versions."""

BEGIN_MESSAGE = "-----BEGIN PGP SIGNED MESSAGE-----"
BEGIN_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
END_SIGNATURE = "-----END PGP SIGNATURE-----"

# Version, Comment ... of the armor are not signed, and nobody reads them here.
_ARMOR_HEADER = re.compile(r"[A-Za-z][A-Za-z-]{0,31}: [ -~]{0,200}")
_HASH_HEADER = re.compile(r"Hash: [A-Z0-9, -]{1,64}")

_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


class Block(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One clear-signed text, taken apart. Nothing of it is verified."""

    body: str
    """What is said to be signed, without the dashes before lines."""

    signature: str
    """The armored signature, from its first line to its last."""


def fold(value: dict[str, Any]) -> str:
    """Return JSON of *value* in ASCII, in lines of at most COLUMNS that do not end in a blank."""
    text = json.dumps(value, indent=0, ensure_ascii=True, allow_nan=False)
    # Outside of strings no two blanks meet. Spelled out, the second of two cannot end a line, and
    # then to cut one column earlier is always enough.
    text = re.sub("(?<= ) ", r"\\u0020", text)
    return "\n".join(piece for line in text.split("\n") for piece in _cut(line))


def _cut(line: str) -> list[str]:
    pieces = []
    while len(line) > COLUMNS:
        end = COLUMNS - (line[COLUMNS - 1] == " ")
        pieces.append(line[:end])
        line = line[end:]
    return [*pieces, line]


def unfold(text: str) -> dict[str, Any]:
    """Return the JSON object in *text*, however it was folded. Fractions are Decimals.

    Raises:
        MalformedClearSign: it is not a JSON object.
    """
    joined = "".join(line.rstrip(" \t\r") for line in text.split("\n"))
    try:
        return _decode(joined)
    except (ValueError, RecursionError):  # RecursionError: "[[[[..."
        raise MalformedClearSign("a JSON object inside the signed text") from None


def take_apart(text: str) -> Block:
    """Return the parts of one clear-signed text, which begins and ends with its own marks.

    Stricter than OpenPGP: nothing stands outside of the marks, no header but ``Hash`` says
    something about the text, and no line that begins with a dash could be read in two ways.

    Raises:
        MalformedClearSign: says what is missing.
    """
    lines = [line.rstrip(" \t\r") for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines or lines[0] != BEGIN_MESSAGE:
        raise MalformedClearSign(f"{BEGIN_MESSAGE} as the first line")
    if lines[-1] != END_SIGNATURE or lines.count(END_SIGNATURE) != 1:
        raise MalformedClearSign(f"one {END_SIGNATURE}, as the last line")
    if lines.count(BEGIN_SIGNATURE) != 1:
        raise MalformedClearSign(f"one {BEGIN_SIGNATURE}")
    middle = lines.index(BEGIN_SIGNATURE)
    if "" not in lines[:middle]:
        raise MalformedClearSign("a blank line before the signed text")
    start = lines.index("")
    if not all(_HASH_HEADER.fullmatch(line) for line in lines[1:start]):
        raise MalformedClearSign("no header of the signed text but Hash")
    signature = lines[middle:]
    _check_armor(signature)
    body = [_without_dash(line) for line in lines[start + 1 : middle]]
    return Block(body="\n".join(body), signature="\n".join(signature) + "\n")


def _check_armor(lines: list[str]) -> None:
    if "" not in lines:
        raise MalformedClearSign("a blank line before the signature")
    headers = lines[1 : lines.index("")]
    if not all(_ARMOR_HEADER.fullmatch(line) for line in headers):
        raise MalformedClearSign("a signature without other headers than Version or Comment")


def _without_dash(line: str) -> str:
    if not line.startswith("-"):
        return line
    # rstrip() has taken the blank of an escaped empty line.
    if line != "-" and not line.startswith("- "):
        raise MalformedClearSign("a dash and a blank before each line that begins with a dash")
    return line[2:]


def split_appendix(text: str) -> tuple[str | None, str]:
    """Return the signed text that *text* begins with, if it does, and what was added to it.

    Inside of the inner text every line that begins with a dash has one more before it, so the
    first bare end mark is its own.

    Raises:
        MalformedClearSign: the inner text does not end.
    """
    if not text.startswith(BEGIN_MESSAGE):
        return None, text
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.rstrip(" \t\r") == END_SIGNATURE:
            return "\n".join(lines[: number + 1]) + "\n", "\n".join(lines[number + 1 :])
    raise MalformedClearSign(f"{END_SIGNATURE} of the text inside")
