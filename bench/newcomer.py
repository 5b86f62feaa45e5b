"""A node that starts with nothing and fetches everything from one peer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import aiohttp

from bench.processes import ask_until, cpu_seconds
from bench.world import (
    GET_PEERS,
    GET_STATS,
    PEERS,
    RunningNode,
    add_peer_call,
    open_node,
    post,
)
from fondaco.devnet.chain import Devnet

PATIENCE = 300.0
"""Seconds until the measurement is given up."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """How it went."""

    seconds: float
    """From the word to connect until every order was validated and stored."""
    agreed: float
    """From then on until both had compared their books and found them the same."""
    peak_memory_mb: float
    """Of the main process."""
    main_cpu: float
    """Seconds of a core: the newcomer's main process."""
    child_cpu: float
    """And its p2p process."""
    giver_cpu: float
    """And both of the node that gave."""
    order_bytes: int
    """Received, as they were on the wire: compressed."""
    reconcile_bytes: int
    """Both ways, to find out what was missing."""


async def arrive(
    devnet: Devnet, session: aiohttp.ClientSession, giver: RunningNode, orders: int
) -> Arrival:
    """Let a fresh node fetch all *orders* of *giver*.

    Raises:
        TimeoutError: it has not got them.
    """
    async with open_node(devnet, **PEERS) as node:
        child = node.child_pid()
        givers = (giver.pid, giver.child_pid())
        given = sum(map(cpu_seconds, givers))
        spent = cpu_seconds(node.pid), cpu_seconds(child)
        started = time.perf_counter()
        await post(session, node.http, add_peer_call(giver))
        await ask_until(
            partial(post, session, node.http, GET_STATS),
            lambda stats: bool(stats["numOrders"] == orders),
            patience=PATIENCE,
        )
        stored = time.perf_counter()
        cpu = cpu_seconds(node.pid) - spent[0], cpu_seconds(child) - spent[1]
        giver_cpu = sum(map(cpu_seconds, givers)) - given
        peers = await ask_until(
            partial(post, session, node.http, GET_PEERS),
            lambda answer: bool(answer["peers"][0]["state"] == "agrees"),
            patience=PATIENCE,
        )
        sync = peers["sync"]
        return Arrival(
            seconds=stored - started,
            agreed=time.perf_counter() - stored,
            peak_memory_mb=node.peak_memory_mb(),
            main_cpu=cpu[0],
            child_cpu=cpu[1],
            giver_cpu=giver_cpu,
            order_bytes=sync["orderBytesReceived"],
            reconcile_bytes=sync["bytesSent"] + sync["bytesReceived"],
        )
