"""``/health``: whether the node is well, for load balancers, supervisors and people.

    starting    503   the doors are open, but calls still wait
    ok          200
    degraded    200   it serves what it knows, and something keeps it from knowing more

Degraded is no 503: what a chain endpoint or the network does not give one node it seldom
gives another, and a node that is taken away or restarted for it answers nobody. Whoever
wants to be strict reads ``status``; the reasons say what is wrong.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence

import msgspec

from fondaco.api.pages import Page
from fondaco.metrics import Source


class Status(enum.Enum):
    """How the node is. The value is what ``status`` says."""

    STARTING = "starting"
    OK = "ok"
    DEGRADED = "degraded"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, in the spelling of the wire."""

    status: str
    reasons: tuple[str, ...]
    """Sentences; none when ``status`` is ``ok``."""
    version: str
    peerID: str


STARTING_REASON = "the node is starting: stored orders are being brought up to date"


class HealthPage:
    """The page (a ``pages.MakePage``).

    Args:
        ready: set when the node has started.
        sources: asked for their troubles.
    """

    def __init__(
        self,
        ready: asyncio.Event,
        sources: Sequence[Source],
        *,
        version: str,
        peer_id: str,
    ) -> None:
        self._ready = ready
        self._sources = sources
        self._version = version
        self._peer_id = peer_id

    def __call__(self, accept: str) -> Page:
        """Return how the node is; *accept* changes nothing."""
        reasons = tuple(said for source in self._sources for said in source.troubles())
        if not self._ready.is_set():
            status, reasons = Status.STARTING, (STARTING_REASON, *reasons)
        else:
            status = Status.DEGRADED if reasons else Status.OK
        health = Health(
            status=status.value, reasons=reasons, version=self._version, peerID=self._peer_id
        )
        return Page(
            status=503 if status is Status.STARTING else 200,
            body=msgspec.json.encode(health) + b"\n",
            content_type="application/json",
        )
