"""Range-based set reconciliation: which ids has the other side, and which does it lack?

    initiator                                    responder
    start(): fingerprints of 16 ranges   ---->
                                         <----   for each that differs: fingerprints of
                                                 16 ranges inside it, or the ids in it
    receive(): learns have and need from
    lists, splits what still differs     ---->
                       ...               <----   the version byte alone: nothing differs

Ids travel, records do not. Both roles work on a store that does not change while a
message is processed, by positions in it; the responder keeps nothing between messages.

A message that would pass its maker's frame limit ends in one fingerprint of all that is
left, and the rest follows in later rounds. Therefore an id may be told more than once.

Source: the Negentropy protocol, version 1 (github hoytech/negentropy), after A. Meyer,
"Range-Based Set Reconciliation" (arXiv 2212.13567).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Protocol

from fondaco.p2p.limits import FRAME_LIMIT, MAX_HAVE_PER_MESSAGE, MAX_RECONCILE_MESSAGE
from fondaco.p2p.negentropy_wire import (
    END,
    ID_SIZE,
    SUM_MASK,
    VERSION,
    Bound,
    Item,
    MalformedMessage,
    Mode,
    Range,
    RangeWriter,
    Rules,
    bound_between,
    fingerprint,
    read_ranges,
    read_version,
)

BUCKETS = 16
"""Ranges into which one that differs is split."""

LIST_THRESHOLD = 2 * BUCKETS
"""Items. Ranges with fewer are told as a list of ids instead of being split."""

SMALLEST_FRAME_LIMIT = 4096
"""Bytes. Any single answer must fit; the reference refuses less as well."""

CLOSING_ROOM = 200
"""Bytes kept free below a frame limit: a list's last bound and the closing range."""


