"""A feed never skips in silence: against a simple oracle, and at each of its edges."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fondaco.api.feed import Event, EventFeed, EventsGone, FeedStream
from fondaco.api.limits import Limits
from fondaco.api.outlet import ClientGone
from fondaco.errors import InvalidParameter
from fondaco.testing.api import MemoryLog, turns


class Reader:
    """A subscriber as its stream sees it: keeps up, or does not."""

    def __init__(self) -> None:
        self.results: list[bytes] = []
        self.reads = asyncio.Event()
        """Cleared: the client does not read."""
        self.reads.set()
        self.is_gone = False

    def offer(self, result: bytes) -> bool:
        if self.is_gone or not self.reads.is_set():
            return False
        self.results.append(result)
        return True

    async def send(self, result: bytes) -> None:
        await self.reads.wait()
        if self.is_gone:
            raise ClientGone("gone")
        self.results.append(result)

    @property
    def batches(self) -> list[list[int]]:
        """The numbers it was sent, as they were put together."""
        return [json.loads(result) for result in self.results]

    @property
    def numbers(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


class Bench:
    """A feed of numbers over a log in memory."""

    def __init__(self, **limits: int) -> None:
        self.log = MemoryLog()
        self.limits = Limits(**limits)
        self.feed: EventFeed[int] = EventFeed(self.log, int, last=0, limits=self.limits)

    def happen(self, count: int) -> None:
        """Commit *count* events and publish them as one batch. Each is its own sequence."""
        start = self.log.last + 1
        given = self.log.append([b"%d" % (start + n) for n in range(count)])
        self.feed.publish([Event(sequence=n, encoded=b"%d" % n, value=n) for n in given])

    @contextlib.asynccontextmanager
    async def reading(
        self, *, since: int | None = None, wants: Callable[[int], bool] | None = None
    ) -> AsyncIterator[Reader]:
        """Subscribe for the length of the block."""
        reader = Reader()
        stream = await self.feed.open(since=since, wants=wants)
        task = asyncio.create_task(stream.run(reader))
        await turns()
        try:
            yield reader
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_a_batch_is_one_notification_and_the_same_bytes_for_all() -> None:
    bench = Bench()
    async with bench.reading() as one, bench.reading() as two:
        bench.happen(3)
        bench.happen(1)
        await turns()
    assert one.batches == two.batches == [[1, 2, 3], [4]]
    assert one.results[0] is two.results[0]
    assert bench.log.reads == 0


async def test_only_what_happens_after_the_call_is_sent() -> None:
    bench = Bench()
    bench.happen(2)
    stream = await bench.feed.open()
    bench.happen(2)
    reader = Reader()
    task = asyncio.create_task(stream.run(reader))
    await turns()
    assert reader.batches == [[3, 4]]
    task.cancel()


async def test_nothing_is_sent_after_the_end() -> None:
    bench = Bench()
    async with bench.reading() as reader:
        assert bench.feed.subscriber_count == 1
    assert bench.feed.subscriber_count == 0
    bench.happen(1)
    await turns()
    assert reader.results == []


async def test_filters_see_values_and_empty_notifications_are_not_sent() -> None:
    bench = Bench()
    async with (
        bench.reading(wants=lambda number: number % 2 == 0) as even,
        bench.reading(wants=lambda number: number > 100) as none,
    ):
        bench.happen(5)
        bench.happen(1)
        await turns()
    assert even.batches == [[2, 4], [6]]
    assert none.results == []


@pytest.mark.parametrize("since", range(13))
async def test_since_replays_and_goes_live(since: int) -> None:
    """The ring holds the last two batches, so some of it is in memory, some only logged."""
    bench = Bench(ring_rows=6, page_rows=2)
    for _ in range(4):
        bench.happen(3)
    async with bench.reading(since=since) as reader:
        bench.happen(1)
        await turns()
    assert reader.numbers == list(range(since + 1, 14))
    assert (bench.log.reads > 0) == (since < 6)


async def test_since_is_filtered_too() -> None:
    bench = Bench(ring_rows=3)
    for _ in range(4):
        bench.happen(3)
    async with bench.reading(since=0, wants=lambda number: number % 5 == 0) as reader:
        assert reader.numbers == [5, 10]


@pytest.mark.parametrize(("since", "first"), [(0, 5), (3, 5)])
async def test_since_before_the_log_is_refused(since: int, first: int) -> None:
    bench = Bench()
    bench.happen(9)
    bench.log.prune(first)
    with pytest.raises(EventsGone) as caught:
        await bench.feed.open(since=since)
    assert caught.value.message == "events before 5 are no longer kept"
    assert caught.value.data == {
        "code": "EventsGone",
        "field": "since",
        "expected": "at least 4",
        "firstAvailable": 5,
    }
    async with bench.reading(since=4) as reader:
        assert reader.numbers == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("since", [-1, 10, 2**70])
async def test_since_that_has_not_happened_is_refused(since: int) -> None:
    bench = Bench()
    bench.happen(9)
    with pytest.raises(InvalidParameter) as caught:
        await bench.feed.open(since=since)
    assert (caught.value.field, caught.value.expected) == ("since", "a sequence from 0 to 9")


async def test_a_feed_that_starts_on_an_old_log() -> None:
    log = MemoryLog()
    log.append([b"1", b"2"])
    feed: EventFeed[int] = EventFeed(log, int, last=2)
    reader, stream = Reader(), await feed.open(since=0)
    task = asyncio.create_task(stream.run(reader))
    await turns()
    log.append([b"3"])
    feed.publish([Event(sequence=3, encoded=b"3", value=3)])
    await turns()
    task.cancel()
    assert reader.numbers == [1, 2, 3]


async def test_a_slow_reader_catches_up_from_memory_then_from_the_log() -> None:
    bench = Bench(ring_rows=6, page_rows=4)
    async with bench.reading() as slow, bench.reading() as quick:
        slow.reads.clear()
        bench.happen(3)
        await turns()
        assert bench.feed.subscriber_count == 1
        slow.reads.set()
        await turns()
        assert (slow.numbers, bench.log.reads) == ([1, 2, 3], 0)
        slow.reads.clear()
        for _ in range(8):
            bench.happen(3)
            await turns()
        slow.reads.set()
        await turns(60)
        assert bench.log.reads > 0
        assert bench.feed.subscriber_count == 2
    assert slow.numbers == quick.numbers == list(range(1, 28))


async def test_a_reader_slower_than_the_log_is_told_so() -> None:
    bench = Bench(ring_rows=2)
    slow = Reader()
    stream = await bench.feed.open()
    task = asyncio.create_task(stream.run(slow))
    await turns()
    bench.happen(1)
    await turns()
    slow.reads.clear()
    for _ in range(5):
        bench.happen(1)
        await turns()
    bench.log.prune(5)
    slow.reads.set()
    with pytest.raises(EventsGone) as caught:
        await task
    assert caught.value.first_available == 5
    assert slow.numbers == [1, 2]
    assert bench.feed.subscriber_count == 0


async def test_a_page_pruned_while_it_is_read_is_not_taken_for_whole() -> None:
    bench = Bench(ring_rows=1, page_rows=100)
    for _ in range(6):
        bench.happen(1)
    stream = await bench.feed.open(since=0)
    task = asyncio.create_task(stream.run(Reader()))
    await asyncio.sleep(0)
    bench.log.prune(4)
    with pytest.raises(EventsGone):
        await task


async def test_a_batch_larger_than_memory_reaches_everybody_from_the_log() -> None:
    bench = Bench(ring_rows=4, page_rows=3)
    async with bench.reading() as one, bench.reading() as two:
        bench.happen(10)
        await turns(60)
        bench.happen(1)
        await turns()
    assert one.numbers == two.numbers == list(range(1, 12))


async def test_memory_is_bounded_by_bytes_too() -> None:
    bench = Bench(ring_bytes=100)
    for _ in range(50):
        bench.happen(1)
    assert 0 < bench.feed.last - bench.feed.floor < 20
    async with bench.reading(since=0) as reader:
        await turns()
    assert reader.numbers == list(range(1, 51))


async def test_a_very_large_batch_becomes_several_notifications() -> None:
    bench = Bench(notification_bytes=8, ring_rows=4)
    async with bench.reading() as reader:
        bench.happen(4)
        await turns()
        assert reader.batches == [[1, 2, 3, 4]]
        bench.happen(4)
        await turns()
    assert reader.batches == [[1, 2, 3, 4], [5, 6, 7, 8]]
    large = Bench(notification_bytes=5)
    async with large.reading() as reader:
        large.happen(5)
        await turns()
    assert reader.batches == [[1, 2, 3], [4, 5]]


async def test_events_of_others_in_the_log_are_no_gap() -> None:
    """Sequences are shared by all topics of the log: ours may be far apart."""
    bench = Bench(ring_rows=1)
    bench.log.append([b"1"])
    bench.log.last = 50
    bench.feed.publish([Event(sequence=1, encoded=b"1", value=1)])
    async with bench.reading() as reader:
        reader.reads.clear()
        bench.happen(1)
        bench.log.last = 90
        bench.happen(1)
        await turns()
        reader.reads.set()
        await turns()
    assert reader.numbers == [51, 91]


async def test_other_tasks_run_between_turns() -> None:
    bench = Bench(deliveries_per_turn=10)
    async with contextlib.AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(bench.reading()) for _ in range(100)]
        bench.happen(1)
        served = []
        for _ in range(12):
            await asyncio.sleep(0)
            served.append(sum(bool(reader.results) for reader in readers))
    assert served[:10] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


async def test_a_reader_that_goes_takes_nothing_with_it() -> None:
    bench = Bench()
    gone = Reader()
    task = asyncio.create_task((await bench.feed.open()).run(gone))
    async with bench.reading() as other:
        gone.is_gone = True
        bench.happen(1)
        with pytest.raises(ClientGone):
            await task
        await turns()
        assert other.numbers == [1]
        assert bench.feed.subscriber_count == 1


@pytest.mark.parametrize("seed", range(20))
async def test_every_reader_gets_what_the_log_says(seed: int) -> None:
    """Oracle: the log itself. Readers stop and go, memory is tiny, nothing may be missing."""
    rng = random.Random(seed)
    bench = Bench(ring_rows=7, page_rows=3, deliveries_per_turn=4, notification_bytes=40)
    async with contextlib.AsyncExitStack() as stack:
        readers: list[tuple[Reader, int, Any]] = []
        for _ in range(60):
            action = rng.random()
            if action < 0.15 and len(readers) < 8:
                since = rng.choice([None, rng.randint(0, bench.log.last)])
                wants = rng.choice([None, lambda number: number % 3 == 0])
                start = bench.feed.last if since is None else since
                reader = await stack.enter_async_context(bench.reading(since=since, wants=wants))
                readers.append((reader, start, wants))
            elif action < 0.5 and readers:
                reads = rng.choice(readers)[0].reads
                (reads.clear if reads.is_set() else reads.set)()
            else:
                bench.happen(rng.randint(1, 6))
            await turns(rng.randint(0, 5))
        for reader, _, _ in readers:
            reader.reads.set()
        await turns(400)
        assert readers
        for reader, start, wants in readers:
            expected = range(start + 1, bench.log.last + 1)
            assert reader.numbers == [n for n in expected if wants is None or wants(n)]


async def test_streams_stand_for_themselves() -> None:
    bench = Bench()
    assert isinstance(await bench.feed.open(), FeedStream)
    bench.feed.publish([])
    assert bench.feed.last == bench.feed.floor == 0
