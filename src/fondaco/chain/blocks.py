"""Follow the chain, block by block, whatever the endpoint does.

    next_batch: wait (interval | new head | back-off) --> latest header
                                                             |
       same head <-------- nothing ------------------------- + --- lower or other head --.
                                                             | higher                    |
       ADDED ... <--- logs <--- header, and parents that     v                           v
                                we do not have  <----- one block after the other    REMOVED ...

One poll gives one batch, oldest action first. When it fails part-way, the blocks that
were completed are kept and given out. Failures are never raised: they show in
``staleness`` and ``last_error``, and the next try comes after a growing pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec

from fondaco.chain import wire
from fondaco.chain.blocksource import BlockSource, Caller
from fondaco.chain.catchup import fast_sync
from fondaco.chain.errors import BlockGone, EndpointError, EndpointUnavailable
from fondaco.chain.headers import (
    BlockEvent,
    Header,
    HeaderChain,
    RetainedBlock,
    is_gap_too_large,
)
from fondaco.chain.limits import (
    FIRST_RETRY_DELAY,
    HEAD_RETREAT_DELAY,
    HEAD_RETREAT_SIGHTINGS,
    MAX_RETRY_DELAY,
    MIN_POLL_INTERVAL,
    REFRESH_PATIENCE,
    RETAINED_BLOCKS,
)
from fondaco.clock import Clock
from fondaco.errors import ConfigurationError

FAILURES = (EndpointError, EndpointUnavailable, BlockGone)
"""What a poll may end in; none of them is a reason to stop watching."""


class HeadCaller(Caller, Protocol):
    """What the watcher asks of a client; ``rpc.EthereumClient`` satisfies it."""

    @property
    def has_subscriptions(self) -> bool: ...

    async def next_head(self, after: int) -> int:
        """Return the count of heads heard of once it is above *after*."""


class BlockBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What one poll, or the start, found out. Iterates over its events."""

    events: tuple[BlockEvent, ...] = ()
    """Oldest action first."""
    gap_too_large: bool = False
    """Blocks came or went unseen: whatever depends on the chain must be read anew."""

    def __iter__(self) -> Iterator[BlockEvent]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)


StartResult = BlockBatch
"""What ``BlockWatcher.start`` found between the stored blocks and the tip."""


