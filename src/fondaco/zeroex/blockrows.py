"""The retained blocks as rows of the store, and back; and what was changed after them.

orders changed ... orders changed ... blocks stored ... orders changed ... kill
                                                              '-- ahead_of_blocks
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from fondaco.chain.headers import Header, RetainedBlock
from fondaco.chain.logs import decode_logs, encode_log
from fondaco.store import blocks as stored_blocks
from fondaco.store import metadata
from fondaco.store.blocks import StoredBlock
from fondaco.zeroex import repository
from fondaco.zeroex.order import OrderHash

STORED_AT_KEY = "zeroex.blocks_stored_at_ns"
"""Name, in the node's metadata, of when blocks were stored as seen; Unix nanoseconds."""


def store(connection: sa.Connection, rows: Sequence[StoredBlock], *, now_ns: int) -> None:
    """Make *rows* the blocks whose effects are all in the book."""
    stored_blocks.save_retained(connection, rows)
    metadata.put(connection, STORED_AT_KEY, str(now_ns))


def ahead_of_blocks(connection: sa.Connection) -> list[OrderHash]:
    """Return the orders that were added or looked at since ``store``.

    Later blocks than the stored ones may have changed them, of which nothing is known
    any more, not even whether they are still on the chain.
    """
    stored_at_ns = metadata.get(connection, STORED_AT_KEY)
    if stored_at_ns is None:
        return []
    return repository.updated_since(connection, int(stored_at_ns))


def to_rows(blocks: Iterable[RetainedBlock]) -> list[StoredBlock]:
    """Return *blocks* as they are stored; logs in the spelling of JSON-RPC."""
    return [
        StoredBlock(
            number=block.header.number,
            hash=block.header.hash,
            parent_hash=block.header.parent_hash,
            timestamp=block.header.timestamp,
            logs=msgspec.json.encode([encode_log(entry) for entry in block.logs]),
        )
        for block in blocks
    ]


def from_rows(rows: Iterable[StoredBlock]) -> list[RetainedBlock]:
    """Return stored *rows* as blocks."""
    return [
        RetainedBlock(
            header=Header(
                number=row.number,
                hash=row.hash,
                parent_hash=row.parent_hash,
                timestamp=row.timestamp,
            ),
            logs=tuple(decode_logs(row.logs)),
        )
        for row in rows
    ]
