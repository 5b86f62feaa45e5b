"""Many contract reads in one ``eth_call``, at one block.  (Program below.)"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Read(NamedTuple):
    """One view call whose answer is a single word."""

    target: bytes
    """20 bytes: the contract."""
    data: bytes
    """Calldata; at most 255 bytes."""


class MultiRead(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to a batch of reads, all taken at the same block."""

    block_number: int
    """NUMBER as the program saw it; on some rollups that of the chain below."""
    timestamp: int
    """Unix seconds of the block read at."""
    words: list[int]
    """One uint256 a read, in their order; 0 where a read failed or was not one word."""
