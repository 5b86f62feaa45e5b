"""What a run has shown, in numbers. Pure.

sightings, readings before and after --> Report --> a table, or one JSON object
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fondaco.lab.percentiles import Spread, spread
from fondaco.lab.sightings import Sightings


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself at one moment, and what its processes use."""

    peers: int
    bytes_in: int
    """Of all streams with peers, before encryption."""
    bytes_out: int
    gossip_new: int
    """Orders that were new when gossip brought them."""
    fetched: int
    """Orders that were new when order sync brought them."""
    rounds: int
    """Messages of reconciliation sent, of sessions that this node has begun."""
    reconciliation_bytes: int
    """Both ways, of those sessions, without orders."""
    order_bytes: int
    """Of orders fetched, as they travel."""
    dials_failed: int
    bans: int
    cpu_seconds: float | None = None
    memory_mb: float | None = None
    """Both of node and p2p process; None where its process is not known."""

    def since(self, before: Reading) -> Reading:
        """Return what has come since *before*; peers and memory as they are now."""
        counted = {
            name: getattr(self, name) - getattr(before, name)
            for name in self.__struct_fields__
            if name not in {"peers", "cpu_seconds", "memory_mb"}
        }
        cpu = None
        if self.cpu_seconds is not None and before.cpu_seconds is not None:
            cpu = self.cpu_seconds - before.cpu_seconds
        return msgspec.structs.replace(self, **counted, cpu_seconds=cpu)


class NodeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One node's part."""

    node: str
    peers: int
    posted: int
    """Orders that were posted to it."""
    held: int
    """Of the orders posted anywhere."""
    by_gossip: int
    by_sync: int
    p50_ms: float | None
    p99_ms: float | None
    """From posting an order elsewhere to this node's telling of it."""
    bytes_in: int
    bytes_out: int
    reconciliation_rounds: int
    dials_failed: int
    bans: int
    cpu_ms_per_order: float | None
    memory_mb: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run. Times are milliseconds where their name says so, else seconds."""

    nodes: int
    orders: int
    coverage: float
    """Share of the pairs of a node and an order at which the node told of the order."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    most_ms: float | None
    """From the client's posting of an order to its being told of at another node."""
    accepted_p50_ms: float | None
    accepted_p99_ms: float | None
    """From posting to being told of at the node it was posted to; part of the above."""
    bytes_per_order: float | None
    """Read from peers by an average node for each order, of everything."""
    gossip_share: float | None
    """Of the arrivals at other nodes, those by gossip."""
    reconciliation_rounds: int
    reconciliation_bytes: int
    sync_share: float | None
    order_bytes: int
    """Of orders that order sync fetched, as they travel."""
    refused: int
    """Orders that the node they were posted to did not take."""
    digests_equal: bool
    seconds_to_equal: float | None
    """From the last acceptance, or the end of a partition if later, to equal digests."""
    duration_s: float
    """From the first posting to the last order's being told of."""
    orders_per_second: float | None
    """Over that time."""
    cpu_ms_per_order_and_node: float | None
    memory_mb: float | None
    """Of the largest node."""
    seed: int | None = None
    degree: int | None = None
    links: int | None = None
    latency_ms: float = 0.0
    loss: float = 0.0
    rate: float | None = None
    partition_s: float = 0.0
    gossip: bool = True
    order_sync: bool = True
    per_node: Sequence[NodeFigures]


class Equality(msgspec.Struct, frozen=True, kw_only=True):
    """Whether all nodes came to hold the same."""

    is_reached: bool
    seconds: float | None = None
    """Since the moment from which it was waited for."""


def report(
    sightings: Sightings,
    names: Sequence[str],
    before: Sequence[Reading],
    after: Sequence[Reading],
    equality: Equality,
    **conditions: object,
) -> Report:
    """Return the figures of a run.

    Args:
        names: of the nodes; the readings are in the same sequence.
        conditions: fields of Report that say under what conditions it ran.
    """
    spent = [late.since(early) for early, late in zip(before, after, strict=True)]
    arrivals, orders, nodes = sightings.arrivals(), sightings.orders, sightings.nodes
    waits, accepted = spread(sightings.waits()), spread(sightings.acceptances())
    duration = max(0.0, sightings.last_seen - sightings.first_posted)
    return msgspec.convert(
        {
            "nodes": nodes,
            "orders": orders,
            "coverage": sightings.pairs / (orders * nodes),
            **_milliseconds(waits, ("p50", "p95", "p99", "most")),
            **_milliseconds(accepted, ("p50", "p99"), prefix="accepted_"),
            "bytes_per_order": round(_sum(spent, "bytes_in") / nodes / orders, 1),
            "gossip_share": _share(_sum(spent, "gossip_new"), arrivals),
            "sync_share": _share(_sum(spent, "fetched"), arrivals),
            "reconciliation_rounds": _sum(spent, "rounds"),
            "reconciliation_bytes": _sum(spent, "reconciliation_bytes"),
            "order_bytes": _sum(spent, "order_bytes"),
            "refused": len(sightings.refusals),
            "digests_equal": equality.is_reached,
            "seconds_to_equal": _rounded(equality.seconds),
            "duration_s": round(duration, 3),
            "orders_per_second": round(orders / duration, 1) if duration else None,
            "cpu_ms_per_order_and_node": _average_cpu(spent, orders),
            "memory_mb": _largest([one.memory_mb for one in after]),
            "per_node": [
                _node_figures(sightings, node, names[node], one) for node, one in enumerate(spent)
            ],
            **conditions,
        },
        Report,
    )


def _node_figures(sightings: Sightings, node: int, name: str, spent: Reading) -> NodeFigures:
    waits = spread(sightings.waits(node))
    return NodeFigures(
        node=name,
        peers=spent.peers,
        posted=sightings.posted_to(node),
        held=sightings.count(node),
        by_gossip=spent.gossip_new,
        by_sync=spent.fetched,
        p50_ms=_in_ms(waits.p50),
        p99_ms=_in_ms(waits.p99),
        bytes_in=spent.bytes_in,
        bytes_out=spent.bytes_out,
        reconciliation_rounds=spent.rounds,
        dials_failed=spent.dials_failed,
        bans=spent.bans,
        cpu_ms_per_order=_average_cpu([spent], sightings.orders),
        memory_mb=_rounded(spent.memory_mb, 1),
    )


def _milliseconds(found: Spread, which: Sequence[str], prefix: str = "") -> dict[str, float | None]:
    return {f"{prefix}{name}_ms": _in_ms(getattr(found, name)) for name in which}


def _in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1_000 * seconds, 1)


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def _sum(spent: Sequence[Reading], name: str) -> int:
    return sum(getattr(one, name) for one in spent)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _average_cpu(spent: Sequence[Reading], orders: int) -> float | None:
    known = [one.cpu_seconds for one in spent if one.cpu_seconds is not None]
    return round(1_000 * sum(known) / len(known) / orders, 3) if known else None


def _largest(values: Sequence[float | None]) -> float | None:
    return _rounded(max((value for value in values if value is not None), default=None), 1)
