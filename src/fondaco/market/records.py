"""A signed record of the DHT: the value, its bytes, who signed it, which of two is newer.

    Record  1 version   1 kind  20 key  33 owner  8 sequence  8 expires_at  4 size  payload
            64 signature: BIP340 by the owner over everything before it, and the network

All numbers are big-endian; there is one way to spell a record. Under a key is a *set* of
records, one per owner: nobody can replace another's. Of one owner the highest sequence counts.

    absent --signed--> here --higher sequence--> here
                         |---higher sequence, no payload--> withdrawn
                         '---expires_at--> absent <--expires_at---'

A withdrawn record stays until its lifetime ends, so that copies of the earlier one find it.
"""

from __future__ import annotations

import enum

import msgspec

from fondaco.errors import PeerError, Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import PUBLIC_KEY_SIZE, Guid, guid
from fondaco.identity.schnorr import SIGNATURE_SIZE, is_signed_by, tagged_hash
from fondaco.market import dht_limits
from fondaco.market.dht_keys import KEY_SIZE, DhtKey

TAG = "fondaco/record/1"
"""Of the hash that is signed."""

VERSION = 1
"""The first byte of a record."""

HEADER_SIZE = 1 + 1 + KEY_SIZE + PUBLIC_KEY_SIZE + 8 + 8 + 4
"""Bytes before the payload: 75."""

OVERHEAD = HEADER_SIZE + SIGNATURE_SIZE
"""Bytes of a record without its payload: 139."""

MAX_NUMBER = 2**63 - 1
"""Of a sequence number or a time: what a column of a database can hold."""


class RecordKind(enum.IntEnum):
    """What a record is about."""

    CONTRACT = 1
    """The signed text of a listing."""
    KEYWORD = 2
    """The owner's listings under a keyword."""
    STORE_INDEX = 3
    """What the owner's store has."""
    NOTARY_INDEX = 4
    """The owner is a notary."""


MAX_PAYLOAD: dict[RecordKind, int] = {
    RecordKind.CONTRACT: dht_limits.MAX_CONTRACT_SIZE,
    RecordKind.KEYWORD: dht_limits.MAX_INDEX_SIZE,
    RecordKind.STORE_INDEX: dht_limits.MAX_INDEX_SIZE,
    RecordKind.NOTARY_INDEX: dht_limits.MAX_INDEX_SIZE,
}
"""Kind -> bytes of payload at most."""


class MalformedRecord(PeerError):
    """Bytes that are no record, or one that no honest node makes."""

    code = "MalformedRecord"


class ForgedRecord(PeerError):
    """The owner did not sign it."""

    code = "ForgedRecord"


