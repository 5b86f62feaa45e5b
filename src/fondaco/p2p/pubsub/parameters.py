"""The numbers of a GossipSub router; those of the specification where nothing is said."""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any, Protocol

import msgspec

from fondaco.p2p import limits


class Chance(Protocol):
    """Where choices come from; ``random.Random`` is one."""

    def shuffle(self, x: MutableSequence[Any], /) -> None: ...


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """How many neighbours, how often, how long."""

    degree: int = 6
    """Peers wanted in the mesh of a topic (D)."""
    degree_low: int = 4
    """Fewer are filled up."""
    degree_high: int = 12
    """More are cut back to ``degree``."""
    degree_lazy: int = 6
    """Peers outside of the mesh that are told at a heartbeat, at least; and at least so many
    that everyone hears of every message once (our own rule: stock routers leave it to luck)."""
    degree_score: int = 4
    """When the mesh is cut back: kept for their score, the others by lot."""
    degree_outbound: int = 2
    """Peers in the mesh that we dialled ourselves: an attacker can dial us, not be dialled."""

    heartbeat: float = 1.0
    """Seconds."""
    history: int = 15
    """Heartbeats for which a message can be asked for. The specification's 5 would be over
    before a second and third request (``promise_seconds``)."""
    gossip_windows: int = 3
    """Heartbeats for which a message is announced."""

    prune_backoff: float = 60.0
    """Seconds before a pruned peer may graft again."""
    unsubscribe_backoff: float = 10.0
    """The same where we left the topic."""
    backoff_slack: float = 1.0
    """Seconds added where we are the one who waits: clocks and heartbeats differ."""
    fanout_seconds: float = 60.0
    """For which messages of a topic we only publish to are announced."""
    promise_seconds: float = 3.0
    """Until a message that was asked for must have come."""
    exchanged_peers: int = 16
    """Peers named in a PRUNE."""

    opportunistic_beats: int = 60
    """Heartbeats between looks for better neighbours."""
    opportunistic_score: float = 0.5
    """Median score of a mesh below which better neighbours are looked for."""
    opportunistic_peers: int = 2
    """Grafted then."""

    messages_per_second: float = limits.MESSAGES_PER_SECOND
    messages_burst: float = limits.MESSAGES_BURST
    flood_size: int = limits.FLOOD_SIZE
