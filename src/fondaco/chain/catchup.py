"""Replay what happened while the node was not running.

    newest stored block ......... gap ......... tip
      nothing stored, or 128 blocks and more:  forget the stack; the caller reads all anew
      more than the stack holds:               logs by range, three ranges at once
      less:                                    nothing to do here, polling walks block by block

Source of the sizes: 0x-mesh, section 4.1. Beyond the original: a stored block that has
left the chain meanwhile is reported as removed, and a reorganisation in the middle of
the catch-up is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fondaco.chain.blocksource import BlockSource
from fondaco.chain.errors import BlockGone
from fondaco.chain.headers import (
    BlockEvent,
    Header,
    HeaderChain,
    RetainedBlock,
    addition,
    is_gap_too_large,
)
from fondaco.chain.limits import HEADER_CONCURRENCY
from fondaco.chain.logs import Log
from fondaco.chain.parallel import in_parallel


class CaughtUp(msgspec.Struct, frozen=True, kw_only=True):
    """What a catch-up found."""

    events: tuple[BlockEvent, ...] = ()
    """Removals, then additions of the blocks that have logs, oldest first."""
    gap_too_large: bool = False
    """Events may be missing: whatever depends on the chain must be read anew."""


async def fast_sync(source: BlockSource, chain: HeaderChain, retention: int) -> CaughtUp:
    """Bring *chain* near the tip by logs of whole ranges.

    Afterwards *chain* holds the last block that was reached alone, or is as it was
    where the gap is small, or is empty where it is too large.

    Args:
        retention: gaps of up to so many blocks are left to polling.

    Raises:
        BlockGone, EndpointError, EndpointUnavailable: nothing was changed; try again.
    """
    head = chain.head
    if head is None:
        return CaughtUp(gap_too_large=True)
    tip = await source.latest()
    if is_gap_too_large(head.number, tip.number):
        chain.reset()
        return CaughtUp(gap_too_large=True)
    if tip.number - head.number <= retention:
        return CaughtUp()
    anchor = await _still_on_chain(source, chain.blocks)
    if anchor is None or is_gap_too_large(anchor.number, tip.number):
        chain.reset()
        return CaughtUp(gap_too_large=True)
    found = await source.logs_between(anchor.number + 1, tip.number)
    if found.failure is not None and found.furthest == anchor.number:
        raise found.failure
    blocks, last = await _blocks_of(source, found.logs, found.furthest)
    # Logs of an old branch are worth nothing: ask last whether the tip still stands.
    if (await source.by_number(tip.number)).hash != tip.hash:
        raise BlockGone("the chain was reorganised while catching up")
    removals = chain.retreat_to(anchor.hash)
    chain.reset(last)
    return CaughtUp(events=(*removals, *map(addition, blocks)))


async def _still_on_chain(source: BlockSource, blocks: Sequence[RetainedBlock]) -> Header | None:
    """Return the newest of *blocks* that the endpoint's chain still has, if any."""
    for block in reversed(blocks):
        try:
            if (await source.by_number(block.header.number)).hash == block.header.hash:
                return block.header
        except BlockGone:
            continue
    return None


async def _blocks_of(
    source: BlockSource, logs: Sequence[Log], furthest: int
) -> tuple[list[RetainedBlock], RetainedBlock]:
    """Return the blocks that *logs* came from, oldest first, and the block *furthest*."""
    by_block: dict[int, list[Log]] = {}
    for log in logs:
        by_block.setdefault(log.block_number, []).append(log)
    numbers = sorted({*by_block, furthest})
    # By number, not by the hash in the logs: a mismatch tells of a reorganisation.
    headers = await in_parallel(source.by_number, numbers, limit=HEADER_CONCURRENCY)
    blocks: list[RetainedBlock] = []
    for header in headers:
        own = sorted(by_block.get(header.number, ()), key=lambda log: log.log_index)
        if any(log.block_hash != header.hash for log in own):
            raise BlockGone("the chain was reorganised while catching up")
        blocks.append(RetainedBlock(header=header, logs=tuple(own)))
    return [block for block in blocks if block.logs], blocks[-1]