class UntimelyRecord(PeerError):
    """It has expired by our clock, or lives longer than a record may. Clocks differ."""

    code = "UntimelyRecord"
    verdict = Verdict.IGNORE


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What its owner says under a key. Made by ``sign`` or ``decode_record``."""

    key: DhtKey
    kind: RecordKind
    owner: bytes
    """The compressed public key, 33 bytes."""
    sequence: int
    """Higher is newer."""
    expires_at: int
    """Unix seconds; from then on it is as if it had never been."""
    payload: bytes
    """Empty: the owner has withdrawn what was here."""
    signature: bytes
    """64 bytes."""

    @property
    def is_withdrawal(self) -> bool:
        return not self.payload

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return OVERHEAD + len(self.payload)

    @property
    def owner_guid(self) -> Guid:
        return guid(self.owner)


def encode_record(record: Record) -> bytes:
    """Return the one spelling of *record*."""
    return _signed_part(record) + record.signature


def decode_record(raw: bytes) -> Record:
    """Read a record; its signature is not looked at.

    Raises:
        MalformedRecord: it is none, or is over a limit.
    """
    if len(raw) < OVERHEAD or raw[0] != VERSION:
        raise MalformedRecord(f"{len(raw)} bytes that are no record")
    try:
        kind = RecordKind(raw[1])
    except ValueError:
        raise MalformedRecord(f"record of kind {raw[1]}") from None
    owner_at = 2 + KEY_SIZE
    numbers_at = owner_at + PUBLIC_KEY_SIZE
    size = int.from_bytes(raw[numbers_at + 16 : HEADER_SIZE])
    if size > MAX_PAYLOAD[kind] or len(raw) != OVERHEAD + size:
        raise MalformedRecord(f"payload of {size} bytes in a record of {len(raw)}")
    record = Record(
        key=DhtKey(raw[2:owner_at]),
        kind=kind,
        owner=raw[owner_at:numbers_at],
        sequence=int.from_bytes(raw[numbers_at : numbers_at + 8]),
        expires_at=int.from_bytes(raw[numbers_at + 8 : numbers_at + 16]),
        payload=raw[HEADER_SIZE : HEADER_SIZE + size],
        signature=raw[HEADER_SIZE + size :],
    )
    check_shape(record)
    return record


def check_shape(record: Record) -> None:
    """Look at what needs no clock and no cryptography.

    Raises:
        MalformedRecord: a field has a size or a value that no honest node writes.
    """
    if (len(record.key), len(record.signature)) != (KEY_SIZE, SIGNATURE_SIZE):
        raise MalformedRecord("key or signature of a wrong size")
    if len(record.owner) != PUBLIC_KEY_SIZE or record.owner[0] not in {2, 3}:
        raise MalformedRecord("the owner is not a compressed key")
    if len(record.payload) > MAX_PAYLOAD[record.kind]:
        raise MalformedRecord(f"payload of {len(record.payload)} bytes")
    if not (0 <= record.sequence <= MAX_NUMBER and 0 <= record.expires_at <= MAX_NUMBER):
        raise MalformedRecord("a number of more than 63 bits")


def check_time(record: Record, now: float) -> None:
    """Look at the lifetime. *now* is in Unix seconds.

    Raises:
        UntimelyRecord: it has ended, or would end later than a new record's.
    """
    if record.expires_at <= now:
        raise UntimelyRecord("the record has expired")
    if record.expires_at > now + dht_limits.RECORD_LIFETIME + dht_limits.CLOCK_TOLERANCE:
        raise UntimelyRecord("the record lives too long")


def sign(
    identity: IdentityKey,
    key: DhtKey,
    kind: RecordKind,
    payload: bytes,
    now: float,
    *,
    network: str,
    previous: Record | None = None,
) -> Record:
    """Return what *identity* says under *key* from now on.

    The sequence number is the time in milliseconds, or one above *previous*, so that an owner
    who has lost his database, and knows of no previous, is still newer than himself.

    Args:
        payload: empty to withdraw what is there.
        now: Unix seconds.
        network: which market it is meant for; signed, and not told.

    Raises:
        ValueError: *payload* is too long; our own bug.
    """
    if len(payload) > MAX_PAYLOAD[kind]:
        raise ValueError(f"payload of {len(payload)} bytes in a {kind.name}")
    sequence, expires_at = int(now * 1_000), int(now) + dht_limits.RECORD_LIFETIME
    if previous is not None:
        sequence = max(sequence, previous.sequence + 1)
        # A successor that ends first would bring its predecessor back to life.
        expires_at = max(expires_at, previous.expires_at)
    draft = Record(
        key=key,
        kind=kind,
        owner=identity.public_key,
        sequence=sequence,
        expires_at=expires_at,
        payload=payload,
        signature=bytes(SIGNATURE_SIZE),
    )
    signature = identity.sign_tagged(TAG, _network_part(network) + _signed_part(draft))
    return msgspec.structs.replace(draft, signature=signature)


def verify(record: Record, *, network: str) -> None:
    """Look at the signature, which takes about 0.2 ms.

    Raises:
        ForgedRecord: its owner did not sign it for *network*.
    """
    digest = tagged_hash(TAG, _network_part(network) + _signed_part(record))
    if not is_signed_by(record.owner, digest, record.signature):
        raise ForgedRecord(f"record that {record.owner.hex()} did not sign")


def supersedes(new: Record, old: Record) -> bool:
    """Say whether *new* takes the place of *old*, of the same owner under the same key.

    Two records with one number are the owner's fault; all nodes choose the same of them.
    """
    if new.sequence != old.sequence:
        return new.sequence > old.sequence
    return encode_record(new) > encode_record(old)


def merge(*sets: tuple[Record, ...]) -> tuple[Record, ...]:
    """Return the union of sets of records under one key: of each owner the newest.

    In the order of the owners' keys, so that equal sets are equal tuples. Withdrawals are
    members like others.
    """
    newest: dict[bytes, Record] = {}
    for records in sets:
        for record in records:
            held = newest.get(record.owner)
            if held is None or supersedes(record, held):
                newest[record.owner] = record
    return tuple(newest[owner] for owner in sorted(newest))


def _signed_part(record: Record) -> bytes:
    return b"".join(
        (
            bytes((VERSION, record.kind)),
            record.key,
            record.owner,
            record.sequence.to_bytes(8),
            record.expires_at.to_bytes(8),
            len(record.payload).to_bytes(4),
            record.payload,
        )
    )


def _network_part(network: str) -> bytes:
    name = network.encode()
    return len(name).to_bytes(1) + name
