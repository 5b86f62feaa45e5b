"""What is counted of the network: names of ``Network.stats`` and what they are to the world.

    child: Counters frame --.
    main:  LinkedNetwork ---+--> stats() --ROWS--> samples

A name that no row has is not shown: add a row. A network without peers has zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from fondaco.metrics import Family, Kind, Metric, Sample
from fondaco.p2p.pubsub.counters import Counters
from fondaco.p2p.scores import Offence

_FAMILY = Family("fondaco_p2p_")

UP = _FAMILY.gauge("up", "Whether the p2p process runs (1); 0 while it does not, or peers are off.")
RESTARTS = _FAMILY.counter("restarts", "Times the p2p process has ended and was started again.")
PEERS = _FAMILY.gauge("peers", "Peers connected.")
KNOWN_PEERS = _FAMILY.gauge(
    "known_peers", "Peers whose addresses are remembered, connected or not."
)
CONNECTIONS = _FAMILY.gauge("connections", "Connections open. A peer may have two.")
STREAMS = _FAMILY.gauge("streams", "Streams open that peers have opened.")
OPENED = _FAMILY.counter(
    "connections_opened", "Connections that were taken up, in either direction."
)
CLOSED = _FAMILY.counter(
    "connections_closed", "Of those, connections that have ended for any reason."
)
REFUSED = _FAMILY.counter(
    "connections_refused", "Connections of denied or banned peers, or over a limit, closed at once."
)
HANDSHAKES_FAILED = _FAMILY.counter(
    "handshakes_failed", "Inbound sockets that did not prove in time who is there."
)
DIALS = _FAMILY.counter("dials", "Addresses dialled.")
DIALS_FAILED = _FAMILY.counter("dials_failed", "Of them, those where the peer was not reached.")
PEERS_NAMED = _FAMILY.counter("peers_named", "Peers that other peers have told of.")
RECEIVED_BYTES = _FAMILY.counter("received_bytes", "Bytes read from streams of peers.")
SENT_BYTES = _FAMILY.counter("sent_bytes", "Bytes written to streams of peers.")
MESSAGES = _FAMILY.counter(
    "messages",
    "Gossip messages and their ids, by what happened to them; the values are listed below.",
    "event",
)
DROPPED = _FAMILY.counter(
    "dropped_messages",
    "Gossip messages dropped: flood (over the sender's budget), crowded (too many wait for a "
    "verdict), slow-peer (out of a full queue to it).",
    "reason",
)
OFFENCES = _FAMILY.counter(
    "offences", "What peers did that no honest program does, or seldom.", "offence"
)
BANS = _FAMILY.counter("bans", "Peers banned, by the offence that was the last straw.", "offence")
BANNED = _FAMILY.gauge("banned", "Bans of peers and addresses in force.")
DISCONNECTS = _FAMILY.counter(
    "disconnects",
    "Connections closed by us: banned, frozen (no answer to a ping), flow-violation (more sent "
    "than the window allows), gossip-lost (its gossip stream broke).",
    "reason",
)
REQUESTS = _FAMILY.counter("requests", "Requests to peers (out) and of peers (in).", "direction")
REQUESTS_UNDERWAY = _FAMILY.gauge(
    "requests_underway",
    "Requests that wait for an answer: of peers (out), of us (in).",
    "direction",
)
GUARDS = _FAMILY.counter(
    "guards",
    "Times a limit held: streams-refused, handlers-stopped (too slow), handler-errors, "
    "readers-paused (verdicts are due), answers-unread, pings-held-up (too many), "
    "pings-late (but the peer spoke).",
    "kind",
)
PINGS = _FAMILY.counter("pings_answered", "Pings that peers answered in time.")
RELAY_PLACES = _FAMILY.gauge(
    "relay_places",
    "Places at relays that we hold (ours), places at us that peers hold (theirs).",
    "whose",
)
RELAY_CIRCUITS = _FAMILY.gauge("relay_circuits", "Circuits between two peers that run through us.")
RELAY_BYTES = _FAMILY.counter("relay_bytes", "Bytes passed on in such circuits.")
RELAY_EVENTS = _FAMILY.counter(
    "relay_events",
    "As a relay's client: place-got, place-refused, circuit-dialled, circuit-accepted, "
    "circuit-refused. As a relay: place-given, circuit-made, refusal, circuit-too-large, "
    "circuit-too-long.",
    "event",
)
REGISTRATIONS = _FAMILY.gauge(
    "registrations", "Peers registered with us under a name to be found by."
)
RENDEZVOUS_EVENTS = _FAMILY.counter(
    "rendezvous_events",
    "At other nodes: registered, not-registered, met (a peer was found under our names), false "
    "(told of one that has signed nothing). Here: question, refusal.",
    "event",
)
MDNS = _FAMILY.counter(
    "mdns",
    "On the local network: answer (we said where we are), unsent (we could not), peer (one was "
    "told of), ignored (a packet that was none, or over the budget).",
    "event",
)
UPNP_PORTS = _FAMILY.gauge("upnp_ports", "Ports of the router that lead to this node.")
UPNP = _FAMILY.counter("upnp", "Times the router mapped or renewed a port, or did not.", "outcome")
QUEUED_MESSAGES = _FAMILY.gauge(
    "queued_messages",
    "Gossip messages waiting: to-peers, unjudged (for a verdict), unread (by the main process), "
    "unsent (ours, not yet taken by the p2p process).",
    "queue",
)
QUEUED_BYTES = _FAMILY.gauge(
    "queued_bytes", "Bytes waiting: to-peers, to-main (process), to-child (p2p process).", "queue"
)


class Row(msgspec.Struct, frozen=True):
    """A name of ``Network.stats`` and the sample it becomes."""

    key: str
    metric: Metric
    labels: tuple[str, ...] = ()


_DROPPED_BY = {"flood": "flood", "crowded": "crowded", "dropped": "slow-peer"}
"""Field of the router's counters -> reason."""

