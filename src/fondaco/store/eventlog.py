"""The log of what happened: every change of state has its row, in the same transaction.

Sequences are 1, 2, 3 … over all topics, without a gap, and none is ever given twice,
even after everything was pruned: the counter has its own table. A reader at sequence
*n* has seen everything up to *n* and continues with ``read_after(…, n, …)``; when
``bounds(…).first_retained > n + 1``, some of what followed was pruned, and the reader
must be told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from fondaco.store import limits
from fondaco.store.batch import Batch
from fondaco.store.database import Database
from fondaco.store.schema import INT64, blob, table

EVENT_LOG = table(
    "event_log",
    sa.Column("sequence", INT64, primary_key=True, autoincrement=False),
    sa.Column("recorded_at_ns", INT64, nullable=False),
    sa.Column("topic", sa.Text(), nullable=False),
    blob("subject"),
    blob("payload"),
    sa.Index("event_log_by_topic", "topic", "sequence"),
    sa.Index("event_log_by_subject", "subject", "sequence"),
)

EVENT_LOG_COUNTER = table(
    "event_log_counter",
    sa.Column("id", INT64, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    sa.Column("last", INT64, nullable=False),
)
"""One row: the last sequence given. Kept apart so that pruning cannot wind it back."""


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that has just happened, not yet numbered."""

    topic: str
    """Whose event it is, such as ``zeroex.orders``; few different ones."""
    subject: bytes
    """What it happened to, such as an order hash; ``about`` finds it by this."""
    payload: bytes


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of the log."""

    sequence: int
    recorded_at_ns: int
    """Nanoseconds since the Unix epoch."""
    topic: str
    subject: bytes
    payload: bytes


class Bounds(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a reader of one topic may start: first_retained - 1 <= since <= last."""

    first_retained: int
    """Everything with a smaller sequence was pruned, whatever its topic."""
    last: int
    """The topic's newest event; first_retained - 1 where none is kept."""


class Pruned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one step of pruning did."""

    first_retained: int
    removed: int
    has_more: bool
    """Whether another step would remove more."""


_INSERT = Batch(sa.insert(EVENT_LOG))
_LAST = sa.select(EVENT_LOG_COUNTER.c.last)
_SET_LAST = sa.update(EVENT_LOG_COUNTER).values(last=sa.bindparam("new_last"))
_AFTER = (
    sa.select(EVENT_LOG)
    .where(
        EVENT_LOG.c.topic == sa.bindparam("topic"),
        EVENT_LOG.c.sequence > sa.bindparam("after"),
    )
    .order_by(EVENT_LOG.c.sequence)
    .limit(sa.bindparam("limit"))
)
_ABOUT = (
    sa.select(EVENT_LOG)
    .where(
        EVENT_LOG.c.subject == sa.bindparam("subject"), EVENT_LOG.c.topic == sa.bindparam("topic")
    )
    .order_by(EVENT_LOG.c.sequence.desc())
    .limit(sa.bindparam("limit"))
)
_FIRST = sa.select(sa.func.min(EVENT_LOG.c.sequence))
_LAST_OF_TOPIC = sa.select(sa.func.max(EVENT_LOG.c.sequence)).where(
    EVENT_LOG.c.topic == sa.bindparam("topic")
)
_OLDEST = (
    sa.select(EVENT_LOG.c.sequence, EVENT_LOG.c.recorded_at_ns)
    .order_by(EVENT_LOG.c.sequence)
    .limit(sa.bindparam("limit"))
)
_PRUNE = sa.delete(EVENT_LOG).where(EVENT_LOG.c.sequence <= sa.bindparam("upto"))


def append(connection: sa.Connection, events: Sequence[NewEvent], *, now_ns: int) -> range:
    """Write *events* in this sequence; return the sequences they got.

    An empty range starting after the last sequence when there are none.
    """
    last: int = connection.execute(_LAST).scalar_one()
    given = range(last + 1, last + 1 + len(events))
    if events:
        _INSERT.run(
            connection,
            [
                (sequence, now_ns, event.topic, event.subject, event.payload)
                for sequence, event in zip(given, events, strict=True)
            ],
        )
        connection.execute(_SET_LAST, {"new_last": given[-1]})
    return given


def read_after(
    connection: sa.Connection, topic: str, sequence: int, limit: int
) -> list[LoggedEvent]:
    """Return up to *limit* events of *topic* after *sequence*, oldest first.

    Costs O(limit) however long the log is and whatever other topics hold.
    """
    rows = connection.execute(_AFTER, {"topic": topic, "after": sequence, "limit": limit})
    return [_logged(row) for row in rows]


def bounds(connection: sa.Connection, topic: str) -> Bounds:
    """Return where a reader of *topic* may start."""
    first: int | None = connection.execute(_FIRST).scalar_one()
    if first is None:
        first = connection.execute(_LAST).scalar_one() + 1
    last: int | None = connection.execute(_LAST_OF_TOPIC, {"topic": topic}).scalar_one()
    return Bounds(first_retained=first, last=first - 1 if last is None else last)


def about(connection: sa.Connection, topic: str, subject: bytes, limit: int) -> list[LoggedEvent]:
    """Return the newest *limit* events of *topic* about *subject*, oldest first."""
    rows = connection.execute(_ABOUT, {"topic": topic, "subject": subject, "limit": limit})
    return [_logged(row) for row in rows][::-1]


def prune(
    connection: sa.Connection,
    *,
    older_than_ns: int,
    max_rows: int,
    step: int = limits.PRUNE_STEP_ROWS,
) -> Pruned:
    """Remove up to *step* of the oldest events: the too old, and those over *max_rows*.

    Only from the front, so that what is kept has no gap: an event recorded while the
    clock was wrong waits for those before it.
    """
    last: int = connection.execute(_LAST).scalar_one()
    oldest = connection.execute(_OLDEST, {"limit": step + 1}).all()
    surplus_upto = last - max_rows
    doomed = 0
    for sequence, recorded_at_ns in oldest:
        if sequence > surplus_upto and recorded_at_ns >= older_than_ns:
            break
        doomed += 1
    has_more = doomed > step
    doomed = min(doomed, step)
    if doomed:
        connection.execute(_PRUNE, {"upto": oldest[doomed - 1].sequence})
    kept = oldest[doomed].sequence if doomed < len(oldest) else last + 1
    return Pruned(first_retained=kept, removed=doomed, has_more=has_more)


async def prune_in_steps(database: Database, *, older_than_ns: int, max_rows: int) -> int:
    """Prune all there is to prune; return the first retained sequence.

    Each step is a transaction of its own: other writers get their turn in between.
    """
    while True:
        pruned = await database.write(
            lambda connection: prune(connection, older_than_ns=older_than_ns, max_rows=max_rows)
        )
        if not pruned.has_more:
            return pruned.first_retained


def _logged(row: Sequence[Any]) -> LoggedEvent:
    sequence, recorded_at_ns, topic, subject, payload = row
    return LoggedEvent(
        sequence=sequence,
        recorded_at_ns=recorded_at_ns,
        topic=topic,
        subject=subject,
        payload=payload,
    )
