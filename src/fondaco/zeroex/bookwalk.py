"""Walk through the stored orders to make the set of a scope.

A walk is one read transaction in a thread. What is committed meanwhile is noted by
``orderset`` and done to the set afterwards, so the node goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

import msgspec
import sqlalchemy as sa

from fondaco.clock import Clock
from fondaco.errors import NodeError
from fondaco.p2p.idset import IdSet
from fondaco.store.database import Database
from fondaco.zeroex.allowance import Allowance
from fondaco.zeroex.limits import (
    MAX_FILL_SECONDS,
    NEW_SETS_AT_ONCE,
    NEW_SETS_PER_HOUR,
    REFUSED_FILTERS_KEPT,
)
from fondaco.zeroex.orderset import OrderSets
from fondaco.zeroex.repository import ORDERS
from fondaco.zeroex.scopes import Scope

STEP = 1_000
"""Orders between two looks at the clock: about 10 ms with a filter."""

REFUSED_SECONDS = 3_600.0
"""Seconds for which a filter that was too costly is not tried again."""

_PAGE = (
    sa.select(ORDERS.c.id, ORDERS.c.order_hash, ORDERS.c.body)
    .where(
        ORDERS.c.id > sa.bindparam("position"),
        ORDERS.c.version == sa.bindparam("version"),
        ORDERS.c.is_removed == 0,
    )
    .order_by(ORDERS.c.id)
    .limit(STEP)
)


class FilterRefused(NodeError):
    """No set is made for a filter: it costs too much, or too many were asked for."""

    code = "FilterRefused"


class BookWalk:
    """Gives out sets, made when they are first asked for."""

    def __init__(
        self,
        *,
        database: Database,
        sets: OrderSets,
        clock: Clock,
        max_seconds: float = MAX_FILL_SECONDS,
    ) -> None:
        self._database = database
        self._sets = sets
        self._clock = clock
        self._max_seconds = max_seconds
        self._walks: dict[Scope, asyncio.Future[IdSet]] = {}
        self._one_walk = asyncio.Lock()
        self._refused: dict[Scope, float] = {}
        self._allowance = Allowance(NEW_SETS_PER_HOUR, NEW_SETS_AT_ONCE, clock.monotonic())

    async def get(self, scope: Scope, *, is_strangers: bool = False) -> IdSet:
        """Return the set of *scope*, which goes on changing with the book.

        Args:
            is_strangers: whether a peer chose the filters. Then they are bounded.

        Raises:
            FilterRefused: not now, or not these filters.
            StorageError: the store could not be read.
        """
        ready = self._sets.get(scope)
        if ready is not None:
            return ready
        walk = self._walks.get(scope)
        if walk is None:
            if is_strangers:
                self._check(scope)
            walk = self._walks[scope] = asyncio.ensure_future(self._walk(scope))
            walk.add_done_callback(lambda _: self._walks.pop(scope, None))
        # Shielded: whoever else waits for the same set must not lose it with this caller.
        return await asyncio.shield(walk)

    def _check(self, scope: Scope) -> None:
        now = self._clock.monotonic()
        if now < self._refused.get(scope, now):
            raise FilterRefused("the filter costs too much to evaluate")
        if not self._allowance.take(now):
            raise FilterRefused("too many different filters, try again later")

    async def _walk(self, scope: Scope) -> IdSet:
        async with self._one_walk:
            filling = self._sets.begin(scope)
            try:
                ids = await self._database.read(
                    lambda connection: IdSet(
                        _matching(connection, scope, self._clock.monotonic, self._max_seconds)
                    )
                )
            except FilterRefused:
                self._refused[scope] = self._clock.monotonic() + REFUSED_SECONDS
                while len(self._refused) > REFUSED_FILTERS_KEPT:
                    del self._refused[next(iter(self._refused))]
                raise
            finally:
                self._sets.drop(filling)
            return self._sets.fill(filling, ids)


def _matching(
    connection: sa.Connection, scope: Scope, now: Callable[[], float], max_seconds: float
) -> Iterator[bytes]:
    """Yield the hashes of the orders of *scope*.

    Raises:
        FilterRefused: it takes longer than *max_seconds*.
    """
    schemas = scope.schemas()
    began = now()
    for rows in _pages(connection, scope):
        if schemas and now() - began > max_seconds:
            raise FilterRefused("the filter costs too much to evaluate")
        for order_hash, body in rows:
            if schemas:
                order = msgspec.json.decode(body)
                if not all(schema.accepts(order) for schema in schemas):
                    continue
            yield order_hash


def _pages(connection: sa.Connection, scope: Scope) -> Iterator[Iterable[tuple[bytes, bytes]]]:
    position = 0
    parameters = {"version": int(scope.version)}
    while rows := connection.execute(_PAGE, {**parameters, "position": position}).all():
        position = rows[-1][0]
        yield [(order_hash, body) for _, order_hash, body in rows]
