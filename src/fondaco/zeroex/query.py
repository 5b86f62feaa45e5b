"""The language in which clients ask for orders: a filter, a sort, a limit, a cursor.

    {"filter": {"makerAssetData": "0x…", "takerAssetData": "0x…"},
     "sort": "price", "limit": 50, "after": "UAAA…"}

    filter   makerAddress, takerAddress, senderAddress, feeRecipientAddress,
             exchangeAddress, makerAssetData, takerAssetData     hex, 0x-prefixed
             protocolVersion                                     2 or 3
             orderHashes                                         list of hex
             minExpirationTimeSeconds, maxExpirationTimeSeconds  decimal string, inclusive
    sort     hash (default), expiration, price; "-price" etc. for the reverse
    limit    1 … 1000 (default 100)
    after    the cursor that came with the page before

An order matches when it agrees with every field named. ``mesh_subscribe`` takes the
same filter; ``matches`` is its meaning, and the SQL in ``search`` must agree with it.

A cursor is the sort key of the last order seen, so paging costs the same on every
page, and orders that come or go meanwhile are neither shown twice nor hide others.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fondaco.errors import InvalidParameter
from fondaco.zeroex.limits import MAX_EXPIRATION, MAX_QUOTED
from fondaco.zeroex.order import Address, OrderHash, ProtocolVersion, SignedOrder

QUERY_LIMIT_DEFAULT = 100
"""Orders on a page when the client names no limit, as Mesh's clients ask for."""

QUERY_LIMIT_MAX = 1_000
"""Orders on a page: about 1.5 MB of JSON."""

QUERY_HASHES_MAX = 1_000
"""Order hashes in one filter: each is a look-up, and a subscription keeps them."""

PRICE_BYTES = 64
ASSET_KEY_BYTES = 16
"""Enough that nobody finds two asset data with one key; four keys fit where the asset
data of one NFT would."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_BYTES = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,77}")


class Sort(enum.Enum):
    """What orders are sorted by; ties are always broken by hash."""

    HASH = "hash"
    EXPIRATION = "expiration"
    """Expirations beyond 2**63 - 1 count as equal: 292 billion years from now."""
    PRICE = "price"
    """Taker asset for one of maker asset: what the taker pays. See ``price_key``."""


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders are wanted; None where a field was not named."""

    maker_address: Address | None = None
    taker_address: Address | None = None
    sender_address: Address | None = None
    fee_recipient_address: Address | None = None
    exchange_address: Address | None = None
    maker_asset_data: bytes | None = None
    taker_asset_data: bytes | None = None
    protocol_version: ProtocolVersion | None = None
    order_hashes: frozenset[OrderHash] | None = None
    min_expiration: int | None = None
    """Unix seconds, inclusive."""
    max_expiration: int | None = None
    """Unix seconds, inclusive."""