class Store(Protocol):
    """What reconciliation asks of an ordered set of items, numbered from 0."""

    def __len__(self) -> int: ...

    def item(self, index: int) -> Item:
        """Return the item at *index*."""

    def lower_bound(self, bound: Bound) -> int:
        """Return how many items are below *bound*."""

    def prefix_sum(self, index: int) -> int:
        """Return the sum modulo 2**256 of the ids before *index*, read little-endian."""

    def packed(self, start: int, stop: int) -> bytes:
        """Return the ids of ``[start, stop)`` in one piece."""

    def iterate(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the ids of ``[start, stop)``."""

    def missing(self, ids: set[bytes], start: int, stop: int) -> list[bytes]:
        """Return those of *ids* that are not among ``[start, stop)``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What an initiator makes of one message of its peer."""

    reply: bytes | None
    """To be sent. None when the dialogue has come to its end."""

    have: list[bytes]
    """Ids we hold and the peer does not, as this message shows."""

    need: list[bytes]
    """Ids the peer holds and we do not, or not in the range it named them in."""

    is_have_cut: bool = False
    """There are more ids that the peer lacks than ``have`` may name."""

    @property
    def done(self) -> bool:
        return self.reply is None


class Initiator:
    """The side that asks and learns. One instance per dialogue.

    Args:
        store: must not change during the dialogue; take a snapshot.
        frame_limit: most bytes of a message made here; 0 for none.
        have_limit: most ids of ``Step.have``; may be lowered later. A five-byte message of
            an empty peer, or of one that lies, makes a ``have`` of all we hold.
        tells_ids: put our ids into our id lists, as the reference does. A responder
            answers a list with its own and has no use for ours, so that an empty list
            asks the same with 32 bytes an id less.
        rules: see ``Rules``.

    Raises:
        ValueError: a frame limit too small to carry an answer.
    """

    def __init__(
        self,
        store: Store,
        *,
        frame_limit: int = FRAME_LIMIT,
        have_limit: int = MAX_HAVE_PER_MESSAGE,
        tells_ids: bool = True,
        rules: Rules = Rules.STRICT,
    ) -> None:
        self._store = store
        self._frame_limit = _checked(frame_limit)
        self.have_limit = have_limit
        self._tells_ids = tells_ids
        self._rules = rules

    def start(self) -> bytes:
        """Return the first message. It covers everything and always fits a frame."""
        turn = _Turn(self._store, 0, self._rules, tells_ids=self._tells_ids)
        return bytes((VERSION,)) + turn.split(0, len(self._store), END)

    def receive(self, message: bytes) -> Step:
        """Learn from a message of the responder and say what to answer.

        Raises:
            MalformedMessage: the dialogue is over. What was learned before stands.
        """
        version = _opened(message)
        if version != VERSION:
            raise MalformedMessage(f"answer in version {version - 0x60}")
        learned = _Learned(self._store, self.have_limit)
        turn = _Turn(
            self._store, self._frame_limit, self._rules, learned, tells_ids=self._tells_ids
        )
        reply = turn.answer(message)
        return Step(
            reply=reply if len(reply) > 1 else None,
            have=learned.have,
            need=learned.need,
            is_have_cut=learned.is_have_cut,
        )


class Responder:
    """The side that answers. It holds no state: one message in, one message out.

    Args:
        store: must not change during a call of ``receive``.
        frame_limit: most bytes of an answer; 0 for none, with which five bytes make us
            send every id we hold.
        rules: see ``Rules``.

    Raises:
        ValueError: a frame limit too small to carry an answer.
    """

    def __init__(
        self, store: Store, *, frame_limit: int = FRAME_LIMIT, rules: Rules = Rules.STRICT
    ) -> None:
        self._store = store
        self._frame_limit = _checked(frame_limit)
        self._rules = rules

    def receive(self, message: bytes) -> bytes:
        """Return the answer to *message*. To another version it is our version byte.

        Raises:
            MalformedMessage: nothing is to be answered.
        """
        if _opened(message) != VERSION:
            return bytes((VERSION,))
        return _Turn(self._store, self._frame_limit, self._rules).answer(message)


def _checked(frame_limit: int) -> int:
    if frame_limit and frame_limit < SMALLEST_FRAME_LIMIT:
        raise ValueError(f"frame limit of {frame_limit} bytes is under {SMALLEST_FRAME_LIMIT}")
    return frame_limit


def _opened(message: bytes) -> int:
    if len(message) > MAX_RECONCILE_MESSAGE:
        raise MalformedMessage(f"message of {len(message)} bytes")
    return read_version(message)


class _Learned:
    """What an initiator finds out from the id lists of one message."""

    def __init__(self, store: Store, have_limit: int) -> None:
        self._store = store
        self._have_limit = have_limit
        self.have: list[bytes] = []
        self.need: list[bytes] = []
        self.is_have_cut = False

    def compare(self, packed: bytes, start: int, stop: int) -> None:
        """Compare the peer's ids of a range with ours, ``[start, stop)``."""
        theirs = set(_unpacked(packed))
        self.need += self._store.missing(theirs, start, stop)
        if self.is_have_cut:
            return
        # At most as many steps as have_limit allows and the peer sent ids: a short
        # message must not make us walk through a million items each time.
        for mine in self._store.iterate(start, stop):
            if mine not in theirs:
                if len(self.have) >= self._have_limit:
                    self.is_have_cut = True
                    return
                self.have.append(mine)


class _Turn:
    """The making of one message, in answer to another or as the first one."""

    def __init__(
        self,
        store: Store,
        frame_limit: int,
        rules: Rules,
        learned: _Learned | None = None,
        *,
        tells_ids: bool = True,
    ) -> None:
        self._store = store
        self._size = len(store)
        self._limit = frame_limit - CLOSING_ROOM if frame_limit else 0
        self._rules = rules
        self._learned = learned
        self._tells_ids = tells_ids
        self._writer = RangeWriter()
        self._output = bytearray((VERSION,))
        self._skips_to: Bound | None = None
        self._last_sum = (0, 0)

    def answer(self, message: bytes) -> bytes:
        """Return the answer to *message*: our version byte alone if nothing is left."""
        lower = 0
        for received in read_ranges(message, self._rules):
            upper = max(lower, self._store.lower_bound(received.upper))
            stop = upper
            if received.mode is Mode.ID_LIST and self._learned is None:
                stop = self._list(received.upper, lower, upper)
                part = b""
            else:
                part = self._respond(received, lower, upper)
            if self._is_exceeded(len(self._output) + len(part)):
                self._close(received.upper, lower if part else None, stop)
                break
            self._output += part
            lower = upper
        return bytes(self._output)

    def split(self, lower: int, upper: int, bound: Bound) -> bytes:
        """Return ranges that cover ``[lower, upper)`` up to *bound*: a list or buckets."""
        count = upper - lower
        encode = self._writer.encode
        if count < LIST_THRESHOLD:
            ids = self._store.packed(lower, upper) if self._tells_ids else b""
            return encode(bound, Mode.ID_LIST, ids)
        size, larger = divmod(count, BUCKETS)
        parts: list[bytes] = []
        start = lower
        for bucket in range(BUCKETS):
            stop = start + size + (bucket < larger)
            cut = bound
            if bucket < BUCKETS - 1:
                cut = bound_between(self._store.item(stop - 1), self._store.item(stop))
            parts.append(encode(cut, Mode.FINGERPRINT, self._fingerprint(start, stop)))
            start = stop
        return b"".join(parts)

    def _respond(self, received: Range, lower: int, upper: int) -> bytes:
        """Return our ranges for a received one, nothing where none are needed."""
        if received.mode is Mode.FINGERPRINT:
            if self._fingerprint(lower, upper) != received.payload:
                return self._flushed_skip() + self.split(lower, upper, received.upper)
        elif received.mode is Mode.ID_LIST and self._learned is not None:
            self._learned.compare(received.payload, lower, upper)
        self._skips_to = received.upper
        return b""

    def _list(self, bound: Bound, lower: int, upper: int) -> int:
        """Write our ids of ``[lower, upper)``, as far as the frame has room for them.

        Returns:
            The index of the first item that is not covered, *upper* if all are.
        """
        skip = self._flushed_skip()
        stop = upper
        if self._limit:
            # One id more than fits, as the reference counts; CLOSING_ROOM has room for it.
            room = self._limit - len(self._output)
            stop = min(upper, lower + room // ID_SIZE + 1) if room >= 0 else lower
        if stop < upper:
            bound = Bound(*self._store.item(stop))
        packed = self._store.packed(lower, stop)
        self._output += skip + self._writer.encode(bound, Mode.ID_LIST, packed)
        return stop

    def _close(self, bound: Bound, dropped_from: int | None, stop: int) -> None:
        """Put the rest under one fingerprint: it is for a later round.

        Args:
            bound: upper bound of the range that was answered last.
            dropped_from: first item of that range if its answer did not fit.
            stop: first item that is not covered by what was answered.

        The closing range as written starts at the last bound sent, further down than a
        dropped answer. Its fingerprint must begin at the dropped range: what the peer may
        hold below makes fingerprints differ, never agree by mistake. The reference begins
        at *stop*, and an answer dropped before nothing at all is agreed to be nothing.
        """
        start = stop
        if self._rules is Rules.STRICT:
            if dropped_from is not None:
                start = dropped_from
            elif bound == END and stop == self._size:
                return  # the list written last reaches to the end
        summary = self._fingerprint(start, self._size)
        self._output += self._writer.encode(END, Mode.FINGERPRINT, summary)

    def _flushed_skip(self) -> bytes:
        """Return the skip that must stand before the next range, if one is due.

        Skips that follow each other become one, and a skip at the end is never written.
        """
        if self._skips_to is None:
            return b""
        bound, self._skips_to = self._skips_to, None
        return self._writer.encode(bound, Mode.SKIP)

    def _is_exceeded(self, size: int) -> bool:
        return bool(self._limit) and size > self._limit

    def _fingerprint(self, start: int, stop: int) -> bytes:
        # Ranges follow each other, so that most begin where the last sum was taken.
        before = self._last_sum[1] if self._last_sum[0] == start else self._store.prefix_sum(start)
        until = self._store.prefix_sum(stop)
        self._last_sum = (stop, until)
        return fingerprint((until - before) & SUM_MASK, stop - start)


def _unpacked(packed: bytes) -> list[bytes]:
    return [packed[start : start + ID_SIZE] for start in range(0, len(packed), ID_SIZE)]
