"""Why orders are not here: the last refusals, for ``mesh_explain``.

A ring: strangers may send as much nonsense as they like, and push out only each
other's refusals.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from fondaco.store.batch import Batch
from fondaco.store.schema import INT64, blob, table
from fondaco.zeroex.order import OrderHash

REFUSALS = table(
    "zeroex_refusals",
    sa.Column("id", INT64, primary_key=True),
    blob("order_hash", 32),
    sa.Column("code", sa.Text(), nullable=False),
    sa.Column("detail", sa.Text(), nullable=False),
    sa.Column("origin", sa.Text(), nullable=False),
    sa.Column("at_ns", INT64, nullable=False),
    sa.Index("zeroex_refusals_by_hash", "order_hash"),
)

REFUSALS_KEPT = 100_000
"""Rows: about 20 MB, and as many as the default capacity of the book."""

DETAIL_KEPT = 500
"""Characters of a detail text, which may repeat what a stranger or a contract said."""


class StoredRefusal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order that was not taken."""

    order_hash: OrderHash
    code: str
    """A ``RejectedOrderStatus`` code of Mesh."""
    detail: str
    """More words; may be empty."""
    origin: str
    """The door it came through: LOCAL, GOSSIP, SYNC."""
    at_ns: int
    """Nanoseconds since the Unix epoch."""


_RECORD = Batch(sa.insert(REFUSALS))
_NEWEST_ID = sa.select(sa.func.coalesce(sa.func.max(REFUSALS.c.id), 0))
_CUT = sa.delete(REFUSALS).where(REFUSALS.c.id <= sa.bindparam("upto"))
_ABOUT = (
    sa.select(
        REFUSALS.c.order_hash,
        REFUSALS.c.code,
        REFUSALS.c.detail,
        REFUSALS.c.origin,
        REFUSALS.c.at_ns,
    )
    .where(REFUSALS.c.order_hash == sa.bindparam("hash"))
    .order_by(REFUSALS.c.id.desc())
    .limit(sa.bindparam("limit"))
)


def record(
    connection: sa.Connection, refusals: Sequence[StoredRefusal], *, kept: int = REFUSALS_KEPT
) -> None:
    """Remember *refusals*, and forget the oldest beyond *kept*."""
    newest: int = connection.execute(_NEWEST_ID).scalar_one()
    rows = [
        (
            number,
            refusal.order_hash,
            refusal.code,
            refusal.detail[:DETAIL_KEPT],
            refusal.origin,
            refusal.at_ns,
        )
        for number, refusal in enumerate(refusals, newest + 1)
    ]
    _RECORD.run(connection, rows)
    connection.execute(_CUT, {"upto": newest + len(rows) - kept})


def about(connection: sa.Connection, order_hash: OrderHash, limit: int = 20) -> list[StoredRefusal]:
    """Return the newest *limit* refusals of an order, oldest first."""
    rows = connection.execute(_ABOUT, {"hash": order_hash, "limit": limit}).all()
    return [StoredRefusal(**row._mapping) for row in rows][::-1]
