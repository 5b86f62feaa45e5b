"""Event logs as values, and the few ABI rules needed to read them by hand.

A generic ABI library takes 60-450 us for a log, slices take 0.3-4 (reference/evm.md,
section 7); a block of mainnet carries hundreds of Transfers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fondaco.chain import wire
from fondaco.chain.errors import AbiError, MalformedAnswer

WORD = 32
"""Bytes of an ABI word."""

MAX_TOPICS = 4
"""The EVM has LOG0 to LOG4."""


class Log(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event a contract emitted, with its place in the chain."""

    address: bytes
    """20 bytes: the contract that emitted it."""
    topics: tuple[bytes, ...]
    """0 to 4 topics of 32 bytes; the first is the event's signature hash."""
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    transaction_index: int
    log_index: int
    """Place in the block, not in the transaction."""
    removed: bool = False
    """True in events about a block that left the chain."""


class _WireLog(msgspec.Struct, gc=False):
    """A log as JSON-RPC spells it. Unknown members (blockTimestamp, ...) are skipped."""

    address: str
    topics: list[str]
    data: str
    blockNumber: str
    blockHash: str
    transactionHash: str
    transactionIndex: str
    logIndex: str
    removed: bool = False


_decoder = msgspec.json.Decoder(list[_WireLog])


def decode_logs(result: bytes | msgspec.Raw | list[Any]) -> list[Log]:
    """Return the logs in the result of ``eth_getLogs``, in its order.

    Args:
        result: the JSON text, or what it decodes to (a stored log of ``encode_log``).

    Raises:
        MalformedAnswer: a member is missing or has the wrong type or length. A log of
            a pending block (null block hash) counts as such: we never ask for those.
    """
    try:
        if isinstance(result, list):
            raw = msgspec.convert(result, list[_WireLog])
        else:
            raw = _decoder.decode(result)
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise MalformedAnswer("logs are not as eth_getLogs gives them") from exc
    return [_log(item) for item in raw]


def _log(raw: _WireLog) -> Log:
    if len(raw.topics) > MAX_TOPICS:
        raise MalformedAnswer("a log has more than four topics")
    return Log(
        address=wire.data(raw.address, "address", size=20),
        topics=tuple([wire.data(topic, "topic", size=WORD) for topic in raw.topics]),
        data=wire.data(raw.data, "data"),
        block_number=wire.quantity(raw.blockNumber, "blockNumber"),
        block_hash=wire.data(raw.blockHash, "blockHash", size=32),
        transaction_hash=wire.data(raw.transactionHash, "transactionHash", size=32),
        transaction_index=wire.quantity(raw.transactionIndex, "transactionIndex"),
        log_index=wire.quantity(raw.logIndex, "logIndex"),
        removed=raw.removed,
    )


def encode_log(log: Log) -> dict[str, object]:
    """Return *log* in JSON-RPC's spelling; ``decode_logs([encode_log(log)]) == [log]``."""
    return {
        "address": wire.encode_data(log.address),
        "topics": [wire.encode_data(topic) for topic in log.topics],
        "data": wire.encode_data(log.data),
        "blockNumber": wire.encode_quantity(log.block_number),
        "blockHash": wire.encode_data(log.block_hash),
        "transactionHash": wire.encode_data(log.transaction_hash),
        "transactionIndex": wire.encode_quantity(log.transaction_index),
        "logIndex": wire.encode_quantity(log.log_index),
        "removed": log.removed,
    }


def word(data: bytes, index: int) -> int:
    """Return the uint256 in word *index* of *data*.

    Raises:
        AbiError: *data* ends before.
    """
    end = WORD * index + WORD
    if end > len(data):
        raise AbiError(f"word {index} is missing")
    return int.from_bytes(data[end - WORD : end], "big")


def word_bytes(data: bytes, index: int) -> bytes:
    """Return the 32 bytes of word *index*, for ``bytes32``.

    Raises:
        AbiError: *data* ends before.
    """
    end = WORD * index + WORD
    if end > len(data):
        raise AbiError(f"word {index} is missing")
    return data[end - WORD : end]


def address_at(data: bytes, index: int) -> bytes:
    """Return the 20 bytes of the address in word *index*.

    Raises:
        AbiError: *data* ends before, or the upper 12 bytes are not zero.
    """
    value = word_bytes(data, index)
    if any(value[:12]):
        raise AbiError(f"word {index} is not an address")
    return value[12:]


def topic_address(topic: bytes) -> bytes:
    """Return the address in an indexed parameter. Raises: AbiError."""
    return address_at(topic, 0)


def boolean_at(data: bytes, index: int) -> bool:
    """Return the bool in word *index*.

    Raises:
        AbiError: *data* ends before, or the word is neither 0 nor 1.
    """
    value = word(data, index)
    if value > 1:
        raise AbiError(f"word {index} is not a boolean")
    return bool(value)


def bytes_at(data: bytes, index: int) -> bytes:
    """Return the dynamic ``bytes`` whose offset stands in word *index*.

    The offset counts from the start of *data*. Missing padding after the last byte
    is tolerated, as Solidity's own decoder does.

    Raises:
        AbiError: offset or length point outside *data*.
    """
    start, size = _dynamic(data, index)
    if start + size > len(data):
        raise AbiError(f"the bytes of word {index} are cut short")
    return data[start : start + size]


def uint_array_at(data: bytes, index: int) -> list[int]:
    """Return the ``uint256[]`` whose offset stands in word *index*.

    Raises:
        AbiError: offset or length point outside *data*.
    """
    start, count = _dynamic(data, index)
    if count > (len(data) - start) // WORD:
        raise AbiError(f"the array of word {index} is cut short")
    return [
        int.from_bytes(data[at : at + WORD], "big")
        for at in range(start, start + WORD * count, WORD)
    ]


def _dynamic(data: bytes, index: int) -> tuple[int, int]:
    """Return where the items of a dynamic value begin, and how many it says there are."""
    offset = word(data, index)
    if offset + WORD > len(data):
        raise AbiError(f"the offset in word {index} points outside")
    return offset + WORD, int.from_bytes(data[offset : offset + WORD], "big")


def encode_words(values: Sequence[int]) -> bytes:
    """Return *values*, each as a 32-byte word."""
    return b"".join([value.to_bytes(WORD, "big") for value in values])
