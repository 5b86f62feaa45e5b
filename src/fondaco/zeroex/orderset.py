"""The hashes of stored orders, per scope, kept current from what the ledger tells.

    begin(scope) -> Filling      changes are noted while the book is walked
       fill(filling, ids)        ids as found, then the changes: the set is ready
    take(events)                 ADDED, UNEXPIRED, FILLED, ...  in;  end states  out
    get(scope) -> IdSet | None

A set that was not asked for longest makes room for a new one; those of scopes that are
*kept* stay. Whether an order satisfies a filter never changes, so each is judged once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fondaco.p2p.idset import IdSet
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.lifecycle import EndState
from fondaco.zeroex.limits import MAX_ORDER_SETS
from fondaco.zeroex.order import OrderHash, SignedOrder
from fondaco.zeroex.order_filter import CustomSchema
from fondaco.zeroex.scopes import Scope

LIVE_STATES = frozenset(
    state.value
    for state in (
        EndState.ADDED,
        EndState.FILLED,
        EndState.UNEXPIRED,
        EndState.FILLABILITY_INCREASED,
    )
)
"""End states after which an order is on offer: not flagged removed."""

ToldOf = tuple[OrderHash, SignedOrder, str]
"""An event as far as it matters here: the order, its hash, the end state."""


class Filling:
    """A set that is being made: what happens meanwhile."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.schemas = scope.schemas()
        self.changes: list[tuple[bytes, bool]] = []


class _Ready:
    __slots__ = ("ids", "schemas")

    def __init__(self, ids: IdSet, schemas: list[CustomSchema]) -> None:
        self.ids = ids
        self.schemas = schemas


class OrderSets:
    """The sets by scope."""

    def __init__(self, *, most: int = MAX_ORDER_SETS) -> None:
        self._most = most
        self._ready: OrderedDict[Scope, _Ready] = OrderedDict()
        self._fillings: dict[Scope, Filling] = {}
        self._kept: frozenset[Scope] = frozenset()

    def keep(self, scopes: Iterable[Scope]) -> None:
        """Let the sets of *scopes*, and no others, stay when room is needed."""
        self._kept = frozenset(scopes)

    def get(self, scope: Scope) -> IdSet | None:
        """Return the set of *scope*, None when it has to be filled first."""
        ready = self._ready.get(scope)
        if ready is None:
            return None
        self._ready.move_to_end(scope)
        return ready.ids

    def begin(self, scope: Scope) -> Filling:
        """Note what happens to orders of *scope* from now on, until ``fill`` or ``drop``."""
        filling = self._fillings[scope] = Filling(scope)
        return filling

    def fill(self, filling: Filling, ids: IdSet) -> IdSet:
        """Make *ids*, read from the store after ``begin``, the set of the scope.

        Changes may be in there already: doing them again does no harm.
        """
        self.drop(filling)
        for order_hash, is_in in filling.changes:
            _put(ids, order_hash, is_in=is_in)
        self._ready[filling.scope] = _Ready(ids, filling.schemas)
        idle = (scope for scope in self._ready if scope not in self._kept)
        for scope in list(idle)[: max(0, len(self._ready) - self._most)]:
            if scope != filling.scope:
                del self._ready[scope]
        return ids

    def drop(self, filling: Filling) -> None:
        """Stop noting for *filling*."""
        if self._fillings.get(filling.scope) is filling:
            del self._fillings[filling.scope]

    def take(self, events: Sequence[ToldOf]) -> None:
        """Do to the sets what *events*, in their sequence, did to the book."""
        for order_hash, order, end_state in events:
            shown = _Shown(order)
            is_live = end_state in LIVE_STATES
            for scope, ready in self._ready.items():
                if scope.version is not order.version:
                    continue
                if not is_live:
                    ready.ids.discard(order_hash)
                elif order_hash not in ready.ids and shown.satisfies(ready.schemas):
                    ready.ids.add(order_hash)
            for scope, filling in self._fillings.items():
                if scope.version is order.version:
                    is_in = is_live and shown.satisfies(filling.schemas)
                    filling.changes.append((order_hash, is_in))

    @property
    def sizes(self) -> dict[Scope, int]:
        """How many orders each set holds."""
        return {scope: len(ready.ids) for scope, ready in self._ready.items()}


class _Shown:
    """An order as filters see it, decoded when the first asks."""

    __slots__ = ("_fields", "_order")

    def __init__(self, order: SignedOrder) -> None:
        self._order = order
        self._fields: dict[str, Any] | None = None

    def satisfies(self, schemas: Sequence[CustomSchema]) -> bool:
        if not schemas:
            return True
        if self._fields is None:
            self._fields = msgspec.json.decode(encode_order(self._order))
        fields = self._fields
        return all(schema.accepts(fields) for schema in schemas)


def _put(ids: IdSet, order_hash: bytes, *, is_in: bool) -> None:
    if is_in:
        ids.add(order_hash)
    else:
        ids.discard(order_hash)
