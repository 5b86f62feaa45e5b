"""Is a contract within its bounds? The same rules for what a client sends and what peers sign.

codec: JSON -> values        right kinds of values
validator: values            bounds, characters, addresses      <-- here
contract_signing             who signed, and for whom it speaks
"""

from __future__ import annotations

import binascii
import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import urlsplit

from fondaco.identity.names import UNCOMPRESSED_SIZE, compressed
from fondaco.market.contract import Contract, Draft, Item, Metadata, Seller
from fondaco.market.errors import MalformedContract
from fondaco.market.limits import (
    MAX_CERTIFICATE,
    MAX_COUNTRIES,
    MAX_DESCRIPTION,
    MAX_IMAGE_TEXT,
    MAX_KEYWORD,
    MAX_KEYWORDS,
    MAX_LINE,
    MAX_REMOTE_IMAGES,
    MAX_TITLE,
    MAX_UPLOAD_TEXT,
    MAX_URL,
)

_DATA_URI = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,")
_READERS_OWN = frozenset({"localhost", "local", "internal", "lan", "home", "arpa"})
"""Last parts of names that mean something else in every network. Source: RFC 6761 and its kin."""

_LINE_ENDS = frozenset("\u2028\u2029")
_IN_TEXT = frozenset("\n\r\t")


def check_draft(draft: Draft) -> None:
    """Check what a client wants to offer; its picture may still be large.

    Raises:
        MalformedContract: names the first field that is out of bounds.
    """
    check_metadata(draft.metadata)
    check_item(draft.item, image_limit=MAX_UPLOAD_TEXT)


def check_contract(contract: Contract) -> None:
    """Check a contract as it is signed.

    Raises:
        MalformedContract: names the first field that is out of bounds.
    """
    check_metadata(contract.metadata)
    check_seller(contract.seller)
    check_item(contract.item, image_limit=MAX_IMAGE_TEXT)


def check_metadata(metadata: Metadata) -> None:
    """Check ``Contract_Metadata``: single lines."""
    for name, text in (
        ("OBCv", metadata.version),
        ("category", metadata.category),
        ("subcategory", metadata.subcategory),
        ("contract_nonce", metadata.contract_nonce),
        ("expiration", metadata.expiration),
    ):
        _check_line(f"Contract_Metadata.{name}", text, MAX_LINE)


def check_seller(seller: Seller) -> None:
    """Check ``Seller``; whether it is who signs is another question."""
    _check_text("Seller.seller_PGP", seller.certificate, MAX_CERTIFICATE)
    _check_line("Seller.seller_Bitmessage", seller.bitmessage, MAX_LINE)
    _check_line("Seller.seller_refund_addr", seller.refund_address, MAX_LINE)
    if seller.bitcoin_key:
        try:
            compressed(seller.bitcoin_key)
        except ValueError:
            raise MalformedContract(
                "Seller.seller_BTC_uncompressed_pubkey",
                f"{2 * UNCOMPRESSED_SIZE} hex digits of a secp256k1 point, or none",
            ) from None


def check_item(item: Item, *, image_limit: int) -> None:
    """Check ``Contract``.

    Args:
        image_limit: characters of the longest data URI.
    """
    if not item.title.strip():
        raise MalformedContract("Contract.item_title", "a title")
    _check_line("Contract.item_title", item.title, MAX_TITLE)
    _check_text("Contract.item_desc", item.description, MAX_DESCRIPTION)
    _check_keywords(item.keywords)
    if item.image:
        check_data_uri("Contract.item_images", item.image, image_limit)
    _check_remote_images(item.remote_images)
    for name, text, most in (
        ("countries", item.delivery.countries, MAX_COUNTRIES),
        ("region", item.delivery.region, MAX_LINE),
        ("est_delivery", item.delivery.estimate, MAX_LINE),
    ):
        _check_line(f"Contract.item_delivery.{name}", text, most)


def normal_keywords(words: Sequence[str]) -> tuple[str, ...]:
    """Return *words* without blanks around them, without empty ones, each once in any case."""
    seen: dict[str, str] = {}
    for word in words:
        if stripped := word.strip():
            seen.setdefault(stripped.upper(), stripped)
    return tuple(seen.values())


def check_data_uri(field: str, text: str, limit: int) -> None:
    """Check that *text* is a data URI of a kind of picture that every browser shows.

    What the bytes are is seen in ``images``; here they are base64 to the letter.
    """
    if len(text) > limit:
        raise MalformedContract(field, f"a picture of at most {limit} characters as a data URI")
    head = _DATA_URI.match(text)
    try:
        if head is None or not binascii.a2b_base64(text[head.end() :], strict_mode=True):
            raise ValueError
    except ValueError:  # binascii.Error is one; so is a letter beyond ASCII
        raise MalformedContract(
            field, "a data URI of base64: image/png, image/jpeg, image/gif or image/webp"
        ) from None


def _check_keywords(words: tuple[str, ...]) -> None:
    field = "Contract.item_keywords"
    if len(words) > MAX_KEYWORDS:
        raise MalformedContract(field, f"at most {MAX_KEYWORDS} keywords")
    for number, word in enumerate(words):
        _check_line(f"{field}[{number}]", word, MAX_KEYWORD)
        if len(word.upper().encode()) > MAX_KEYWORD:
            raise MalformedContract(f"{field}[{number}]", f"at most {MAX_KEYWORD} bytes of UTF-8")
    if normal_keywords(words) != words:
        raise MalformedContract(field, "keywords that differ, without blanks around them")


def _check_remote_images(addresses: tuple[str, ...]) -> None:
    field = "Contract.item_remote_images"
    if len(addresses) > MAX_REMOTE_IMAGES:
        raise MalformedContract(field, f"at most {MAX_REMOTE_IMAGES} addresses")
    for number, address in enumerate(addresses):
        if not is_public_address(address):
            raise MalformedContract(
                f"{field}[{number}]",
                f"an http or https address on a public host, of at most {MAX_URL} characters",
            )


def is_public_address(address: str) -> bool:
    """Say whether a stranger's browser may fetch *address*.

    A picture is fetched without being asked for, from the reader's own place in the network: so
    not from his own machine, nor from his router.
    """
    if len(address) > MAX_URL or not (address.isascii() and address.isprintable()):
        return False
    if any(letter in address for letter in " \"'<>\\^`{|}"):
        return False
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").rstrip(".")
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not host:
        return False
    return _is_public_host(host)


def _is_public_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:  # a name
        pass
    # Browsers read a host whose last part begins with a digit as an IPv4 address: 127.1, 0x7f000001
    last = host.rpartition(".")[2]
    return "." in host and last.lower() not in _READERS_OWN and not last[:1].isdigit()


def _check_line(field: str, text: str, most: int) -> None:
    if len(text) > most or not all(_is_visible(letter) for letter in text):
        raise MalformedContract(
            field, f"one line of at most {most} characters, none of them a control character"
        )


def _check_text(field: str, text: str, most: int) -> None:
    if len(text) > most or not all(
        letter in _IN_TEXT or letter in _LINE_ENDS or _is_visible(letter) for letter in text
    ):
        raise MalformedContract(
            field, f"at most {most} characters, none of them a control character"
        )


def _is_visible(letter: str) -> bool:
    # Cc: controls. Cs: half a character, which no UTF-8 can spell.
    return letter not in _LINE_ENDS and unicodedata.category(letter) not in {"Cc", "Cs"}