class Position(msgspec.Struct, frozen=True):
    """A place between two orders of a sorted list: just past the one described."""

    key: bytes
    """Empty for HASH, 8 bytes for EXPIRATION, 64 for PRICE."""
    order_hash: OrderHash


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One page of orders."""

    filter: OrderFilter = OrderFilter()
    sort: Sort = Sort.HASH
    is_descending: bool = False
    """Turns the whole order around, ties included."""
    limit: int = QUERY_LIMIT_DEFAULT
    after: Position | None = None


def parse_query(options: object) -> Query:
    """Read the options object of ``mesh_getOrders``, decoded from JSON.

    Raises:
        InvalidParameter: names the field that is unknown, or the value that cannot
            be used and what was expected.
    """
    if not isinstance(options, Mapping):
        raise InvalidParameter("options", "an object")
    _refuse_unknown(options, ("filter", "sort", "limit", "after"), "")
    sort, is_descending = _sort(options.get("sort", "hash"))
    limit = options.get("limit", QUERY_LIMIT_DEFAULT)
    if type(limit) is not int or not 1 <= limit <= QUERY_LIMIT_MAX:
        raise InvalidParameter("limit", f"an integer from 1 to {QUERY_LIMIT_MAX}")
    after = options.get("after")
    return Query(
        filter=parse_filter(options.get("filter", {})),
        sort=sort,
        is_descending=is_descending,
        limit=limit,
        after=None if after is None else decode_cursor(after, sort, is_descending),
    )


def parse_filter(fields: object) -> OrderFilter:
    """Read a filter object, decoded from JSON.

    Raises:
        InvalidParameter: as for ``parse_query``; fields are named ``filter.<name>``.
    """
    if not isinstance(fields, Mapping):
        raise InvalidParameter("filter", "an object")
    _refuse_unknown(fields, tuple(FILTER_FIELDS), "filter.")
    values: dict[str, Any] = {}
    for name, value in fields.items():
        attribute, read = FILTER_FIELDS[name]
        values[attribute] = read(f"filter.{name}", value)
    return OrderFilter(**values)


def matches(wanted: OrderFilter, order_hash: OrderHash, order: SignedOrder) -> bool:
    """Return whether *order* agrees with every field that *wanted* names."""
    expires_at = expiration_key(order)
    return (
        (wanted.maker_address is None or wanted.maker_address == order.maker_address)
        and (wanted.taker_address is None or wanted.taker_address == order.taker_address)
        and (wanted.sender_address is None or wanted.sender_address == order.sender_address)
        and (
            wanted.fee_recipient_address is None
            or wanted.fee_recipient_address == order.fee_recipient_address
        )
        and (wanted.exchange_address is None or wanted.exchange_address == order.exchange_address)
        and (wanted.maker_asset_data is None or wanted.maker_asset_data == order.maker_asset_data)
        and (wanted.taker_asset_data is None or wanted.taker_asset_data == order.taker_asset_data)
        and (wanted.protocol_version is None or wanted.protocol_version is order.version)
        and (wanted.order_hashes is None or order_hash in wanted.order_hashes)
        and (wanted.min_expiration is None or clamp(wanted.min_expiration) <= expires_at)
        and (wanted.max_expiration is None or expires_at <= clamp(wanted.max_expiration))
    )


# ---------------------------------------------------------------- sort keys


def price_key(order: SignedOrder) -> bytes:
    """Return ``floor(takerAssetAmount * 2**256 / makerAssetAmount)``, 64 bytes big endian.

    Bytes that sort as the price does, without a float: prices that differ by less
    than 2**-256 are equal and are told apart by hash. The highest key where nothing
    is offered.
    """
    if order.maker_asset_amount == 0:
        return b"\xff" * PRICE_BYTES
    return ((order.taker_asset_amount << 256) // order.maker_asset_amount).to_bytes(PRICE_BYTES)


def expiration_key(order: SignedOrder) -> int:
    """Return the expiration in Unix seconds, at most 2**63 - 1 (see ``Sort.EXPIRATION``)."""
    return clamp(order.expiration_time_seconds)


def clamp(unix_seconds: int) -> int:
    """Return *unix_seconds*, at most MAX_EXPIRATION, which a database integer holds."""
    return min(unix_seconds, MAX_EXPIRATION)


def asset_key(asset_data: bytes) -> bytes:
    """Return 16 bytes that stand for *asset_data* in an index (BLAKE2b)."""
    return hashlib.blake2b(asset_data, digest_size=ASSET_KEY_BYTES).digest()


# ---------------------------------------------------------------- cursors

_KEY_SIZE = {Sort.HASH: 0, Sort.EXPIRATION: 8, Sort.PRICE: PRICE_BYTES}
_TAG = {
    (Sort.HASH, False): b"h",
    (Sort.HASH, True): b"H",
    (Sort.EXPIRATION, False): b"e",
    (Sort.EXPIRATION, True): b"E",
    (Sort.PRICE, False): b"p",
    (Sort.PRICE, True): b"P",
}
"""First byte of a cursor: one made for another sort would silently skip orders."""


def encode_cursor(position: Position, sort: Sort, is_descending: bool) -> str:
    """Return *position* as the text a client hands back as ``after``."""
    raw = _TAG[sort, is_descending] + position.key + position.order_hash
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_cursor(text: object, sort: Sort, is_descending: bool) -> Position:
    """Return the position that ``encode_cursor`` made *text* of.

    Raises:
        InvalidParameter: it is not a cursor, or belongs to another sort.
    """
    error = InvalidParameter("after", "the cursor of the page before, asked with the same sort")
    size = 1 + _KEY_SIZE[sort] + 32
    if not isinstance(text, str) or len(text) != (size * 4 + 2) // 3:
        raise error
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise error from None
    position = Position(raw[1:-32], OrderHash(raw[-32:]))
    # Encoding it again also refuses unused bits that are set, and a foreign tag.
    if encode_cursor(position, sort, is_descending) != text:
        raise error
    return position


# ---------------------------------------------------------------- reading values


def _sort(value: object) -> tuple[Sort, bool]:
    expected = "one of hash, expiration, price, with a leading - for the reverse"
    if not isinstance(value, str):
        raise InvalidParameter("sort", expected)
    try:
        return Sort(value.removeprefix("-")), value.startswith("-")
    except ValueError:
        raise InvalidParameter("sort", expected) from None


def _hex(pattern: re.Pattern[str], expected: str) -> Callable[[str, object], bytes]:
    def read(field: str, value: object) -> bytes:
        if not (isinstance(value, str) and pattern.fullmatch(value)):
            raise InvalidParameter(field, expected)
        return bytes.fromhex(value[2:])

    return read


def _version(field: str, value: object) -> ProtocolVersion:
    if type(value) is not int or value not in (2, 3):
        raise InvalidParameter(field, "2 or 3")
    return ProtocolVersion(value)


def _hashes(field: str, value: object) -> frozenset[bytes]:
    expected = f"a list of at most {QUERY_HASHES_MAX} order hashes"
    if not isinstance(value, list) or len(value) > QUERY_HASHES_MAX:
        raise InvalidParameter(field, expected)
    return frozenset(_read_hash(f"{field}[{index}]", item) for index, item in enumerate(value))


def _unix_seconds(field: str, value: object) -> int:
    if not (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        raise InvalidParameter(field, "Unix seconds as a decimal string")
    return int(value)


def _refuse_unknown(fields: Mapping[Any, object], known: tuple[str, ...], prefix: str) -> None:
    for name in fields:
        if name not in known:
            raise InvalidParameter(f"{prefix}{name}"[:MAX_QUOTED], f"one of {', '.join(known)}")


_read_address = _hex(_ADDRESS, "20 bytes as 0x-prefixed hex")
_read_bytes = _hex(_BYTES, "bytes as 0x-prefixed hex")
_read_hash = _hex(_HASH, "32 bytes as 0x-prefixed hex")

FILTER_FIELDS: dict[str, tuple[str, Callable[[str, object], object]]] = {
    "makerAddress": ("maker_address", _read_address),
    "takerAddress": ("taker_address", _read_address),
    "senderAddress": ("sender_address", _read_address),
    "feeRecipientAddress": ("fee_recipient_address", _read_address),
    "exchangeAddress": ("exchange_address", _read_address),
    "makerAssetData": ("maker_asset_data", _read_bytes),
    "takerAssetData": ("taker_asset_data", _read_bytes),
    "protocolVersion": ("protocol_version", _version),
    "orderHashes": ("order_hashes", _hashes),
    "minExpirationTimeSeconds": ("min_expiration", _unix_seconds),
    "maxExpirationTimeSeconds": ("max_expiration", _unix_seconds),
}
"""JSON name → attribute of OrderFilter and how its value is read."""
