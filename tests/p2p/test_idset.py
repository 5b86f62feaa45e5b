"""The index against a sorted list and a sum by loop, and its snapshots against time."""

from __future__ import annotations

import bisect
import hashlib
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fondaco.p2p.idset import IdSet, IdView
from fondaco.p2p.negentropy_wire import Bound, fingerprint


def named(number: int) -> bytes:
    """An id with neighbours that share a long prefix, for an odd *number* a far one."""
    if number % 2:
        return hashlib.sha256(b"%d" % number).digest()
    return number.to_bytes(32, "big")


def slow_sum(ids: list[bytes]) -> int:
    total = 0
    for one in ids:
        total = (total + int.from_bytes(one, "little")) % 2**256
    return total


def check(view: IdView, held: list[bytes], rng: random.Random, samples: int = 8) -> None:
    """Compare every answer of *view* with that of the sorted list *held*."""
    assert len(view) == len(held)
    assert list(view) == held
    assert view.digest() == fingerprint(slow_sum(held), len(held))
    for _ in range(samples):
        start = rng.randint(0, len(held))
        stop = rng.randint(start, len(held))
        part = held[start:stop]
        assert view.prefix_sum(start) == slow_sum(held[:start])
        assert view.fingerprint(start, stop) == fingerprint(slow_sum(part), len(part))
        assert view.packed(start, stop) == b"".join(part)
        assert list(view.iterate(start, stop)) == part
        wanted = rng.choice(held) if held and rng.random() < 0.5 else rng.randbytes(32)
        front = wanted[: rng.randint(0, 32)]
        below = sum(one < front for one in held)
        assert view.lower_bound(Bound(0, front)) == below
        assert view.lower_bound(Bound(1, b"")) == len(held)
        assert (wanted in view) == (wanted in held)
        asked = {wanted, *part[:2], *held[:1]}
        assert set(view.missing(asked, start, stop)) == asked - set(part)
        if start < len(held):
            assert view.item(start) == (0, held[start])


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 5_000), max_size=900), st.integers(0, 2**32))
def test_built_at_once(numbers: set[int], seed: int) -> None:
    held = sorted(map(named, numbers))
    check(IdSet(map(named, numbers)), held, random.Random(seed))


def test_interleaved_changes_equal_a_sorted_list() -> None:
    """Grows past several splits, shrinks past several joins, twice; then to nothing."""
    rng = random.Random(11)
    index = IdSet()
    held: list[bytes] = []
    snapshots: list[tuple[IdView, list[bytes]]] = []
    for step in range(12_000):
        is_growing = (step // 3_000) % 2 == 0
        if rng.random() < (0.85 if is_growing else 0.05):
            one = named(rng.randrange(4_000))
            is_new = one not in index
            assert index.add(one) == is_new
            if is_new:
                bisect.insort(held, one)
        elif held:
            one = held.pop(rng.randrange(len(held)))
            assert index.discard(one)
            assert not index.discard(one)
        if step % 997 == 0:
            snapshots.append((index.snapshot(), held.copy()))
            check(index, held, rng)
    for one in held:
        assert index.discard(one)
    check(index, [], rng)
    for snapshot, was in snapshots:
        check(snapshot, was, rng)


class AddAndDiscard(RuleBasedStateMachine):
    """Small ids, large batches: blocks are split and joined within a few steps."""

    @initialize()
    def empty(self) -> None:
        self.index = IdSet()
        self.held: set[bytes] = set()
        self.kept: list[tuple[IdView, list[bytes]]] = []

    @rule(start=st.integers(0, 3_000), count=st.integers(1, 700))
    def add_many(self, start: int, count: int) -> None:
        for number in range(start, start + count):
            assert self.index.add(named(number)) == (named(number) not in self.held)
            self.held.add(named(number))

    @rule(start=st.integers(0, 3_000), count=st.integers(1, 700))
    def discard_many(self, start: int, count: int) -> None:
        for number in range(start, start + count):
            assert self.index.discard(named(number)) == (named(number) in self.held)
            self.held.discard(named(number))

    @rule()
    def keep(self) -> None:
        self.kept.append((self.index.snapshot(), sorted(self.held)))

    @invariant()
    def answers_are_those_of_a_list(self) -> None:
        check(self.index, sorted(self.held), random.Random(len(self.held)), samples=2)
        for snapshot, was in self.kept:
            assert list(snapshot) == was
            assert snapshot.prefix_sum(len(was) // 2) == slow_sum(was[: len(was) // 2])


TestAddAndDiscard = AddAndDiscard.TestCase
TestAddAndDiscard.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)


def test_a_snapshot_is_the_same_until_something_changes() -> None:
    index = IdSet(map(named, range(100)))
    first = index.snapshot()
    assert index.snapshot() is first
    assert not index.add(named(5))
    assert not index.discard(named(500))
    assert index.snapshot() is first
    index.add(named(500))
    assert index.snapshot() is not first
    assert named(500) not in first
    assert named(500) in index.snapshot()


def test_sums_carry_and_wrap_around() -> None:
    ids = [b"\xff" * 32, b"\x01" + bytes(31), bytes(32)]
    index = IdSet()
    for count, one in enumerate(ids, 1):
        index.add(one)
        check(index, sorted(ids[:count]), random.Random(count))
    assert index.digest() == fingerprint(0, 3)


def test_emptied_and_filled_again() -> None:
    index = IdSet([named(1)])
    assert index.discard(named(1))
    assert index.digest() == fingerprint(0, 0)
    assert index.lower_bound(Bound(0, b"\x10")) == 0
    assert list(index.iterate(0, 5)) == []
    assert index.add(named(2))
    assert list(index) == [named(2)]


@pytest.mark.parametrize("wrong", [b"", b"\x01" * 31, b"\x01" * 33])
def test_only_ids_of_32_bytes(wrong: bytes) -> None:
    index = IdSet()
    with pytest.raises(ValueError, match="bytes"):
        index.add(wrong)
    with pytest.raises(ValueError, match="bytes"):
        IdSet([wrong])
    assert len(index) == 0


@pytest.mark.parametrize("index", [-1, 3, 1_000])
def test_no_item_outside(index: int) -> None:
    with pytest.raises(IndexError):
        IdSet(map(named, range(3))).item(index)


def test_an_id_takes_little_memory() -> None:
    rng = random.Random(3)
    ids = [rng.randbytes(32) for _ in range(40_000)]
    tracemalloc.start()
    try:
        index = IdSet(ids[:20_000])
        for one in ids[20_000:]:
            index.add(one)
        for start in range(0, len(ids), 10):
            index.prefix_sum(start)
        snapshot = index.snapshot()
        size = tracemalloc.get_traced_memory()[0] / len(snapshot)
    finally:
        tracemalloc.stop()
    assert size < 50
