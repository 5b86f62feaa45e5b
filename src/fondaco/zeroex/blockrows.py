"""The retained blocks as rows of the store, and back."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fondaco.chain.headers import Header, RetainedBlock
from fondaco.chain.logs import decode_logs, encode_log
from fondaco.store.blocks import StoredBlock


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
