"""What a router has done: plain numbers for metrics, tests and benchmarks."""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct, kw_only=True):
    """Since the router was made."""

    published: int = 0
    """Own messages."""
    received: int = 0
    """Messages that came in RPCs, duplicates too."""
    duplicates: int = 0
    """Received before."""
    delivered: int = 0
    """Given out for a verdict."""
    accepted: int = 0
    """Passed on."""
    ignored: int = 0
    """Not passed on, and nobody is to blame."""
    rejected: int = 0
    """Not passed on, and whoever sent it should have known."""
    late: int = 0
    """Verdicts that did not come in time and count as IGNORE."""
    forwarded: int = 0
    """Copies of others' messages queued for members of the mesh."""
    unwanted: int = 0
    """Of topics we are not subscribed to, our own coming back, or of unknown keys."""
    flood: int = 0
    """Dropped unread: over the peer's budget."""
    crowded: int = 0
    """Dropped unread: too many wait for a verdict."""
    dropped: int = 0
    """Out of a full queue to a slow peer."""
    announced: int = 0
    """Ids in IHAVEs sent."""
    asked: int = 0
    """Ids in IWANTs sent."""
    answered: int = 0
    """Messages sent because they were asked for."""
    recovered: int = 0
    """Messages that came after they were asked for."""
    broken: int = 0
    """Messages asked for that did not come in time."""
    frames: int = 0
    """RPCs written."""
