"""Orders that are not fetched again, and for how long: what makes a difference explained.

    refused here    an order was looked at and not taken: by its code, until a time, or
                    until a time *and* a newer block; twice as long after each refusal
    withheld        a peer named an order and did not deliver it; only that peer is meant

An order's hash does not cover its signature. Whoever sends a copy with another signature
must not keep the true one out, so a refusal that a signature may have caused is held
against the peer that sent the copy, not against the order.

Both are bounded: the longest known go first. Pure; the host says time and block.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from fondaco.errors import Verdict
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.limits import MAX_REFUSED_ORDERS, MAX_WITHHELD

FOR_GOOD = 3_600.0
"""Seconds. The order's own bytes are wrong: only another signature could mend it."""

BY_CHAIN = 30.0
"""Seconds, and a newer block. The peer and we looked at different blocks."""

BY_POLICY = 300.0
"""Seconds. The node is full, or takes nothing that expires so late."""

UNSURE = 15.0
"""Seconds. The endpoint or the disk did not answer."""

LONGEST = 3_600.0
"""Seconds to which a time grows, doubled at each refusal in a row."""

ANYBODY = ""
"""Holder of a refusal that does not depend on who sent the order. No peer has this name."""

WITHHELD_SECONDS = 600.0
"""Seconds for which a peer is not asked again for what it did not deliver."""

OF_THE_COPY = frozenset(
    {
        RejectionCode.INVALID_SIGNATURE,
        RejectionCode.MAX_ORDER_SIZE_EXCEEDED,
        RejectionCode.INVALID_SCHEMA,
        RejectionCode.ETH_RPC_REQUEST_FAILED,
        RejectionCode.INTERNAL_ERROR,
    }
)
"""Codes that a copy with another signature may get while the true order would not: the
chain need not be asked about it, it is smaller, a filter may look at the signature."""

_CODES = {code.code: code for code in RejectionCode}

_SECONDS = {
    RejectionCode.ETH_RPC_REQUEST_FAILED: UNSURE,
    RejectionCode.INTERNAL_ERROR: UNSURE,
    RejectionCode.DATABASE_FULL_OF_ORDERS: BY_POLICY,
    RejectionCode.MAX_EXPIRATION_EXCEEDED: BY_POLICY,
    RejectionCode.EXPIRED: BY_CHAIN,
    RejectionCode.FULLY_FILLED: BY_CHAIN,
    RejectionCode.CANCELLED: BY_CHAIN,
    RejectionCode.UNFUNDED: BY_CHAIN,
    RejectionCode.ALREADY_STORED_AND_UNFILLABLE: BY_CHAIN,
}
"""First refusal's time by code; another that is nobody's fault: BY_CHAIN; else FOR_GOOD."""


class _Refused(msgspec.Struct, gc=False):
    code: str
    until: float
    after_block: int
    seconds: float


class RefusedOrders:
    """What was refused here, of anybody or of one peer."""

    def __init__(self, *, most: int = MAX_REFUSED_ORDERS) -> None:
        self._most = most
        self._orders: OrderedDict[tuple[bytes, str], _Refused] = OrderedDict()

    def __len__(self) -> int:
        return len(self._orders)

    def add(
        self,
        order_hash: bytes,
        code: str,
        verdict: Verdict,
        *,
        peer: str | None,
        now: float,
        block: int,
    ) -> None:
        """Remember that an order was refused.

        Args:
            order_hash: of the order.
            code: of the rejection (``RejectionCode.code``).
            verdict: whether its sender could have known.
            peer: who handed it out; None where nobody can be asked again. Then a refusal
                of the copy is not remembered.
            now: monotonic seconds.
            block: number of the newest block.
        """
        holder = ANYBODY
        if _CODES.get(code, RejectionCode.INTERNAL_ERROR) in OF_THE_COPY:
            if peer is None:
                return
            holder = peer
        before = self._orders.pop((order_hash, holder), None)
        first = first_seconds(code, verdict)
        seconds = first if before is None else min(LONGEST, max(first, 2 * before.seconds))
        after_block = block if first == BY_CHAIN else -1
        self._orders[order_hash, holder] = _Refused(code, now + seconds, after_block, seconds)
        while len(self._orders) > self._most:
            self._orders.popitem(last=False)

    def forget(self, order_hash: bytes) -> None:
        """An order was taken after all."""
        self._orders.pop((order_hash, ANYBODY), None)

    def refuses(self, order_hash: bytes, now: float, block: int, *, peer: str = ANYBODY) -> bool:
        """Return whether an order is not worth another look yet, whoever, or *peer*, has it."""
        return self._is_refused((order_hash, ANYBODY), now, block) or (
            peer != ANYBODY and self._is_refused((order_hash, peer), now, block)
        )

    def _is_refused(self, key: tuple[bytes, str], now: float, block: int) -> bool:
        refused = self._orders.get(key)
        return refused is not None and (now < refused.until or block <= refused.after_block)


def first_seconds(code: str, verdict: Verdict) -> float:
    """Return the seconds for which a first refusal by *code* holds; BY_CHAIN asks for a newer
    block besides."""
    seconds = _SECONDS.get(_CODES.get(code, RejectionCode.INTERNAL_ERROR))
    if seconds is not None:
        return seconds
    return FOR_GOOD if verdict is Verdict.REJECT else BY_CHAIN


class Withheld:
    """Who did not deliver what it had named."""

    def __init__(self, *, most: int = MAX_WITHHELD) -> None:
        self._most = most
        self._until: OrderedDict[tuple[str, bytes], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, peer: str, ids: Iterable[bytes], now: float) -> None:
        """Remember that *peer* named *ids* and did not deliver them."""
        for one in ids:
            self._until.pop((peer, one), None)
            self._until[peer, one] = now + WITHHELD_SECONDS
        while len(self._until) > self._most:
            self._until.popitem(last=False)

    def is_withheld(self, peer: str, one: bytes, now: float) -> bool:
        """Return whether *peer* failed to deliver *one* a while ago."""
        return now < self._until.get((peer, one), now)
