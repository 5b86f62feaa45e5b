"""A block that touches 1,000 orders: from the block being seen to the event at a subscriber.

    anvil <--- relay <--- node ---> subscriber (WebSocket, this process)
                 '-- notes when a new block's header was handed to the node, and what it
                     asked for until the event was there

The orders sell one token of one maker. The maker gives all of it away: all 1,000 become
UNFUNDED; it comes back: all 1,000 are ADDED again.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from bench.figures import Figure
from bench.world import FAR, RunningNode, add_call, open_node, open_world, post
from fondaco.devnet import actions
from fondaco.devnet.actions import Action
from fondaco.devnet.chain import Devnet
from fondaco.devnet.offers import offer
from fondaco.devnet.traders import Traders
from fondaco.zeroex.asset_data import Erc20, encode
from fondaco.zeroex.order import Address, SignedOrder

ORDERS = 1_000

RUNS = 10
"""Blocks measured, after one pair to warm up."""

TARGET = 100.0
"""Milliseconds from the block being seen to the event (DESIGN.md, section 6)."""

STOCK = 10**24
"""Base units of each dummy token that an equipped trader has."""

COUNT_STATS = b'{"jsonrpc":"2.0","id":1,"method":"mesh_getStats","params":[]}'


@dataclass
class Relay:
    """Passes requests on to the chain, and takes notes."""

    target: str
    session: aiohttp.ClientSession
    methods: collections.Counter[str] = field(default_factory=collections.Counter)
    """Requests by method, since the last ``clear``."""
    seen_at: dict[int, float] = field(default_factory=dict)
    """Number of a block -> when its header had been handed to the node."""
    last_read: bytes = b""
    """The last ``eth_call``, as the node wrote it."""
    total: int = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        method = _method(body).method
        self.methods[method] += 1
        self.total += 1
        if method == "eth_call":
            self.last_read = body
        answer = await self.forward(body)
        response = web.Response(body=answer, content_type="application/json")
        await response.prepare(request)
        await response.write_eof()
        if method == "eth_getBlockByNumber":
            number = int(_header(answer).result.number, 16)
            self.seen_at.setdefault(number, time.perf_counter())
        return response

    async def forward(self, body: bytes) -> bytes:
        """Return the chain's answer to *body*."""
        headers = {"Content-Type": "application/json"}
        async with self.session.post(self.target, data=body, headers=headers) as answer:
            return await answer.read()


class _Call(msgspec.Struct):
    method: str


class _Number(msgspec.Struct):
    number: str


class _Block(msgspec.Struct):
    result: _Number


_method = msgspec.json.Decoder(_Call).decode
_header = msgspec.json.Decoder(_Block).decode


@contextlib.asynccontextmanager
async def open_relay(target: str) -> AsyncIterator[tuple[Relay, str]]:
    """Serve a relay to *target* on a free port; yield it and its URL."""
    async with aiohttp.ClientSession() as session:
        relay = Relay(target, session)
        runner = web.ServerRunner(web.Server(relay))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        try:
            yield relay, f"http://{host}:{port}"
        finally:
            await runner.cleanup()


@dataclass(frozen=True, kw_only=True)
class Round:
    """One block."""

    since_seen: float
    """Milliseconds from the node having the block's header to the last byte of its events."""
    since_mined: float
    """The same from the moment the chain said that the block is there."""
    read: float
    """Milliseconds of the node's own ``eth_call``, sent again by a bare client."""
    methods: collections.Counter[str]


def measure() -> list[Figure]:
    """Return how long a block's effects take to reach a subscriber, and what they cost."""
    return uvloop.run(_measure())


