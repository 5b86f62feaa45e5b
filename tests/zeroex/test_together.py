"""Requests put together while they wait: in which groups, and what of those who give up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fondaco.testing.until import until
from fondaco.zeroex.together import Together


class Counter:
    """Counts letters; a piece of work begins when a test opens the gate."""

    def __init__(self, *, places: int = 1, most: int = 10) -> None:
        self.groups: list[list[str]] = []
        self.gate = asyncio.Event()
        self.places = asyncio.Semaphore(places)
        self.together = Together(self.places, self._work, most=most)

    async def _work(self, texts: Sequence[str]) -> Sequence[int]:
        self.groups.append(list(texts))
        await self.gate.wait()
        if "bad" in texts:
            raise ValueError("bad")
        return [len(text) for text in texts]

    def ask(self, *texts: str) -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self.together.answer(text, len(text))) for text in texts]

    async def begun(self, *groups: list[str]) -> None:
        await until(lambda: len(self.groups) >= len(groups))
        assert self.groups == list(groups)


async def test_alone_a_request_goes_at_once() -> None:
    counter = Counter(places=2)
    counter.gate.set()
    assert await counter.together.answer("abc", 3) == 3
    assert await counter.together.answer("ab", 2) == 2
    assert counter.groups == [["abc"], ["ab"]]


async def test_what_waits_goes_together_and_each_gets_its_own_answer() -> None:
    counter = Counter()
    first = counter.ask("a")
    await counter.begun(["a"])
    others = counter.ask("bb", "ccc", "dddd", "ee", "ff")
    counter.gate.set()
    assert await asyncio.gather(*first, *others) == [1, 2, 3, 4, 2, 2]
    assert counter.groups == [["a"], ["bb", "ccc", "dddd"], ["ee", "ff"]], "ten letters at most"


async def test_a_request_over_the_most_goes_alone() -> None:
    counter = Counter(most=2)
    counter.gate.set()
    async with counter.places:
        asked = counter.ask("long one", "b", "c", "longer one")
        await asyncio.sleep(0)
    assert await asyncio.gather(*asked) == [8, 1, 1, 10]
    assert counter.groups == [["long one"], ["b", "c"], ["longer one"]]


async def test_others_may_take_the_places() -> None:
    counter = Counter()
    counter.gate.set()
    async with counter.places:
        asked = counter.ask("a", "b", "c")
        await asyncio.sleep(0)
        assert counter.groups == []
    assert await asyncio.gather(*asked) == [1, 1, 1]
    assert counter.groups == [["a", "b", "c"]]


async def test_a_failure_is_told_to_all_and_harms_nobody_later() -> None:
    counter = Counter()
    counter.gate.set()
    async with counter.places:
        asked = counter.ask("a", "bad", "c")
        await asyncio.sleep(0)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(answer) for answer in answers] == ["bad"] * 3
    assert await asyncio.gather(*counter.ask("a", "b")) == [1, 1]


async def _cancel(task: asyncio.Task[int]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_gives_up_while_waiting_is_left_out() -> None:
    """The first, who would lead; one in the middle; and one that was just told to lead."""
    counter = Counter()
    counter.gate.set()
    async with counter.places:
        first, second, third, fourth = counter.ask("a", "b", "c", "d")
        await asyncio.sleep(0)
        await _cancel(third)
        first.cancel()
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait((first, second))
    assert first.cancelled()
    assert second.cancelled()
    assert await fourth == 1
    assert counter.groups == [["d"]]


async def test_when_the_leader_goes_in_the_middle_the_others_are_dealt_with_again() -> None:
    counter = Counter()
    async with counter.places:
        leader, *others = counter.ask("a", "bb", "ccc")
        await asyncio.sleep(0)
    await counter.begun(["a", "bb", "ccc"])
    await _cancel(others.pop())
    await _cancel(leader)
    counter.gate.set()
    assert await asyncio.gather(*others) == [2]
    assert counter.groups == [["a", "bb", "ccc"], ["bb"]]
    assert await counter.together.answer("dddd", 4) == 4
    assert not counter.places.locked()


async def test_nobody_is_forgotten_whoever_gives_up() -> None:
    """Many come and go by a fixed pattern; whoever stays gets the right answer."""
    counter = Counter(places=2, most=7)
    counter.gate.set()
    asked: list[tuple[int, asyncio.Task[int]]] = []
    for number in range(300):
        size = 1 + number % 5
        [task] = counter.ask("x" * size)
        asked.append((size, task))
        if number % 3 == 0:
            await asyncio.sleep(0)
        if number % 4 == 1:
            asked[number - number % 7][1].cancel()
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(task for _, task in asked), return_exceptions=True)
    kept = [(size, answer) for (size, _), answer in zip(asked, answers, strict=True)]
    stayed = [pair for pair in kept if isinstance(pair[1], int)]
    assert len(stayed) > 100
    assert all(size == answer for size, answer in stayed)
    assert all(sum(map(len, group)) <= 7 for group in counter.groups)