class BlockWatcher:
    """Tells which blocks joined and left the chain, with the logs in them.

    ``start`` once, then ``next_batch`` in a loop, both from one task.

    Args:
        client: asks the endpoint; over a WebSocket it also wakes us at new heads.
        clock: for the pauses.
        topics: first topics of the logs wanted.
        retention: blocks kept for reorganisations.
        polling_interval: seconds between polls.
    """

    def __init__(
        self,
        client: HeadCaller,
        clock: Clock,
        topics: Sequence[bytes],
        *,
        retention: int = RETAINED_BLOCKS,
        polling_interval: float = 5.0,
    ) -> None:
        self._client = client
        self._clock = clock
        self._source = BlockSource(client, topics)
        self._retention = retention
        self._interval = polling_interval
        self._chain = HeaderChain(retention)
        self._seen_heads = 0
        self._sightings = 0
        self._failures = 0
        self._last_success = clock.monotonic()
        self._last_error: str | None = None
        self._delay = 0.0
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def head(self) -> Header | None:
        """The newest block; None before the first one was seen."""
        return self._chain.head

    @property
    def retained(self) -> tuple[RetainedBlock, ...]:
        """The blocks to store, oldest first; give them to ``start`` next time."""
        return self._chain.blocks

    @property
    def staleness(self) -> float:
        """Seconds since the endpoint last answered a poll in full, or since the start."""
        return self._clock.monotonic() - self._last_success

    @property
    def last_error(self) -> str | None:
        """What the last poll failed of; None when it did not."""
        return self._last_error

    async def refresh(self) -> None:
        """Have the newest block looked for now; return when it was, or when that failed.

        For callers that may know of a block we have not seen yet. Polls asked for this
        way are at least MIN_POLL_INTERVAL apart, however many ask; while the endpoint is
        away nothing is asked and this returns at once.
        """
        if self._failures or self._chain.head is None:
            return
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._asked.set()
        await asyncio.wait((done,), timeout=REFRESH_PATIENCE)

    async def start(self, retained: Sequence[RetainedBlock]) -> StartResult:
        """Catch up from *retained* to the tip. Waits for the endpoint as long as it takes.

        Args:
            retained: what was stored of an earlier run, oldest first; may be empty.
        """
        self._chain = HeaderChain(self._retention, retained)
        events: list[BlockEvent] = []
        gap_too_large = False
        while True:
            try:
                caught_up = await fast_sync(self._source, self._chain, self._retention)
                events += caught_up.events
                gap_too_large |= caught_up.gap_too_large
                batch = await self._poll()
                events += batch.events
                gap_too_large |= batch.gap_too_large
                if self._last_error is None and self._chain.head is not None:
                    return BlockBatch(events=tuple(events), gap_too_large=gap_too_large)
            except FAILURES as exc:
                self._failed(exc)
            await self._clock.sleep(self._delay)

    async def next_batch(self) -> BlockBatch:
        """Return the events of the next poll that has any. Never raises a failure."""
        while True:
            await self._wait()
            asked, self._waiting = self._waiting, []
            self._asked.clear()
            try:
                batch = await self._poll()
            except FAILURES as exc:
                self._failed(exc)
                continue
            finally:
                for done in asked:
                    if not done.done():
                        done.set_result(None)
            if batch.events or batch.gap_too_large:
                return batch

    async def _poll(self) -> BlockBatch:
        """Ask for the newest block and go there.

        Raises:
            EndpointError, EndpointUnavailable, BlockGone: nothing was completed. What
                failed after a first completed block shows in ``last_error`` only.
        """
        tip = await self._source.latest()
        head = self._chain.head
        if head is not None and is_gap_too_large(head.number, tip.number):
            block = await self._source.with_logs(tip)
            self._chain.reset()
            adopted = self._chain.adopt([block])
            self._succeeded()
            return BlockBatch(events=adopted.events, gap_too_large=True)
        if head is not None and tip.number <= head.number and tip.hash != head.hash:
            return await self._turn_back(tip)
        self._sightings = 0
        first = tip.number if head is None else head.number + 1
        events: list[BlockEvent] = []
        is_detached = False
        try:
            for number in range(first, tip.number + 1):
                is_last = number == tip.number
                header = tip if is_last else await self._source.by_number(number)
                step = await self._advance(header)
                events += step.events
                is_detached |= step.gap_too_large
        except FAILURES as exc:
            if not events:
                raise
            self._failed(exc)
        else:
            self._succeeded()
        return BlockBatch(events=tuple(events), gap_too_large=is_detached)

    async def _advance(self, header: Header) -> BlockBatch:
        """Make *header* the head, with as many parents as it takes to reach the stack."""
        branch = [header]
        while (wanted := self._chain.wanted_parent(branch)) is not None:
            parent = await self._source.by_hash(wanted)
            if parent.number != branch[-1].number - 1:
                raise EndpointUnavailable("a parent's number is not one below its child's")
            branch.append(parent)
        blocks = [await self._source.with_logs(item) for item in reversed(branch)]
        adopted = self._chain.adopt(blocks)
        return BlockBatch(events=adopted.events, gap_too_large=adopted.is_detached)

    async def _turn_back(self, tip: Header) -> BlockBatch:
        """Deal with a head that is not above ours: a shorter branch, or a retreat."""
        is_on_stack = self._chain.holds(tip.hash)
        if is_on_stack or tip.number < self._chain.blocks[0].header.number:
            self._sightings += 1
            if self._sightings < HEAD_RETREAT_SIGHTINGS:
                self._succeeded()
                self._delay = min(self._interval, HEAD_RETREAT_DELAY)
                return BlockBatch()
        if is_on_stack:
            batch = BlockBatch(events=self._chain.retreat_to(tip.hash))
        else:
            batch = await self._advance(tip)
        self._sightings = 0
        self._succeeded()
        return batch

    async def _wait(self) -> None:
        """Return when it is time to poll, somebody asked, or a new head was heard of."""
        pause = asyncio.ensure_future(self._clock.sleep(self._delay))
        asked = asyncio.ensure_future(self._until_asked())
        waiting: set[asyncio.Future[Any]] = {pause, asked}
        news: asyncio.Future[int] | None = None
        if self._client.has_subscriptions:
            news = asyncio.ensure_future(self._client.next_head(self._seen_heads))
            waiting.add(news)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if news is not None and news.done():
                self._seen_heads = news.result()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)

    async def _until_asked(self) -> None:
        await self._asked.wait()
        since = self._clock.monotonic() - self._last_success
        await self._clock.sleep(MIN_POLL_INTERVAL - since)

    def _succeeded(self) -> None:
        self._failures = 0
        self._last_error = None
        self._last_success = self._clock.monotonic()
        self._delay = self._interval

    def _failed(self, failure: Exception) -> None:
        first = min(self._interval, FIRST_RETRY_DELAY)
        # The exponent is bounded so that a week of failures does not overflow a float.
        self._delay = min(first * 2.0 ** min(self._failures, 16), MAX_RETRY_DELAY)
        if isinstance(failure, EndpointUnavailable) and failure.retry_after is not None:
            self._delay = max(self._delay, failure.retry_after)
        self._failures += 1
        self._last_error = str(failure)


async def verify_chain_id(client: Caller, expected: int) -> None:
    """Refuse an endpoint of another chain.

    Raises:
        ConfigurationError: the endpoint serves another chain than *expected*.
        EndpointError, EndpointUnavailable: it did not say.
    """
    raw = await client.call_raw("eth_chainId", ())
    try:
        actual = wire.quantity(msgspec.json.decode(raw), "chain ID")
    except msgspec.MsgspecError as exc:
        raise EndpointUnavailable("the chain ID is not JSON") from exc
    if actual != expected:
        raise ConfigurationError(
            "ETHEREUM_CHAIN_ID",
            f"is {expected}, but the endpoint at ETHEREUM_RPC_URL serves chain {actual}",
            "correct one of the two",
        )
