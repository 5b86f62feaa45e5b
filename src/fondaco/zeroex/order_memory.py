"""What this node knows of an order by its hash alone: it is here, or it was refused.

Gossip asks before it has an order judged, order sync before it fetches one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fondaco.zeroex.intake import NO_HASH
from fondaco.zeroex.ledger import ToldEvent
from fondaco.zeroex.lifecycle import EndState
from fondaco.zeroex.order import OrderHash, ProtocolVersion
from fondaco.zeroex.orderset import OrderSets
from fondaco.zeroex.refused_orders import ANYBODY, RefusedOrders, Withheld
from fondaco.zeroex.scopes import Scope
from fondaco.zeroex.service import AddResult


class OrderMemory:
    """The sets of stored orders and the refused ones, at the time and block of now.

    Args:
        sets: hold every order once ``BookWalk`` has filled the scopes without filters.
        now: returns monotonic seconds.
        block: returns the number of the newest block, 0 before the first.
    """

    def __init__(
        self, sets: OrderSets, *, now: Callable[[], float], block: Callable[[], int]
    ) -> None:
        self.sets = sets
        self._now = now
        self._block = block
        self._refused = RefusedOrders()
        self._withheld = Withheld()

    def take(self, events: Sequence[ToldEvent]) -> None:
        """Follow what happens to the book (a ``ledger.Tell``)."""
        self.sets.take([(event.order_hash, event.order, event.end_state) for event in events])
        for event in events:
            if event.end_state == EndState.ADDED.value:
                self._refused.forget(event.order_hash)

    def note(self, result: AddResult, *, peer: str | None = None) -> None:
        """Remember who was refused. *peer* handed the orders out, where one did."""
        now, block = self._now(), self._block()
        for refusal in result.rejected:
            if refusal.order_hash != NO_HASH:
                rejection = refusal.rejection
                self._refused.add(
                    refusal.order_hash,
                    rejection.code,
                    rejection.verdict,
                    peer=peer,
                    now=now,
                    block=block,
                )

    def note_withheld(self, peer: str, ids: Iterable[bytes]) -> None:
        """Remember what *peer* named and did not deliver."""
        self._withheld.add(peer, ids, self._now())

    def holds(self, order_hash: bytes) -> bool:
        """Return whether an order is stored and on offer."""
        for version in ProtocolVersion:
            ids = self.sets.get(Scope(version))
            if ids is not None and order_hash in ids:
                return True
        return False

    def is_refused(self, order_hash: bytes, *, peer: str = ANYBODY) -> bool:
        """Return whether an order is not to be looked at again yet, as *peer* has it."""
        return self._refused.refuses(order_hash, self._now(), self._block(), peer=peer)

    def is_withheld(self, peer: str, order_hash: bytes) -> bool:
        """Return whether *peer* did not deliver an order a while ago."""
        return self._withheld.is_withheld(peer, order_hash, self._now())

    def is_dull(self, name: OrderHash) -> bool:
        """Return whether an order is stored, or was refused not long ago."""
        return self.holds(name) or self.is_refused(name)