async def _measure() -> list[Figure]:
    async with (
        open_world(makers=2) as (devnet, traders),
        open_relay(devnet.http_url) as (relay, url),
        open_node(devnet, ETHEREUM_RPC_URL=url) as node,
        aiohttp.ClientSession() as session,
    ):
        orders = _orders(devnet)
        result = await post(session, node.http, add_call(orders))
        assert len(result["accepted"]) == ORDERS, result["rejected"][:1]
        async with session.ws_connect(node.rpc, max_msg_size=0) as subscriber:
            await subscriber.send_str(
                '{"jsonrpc":"2.0","id":1,"method":"mesh_subscribe","params":["orders"]}'
            )
            await subscriber.receive()
            rounds = [
                await _round(traders, relay, subscriber, action, end_state)
                for _ in range(RUNS // 2 + 1)
                for action, end_state in _moves(devnet)
            ]
        counted, passed = await _both_counters(session, node, relay)
    return _figures(rounds[2:], counted, passed)


def _orders(devnet: Devnet) -> list[SignedOrder]:
    pepper, other = (encode(Erc20(Address(token))) for token in _tokens(devnet)[:2])
    return [
        offer(
            devnet.addresses,
            devnet.accounts[1],
            give=(pepper, 1_000),
            want=(other, 500),
            salt=salt,
            expires_at=FAR,
        )
        for salt in range(1, ORDERS + 1)
    ]


def _moves(devnet: Devnet) -> list[tuple[Action, str]]:
    """Return the transactions that touch every order, and what becomes of them."""
    token = _tokens(devnet)[0]
    maker, friend = (account.address for account in devnet.accounts[1:3])
    return [
        (actions.transfer(token, maker, friend, STOCK), "UNFUNDED"),
        (actions.transfer(token, friend, maker, STOCK), "ADDED"),
    ]


def _tokens(devnet: Devnet) -> list[bytes]:
    return [at for name, at in devnet.addresses.items() if name.startswith("erc20 ")]


async def _round(
    traders: Traders,
    relay: Relay,
    subscriber: aiohttp.ClientWebSocketResponse,
    action: Action,
    end_state: str,
) -> Round:
    relay.methods.clear()
    listening = asyncio.ensure_future(_events(subscriber, end_state))
    [receipt] = await traders.do(action)
    mined_at = time.perf_counter()
    heard_at = await listening
    methods = relay.methods.copy()
    started = time.perf_counter()
    await relay.forward(relay.last_read)
    return Round(
        since_seen=(heard_at - relay.seen_at[receipt.block_number]) * 1_000,
        since_mined=(heard_at - mined_at) * 1_000,
        read=(time.perf_counter() - started) * 1_000,
        methods=methods,
    )


async def _events(subscriber: aiohttp.ClientWebSocketResponse, end_state: str) -> float:
    """Return when the events of all orders were there. They are looked at afterwards."""
    parts: list[str] = []
    count = 0
    while count < ORDERS:
        message = await subscriber.receive()
        heard_at = time.perf_counter()
        parts.append(message.data)
        count += message.data.count('"orderHash"')
    events = [event for part in parts for event in msgspec.json.decode(part)["params"]["result"]]
    assert {event["endState"] for event in events} == {end_state}
    assert len({event["orderHash"] for event in events}) == ORDERS
    return heard_at


async def _both_counters(
    session: aiohttp.ClientSession, node: RunningNode, relay: Relay
) -> tuple[int, int]:
    """Return the requests since the start by the node's own count, and by the relay's."""
    while True:
        before = relay.total
        stats = await post(session, node.http, COUNT_STATS)
        if relay.total == before:  # else a poll came in between
            return stats["ethRPCRequestsSentInCurrentUTCDay"], before


def _figures(rounds: list[Round], counted: int, passed: int) -> list[Figure]:
    since_seen = sorted(each.since_seen for each in rounds)
    since_mined = sorted(each.since_mined for each in rounds)
    reads = [each.methods["eth_call"] for each in rounds]
    read = statistics.median(each.read for each in rounds)
    value = statistics.median(since_seen)
    others = max(each.methods["eth_getLogs"] for each in rounds)
    return [
        Figure(
            name=f"block that touches {ORDERS:,} orders: seen, to all events at a subscriber",
            value=value,
            unit="ms",
            floor=read,
            floor_name="ms, the bare eth_call",
            target=f"under {TARGET:g} ms",
            reached=value < TARGET,
            spread=(since_seen[0], since_seen[-1]),
        ),
        Figure(
            name="the same from the block being mined (polls every 50 ms)",
            value=statistics.median(since_mined),
            unit="ms",
            spread=(since_mined[0], since_mined[-1]),
        ),
        Figure(
            name=f"eth_call requests for the {ORDERS:,} orders of such a block",
            value=max(reads),
            unit="",
            target="exactly 1",
            reached=min(reads) == max(reads) == 1,
            spread=(min(reads), max(reads)),
        ),
        Figure(
            name="eth_getLogs requests of such a block",
            value=others,
            unit="",
            target="1",
            reached=others == 1,
        ),
        Figure(
            name="requests in all, by the budget's counter, beside the relay's",
            value=counted,
            unit="",
            floor=passed,
            floor_name="passed the relay",
            target="the same",
            reached=counted == passed,
        ),
    ]
