"""Answer peers that reconcile with us and fetch orders from us.

    /fondaco/reconcile/1   greet: our terms | compare: Negentropy | offer: noted, fetched later
    /fondaco/orders/1      ids --> rows not flagged removed --> one compressed frame

Between two requests nothing is kept for a peer but the sets its filters name, which are
bounded, and the ids it has offered, which are too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import sqlalchemy as sa

from fondaco.errors import InvalidParameter
from fondaco.p2p.idset import Snapshot
from fondaco.p2p.negentropy import Responder
from fondaco.store.database import Database
from fondaco.zeroex import repository
from fondaco.zeroex.bookwalk import BookWalk, FilterRefused
from fondaco.zeroex.limits import MAX_OFFERED_IDS
from fondaco.zeroex.order import OrderHash
from fondaco.zeroex.order_memory import OrderMemory
from fondaco.zeroex.peering import SyncNetwork
from fondaco.zeroex.sync_wire import (
    ORDERS_PROTOCOL,
    RECONCILE_PROTOCOL,
    Answer,
    Compare,
    Compared,
    Declined,
    Greet,
    Greeted,
    Offer,
    OrdersFrame,
    Taken,
    decode_ask,
    decode_request,
    encode,
    fitting,
    ids_of,
    marks,
    pack_frame,
    scope_in,
)
from fondaco.zeroex.trading import Trading

INLINE_MESSAGE = 2 * 1024
"""Bytes of a reconciliation message that is answered on the event loop: under 3 ms. The
first message of equal sets has 338."""


class SyncServer:
    """The answering side of order sync."""

    def __init__(
        self,
        *,
        network: SyncNetwork,
        database: Database,
        walk: BookWalk,
        memory: OrderMemory,
        trading: Trading,
        on_offer: Callable[[str, Sequence[bytes]], None],
    ) -> None:
        """*on_offer* takes orders a peer offers and that may be worth fetching."""
        self._network = network
        self._database = database
        self._walk = walk
        self._memory = memory
        self._trading = trading
        self._on_offer = on_offer
        self.counts: Counter[str] = Counter()
        """Requests by kind, and bytes of frames sent."""

    async def open(self) -> None:
        """Answer from now on."""
        await self._network.serve(RECONCILE_PROTOCOL, self.reconcile)
        await self._network.serve(ORDERS_PROTOCOL, self.orders)

    async def reconcile(self, peer: str, payload: bytes) -> bytes:
        """Answer a request of ``/fondaco/reconcile/1``.

        Raises:
            PeerError: it is none.
        """
        request = decode_request(payload)
        self.counts[type(request).__name__.lower()] += 1
        if isinstance(request, Greet):
            terms = self._trading.terms()
            answer: Answer = Greeted(**msgspec.structs.asdict(terms))
        elif not self._trading.serves(request):
            answer = Declined(reason="OtherChain", detail=f"chain {self._trading.chain_id}")
        else:
            try:
                answer = await self._answer(peer, request)
            except (FilterRefused, InvalidParameter) as refusal:
                answer = Declined(reason="FilterRefused", detail=str(refusal))
        return encode(answer)

    async def _answer(self, peer: str, request: Compare | Offer) -> Answer:
        scope = scope_in(request)
        if isinstance(request, Offer):
            return self._note_offer(peer, ids_of(request.ids, MAX_OFFERED_IDS))
        is_strangers = scope not in self._trading.own_scopes()
        ids = (await self._walk.get(scope, is_strangers=is_strangers)).snapshot()
        if len(request.message) <= INLINE_MESSAGE:
            return Compared(message=_respond(ids, request.message))
        return Compared(message=await asyncio.to_thread(_respond, ids, request.message))

    def _note_offer(self, peer: str, ids: Sequence[bytes]) -> Taken:
        refused = [self._memory.is_refused(one, peer=peer) for one in ids]
        wanted = [
            one
            for one, is_refused in zip(ids, refused, strict=True)
            if not is_refused and not self._memory.holds(one)
        ]
        if wanted:
            self._on_offer(peer, wanted)
        return Taken(refused=marks(refused))

    async def orders(self, peer: str, payload: bytes) -> bytes:
        """Answer a request of ``/fondaco/orders/1``.

        Raises:
            PeerError: it is none.
            StorageError: the store cannot be read.
        """
        ids = decode_ask(payload)
        frame = await self._database.read(lambda connection: _frame(connection, ids))
        answer = encode(frame)
        self.counts["orders"] += 1
        self.counts["bytes"] += len(answer)
        return answer


def _respond(ids: Snapshot, message: bytes) -> bytes:
    return Responder(ids).receive(message)


def _frame(connection: sa.Connection, ids: Sequence[bytes]) -> OrdersFrame:
    rows = repository.find(connection, [OrderHash(one) for one in ids])
    bodies = [
        b"" if (row := rows.get(OrderHash(one))) is None or row.is_removed else row.body
        for one in ids
    ]
    handled = fitting([len(body) for body in bodies])
    return OrdersFrame(
        handled=handled, frame=pack_frame([body for body in bodies[:handled] if body])
    )
