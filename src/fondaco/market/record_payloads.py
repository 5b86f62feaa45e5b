"""What records of each kind say, and whether they say it under the right key.

    kind           payload                                         key follows from
    CONTRACT       the signed text                                 the payload
    KEYWORD        1 size  keyword  20 contract key, ascending...  the payload
    STORE_INDEX    the store's own business                        the owner
    NOTARY_INDEX   the notary's own business                       nothing

So nobody can put anything under a key where nobody would look for it, nor under the index of
another's store. A withdrawal has no payload; that of a contract or keyword may stand anywhere.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from fondaco.market import dht_limits
from fondaco.market.dht_keys import (
    KEY_SIZE,
    NOTARY_INDEX_KEY,
    DhtKey,
    contract_key,
    keyword_key,
    normal_keyword,
    store_index_key,
)
from fondaco.market.records import MalformedRecord, Record, RecordKind


class KeywordEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An owner's listings under a keyword."""

    word: str
    """In its normal spelling."""
    listings: tuple[DhtKey, ...]
    """Keys of contracts, ascending, each once."""


def encode_keyword(word: str, listings: Collection[DhtKey]) -> bytes:
    """Return the payload that names *listings* under *word*.

    Of more than MAX_KEYWORD_LISTINGS the lowest keys are named; the rest is in the store.

    Raises:
        ValueError: the word is empty or too long, or there are no listings: withdraw instead.
    """
    name = normal_keyword(word).encode()
    if not 0 < len(name) <= dht_limits.MAX_KEYWORD_SIZE or not listings:
        raise ValueError("a keyword record without a keyword or a listing")
    named = sorted(set(listings))[: dht_limits.MAX_KEYWORD_LISTINGS]
    return bytes([len(name)]) + name + b"".join(named)


def decode_keyword(payload: bytes) -> KeywordEntry:
    """Read what ``encode_keyword`` wrote.

    Raises:
        MalformedRecord: it is spelled otherwise.
    """
    size = payload[0] if payload else 0
    name, rest = payload[1 : 1 + size], payload[1 + size :]
    if not 0 < size <= dht_limits.MAX_KEYWORD_SIZE or not rest or len(rest) % KEY_SIZE:
        raise MalformedRecord("not a keyword and keys")
    listings = tuple(DhtKey(rest[at : at + KEY_SIZE]) for at in range(0, len(rest), KEY_SIZE))
    if len(listings) > dht_limits.MAX_KEYWORD_LISTINGS or listings != tuple(sorted(set(listings))):
        raise MalformedRecord("listings that are too many or out of order")
    try:
        word = name.decode()
    except UnicodeDecodeError:
        raise MalformedRecord("a keyword that is not UTF-8") from None
    if normal_keyword(word) != word:
        raise MalformedRecord("a keyword in another case")
    return KeywordEntry(word=word, listings=listings)


def check_place(record: Record) -> None:
    """Look whether *record* belongs under its key.

    Raises:
        MalformedRecord: its payload or owner belongs elsewhere, or says nothing.
    """
    match record.kind:
        case RecordKind.STORE_INDEX:
            belongs = record.key == store_index_key(record.owner_guid)
        case RecordKind.NOTARY_INDEX:
            belongs = record.key == NOTARY_INDEX_KEY
        case _ if record.is_withdrawal:
            belongs = True
        case RecordKind.CONTRACT:
            belongs = record.key == contract_key(record.payload)
        case RecordKind.KEYWORD:
            belongs = record.key == keyword_key(decode_keyword(record.payload).word)
    if not belongs:
        raise MalformedRecord(f"a {record.kind.name} record under another's key")
