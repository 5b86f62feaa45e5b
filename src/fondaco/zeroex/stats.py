"""``mesh_getStats``: what the node is, how full it is, how current it is.

The fields of 0x Mesh v6 to v9.4.3 under all their names, and a few of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Protocol

import msgspec

from fondaco.chain.budget import RpcBudget
from fondaco.chain.metrics import ChainState
from fondaco.clock import Clock, rfc3339
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.peer_reports import PeerReport, SetDigest
from fondaco.zeroex.trading import Trading

NO_BLOCK_HASH = "0x" + "00" * 32


class LatestBlock(msgspec.Struct, frozen=True, kw_only=True):
    """The newest block the node has seen; zeros before the first, as in v6."""

    number: int = 0
    hash: str = NO_BLOCK_HASH


class AddedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Orders that were new since the start of the node, by the door they came through."""

    local: int
    """From clients of this node."""
    gossip: int
    sync: int
    """By reconciliation, or Mesh's order sync."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, in the spelling of the wire."""

    version: str
    pubSubTopic: str
    rendervous: str
    """v5 to v7 spelled it so."""
    rendezvous: str
    secondaryRendezvous: list[str]
    pubSubTopics: list[str]
    peerID: str
    ethereumChainID: int
    latestBlock: LatestBlock
    numPeers: int
    numOrders: int
    numOrdersIncludingRemoved: int
    numPinnedOrders: int
    maxExpirationTime: str
    startOfCurrentUTCDay: str
    ethRPCRequestsSentInCurrentUTCDay: int
    ethRPCRateLimitExpiredRequests: int
    ethRPCSecondsSinceLastAnswer: float
    """How stale the node's view of the chain is."""
    ethRPCLastError: str | None
    """What the last poll failed of; null when it did not."""
    ordersWaitingForChain: int
    """Stored orders that something has touched and that could not be looked at yet."""
    ordersWaitingBecause: str | None
    """What the endpoint or the disk said to the last attempt; null when none waits."""
    ordersAddedBy: AddedBy
    """The share that came by gossip alone is gossip / (gossip + sync)."""
    subscribers: int
    lastSequence: int
    """Sequence of the newest order event: what to give as ``since`` later."""
    peers: Sequence[PeerReport] = ()
    """Who is connected, and whether each holds the same orders."""
    setDigests: Sequence[SetDigest] = ()
    """Of our orders, for each protocol version and filter."""


class BookState(Protocol):
    """What is asked of the book. ``watch_index.WatchIndex`` counts as it goes: the store
    would walk all orders for it."""

    @property
    def count(self) -> int: ...

    @property
    def removed_count(self) -> int: ...

    @property
    def pinned_count(self) -> int: ...


class WatchState(Protocol):
    """What is asked of the order watcher."""

    @property
    def due_count(self) -> int: ...

    @property
    def last_error(self) -> str | None: ...


class PeerState(Protocol):
    """What is asked about peers. ``peer_reports.PeerReports`` satisfies it."""

    @property
    def count(self) -> int: ...

    def peers(self) -> Sequence[PeerReport]: ...

    def digests(self) -> Sequence[SetDigest]: ...


class NodeStats:
    """Puts the statistics together."""

    def __init__(
        self,
        *,
        book: BookState,
        blocks: ChainState,
        watcher: WatchState,
        budget: RpcBudget,
        clock: Clock,
        trading: Trading,
        peer_id: str,
        max_expiration: Callable[[], int],
        feed: Callable[[], tuple[int, int]],
        added: Mapping[Origin, int],
        peers: PeerState | None = None,
    ) -> None:
        """*feed* returns the number of subscribers and the last sequence; *added* counts new
        orders by their door; without *peers* the node has none."""
        self._peers = peers
        self._book = book
        self._blocks = blocks
        self._watcher = watcher
        self._budget = budget
        self._clock = clock
        self._trading = trading
        self._peer_id = peer_id
        self._max_expiration = max_expiration
        self._feed = feed
        self._added = added
        # Asked once: it reads the installed package's files.
        self._version = version("fondaco")

    def get(self) -> Stats:
        """Return the statistics of this moment."""
        book = self._book
        budget = self._budget.snapshot(self._clock.now_ns())
        head = self._blocks.head
        subscribers, last_sequence = self._feed()
        # v3 first: with both versions on, the single-valued fields are v3's.
        topics, rendezvous = list(self._trading.channels()), self._trading.rendezvous()
        return Stats(
            version=self._version,
            pubSubTopic=topics[0],
            rendervous=rendezvous[0],
            rendezvous=rendezvous[0],
            secondaryRendezvous=rendezvous[1:],
            pubSubTopics=topics,
            peerID=self._peer_id,
            ethereumChainID=self._trading.chain_id,
            latestBlock=(
                LatestBlock()
                if head is None
                else LatestBlock(number=head.number, hash=f"0x{head.hash.hex()}")
            ),
            numPeers=0 if self._peers is None else self._peers.count,
            numOrders=book.count - book.removed_count,
            numOrdersIncludingRemoved=book.count,
            numPinnedOrders=book.pinned_count,
            maxExpirationTime=str(self._max_expiration()),
            startOfCurrentUTCDay=rfc3339(budget.start_of_utc_day_ns),
            ethRPCRequestsSentInCurrentUTCDay=budget.sent_today,
            ethRPCRateLimitExpiredRequests=budget.expired,
            ethRPCSecondsSinceLastAnswer=round(self._blocks.staleness, 3),
            ethRPCLastError=self._blocks.last_error,
            ordersWaitingForChain=self._watcher.due_count,
            ordersWaitingBecause=self._watcher.last_error,
            ordersAddedBy=AddedBy(
                **{origin.value: self._added.get(origin, 0) for origin in Origin}
            ),
            subscribers=subscribers,
            lastSequence=last_sequence,
            peers=() if self._peers is None else self._peers.peers(),
            setDigests=() if self._peers is None else self._peers.digests(),
        )