# fmt: off
ROWS: tuple[Row, ...] = (
    Row("is-up", UP),
    Row("restarts", RESTARTS),
    Row("peers", PEERS),
    Row("known-peers", KNOWN_PEERS),
    Row("connections", CONNECTIONS),
    Row("streams", STREAMS),
    Row("connections-opened", OPENED),
    Row("connections-closed", CLOSED),
    Row("connections-refused", REFUSED),
    Row("handshakes-failed", HANDSHAKES_FAILED),
    Row("dials", DIALS),
    Row("dials-failed", DIALS_FAILED),
    Row("peers-named", PEERS_NAMED),
    Row("bytes-in", RECEIVED_BYTES),
    Row("bytes-out", SENT_BYTES),
    *(
        Row(f"gossip-{field}", MESSAGES, (field,))
        for field in Counters.__struct_fields__ if field not in _DROPPED_BY
    ),
    *(Row(f"gossip-{field}", DROPPED, (reason,)) for field, reason in _DROPPED_BY.items()),
    *(Row(f"offence-{offence.value}", OFFENCES, (offence.value,)) for offence in Offence),
    *(Row(f"ban-{offence.value}", BANS, (offence.value,)) for offence in Offence),
    Row("banned", BANNED),
    Row("bans", DISCONNECTS, ("banned",)),
    Row("frozen-peers", DISCONNECTS, ("frozen",)),
    Row("flow-violations", DISCONNECTS, ("flow-violation",)),
    Row("gossip-streams-lost", DISCONNECTS, ("gossip-lost",)),
    Row("requests", REQUESTS, ("out",)),
    Row("inbound-requests", REQUESTS, ("in",)),
    Row("requests-underway", REQUESTS_UNDERWAY, ("out",)),
    Row("answering", REQUESTS_UNDERWAY, ("in",)),
    Row("streams-refused", GUARDS, ("streams-refused",)),
    Row("handlers-stopped", GUARDS, ("handlers-stopped",)),
    Row("handler-errors", GUARDS, ("handler-errors",)),
    Row("readers-paused", GUARDS, ("readers-paused",)),
    Row("answers-unread", GUARDS, ("answers-unread",)),
    Row("pings-held-up", GUARDS, ("pings-held-up",)),
    Row("pings-late", GUARDS, ("pings-late",)),
    Row("pings-answered", PINGS),
    Row("registrations", REGISTRATIONS),
    Row("registrations-made", RENDEZVOUS_EVENTS, ("registered",)),
    Row("registrations-refused", RENDEZVOUS_EVENTS, ("not-registered",)),
    Row("peers-met", RENDEZVOUS_EVENTS, ("met",)),
    Row("registrations-false", RENDEZVOUS_EVENTS, ("false",)),
    Row("rendezvous-questions", RENDEZVOUS_EVENTS, ("question",)),
    Row("rendezvous-refusals", RENDEZVOUS_EVENTS, ("refusal",)),
    Row("mdns-answers", MDNS, ("answer",)),
    Row("mdns-unsent", MDNS, ("unsent",)),
    Row("mdns-peers", MDNS, ("peer",)),
    Row("mdns-ignored", MDNS, ("ignored",)),
    Row("upnp-ports", UPNP_PORTS),
    Row("upnp-mappings", UPNP, ("mapped",)),
    Row("upnp-failures", UPNP, ("failed",)),
    Row("reservations", RELAY_PLACES, ("ours",)),
    Row("relay-reservations", RELAY_PLACES, ("theirs",)),
    Row("relay-circuits", RELAY_CIRCUITS),
    Row("relay-bytes", RELAY_BYTES),
    Row("reservations-made", RELAY_EVENTS, ("place-got",)),
    Row("reservations-refused", RELAY_EVENTS, ("place-refused",)),
    Row("circuits-dialled", RELAY_EVENTS, ("circuit-dialled",)),
    Row("circuits-accepted", RELAY_EVENTS, ("circuit-accepted",)),
    Row("circuits-refused", RELAY_EVENTS, ("circuit-refused",)),
    Row("relay-reservations-made", RELAY_EVENTS, ("place-given",)),
    Row("relay-circuits-made", RELAY_EVENTS, ("circuit-made",)),
    Row("relay-refusals", RELAY_EVENTS, ("refusal",)),
    Row("relay-circuits-too-large", RELAY_EVENTS, ("circuit-too-large",)),
    Row("relay-circuits-too-long", RELAY_EVENTS, ("circuit-too-long",)),
    Row("queued-messages", QUEUED_MESSAGES, ("to-peers",)),
    Row("unjudged", QUEUED_MESSAGES, ("unjudged",)),
    Row("unread-messages", QUEUED_MESSAGES, ("unread",)),
    Row("unsent-messages", QUEUED_MESSAGES, ("unsent",)),
    Row("queued-bytes", QUEUED_BYTES, ("to-peers",)),
    Row("link-queued-bytes", QUEUED_BYTES, ("to-main",)),
    Row("queued-bytes-to-child", QUEUED_BYTES, ("to-child",)),
)
# fmt: on
"""Name in ``Network.stats`` -> sample."""

