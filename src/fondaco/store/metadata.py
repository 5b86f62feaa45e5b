"""Small facts the node keeps by name: chain ID, RPC budget, moving maximum expiration."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from fondaco.store.schema import table

NODE_METADATA = table(
    "node_metadata",
    sa.Column("key", sa.Text(), primary_key=True, nullable=False),
    sa.Column("value", sa.Text(), nullable=False),
)

_GET = sa.select(NODE_METADATA.c.value).where(NODE_METADATA.c.key == sa.bindparam("key"))
_PUT = insert(NODE_METADATA)
_PUT = _PUT.on_conflict_do_update(
    index_elements=[NODE_METADATA.c.key], set_={"value": _PUT.excluded.value}
)


def get(connection: sa.Connection, key: str) -> str | None:
    """Return the value of *key*; None where it was never put."""
    return connection.execute(_GET, {"key": key}).scalar_one_or_none()


def put(connection: sa.Connection, key: str, value: str) -> None:
    """Keep *value* under *key*, in place of what was there."""
    connection.execute(_PUT, {"key": key, "value": value})
