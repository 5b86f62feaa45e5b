"""What is measured of the token orders and of what is shared with peers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from fondaco.errors import Verdict
from fondaco.metrics import Family, Metric, Sample
from fondaco.zeroex.admission import Origin
from fondaco.zeroex.agreement import Agreements, AgreementState
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.gossip import GossipStats
from fondaco.zeroex.lifecycle import EndState
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.ordersync import SyncStats
from fondaco.zeroex.stats import WatchState
from fondaco.zeroex.tally import Tally
from fondaco.zeroex.watch_index import Census

_FAMILY = Family("fondaco_")

ORDERS = _FAMILY.gauge(
    "orders",
    "Stored orders: live (on offer), removed (kept in case the chain reorganises).",
    "version",
    "state",
)
PINNED = _FAMILY.gauge(
    "orders_pinned", "Of them, those that never make room for others.", "version"
)
ADDED = _FAMILY.counter(
    "orders_added",
    "Orders that were new, by the door: local (a client), gossip, sync. The share that came by "
    "gossip alone is gossip / (gossip + sync).",
    "origin",
)
REFUSED = _FAMILY.counter(
    "orders_refused", "Orders not taken, by the door and the code a client reads.", "origin", "code"
)
EVENTS = _FAMILY.counter("order_events", "Order events committed, by end state.", "end_state")
LAST_SEQUENCE = _FAMILY.gauge(
    "last_sequence", "Sequence of the newest order event, restarts included."
)
SUBSCRIBERS = _FAMILY.gauge("subscribers", "Clients that follow order events.")
WAITING = _FAMILY.gauge("orders_waiting", "Stored orders that wait to be looked at on the chain.")

PEERS = _FAMILY.gauge(
    "peers", "Connected peers by how their orders stand to ours: agrees, differs, unknown.", "state"
)
DIFFERING = _FAMILY.gauge(
    "orders_differing",
    "Orders that only one side holds, over all peers at their last comparison; explained: refused "
    "by whoever lacks them.",
    "explained",
)
STAYING = _FAMILY.gauge("peers_staying_different", "Peers that have stayed different and still do.")
STAYED = _FAMILY.counter("peers_stayed_different", "Times a peer was found to stay different.")

GOSSIP_SENT = _FAMILY.counter(
    "gossip_messages_sent", "Batches of orders published, once for each topic."
)
GOSSIP_SENT_BYTES = _FAMILY.counter("gossip_sent_bytes", "Bytes of those batches.")
GOSSIP_RECEIVED_BYTES = _FAMILY.counter(
    "gossip_received_bytes", "Bytes of batches received, each counted once however often it came."
)
GOSSIP_VERDICTS = _FAMILY.counter(
    "gossip_verdicts",
    "Batches received, by verdict: accept (passed on), ignore, reject (the sender pays).",
    "verdict",
)
GOSSIP_ORDERS = _FAMILY.counter(
    "gossip_orders",
    "Orders by what gossip did with them: published, dropped (of ours, for want of room), "
    "received, new (received and stored).",
    "fate",
)

SESSIONS = _FAMILY.counter("sync_sessions", "Reconciliations with a peer that we have begun.")
SESSIONS_FAILED = _FAMILY.counter(
    "sync_sessions_failed", "Of them, those that did not come to their end; they are tried again."
)
DIALOGUES = _FAMILY.counter("sync_dialogues", "Sets compared in them.")
ROUNDS = _FAMILY.counter("sync_rounds", "Questions and answers that took.")
SYNC_SENT = _FAMILY.counter("sync_sent_bytes", "Bytes of reconciliation sent, without orders.")
SYNC_RECEIVED = _FAMILY.counter(
    "sync_received_bytes", "Bytes of reconciliation received, likewise."
)
SYNC_ORDERS = _FAMILY.counter(
    "sync_orders",
    "Orders that peers named: new (stored), refused, withheld (named and not delivered); and "
    "offered (by us to them).",
    "fate",
)
SYNC_ORDER_BYTES = _FAMILY.counter(
    "sync_order_bytes", "Bytes of frames of orders: in (fetched), out (handed out).", "direction"
)
SERVED = _FAMILY.counter(
    "sync_requests_served", "Requests of peers answered: greet, compare, offer, orders.", "kind"
)

# fmt: off
METRICS: tuple[Metric, ...] = (
    ORDERS, PINNED, ADDED, REFUSED, EVENTS, LAST_SEQUENCE, SUBSCRIBERS, WAITING,
    PEERS, DIFFERING, STAYING, STAYED,
    GOSSIP_SENT, GOSSIP_SENT_BYTES, GOSSIP_RECEIVED_BYTES, GOSSIP_VERDICTS, GOSSIP_ORDERS,
    SESSIONS, SESSIONS_FAILED, DIALOGUES, ROUNDS, SYNC_SENT, SYNC_RECEIVED,
    SYNC_ORDERS, SYNC_ORDER_BYTES, SERVED,
)
# fmt: on

_CODES = tuple(dict.fromkeys(code.code for code in RejectionCode))
_SERVED = ("greet", "compare", "offer", "orders")


class OrderMetrics:
    """The book as a ``metrics.Source``."""

    metrics: Sequence[Metric] = METRICS[: METRICS.index(PEERS)]

    def __init__(
        self,
        *,
        census: Mapping[ProtocolVersion, Census],
        tally: Tally,
        refused: Mapping[tuple[Origin, str], int],
        feed: Callable[[], tuple[int, int]],
        watcher: WatchState,
    ) -> None:
        """*feed* returns the number of subscribers and the last sequence; the others are
        looked at anew each time."""
        self._census = census
        self._tally = tally
        self._refused = refused
        self._feed = feed
        self._watcher = watcher

    def samples(self) -> Iterator[Sample]:
        """Yield the values of this moment."""
        for version, census in self._census.items():
            yield Sample(ORDERS, census.stored - census.removed, (f"v{version}", "live"))
            yield Sample(ORDERS, census.removed, (f"v{version}", "removed"))
            yield Sample(PINNED, census.pinned, (f"v{version}",))
        for origin in Origin:
            yield Sample(ADDED, self._tally.added[origin], (origin.value,))
            for code in _CODES:
                yield Sample(REFUSED, self._refused.get((origin, code), 0), (origin.value, code))
        for end_state in EndState:
            yield Sample(EVENTS, self._tally.events[end_state.value], (end_state.value,))
        subscribers, last_sequence = self._feed()
        yield Sample(LAST_SEQUENCE, last_sequence)
        yield Sample(SUBSCRIBERS, subscribers)
        yield Sample(WAITING, self._watcher.due_count)

    def troubles(self) -> list[str]:
        """Return why stored orders wait, if they do."""
        problem, waiting = self._watcher.last_error, self._watcher.due_count
        if problem is None or not waiting:
            return []
        return [f"{waiting} orders wait to be looked at: {problem}"]


class SharingMetrics:
    """What is shared with peers, as a ``metrics.Source``."""

    metrics: Sequence[Metric] = METRICS[METRICS.index(PEERS) :]

    def __init__(
        self,
        *,
        states: Callable[[], Mapping[AgreementState, int]],
        agreements: Agreements,
        gossip: Callable[[], GossipStats],
        sync: Callable[[], SyncStats],
        served: Mapping[str, int],
    ) -> None:
        """*states* returns how many peers are in each; *served* counts requests answered,
        and under ``bytes`` what was handed out."""
        self._states = states
        self._agreements = agreements
        self._gossip = gossip
        self._sync = sync
        self._served = served

    def samples(self) -> Iterator[Sample]:
        """Yield the values of this moment."""
        states = self._states()
        for state in AgreementState:
            yield Sample(PEERS, states.get(state, 0), (state.value,))
        explained, unexplained = self._agreements.differences
        yield Sample(DIFFERING, explained, ("true",))
        yield Sample(DIFFERING, unexplained, ("false",))
        yield Sample(STAYING, self._agreements.staying)
        yield Sample(STAYED, self._agreements.stayed_different)
        yield from self._of_gossip(self._gossip())
        yield from self._of_sync(self._sync())
        for kind in _SERVED:
            yield Sample(SERVED, self._served.get(kind, 0), (kind,))

    def troubles(self) -> list[str]:
        """Nothing: that a peer differs is told of the peer, not of this node."""
        return []

    def _of_gossip(self, stats: GossipStats) -> Iterator[Sample]:
        yield Sample(GOSSIP_SENT, stats.messagesPublished)
        yield Sample(GOSSIP_SENT_BYTES, stats.bytesPublished)
        yield Sample(GOSSIP_RECEIVED_BYTES, stats.bytesReceived)
        yield Sample(GOSSIP_VERDICTS, stats.messagesAccepted, (Verdict.ACCEPT.value,))
        yield Sample(GOSSIP_VERDICTS, stats.messagesIgnored, (Verdict.IGNORE.value,))
        yield Sample(GOSSIP_VERDICTS, stats.messagesRejected, (Verdict.REJECT.value,))
        yield Sample(GOSSIP_ORDERS, stats.ordersPublished, ("published",))
        yield Sample(GOSSIP_ORDERS, stats.ordersDropped, ("dropped",))
        yield Sample(GOSSIP_ORDERS, stats.ordersReceived, ("received",))
        yield Sample(GOSSIP_ORDERS, stats.ordersNew, ("new",))

    def _of_sync(self, stats: SyncStats) -> Iterator[Sample]:
        yield Sample(SESSIONS, stats.sessions)
        yield Sample(SESSIONS_FAILED, stats.sessionsFailed)
        yield Sample(DIALOGUES, stats.dialogues)
        yield Sample(ROUNDS, stats.rounds)
        yield Sample(SYNC_SENT, stats.bytesSent)
        yield Sample(SYNC_RECEIVED, stats.bytesReceived)
        yield Sample(SYNC_ORDERS, stats.ordersFetched, ("new",))
        yield Sample(SYNC_ORDERS, stats.ordersRefused, ("refused",))
        yield Sample(SYNC_ORDERS, stats.ordersWithheld, ("withheld",))
        yield Sample(SYNC_ORDERS, stats.ordersOffered, ("offered",))
        yield Sample(SYNC_ORDER_BYTES, stats.orderBytesReceived, ("in",))
        yield Sample(SYNC_ORDER_BYTES, self._served.get("bytes", 0), ("out",))