METRICS: tuple[Metric, ...] = tuple({row.metric.name: row.metric for row in ROWS}.values())

NOT_SHOWN: dict[str, str] = {
    "messages": "gossip-delivered, as the main process sees it",
    "published": "gossip-published, as the main process sees it",
}
"""Names that no sample comes of -> why."""

LEVELS = frozenset(row.key for row in ROWS if row.metric.kind is Kind.GAUGE)
"""Names of levels: what a p2p process held when it died is gone. Everything else counts."""


class Measured(Protocol):
    """``network.Network``, as far as it matters here."""

    @property
    def is_available(self) -> bool: ...

    def stats(self) -> Mapping[str, int]: ...


class NetworkMetrics:
    """The network as a ``metrics.Source``."""

    metrics: Sequence[Metric] = METRICS

    def __init__(self, network: Measured) -> None:
        self._network = network

    def samples(self) -> Iterator[Sample]:
        """Yield the values of this moment."""
        stats = self._network.stats()
        for row in ROWS:
            yield Sample(row.metric, stats.get(row.key, 0), row.labels)

    def troubles(self) -> list[str]:
        """Return what is wrong at this moment, a sentence each."""
        if self._network.is_available and not self._network.stats().get("is-up", 0):
            return ["the p2p process is not running; it will be started again"]
        return []
