"""Fetch the orders that reconciliation has named, and take them in.

    ids --> known, refused, withheld, under way? skip
        --> ask 500 --> frame --> service.add  (while the next 500 are asked for)
                          '--> not asked for, missing, invalid: the peer's fault

What an id is worth is known only once its order has been hashed here: a peer can name
what does not exist and withhold what does, but put nothing into the book.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable, Sequence

import msgspec

from fondaco.errors import PeerError, Verdict
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.gossip import OrderDoor
from fondaco.zeroex.intake import NO_HASH
from fondaco.zeroex.limits import (
    CLAIMS_TOLERATED,
    IDS_AT_ONCE,
    MAX_ASKED_IDS,
    REQUEST_SECONDS,
    WITHHELD_TOLERATED,
)
from fondaco.zeroex.offences import WEIGHTS, Fault
from fondaco.zeroex.order_memory import OrderMemory
from fondaco.zeroex.peering import SyncNetwork
from fondaco.zeroex.service import AddResult
from fondaco.zeroex.sync_wire import (
    ORDERS_PROTOCOL,
    AskOrders,
    MalformedSync,
    decode_frame,
    encode,
)

log = logging.getLogger(__name__)


class PeerFault(PeerError):
    """A peer broke its word; it has been reported, and the session is over."""

    code = "PeerFault"


class Fetched(msgspec.Struct, kw_only=True):
    """What came of it."""

    stored: int = 0
    """Orders new to us."""
    refused: int = 0
    withheld: int = 0
    size: int = 0
    """Bytes received."""

    def add(self, other: Fetched) -> None:
        """Count *other* in."""
        self.stored += other.stored
        self.refused += other.refused
        self.withheld += other.withheld
        self.size += other.size


class _Wanted:
    """Those of some ids that are worth asking for, found out as they are needed."""

    def __init__(
        self, ids: Sequence[bytes], under_way: set[bytes], memory: OrderMemory, peer: str
    ) -> None:
        self._ids = iter(ids)
        self._under_way = under_way
        self._memory = memory
        self._peer = peer
        self._pending: list[bytes] = []
        self.claimed: list[bytes] = []
        """Those put into *under_way*, for whoever asks next to leave alone."""
        self.claimed_again = 0
        """How many the peer has named before and not delivered."""

    async def next(self) -> list[bytes]:
        """Return what to ask for next; nothing when all is dealt with."""
        while len(self._pending) < MAX_ASKED_IDS:
            some = list(itertools.islice(self._ids, IDS_AT_ONCE))
            if not some:
                break
            self._look_through(some)
            await asyncio.sleep(0)
        return self._pending[:MAX_ASKED_IDS]

    def dealt_with(self, count: int) -> None:
        """The first *count* of what ``next`` returned need not be asked for again."""
        del self._pending[:count]

    def _look_through(self, ids: Iterable[bytes]) -> None:
        for one in ids:
            if one in self._under_way or self._memory.holds(one):
                continue
            if self._memory.is_withheld(self._peer, one):
                self.claimed_again += 1
            elif not self._memory.is_refused(one, peer=self._peer):
                self._under_way.add(one)
                self.claimed.append(one)
                self._pending.append(one)


class OrderFetch:
    """Fetches orders by their hashes."""

    def __init__(self, *, network: SyncNetwork, service: OrderDoor, memory: OrderMemory) -> None:
        self._network = network
        self._service = service
        self._memory = memory
        self._under_way: set[bytes] = set()
        self.total = Fetched()
        """Of all fetches."""

    async def fetch(self, peer: str, ids: Sequence[bytes]) -> Fetched:
        """Fetch those of *ids* that are worth it from *peer*.

        Raises:
            Unavailable: the peer has gone or is late; what came before is taken in.
            PeerFault: it broke its word, likewise.
        """
        wanted = _Wanted(ids, self._under_way, self._memory, peer)
        fetched = Fetched()
        try:
            await self._fetch(peer, wanted, fetched)
        finally:
            self._under_way.difference_update(wanted.claimed)
            self.total.add(fetched)
        if wanted.claimed_again > CLAIMS_TOLERATED:
            self.report(peer, Fault.FALSE_CLAIMS)
        return fetched

    def report(self, peer: str, fault: Fault, times: int = 1) -> None:
        """Count a fault against *peer*."""
        offence, weight = WEIGHTS[fault]
        log.info("a peer is at fault", extra={"peer": peer, "fault": fault.value, "times": times})
        self._network.report(peer, offence, weight * times)

    async def _fetch(self, peer: str, wanted: _Wanted, fetched: Fetched) -> None:
        taking: asyncio.Task[None] | None = None
        try:
            while asked := await wanted.next():
                handled, bodies = await self._ask(peer, asked, fetched)
                wanted.dealt_with(handled)
                if taking is not None:
                    await taking
                taking = asyncio.create_task(self._take_in(peer, asked[:handled], bodies, fetched))
            if taking is not None:
                await taking
        finally:
            if taking is not None and not taking.done():
                # What has come is not thrown away because the next answer does not come.
                await asyncio.wait((taking,))

    async def _ask(
        self, peer: str, asked: Sequence[bytes], fetched: Fetched
    ) -> tuple[int, list[bytes]]:
        answer = await self._network.request(
            peer, ORDERS_PROTOCOL, encode(AskOrders(ids=b"".join(asked))), timeout=REQUEST_SECONDS
        )
        fetched.size += len(answer)
        try:
            return await asyncio.to_thread(decode_frame, answer, len(asked))
        except MalformedSync as fault:
            self.report(peer, Fault.MALFORMED_ANSWER)
            raise PeerFault(str(fault)) from None

    async def _take_in(
        self, peer: str, asked: Sequence[bytes], bodies: Sequence[bytes], fetched: Fetched
    ) -> None:
        result = await self._service.add(bodies, Origin.SYNC, pinned=False)
        self._memory.note(result, peer=peer)
        new = sum(accepted.is_new for accepted in result.accepted)
        if new:
            self._network.reward(peer)
        fetched.stored += new
        fetched.refused += len(result.rejected)
        self._judge(peer, asked, result, fetched)

    def _judge(
        self, peer: str, asked: Sequence[bytes], result: AddResult, fetched: Fetched
    ) -> None:
        if invalid := count_invalid(result):
            self.report(peer, Fault.INVALID_ORDER, invalid)
        delivered: set[bytes] = {accepted.order_hash for accepted in result.accepted}
        delivered.update(refusal.order_hash for refusal in result.rejected)
        missing = [one for one in asked if one not in delivered]
        self._memory.note_withheld(peer, missing)
        fetched.withheld += len(missing)
        if unasked := delivered.difference(asked, (NO_HASH,)):
            self.report(peer, Fault.UNASKED_ORDERS)
            raise PeerFault(f"{len(unasked)} orders that nobody asked for")
        got = fetched.stored + fetched.refused
        if fetched.withheld > max(WITHHELD_TOLERATED, got):
            self.report(peer, Fault.NOTHING_DELIVERED)
            raise PeerFault(f"{fetched.withheld} orders named and not delivered")


def count_invalid(result: AddResult) -> int:
    """Return how many orders were refused for what their sender could have seen."""
    return sum(refusal.rejection.verdict is Verdict.REJECT for refusal in result.rejected)
