"""The state of 2,000 orders from the chain: one call, beside the chain's own speed.

What is timed is everything from orders to outcomes: planning the reads, the request, the
chain's work, decoding, arithmetic. The floor is the very same request, sent by a bare HTTP
client that only reads the answer's bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import aiohttp
import msgspec
import uvloop

from bench.figures import Figure, taking_turns
from bench.world import MAKERS, open_world, plain_orders
from fondaco.chain import wire
from fondaco.chain.blocksource import BlockSource
from fondaco.chain.budget import RpcBudget
from fondaco.chain.contracts import ChainContracts, parse_custom
from fondaco.chain.envelope import encode_request
from fondaco.chain.headers import Header
from fondaco.chain.multiread import CALLER, encode_override
from fondaco.chain.reader import DEFAULT_CONTENT_LENGTH, ChainReader
from fondaco.chain.rpc import EthereumClient, open_ethereum
from fondaco.clock import SystemClock
from fondaco.devnet.chain import Devnet
from fondaco.zeroex import dev_utils
from fondaco.zeroex.assessor import ORDERS_PER_READ, Assessor, HashedOrder
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.fillable import plan
from fondaco.zeroex.lifecycle import Valid

ORDERS = ORDERS_PER_READ
RUNS = 9

TARGET = 30_000
"""Orders a second (DESIGN.md, section 6)."""

DEV_UTILS_SHARE = 5
"""DevUtils is asked about one in so many: it is slow, and its rate does not depend on it."""


def measure() -> list[Figure]:
    """Return the rate of on-chain state, and how many calls it takes."""
    return uvloop.run(_measure())


async def _measure() -> list[Figure]:
    clock = SystemClock()
    budget = RpcBudget(per_day=0, per_second=1, now_ns=clock.now_ns(), is_enabled=False)
    async with (
        open_world() as (devnet, _),
        open_ethereum(devnet.http_url, budget=budget, clock=clock) as client,
        aiohttp.ClientSession() as session,
    ):
        orders = [(order_hash(order), order) for order in plain_orders(devnet, ORDERS)]
        contracts = _contracts(devnet)
        assessor = Assessor(
            ChainReader(client, clock),
            contracts,
            zrx_asset_data=b"",
            accept_partially_funded=False,
        )
        head = await BlockSource(client, ()).latest()
        body = _request(orders, contracts, head)

        async def ours() -> float:
            started = time.perf_counter()
            outcomes = await assessor.assess(orders, head)
            seconds = time.perf_counter() - started
            assert all(isinstance(outcome, Valid) for outcome in outcomes)
            return ORDERS / seconds

        async def bare() -> float:
            started = time.perf_counter()
            headers = {"Content-Type": "application/json"}
            async with session.post(devnet.http_url, data=body, headers=headers) as answer:
                size = len(await answer.read())
            assert size > 32 * ORDERS  # an error would be shorter
            return ORDERS / (time.perf_counter() - started)

        async def by_dev_utils() -> float:
            return await _ask_dev_utils(client, orders[::DEV_UTILS_SHARE], contracts, head)

        await ours()  # finds out what the endpoint can do, once a node
        before = _sent(budget, clock)
        await ours()
        calls = _sent(budget, clock) - before
        rates = await taking_turns(RUNS, {"ours": ours, "bare": bare, "DevUtils": by_dev_utils})
    return _figures(rates, calls)


def _figures(rates: dict[str, list[float]], calls: int) -> list[Figure]:
    ours, bare, slow = (rates[name] for name in ("ours", "bare", "DevUtils"))
    value = ours[RUNS // 2]
    return [
        Figure(
            name=f"state of {ORDERS:,} orders, {MAKERS} makers, from orders to outcomes",
            value=value,
            unit="orders/s",
            floor=bare[RUNS // 2],
            floor_name="orders/s, the bare request",
            target=f"at least {TARGET:,}",
            reached=value >= TARGET,
            spread=(ours[0], ours[-1]),
        ),
        Figure(
            name=f"requests for these {ORDERS:,} orders, by the budget's counter",
            value=calls,
            unit="",
            target="exactly 1",
            reached=calls == 1,
        ),
        Figure(
            name="the same state by DevUtils, as 0x Mesh asked (512 KiB a call)",
            value=slow[RUNS // 2],
            unit="orders/s",
            floor=value,
            floor_name="orders/s, ours",
            spread=(slow[0], slow[-1]),
        ),
    ]


def _contracts(devnet: Devnet) -> ChainContracts:
    text = msgspec.json.encode(devnet.contracts).decode()
    return parse_custom(text, devnet.chain_id, frozenset({2, 3}))


def _request(orders: Sequence[HashedOrder], contracts: ChainContracts, head: Header) -> bytes:
    transaction, override = encode_override(plan(orders, contracts).reads)
    block = {"blockHash": wire.encode_data(head.hash)}
    return encode_request(1, "eth_call", [transaction, block, override])


async def _ask_dev_utils(
    client: EthereumClient, orders: Sequence[HashedOrder], contracts: ChainContracts, head: Header
) -> float:
    """Return orders/s of planning, asking and decoding, one call after the other."""
    assert contracts.v3 is not None
    started = time.perf_counter()
    for chunk in dev_utils.chunks([order for _, order in orders], DEFAULT_CONTENT_LENGTH):
        transaction = {
            "from": wire.encode_data(CALLER),
            "to": wire.encode_data(contracts.v3.dev_utils),
            "data": wire.encode_data(dev_utils.encode_call(chunk)),
        }
        answer = await client.call("eth_call", [transaction, wire.encode_quantity(head.number)])
        states = dev_utils.decode_answer(wire.data(answer), len(chunk))
        assert all(state.fillable and state.is_valid_signature for state in states)
    return len(orders) / (time.perf_counter() - started)


def _sent(budget: RpcBudget, clock: SystemClock) -> int:
    return budget.snapshot(clock.now_ns()).sent_today
