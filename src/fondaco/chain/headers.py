"""Blocks as values, and the bounded stack of them that tells reorganisations.

The host fetches; this module decides:

    tip ---> wanted_parent(branch)? --yes--> fetch that header, append to the branch --.
                  | no        ^---------------------------------------------------------'
                  v
             fetch the logs of the branch ---> adopt(branch) ---> events, oldest first

Hashes are taken as the endpoint gives them and never computed again: each hard fork
adds header fields, and what counts is only whether parent and hash meet. ``removed``
marks of logs are not used either: anvil, for one, never sends them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec

from fondaco.chain import wire
from fondaco.chain.errors import MalformedAnswer
from fondaco.chain.limits import MAX_BLOCKS_BEHIND, RETAINED_BLOCKS
from fondaco.chain.logs import Log


class Header(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the node keeps of a block's header."""

    number: int
    hash: bytes
    """32 bytes."""
    parent_hash: bytes
    """32 bytes."""
    timestamp: int
    """Unix seconds, as the block's producer says."""


class RetainedBlock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A block on the stack, with the logs the watcher asked for."""

    header: Header
    logs: tuple[Log, ...] = ()


class BlockEventKind(enum.Enum):
    """What became of a block."""

    ADDED = "added"
    REMOVED = "removed"


class BlockEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A block joined the chain or left it."""

    kind: BlockEventKind
    header: Header
    logs: tuple[Log, ...] = ()
    """In block order; those of a block that left have ``removed`` set."""


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """What adopting a branch did."""

    events: tuple[BlockEvent, ...]
    is_detached: bool
    """The branch does not meet the stack, nor the parent of its lowest block: blocks
    below the stack changed too, unseen."""


class _WireHeader(msgspec.Struct, gc=False):
    """A header as JSON-RPC spells it; the other twenty members are skipped."""

    number: str
    hash: str
    parentHash: str
    timestamp: str


_decoder = msgspec.json.Decoder(_WireHeader | None)


def decode_header(result: bytes | msgspec.Raw) -> Header | None:
    """Return the header in the result of ``eth_getBlockBy...``; None for ``null``.

    Raises:
        MalformedAnswer: a member is missing or of the wrong type or length.
    """
    try:
        raw = _decoder.decode(result)
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise MalformedAnswer("a block is not as eth_getBlockByNumber gives it") from exc
    if raw is None:
        return None
    return Header(
        number=wire.quantity(raw.number, "number"),
        hash=wire.data(raw.hash, "hash", size=32),
        parent_hash=wire.data(raw.parentHash, "parentHash", size=32),
        timestamp=wire.quantity(raw.timestamp, "timestamp"),
    )


class HeaderChain:
    """The newest blocks of the chain as last seen: contiguous, linked, bounded.

    Args:
        retention: how many blocks to keep.
        blocks: what a store kept of an earlier run, oldest first. Blocks that do not
            link to their successor are dropped with everything below them.
    """

    def __init__(
        self, retention: int = RETAINED_BLOCKS, blocks: Iterable[RetainedBlock] = ()
    ) -> None:
        if retention < 1:
            raise ValueError("a chain of no blocks has no head")
        self._retention = retention
        self._blocks: list[RetainedBlock] = []
        for block in blocks:
            if self._blocks and not _links(self._blocks[-1].header, block.header):
                self._blocks.clear()
            self._push(block)

    @property
    def head(self) -> Header | None:
        return self._blocks[-1].header if self._blocks else None

    @property
    def blocks(self) -> tuple[RetainedBlock, ...]:
        """Oldest first."""
        return tuple(self._blocks)

    def holds(self, block_hash: bytes) -> bool:
        """Return whether the block with that hash is on the stack."""
        return any(block.header.hash == block_hash for block in self._blocks)

    def wanted_parent(self, branch: Sequence[Header]) -> bytes | None:
        """Return the hash of the header needed next to join *branch* to the stack.

        Args:
            branch: newest first, each the child of the one after it.

        Returns:
            None when *branch* is complete: it meets the stack, or reaches below it.
        """
        last = branch[-1]
        if not self._blocks or last.number <= self._blocks[0].header.number:
            return None
        return None if self.holds(last.parent_hash) else last.parent_hash

    def adopt(self, branch: Sequence[RetainedBlock]) -> Adopted:
        """Make *branch* the newest part of the chain.

        Args:
            branch: oldest first, complete by ``wanted_parent``, not empty.

        Returns:
            Removals of what it replaces, newest first, then its additions, oldest first.
        """
        wanted = branch[0].header.parent_hash
        below = self._blocks[0].header.parent_hash if self._blocks else wanted
        events: list[BlockEvent] = []
        while self._blocks and self._blocks[-1].header.hash != wanted:
            events.append(_removal(self._blocks.pop()))
        is_detached = not self._blocks and wanted != below
        for block in branch:
            self._push(block)
            events.append(addition(block))
        return Adopted(events=tuple(events), is_detached=is_detached)

    def retreat_to(self, block_hash: bytes) -> tuple[BlockEvent, ...]:
        """Drop the blocks above the one with that hash; return their removals, newest first.

        Raises:
            ValueError: no such block is on the stack; our own bug.
        """
        if not self.holds(block_hash):
            raise ValueError("cannot retreat to a block that is not on the stack")
        events: list[BlockEvent] = []
        while self._blocks[-1].header.hash != block_hash:
            events.append(_removal(self._blocks.pop()))
        return tuple(events)

    def reset(self, block: RetainedBlock | None = None) -> None:
        """Forget every block and start anew, from *block* where given; no events."""
        self._blocks.clear()
        if block is not None:
            self._push(block)

    def _push(self, block: RetainedBlock) -> None:
        self._blocks.append(block)
        del self._blocks[: -self._retention]


def addition(block: RetainedBlock) -> BlockEvent:
    """Return the event that *block* joined the chain."""
    return BlockEvent(kind=BlockEventKind.ADDED, header=block.header, logs=block.logs)


def _removal(block: RetainedBlock) -> BlockEvent:
    logs = tuple([msgspec.structs.replace(log, removed=True) for log in block.logs])
    return BlockEvent(kind=BlockEventKind.REMOVED, header=block.header, logs=logs)


def _links(parent: Header, child: Header) -> bool:
    return child.parent_hash == parent.hash and child.number == parent.number + 1


def is_gap_too_large(last_number: int, tip_number: int) -> bool:
    """Return whether the blocks between are too many to replay (0x-mesh, section 4.1)."""
    return tip_number - last_number >= MAX_BLOCKS_BEHIND


def sub_block_ranges(first: int, last: int, size: int) -> list[tuple[int, int]]:
    """Return *first* .. *last*, both included, cut into ranges of at most *size* blocks."""
    return [(start, min(start + size - 1, last)) for start in range(first, last + 1, size)]


def halves(first: int, last: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a range of two blocks or more as two, the first one the longer."""
    middle = (first + last) // 2
    return (first, middle), (middle + 1, last)
