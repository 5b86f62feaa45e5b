"""One stream of events to many subscribers, each at its own pace, none skipped in silence.

    commit --publish--> ring of recent batches --offer--> who keeps up      (nobody waits)
                             |          '------send-----> who is behind     (waits for one)
      event log <--pages-----'--- who is behind the ring
          '--- past the log's end: an error that says so

There is no queue per subscriber, only a cursor: the sequence of the last event it was sent. A
batch is encoded once; who takes all of it is sent the same bytes. Writing to a thousand
subscribers is cut into turns, and other clients are served between them.
"""

from __future__ import annotations

import asyncio
import bisect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from fondaco.api.limits import DEFAULT_LIMITS, Limits
from fondaco.api.subscriptions import Sink
from fondaco.errors import InvalidParameter
from fondaco.jsonrpc import ServerError

T = TypeVar("T")


class EventsGone(ServerError):
    """Events somebody has not seen are no longer kept."""

    code = "EventsGone"

    def __init__(self, first_available: int) -> None:
        super().__init__(
            f"events before {first_available} are no longer kept",
            {
                "code": self.code,
                "field": "since",
                "expected": f"at least {first_available - 1}",
                "firstAvailable": first_available,
            },
        )
        self.first_available = first_available


class LogReader(Protocol):
    """What a feed asks of the event log. Sequences rise; they need not be adjacent."""

    async def read_after(self, sequence: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Return up to *limit* events after *sequence*, oldest first, encoded."""

    async def bounds(self) -> tuple[int, int]:
        """Return the first sequence still kept and the last one given.

        Every event from the first on is there. When none is kept, first is last + 1.
        """


class Event(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One event, after its commit."""

    sequence: int
    encoded: bytes
    """JSON as subscribers receive it."""
    value: T
    """What filters look at."""


class Batch(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Events that go out as one notification."""

    after: int
    """The last sequence before this batch."""
    last: int
    events: tuple[Event[T], ...]
    joined: bytes
    """JSON array of all of them."""


class EventFeed(Generic[T]):
    """The live end of an event log.

    Args:
        log: where events that are no longer in memory are read.
        decode: makes a filter's value of an event that was read from the log.
        last: the log's last sequence when the feed is made.
    """

    def __init__(
        self,
        log: LogReader,
        decode: Callable[[bytes], T],
        *,
        last: int,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._log = log
        self._decode = decode
        self._limits = limits
        self._last = last
        self._ring: list[Batch[T]] = []
        self._rows = 0
        self._bytes = 0
        self._live: dict[FeedStream[T], None] = {}
        self._round: deque[FeedStream[T]] = deque()
        self._is_turn_due = False

    @property
    def last(self) -> int:
        """Sequence of the newest event published."""
        return self._last

    @property
    def floor(self) -> int:
        """Everything after this sequence is in memory."""
        return self._ring[0].after if self._ring else self._last

    @property
    def subscriber_count(self) -> int:
        """Subscribers that have kept up."""
        return len(self._live)

    @property
    def is_writing(self) -> bool:
        """Whether somebody who keeps up has not been sent the newest event yet."""
        return self._is_turn_due

    def publish(self, events: Sequence[Event[T]]) -> None:
        """Tell subscribers of *events*, which must be committed; returns at once.

        All of them go out as one notification (several, if very large). Call it in the
        order of the commits, from the event loop.
        """
        for part in _parts(events, self._limits.notification_bytes):
            batch = Batch(
                after=self._last,
                last=part[-1].sequence,
                events=tuple(part),
                joined=_join(event.encoded for event in part),
            )
            self._last = batch.last
            self._ring.append(batch)
            self._rows += len(batch.events)
            self._bytes += 2 * len(batch.joined)
        self._trim()
        self._schedule()

    async def open(
        self, *, since: int | None = None, wants: Callable[[T], bool] | None = None
    ) -> FeedStream[T]:
        """Return the stream of a new subscriber.

        Args:
            since: the last sequence the subscriber has seen; it is sent everything after
                it. None: only what happens from now on.
            wants: which events it is sent; None: all.

        Raises:
            InvalidParameter: *since* has not happened yet.
            EventsGone: the log no longer reaches back to *since*.
        """
        if since is None:
            return FeedStream(self, self._last, wants)
        first, last = await self._log.bounds()
        if not 0 <= since <= max(last, self._last):
            raise InvalidParameter("since", f"a sequence from {first - 1} to {last}")
        if since < first - 1:
            raise EventsGone(first)
        return FeedStream(self, since, wants)

    def batches_after(self, sequence: int) -> list[Batch[T]]:
        """Return the batches in memory that hold something after *sequence*."""
        if self._ring and self._ring[-1].after == sequence:
            return self._ring[-1:]  # who keeps up lacks only the newest
        return self._ring[bisect.bisect_right(self._ring, sequence, key=_last_of) :]

    async def page_after(self, sequence: int) -> list[Event[T]]:
        """Read the next events after *sequence* from the log; empty when there are none.

        Raises:
            EventsGone: some of them have been pruned.
        """
        rows = await self._log.read_after(sequence, self._limits.page_rows)
        # Asked afterwards: what is there now was there when the page was read.
        first, _ = await self._log.bounds()
        if first > sequence + 1:
            raise EventsGone(first)
        return [
            Event(sequence=number, encoded=encoded, value=self._decode(encoded))
            for number, encoded in rows
        ]

    def parts(self, events: Sequence[Event[T]]) -> Iterator[bytes]:
        """Yield *events* as the results of as few notifications as their size allows."""
        for part in _parts(events, self._limits.notification_bytes):
            yield _join(event.encoded for event in part)

    def join(self, stream: FeedStream[T]) -> None:
        """Send *stream*, which has caught up, what is published from now on."""
        self._live[stream] = None

    def leave(self, stream: FeedStream[T]) -> None:
        """Send *stream* nothing more; no harm if it had not joined."""
        self._live.pop(stream, None)

    def _trim(self) -> None:
        keep = 0
        while keep < len(self._ring) and (
            self._rows > self._limits.ring_rows or self._bytes > self._limits.ring_bytes
        ):
            batch = self._ring[keep]
            self._rows -= len(batch.events)
            self._bytes -= 2 * len(batch.joined)
            keep += 1
        del self._ring[:keep]

    def _schedule(self) -> None:
        if not self._is_turn_due and (self._live or self._round):
            self._is_turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Write to some of those who keep up, then let the event loop serve others."""
        self._is_turn_due = False
        if not self._round:
            self._round.extend(stream for stream in self._live if stream.cursor < self._last)
        written = 0
        while self._round and written < self._limits.deliveries_per_turn:
            stream = self._round.popleft()
            if stream in self._live:
                written += stream.push()
        if self._round or written:
            self._schedule()


class FeedStream(Generic[T]):
    """One subscriber's place in a feed; a ``Stream``."""

    def __init__(self, feed: EventFeed[T], cursor: int, wants: Callable[[T], bool] | None) -> None:
        self.cursor = cursor
        """Sequence of the last event that was sent, or was not wanted."""
        self._feed = feed
        self._wants = wants
        self._sink: Sink | None = None
        self._is_behind = asyncio.Event()

    async def run(self, sink: Sink) -> None:
        """Send everything after the cursor, and go on until cancelled.

        Raises:
            EventsGone: the subscriber was so slow that the log no longer reaches back.
        """
        self._sink = sink
        try:
            while True:
                await self._catch_up(sink)
                self._is_behind.clear()
                self._feed.join(self)
                await self._is_behind.wait()
        finally:
            self._feed.leave(self)

    def push(self) -> int:
        """Offer what is new; return how much work that was, in notifications.

        One that the client's buffer has no room for makes the subscriber fall behind: it
        leaves the live ones and catches up at its own pace.
        """
        assert self._sink is not None
        if self.cursor < self._feed.floor:
            self._fall_behind()
            return 1
        work = 0
        for batch in self._feed.batches_after(self.cursor):
            result = self._select(batch)
            work += 1 + (0 if self._wants is None else len(batch.events) // 64)
            if result is not None and not self._sink.offer(result):
                self._fall_behind()
                break
            self.cursor = batch.last
        return work

    def _fall_behind(self) -> None:
        self._feed.leave(self)
        self._is_behind.set()

    async def _catch_up(self, sink: Sink) -> None:
        while self.cursor < self._feed.last:
            if self.cursor < self._feed.floor:
                await self._send_page(sink)
                continue
            batch = self._feed.batches_after(self.cursor)[0]
            result = self._select(batch)
            if result is None:
                await asyncio.sleep(0)  # a filter that wants nothing must not hold the loop
            else:
                await sink.send(result)
            self.cursor = batch.last

    async def _send_page(self, sink: Sink) -> None:
        floor = self._feed.floor
        page = await self._feed.page_after(self.cursor)
        if not page:
            # Nothing of ours is between here and the ring.
            self.cursor = max(self.cursor, floor)
            return
        wanted = page if self._wants is None else [e for e in page if self._wants(e.value)]
        for result in self._feed.parts(wanted):
            await sink.send(result)
        self.cursor = page[-1].sequence

    def _select(self, batch: Batch[T]) -> bytes | None:
        """Return what this subscriber is sent of *batch*; None: nothing."""
        if self._wants is None and self.cursor <= batch.after:
            return batch.joined
        wanted = [
            event.encoded
            for event in batch.events
            if event.sequence > self.cursor and (self._wants is None or self._wants(event.value))
        ]
        return _join(wanted) if wanted else None


def _last_of(batch: Batch[T]) -> int:
    return batch.last


def _join(encoded: Iterator[bytes] | list[bytes]) -> bytes:
    return b"[" + b",".join(encoded) + b"]"


def _parts(events: Sequence[Event[T]], limit: int) -> Iterator[list[Event[T]]]:
    """Cut *events* so that no part but a single event is over *limit* bytes."""
    part: list[Event[T]] = []
    size = 0
    for event in events:
        if part and size + len(event.encoded) > limit:
            yield part
            part, size = [], 0
        part.append(event)
        size += len(event.encoded) + 1
    if part:
        yield part
