"""How a visitor knows that he has seen all of a store: its signed index.

    entries   (contract key, sequence) of every listing on offer, sorted by key
    digest    tagged hash of them all
    index     digest, count, version and lifetime, signed by the store      500 bytes

The index is small enough for the DHT and for every page. The entries are fetched from whoever has
them, in one piece or in pages; a visitor who has gathered them compares ``digest``, and knows that
none is missing, none too many and none of an older version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from fondaco.identity import names, schnorr
from fondaco.market.contract_signing import Signer
from fondaco.market.dht_keys import KEY_SIZE, DhtKey
from fondaco.market.errors import ForeignContract, ListingOutdated, MalformedListing
from fondaco.market.lifetimes import Lifetime, check_lifetime, read_lifetime
from fondaco.market.limits import LISTING_LIFETIME, MAX_LISTING_LIFETIME, MAX_STORE_LISTINGS
from fondaco.market.signed_object import open_object, read_hex, read_whole, sign_object

INDEX_TAG = "fondaco/store-index/1"
"""BIP340 tag of a signature under an index."""

ENTRIES_TAG = "fondaco/store-entries/1"
"""Tag of the digest of its entries."""

DIGEST_SIZE = 32
"""Bytes."""

SEQUENCE_SIZE = 8
"""Bytes of a sequence number in an entry, big-endian."""

ENTRY_SIZE = KEY_SIZE + SEQUENCE_SIZE
"""Bytes of an entry."""


class Entry(NamedTuple):
    """One listing of a store."""

    key: DhtKey
    sequence: int


class StoreIndex(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a store says it has, signed. By rule only this module makes one."""

    owner: names.Guid
    sequence: int
    count: int
    digest: bytes
    lifetime: Lifetime
    text: bytes
    """The signed JSON."""

    def is_all(self, entries: Sequence[Entry]) -> bool:
        """Say whether *entries*, in any order, are exactly those of the store."""
        return len(entries) == self.count and digest_of(entries) == self.digest


def digest_of(entries: Iterable[Entry]) -> bytes:
    """Return the digest of *entries*, whatever their order."""
    # A tagged hash of nothing is not to be had from the library; the count stands before.
    packed = encode_entries(entries)
    return schnorr.tagged_hash(ENTRIES_TAG, len(packed).to_bytes(8) + packed)


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """Return *entries* sorted, ENTRY_SIZE bytes each.

    Raises:
        ValueError: a contract twice; our own bug.
    """
    ordered = sorted(entries)
    if len({entry.key for entry in ordered}) != len(ordered):
        raise ValueError("a contract is twice in one store")
    return b"".join(entry.key + entry.sequence.to_bytes(SEQUENCE_SIZE) for entry in ordered)


def decode_entries(raw: bytes, index: StoreIndex) -> tuple[Entry, ...]:
    """Return the entries of *index* in *raw*, which are all of them.

    Raises:
        MalformedListing: they are others, or not in their one spelling.
    """
    if len(raw) != index.count * ENTRY_SIZE:
        raise MalformedListing("entries", f"{index.count} entries of {ENTRY_SIZE} bytes")
    if schnorr.tagged_hash(ENTRIES_TAG, len(raw).to_bytes(8) + raw) != index.digest:
        raise MalformedListing("entries", "those whose digest the store has signed")
    return tuple(
        Entry(
            DhtKey(raw[start : start + KEY_SIZE]),
            int.from_bytes(raw[start + KEY_SIZE : start + ENTRY_SIZE]),
        )
        for start in range(0, len(raw), ENTRY_SIZE)
    )


def sign_index(
    entries: Sequence[Entry],
    key: Signer,
    *,
    network: str,
    sequence: int,
    now: int,
    lifetime: int = LISTING_LIFETIME,
) -> StoreIndex:
    """Return the index of a store that offers *entries*.

    Args:
        sequence: higher than that of every index before.
        lifetime: seconds.

    Raises:
        MalformedListing: a number is out of its bounds.
        ValueError: a contract twice; our own bug.
    """
    fields = {
        "guid": key.guid.hex(),
        "sequence": sequence,
        "count": len(entries),
        "digest": digest_of(entries).hex(),
        "published_at": now,
        "expires_at": now + lifetime,
    }
    _read_index(fields, b"")
    return _read_index(fields, sign_object(fields, tag=INDEX_TAG, key=key, network=network))


def decode_index(text: bytes, *, network: str, now: int) -> StoreIndex:
    """Return the index in *text*.

    Raises:
        ContractTooLarge, OtherNetwork, BadSignature: as ``open_object``.
        MalformedListing: names the field that is not as it has to be.
        ForeignContract: it speaks for another's store.
        ListingOutdated: its lifetime has ended, or has not begun.
    """
    fields, key = open_object(text, tag=INDEX_TAG, network=network)
    index = _read_index(fields, text)
    if names.guid(key) != index.owner:
        raise ForeignContract("guid")
    check_lifetime(index.lifetime, now)
    return index


def check_newer(newer: StoreIndex, known: StoreIndex) -> None:
    """Check that *newer* takes the place of *known*; both are of the same store.

    Raises:
        ListingOutdated: an index that is as late, or later, is known.
    """
    if (newer.sequence, newer.text) <= (known.sequence, known.text):
        raise ListingOutdated("sequence", f"more than {known.sequence}")


def _read_index(fields: dict[str, Any], text: bytes) -> StoreIndex:
    return StoreIndex(
        owner=names.Guid(read_hex(fields, "guid", size=names.GUID_SIZE)),
        sequence=read_whole(fields, "sequence"),
        count=read_whole(fields, "count", most=MAX_STORE_LISTINGS),
        digest=read_hex(fields, "digest", size=DIGEST_SIZE),
        lifetime=read_lifetime(fields, longest=MAX_LISTING_LIFETIME),
        text=text,
    )
