"""The order events as subscribers read them: live from memory, older ones from the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import sqlalchemy as sa

from fondaco.api.feed import Event, EventFeed
from fondaco.store import eventlog
from fondaco.store.database import Database
from fondaco.zeroex import codec, journal, repository
from fondaco.zeroex.ledger import ToldEvent
from fondaco.zeroex.order import OrderHash, SignedOrder
from fondaco.zeroex.query import OrderFilter, matches


class EventSubject(msgspec.Struct, frozen=True, gc=False):
    """What a subscriber's filter looks at."""

    order_hash: OrderHash
    order: SignedOrder


class OrderLog:
    """The event log as a feed's ``LogReader``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_after(self, sequence: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return await self._database.read(lambda connection: _page(connection, sequence, limit))

    async def bounds(self) -> tuple[int, int]:
        bounds = await self._database.read(
            lambda connection: eventlog.bounds(connection, journal.TOPIC)
        )
        return bounds.first_retained, bounds.last


def _page(connection: sa.Connection, sequence: int, limit: int) -> list[tuple[int, bytes]]:
    rows = eventlog.read_after(connection, journal.TOPIC, sequence, limit)
    bodies = repository.bodies(connection, {OrderHash(row.subject) for row in rows})
    return [
        (
            row.sequence,
            journal.render_event(
                row.sequence, row.subject, bodies[OrderHash(row.subject)], row.payload
            ),
        )
        for row in rows
    ]


class _WireEvent(msgspec.Struct, gc=False):
    """The part of a rendered event that filters need."""

    orderHash: str
    signedOrder: msgspec.Raw


_decode = msgspec.json.Decoder(_WireEvent).decode


def subject_of(encoded: bytes) -> EventSubject:
    """Return what filters look at of an event that was read from the log."""
    wire = _decode(encoded)
    order_hash = OrderHash(bytes.fromhex(wire.orderHash[2:]))
    return EventSubject(order_hash, codec.decode_order(wire.signedOrder))


def wanted_by(wanted: OrderFilter) -> Callable[[EventSubject], bool]:
    """Return the predicate that *wanted* means."""
    return lambda subject: matches(wanted, subject.order_hash, subject.order)


async def open_feed(database: Database) -> EventFeed[EventSubject]:
    """Return a feed that goes on where the log ends."""
    log = OrderLog(database)
    _, last = await log.bounds()
    return EventFeed(log, subject_of, last=last)


def publisher(feed: EventFeed[EventSubject]) -> Callable[[Sequence[ToldEvent]], None]:
    """Return what tells *feed* of committed events (a ``ledger.Tell``)."""

    def tell(events: Sequence[ToldEvent]) -> None:
        feed.publish(
            [
                Event(
                    sequence=event.sequence,
                    encoded=event.encoded,
                    value=EventSubject(event.order_hash, event.order),
                )
                for event in events
            ]
        )

    return tell
