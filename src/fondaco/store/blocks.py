"""The retained blocks, as opaque rows: the chain floor says what is in them.

A few dozen, replaced as a whole in the transaction that stores what they changed.
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
    """Replace the retained stack by *blocks*."""
    connection.execute(sa.delete(RETAINED_BLOCKS))
    if blocks:
        connection.execute(
            sa.insert(RETAINED_BLOCKS), [msgspec.structs.asdict(block) for block in blocks]
        )


def load_retained(connection: sa.Connection) -> list[StoredBlock]:
    """Return the retained stack, lowest number first."""
    rows = connection.execute(sa.select(RETAINED_BLOCKS).order_by(RETAINED_BLOCKS.c.number))
    return [StoredBlock(**row._mapping) for row in rows]
