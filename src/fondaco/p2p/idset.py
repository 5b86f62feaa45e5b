"""A set of 32-byte ids in sequence that can be fingerprinted while ids come and go.

    _blocks     [ 1..512 ids in one piece ][ ... ][ ... ]      immutable, shared
    _firsts     [ first id ]               [ ... ][ ... ]      where does an id belong?
    _counts     Fenwick tree of the numbers of ids per block   which block has item i?
    _sums       Fenwick tree of the sums of ids per block      sum of all before block b

Every question costs O(log n), and so does a change, but for the splitting of a full block
(one change in about 250), which rebuilds the two trees. Blocks are never altered, only
replaced: a snapshot copies four lists of some 3,000 pointers for a million ids.

An id takes 32 bytes here and about 3 for the structure around it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from fondaco.p2p.negentropy_wire import ID_SIZE, SUM_MASK, Bound, Item, fingerprint

BLOCK_MOST = 512
"""Ids in a block; a fuller one is cut in halves. Replacing one copies 16 KiB at most."""

BLOCK_FILLED = 384
"""Ids put into each block when a set is built at once, so that it has room to grow."""

BLOCK_LEAST = 64
"""Ids in a block; a smaller one is joined with a neighbour."""

STRIDE = 16
"""Ids between two remembered sums inside a block."""

SMALL_RANGE = 8
"""Ids of a range per id looked for up to which reading the range beats searching."""


class _Block:
    """Some ids in ascending sequence. Immutable, but for sums that are worked out late."""

    __slots__ = ("_marks", "ids", "total")

    def __init__(self, ids: bytes, total: int) -> None:
        self.ids = ids
        self.total = total
        """Sum of the ids modulo 2**256."""
        self._marks: list[int] | None = None

    def __len__(self) -> int:
        return len(self.ids) // ID_SIZE

    def place(self, wanted: bytes) -> int:
        """Return how many ids are less than *wanted*, an id or the front of one."""
        ids = self.ids
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) >> 6 << 5
            if ids[middle : middle + ID_SIZE] < wanted:
                low = middle + ID_SIZE
            else:
                high = middle
        return low // ID_SIZE

    def sum_before(self, index: int) -> int:
        """Return the sum of the first *index* ids, not reduced."""
        if not index:
            return 0
        # Two threads that work the marks out at once find the same.
        marks = self._marks
        if marks is None:
            marks = self._marks = self._mark()
        mark = (index + STRIDE // 2) // STRIDE
        if mark >= len(marks):
            mark = index // STRIDE
        at = mark * STRIDE
        if at <= index:
            return marks[mark] + _sum(self.ids, at, index)
        return marks[mark] - _sum(self.ids, index, at)

    def _mark(self) -> list[int]:
        total = 0
        marks = [0]
        for start in range(0, len(self) - STRIDE + 1, STRIDE):
            total += _sum(self.ids, start, start + STRIDE)
            marks.append(total)
        return marks


class IdView:
    """What can be asked of a set of ids, numbered from 0 in ascending sequence.

    Answers to the questions of ``negentropy.Store``. All ids have the timestamp 0.
    """

    _blocks: list[_Block]
    _firsts: list[bytes]
    _counts: list[int]
    _sums: list[int]
    _length: int
    _total: int
    """Sum of all ids modulo 2**256."""

    def __len__(self) -> int:
        return self._length

    def __contains__(self, wanted: bytes) -> bool:
        return self._block_with(wanted) is not None

    def __iter__(self) -> Iterator[bytes]:
        return self.iterate(0, self._length)

    def digest(self) -> bytes:
        """Return the fingerprint of all ids, 16 bytes: equal digests mean equal sets.

        Not proof against someone who can choose ids freely; see the protocol document.
        """
        return fingerprint(self._total, self._length)

    def fingerprint(self, start: int, stop: int) -> bytes:
        """Return the fingerprint of the ids of ``[start, stop)``."""
        total = self.prefix_sum(stop) - self.prefix_sum(start)
        return fingerprint(total & SUM_MASK, stop - start)

    def item(self, index: int) -> Item:
        """Return the item at *index*.

        Raises:
            IndexError: there is none.
        """
        if not 0 <= index < self._length:
            raise IndexError(f"item {index} of {self._length}")
        block, offset, _ = self._locate(index)
        return 0, self._blocks[block].ids[offset * ID_SIZE : (offset + 1) * ID_SIZE]

    def lower_bound(self, bound: Bound) -> int:
        """Return how many ids are below *bound*."""
        if bound.timestamp or not self._blocks:
            return self._length
        return self._rank(bound.prefix)

    def prefix_sum(self, index: int) -> int:
        """Return the sum modulo 2**256 of the ids before *index*, read little-endian."""
        if index >= self._length:
            return self._total
        block, offset, before = self._locate(index)
        return (before + self._blocks[block].sum_before(offset)) & SUM_MASK

    def packed(self, start: int, stop: int) -> bytes:
        """Return the ids of ``[start, stop)`` in one piece."""
        return b"".join(self._pieces(start, stop))

    def iterate(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the ids of ``[start, stop)``. The set must not change meanwhile."""
        for piece in self._pieces(start, stop):
            for at in range(0, len(piece), ID_SIZE):
                yield piece[at : at + ID_SIZE]

    def missing(self, ids: set[bytes], start: int, stop: int) -> list[bytes]:
        """Return those of *ids* that are not among ``[start, stop)``, in no sequence."""
        if stop - start <= SMALL_RANGE * len(ids):
            return list(ids.difference(self.iterate(start, stop)))
        return [
            wanted
            for wanted in ids
            if self._block_with(wanted) is None or not start <= self._rank(wanted) < stop
        ]

    def _block_with(self, wanted: bytes) -> int | None:
        """Return the number of the block that holds *wanted*, None where it is not held."""
        number = bisect_right(self._firsts, wanted) - 1
        if number < 0:
            return None
        block = self._blocks[number]
        at = block.place(wanted) * ID_SIZE
        return number if block.ids[at : at + ID_SIZE] == wanted else None

    def _rank(self, wanted: bytes) -> int:
        """Return how many ids are less than *wanted*. There is at least one block."""
        number = max(0, bisect_right(self._firsts, wanted) - 1)
        offset = self._blocks[number].place(wanted)
        counts = self._counts
        while number:
            offset += counts[number]
            number &= number - 1
        return offset

    def _locate(self, index: int) -> tuple[int, int, int]:
        """Return the block of item *index*, its place in there, and the sum before it.

        *index* is less than the length. The sum is that of whole blocks, not reduced.
        """
        counts, sums = self._counts, self._sums
        most = len(counts) - 1
        number = total = 0
        step = 1 << most.bit_length() - 1
        while step:
            after = number + step
            if after <= most and counts[after] <= index:
                number = after
                index -= counts[after]
                total += sums[after]
            step >>= 1
        return number, index, total

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        stop = min(stop, self._length)
        if start >= stop:
            return
        number, offset, _ = self._locate(start)
        left = stop - start
        while left > 0:
            piece = self._blocks[number].ids[offset * ID_SIZE : (offset + left) * ID_SIZE]
            yield piece
            left -= len(piece) // ID_SIZE
            number, offset = number + 1, 0


