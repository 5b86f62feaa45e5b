"""The retained blocks, as opaque rows: the chain floor says what is in them.

A few dozen, each written once: the logs of a busy block are some 200 KB.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from fondaco.store.schema import INT64, blob, table

RETAINED_BLOCKS = table(
    "retained_blocks",
    sa.Column("number", INT64, primary_key=True, autoincrement=False),
    blob("hash", 32),
    blob("parent_hash", 32),
    sa.Column("timestamp", INT64, nullable=False),
    blob("logs"),
)


class StoredBlock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A block of the retained stack."""

    number: int
    hash: bytes
    """32 bytes."""
    parent_hash: bytes
    """32 bytes."""
    timestamp: int
    """Unix seconds, as the block says."""
    logs: bytes
    """Whatever the chain floor needs to make the logs again."""


def save_retained(connection: sa.Connection, blocks: Sequence[StoredBlock]) -> None:
    """Make *blocks* the retained stack; one that is in it already is not written again."""
    rows = connection.execute(sa.select(RETAINED_BLOCKS.c.number, RETAINED_BLOCKS.c.hash))
    there = {(number, block_hash) for number, block_hash in rows}
    wanted = {(block.number, block.hash): block for block in blocks}
    for number, _ in there - wanted.keys():
        connection.execute(sa.delete(RETAINED_BLOCKS).where(RETAINED_BLOCKS.c.number == number))
    new = [msgspec.structs.asdict(block) for key, block in wanted.items() if key not in there]
    if new:
        connection.execute(sa.insert(RETAINED_BLOCKS), new)


def load_retained(connection: sa.Connection) -> list[StoredBlock]:
    """Return the retained stack, lowest number first."""
    rows = connection.execute(sa.select(RETAINED_BLOCKS).order_by(RETAINED_BLOCKS.c.number))
    return [StoredBlock(**row._mapping) for row in rows]
