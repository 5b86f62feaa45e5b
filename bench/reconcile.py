"""Set reconciliation: rounds, bytes and time beside the ids that differ, and the index."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable
from functools import partial

from bench.figures import Figure, median_of
from fondaco.p2p.dialogue import Dialogue, DialogueState
from fondaco.p2p.idset import IdSet
from fondaco.p2p.negentropy import Responder

RUNS = 3
ENOUGH = 1_000.0
"""Milliseconds of one kind of dialogue after which it is not held again."""
SIZES = (100_000, 1_000_000)
DIFFERENCES = (0, 1, 100, 10_000)
ID_SIZE = 32

EQUAL_BUDGET = 1_000
"""Bytes for equal sets of 100,000 (docs/benchmarks.md)."""

MISSING_BUDGET = 200_000
"""Bytes where 100 of 100,000 are missing, without the orders themselves."""

CHANGES = 20_000
INDEX_MEMORY_BUDGET = 150.0
"""MB for a million ids."""


def _dialogue(mine: IdSet, theirs: IdSet) -> tuple[Dialogue, float, int]:
    """Hold one; return it with the milliseconds both sides took, and the ids needed."""
    needed: set[bytes] = set()
    start = time.thread_time()
    dialogue = Dialogue(mine.snapshot(), now=0)
    responder = Responder(theirs.snapshot())
    message: bytes | None = dialogue.start()
    while message is not None:
        findings = dialogue.receive(responder.receive(message), 0)
        needed.update(findings.need)
        message = findings.reply
    spent = (time.thread_time() - start) * 1e3
    assert dialogue.state is DialogueState.FINISHED
    return dialogue, spent, len(needed)


def _targets(size: int, missing: int) -> tuple[int | None, int | None]:
    """Return the most rounds and bytes that the design allows, None where it names none."""
    if size == SIZES[0] and missing == 0:
        return 1, EQUAL_BUDGET
    if size == SIZES[0] and missing == 100:
        return None, MISSING_BUDGET
    return None, None


def _differing(ids: list[bytes], theirs: IdSet, missing: int) -> list[Figure]:
    """Return the figures of a node that lacks *missing* of *ids*, scattered among all."""
    mine = IdSet(ids)
    for one in random.Random(missing).sample(ids, missing):
        mine.discard(one)
    spent: list[float] = []
    while len(spent) < RUNS and sum(spent) < ENOUGH:
        dialogue, milliseconds, needed = _dialogue(mine, theirs)
        assert needed == missing
        spent.append(milliseconds)
    spent.sort()
    size = dialogue.bytes_sent + dialogue.bytes_received
    name = f"{len(ids):,} records, {missing:,} missing"
    most_rounds, most_bytes = _targets(len(ids), missing)
    return [
        Figure(
            name=f"{name}: rounds",
            value=dialogue.rounds,
            unit="rounds",
            target=f"≤ {most_rounds}" if most_rounds else "",
            reached=dialogue.rounds <= most_rounds if most_rounds else None,
        ),
        Figure(
            name=f"{name}: both ways",
            value=size,
            unit="bytes",
            floor=missing * ID_SIZE,
            floor_name="the missing ids",
            target=f"≤ {most_bytes:,} bytes" if most_bytes else "",
            reached=size <= most_bytes if most_bytes else None,
        ),
        Figure(
            name=f"{name}: both sides",
            value=spent[len(spent) // 2],
            unit="ms",
            spread=(spent[0], spent[-1]),
        ),
    ]


def _index(ids: list[bytes]) -> list[Figure]:
    """Return the figures of the index itself; *ids* are held by it."""
    index = IdSet(ids)
    rng = random.Random(CHANGES)
    fresh = [rng.randbytes(ID_SIZE) for _ in range(CHANGES)]
    places = [rng.randrange(len(ids)) for _ in range(CHANGES)]
    for place in range(0, len(ids), 100):
        index.prefix_sum(place)  # works the sums inside the blocks out

    def each(work: Callable[[], None]) -> float:
        start = time.thread_time()
        work()
        return (time.thread_time() - start) / CHANGES * 1e6

    def change() -> None:
        for one in fresh:
            index.add(one)
        for one in fresh:
            index.discard(one)

    def digest() -> None:
        for _ in fresh:
            index.digest()

    def sums() -> None:
        for place in places:
            index.prefix_sum(place)

    def snapshots() -> None:
        for one in fresh:
            index.add(one)
            index.snapshot()
        for one in fresh:
            index.discard(one)

    works = [
        ("add an id and discard it", change),
        ("digest of all", digest),
        ("sum of all before an id", sums),
        ("the same, a snapshot between", snapshots),
    ]
    figures: list[Figure] = []
    for name, work in works:
        value, spread = median_of(RUNS, partial(each, work))
        figures.append(
            Figure(name=f"{len(ids):,} records: {name}", value=value, unit="µs", spread=spread)
        )
    return figures


def _memory(ids: list[bytes]) -> Figure:
    gc.collect()
    tracemalloc.start()
    try:
        index = IdSet(ids)
        for place in range(0, len(ids), 100):
            index.prefix_sum(place)
        index.snapshot()
        size = tracemalloc.get_traced_memory()[0] / 1e6
    finally:
        tracemalloc.stop()
    return Figure(
        name=f"{len(ids):,} records: index with a snapshot",
        value=size,
        unit="MB",
        floor=len(ids) * ID_SIZE / 1e6,
        floor_name="the ids themselves",
        target=f"≤ {INDEX_MEMORY_BUDGET:g} MB",
        reached=size <= INDEX_MEMORY_BUDGET,
    )


def measure() -> list[Figure]:
    """Return the figures of dialogues between sets that differ, and those of the index."""
    rng = random.Random(1)
    figures: list[Figure] = []
    for size in SIZES:
        ids = [rng.randbytes(ID_SIZE) for _ in range(size)]
        theirs = IdSet(ids)
        for missing in DIFFERENCES:
            figures += _differing(ids, theirs, missing)
        figures += _index(ids)
    return [*figures, _memory(ids)]