class Snapshot(IdView):
    """An ``IdSet`` as it was at one moment. Never changes; may be read by any thread."""

    def __init__(self, origin: IdView) -> None:
        self._blocks = origin._blocks.copy()
        self._firsts = origin._firsts.copy()
        self._counts = origin._counts.copy()
        self._sums = origin._sums.copy()
        self._length = origin._length
        self._total = origin._total


class IdSet(IdView):
    """A set of 32-byte ids that come and go.

    Args:
        ids: what it holds at first, in any sequence; the quick way to fill it.

    Raises:
        ValueError: an id that does not have 32 bytes, here and in ``add``.
    """

    def __init__(self, ids: Iterable[bytes] = ()) -> None:
        held = sorted(set(ids))
        for wrong in held:
            _check(wrong)
        starts = range(0, len(held), BLOCK_FILLED)
        self._blocks = [_block(b"".join(held[at : at + BLOCK_FILLED])) for at in starts]
        self._firsts = [held[at] for at in starts]
        self._length = len(held)
        self._total = sum(block.total for block in self._blocks) & SUM_MASK
        self._snapshot: Snapshot | None = None
        self._rebuild()

    def add(self, new: bytes) -> bool:
        """Put *new* in. False where it was there before."""
        _check(new)
        value = int.from_bytes(new, "little")
        if not self._blocks:
            self._replace(0, 0, [new])
        else:
            number = max(0, bisect_right(self._firsts, new) - 1)
            old = self._blocks[number].ids
            at = self._blocks[number].place(new) * ID_SIZE
            if old[at : at + ID_SIZE] == new:
                return False
            ids = b"".join((old[:at], new, old[at:]))
            if len(ids) > BLOCK_MOST * ID_SIZE:
                self._replace(number, number + 1, _halves(ids))
            else:
                self._update(number, ids, 1, value)
        self._account(1, value)
        return True

    def discard(self, old: bytes) -> bool:
        """Take *old* out. False where it was not there."""
        number = self._block_with(old)
        if number is None:
            return False
        value = int.from_bytes(old, "little")
        block = self._blocks[number]
        at = block.place(old) * ID_SIZE
        ids = block.ids[:at] + block.ids[at + ID_SIZE :]
        if len(ids) >= BLOCK_LEAST * ID_SIZE or (ids and len(self._blocks) == 1):
            self._update(number, ids, -1, -value)
        elif len(self._blocks) == 1:
            self._replace(0, 1, [])
        else:
            self._join(number, ids)
        self._account(-1, -value)
        return True

    def snapshot(self) -> Snapshot:
        """Return the set as it is now. The same one until something changes."""
        if self._snapshot is None:
            self._snapshot = Snapshot(self)
        return self._snapshot

    def _account(self, count: int, total: int) -> None:
        self._length += count
        self._total = (self._total + total) & SUM_MASK
        self._snapshot = None

    def _update(self, number: int, ids: bytes, count: int, total: int) -> None:
        """Make *ids* those of a block that has *count* more, whose sum is *total* more."""
        self._blocks[number] = _Block(ids, (self._blocks[number].total + total) & SUM_MASK)
        self._firsts[number] = ids[:ID_SIZE]
        counts, sums = self._counts, self._sums
        node, most = number + 1, len(counts)
        while node < most:
            counts[node] += count
            sums[node] = (sums[node] + total) & SUM_MASK
            node += node & -node

    def _join(self, number: int, ids: bytes) -> None:
        """Put the *ids* left of a block together with those of a neighbour."""
        if number:
            number -= 1
            ids = self._blocks[number].ids + ids
        else:
            ids += self._blocks[1].ids
        is_one = len(ids) <= BLOCK_FILLED * ID_SIZE
        self._replace(number, number + 2, [ids] if is_one else _halves(ids))

    def _replace(self, start: int, stop: int, pieces: list[bytes]) -> None:
        """Put blocks of *pieces* in the place of blocks ``[start, stop)``."""
        self._blocks[start:stop] = [_block(ids) for ids in pieces]
        self._firsts[start:stop] = [ids[:ID_SIZE] for ids in pieces]
        self._rebuild()

    def _rebuild(self) -> None:
        """Work the two trees out anew. Number 0 is not used: node n ends at block n - 1."""
        counts = self._counts = [0, *map(len, self._blocks)]
        sums = self._sums = [0, *(block.total for block in self._blocks)]
        most = len(counts)
        for node in range(1, most):
            above = node + (node & -node)
            if above < most:
                counts[above] += counts[node]
                sums[above] = (sums[above] + sums[node]) & SUM_MASK


def _check(one: bytes) -> None:
    if len(one) != ID_SIZE:
        raise ValueError(f"id of {len(one)} bytes")


def _block(ids: bytes) -> _Block:
    return _Block(ids, _sum(ids, 0, len(ids) // ID_SIZE) & SUM_MASK)


def _halves(ids: bytes) -> list[bytes]:
    middle = len(ids) // ID_SIZE // 2 * ID_SIZE
    return [ids[:middle], ids[middle:]]


def _sum(ids: bytes, start: int, stop: int) -> int:
    from_bytes = int.from_bytes
    return sum(
        [
            from_bytes(ids[at : at + ID_SIZE], "little")
            for at in range(start * ID_SIZE, stop * ID_SIZE, ID_SIZE)
        ]
    )
