"""Planning reads and computing amounts, and what an order costs in the watch index."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable

from msgspec.structs import replace

from bench.figures import Figure, interleaved, median_of
from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.chain.logs import Log
from fondaco.chain.multiread import MultiRead
from fondaco.testing.orders import CHAIN_ID, EXCHANGE, make_order
from fondaco.zeroex.asset_data import Erc20, Erc721, MemberAsset, decode, encode
from fondaco.zeroex.contract_events import (
    EVENT_TOPICS,
    ContractRole,
    decode_event,
)
from fondaco.zeroex.fillable import compute, plan
from fondaco.zeroex.order import Address, OrderHash, SignedOrder
from fondaco.zeroex.watch_index import WatchIndex

RUNS = 9
ORDERS = 1_000
MAKERS = 10
TOKENS = 3
"""The mix of reference/evm.md, section 4.2."""

ORDER_BUDGET = 13.0
"""Microseconds an order: planning and arithmetic there took 13 ms for 1,000."""

INDEXED = 100_000
INDEX_BUDGET = 1_000.0
"""Bytes an order: 100,000 orders in 100 MB."""

CONTRACTS = ChainContracts(
    chain_id=CHAIN_ID,
    v3=Deployment(
        exchange=EXCHANGE,
        dev_utils=b"\x02" * 20,
        erc20_proxy=b"\x03" * 20,
        erc721_proxy=b"\x04" * 20,
        erc1155_proxy=b"\x05" * 20,
    ),
)


def _orders() -> list[tuple[OrderHash, SignedOrder]]:
    rng = random.Random(ORDERS)
    base = make_order()
    return [
        (
            OrderHash(rng.randbytes(32)),
            replace(
                base,
                maker_address=Address(bytes([number % MAKERS + 1]) * 20),
                maker_asset_data=encode(Erc20(Address(bytes([number % TOKENS + 50]) * 20))),
                salt=number,
            ),
        )
        for number in range(ORDERS)
    ]


def _amounts() -> Figure:
    orders = _orders()

    def ours() -> float:
        start = time.thread_time()
        read_plan = plan(orders, CONTRACTS)
        middle = time.thread_time()
        # Funded: filled, cancelled and epoch are 0, balance and allowance are not.
        words = [0 if read.target == EXCHANGE else 10**30 for read in read_plan.reads]
        answers = MultiRead(block_number=1, timestamp=1, words=words)
        begin = time.thread_time()
        states = compute(read_plan, answers)
        end = time.thread_time()
        assert all(state.fillable == 42 for state in states)
        return (middle - start + end - begin) / ORDERS * 1e6

    def floor() -> float:
        """Put together the calldata of the two words every order has, and divide once."""
        start = time.thread_time()
        reads = []
        for order_hash, order in orders:
            reads.append((EXCHANGE, b"\x28\x8c\xdc\x91" + order_hash))
            reads.append((EXCHANGE, b"\x2a\xc1\x26\x22" + order_hash))
            min(10**30 * order.taker_asset_amount // order.maker_asset_amount, 42)
        return (time.thread_time() - start) / ORDERS * 1e6

    mine, bare, spread = interleaved(RUNS, ours, floor)
    return Figure(
        name="plan and compute, plain ERC20 orders",
        value=mine,
        unit="µs/order",
        floor=bare,
        floor_name="bare calldata and division",
        target=f"≤ {ORDER_BUDGET:g} µs",
        reached=mine <= ORDER_BUDGET,
        spread=spread,
    )


def _index_memory(name: str, asset_of: Callable[[int], MemberAsset]) -> Figure:
    rng = random.Random(INDEXED)
    base = make_order()
    count = INDEXED // 5  # tracing is slow; the cost an order does not fall with the number

    def order(number: int) -> SignedOrder:
        return replace(
            base,
            maker_address=Address(rng.randrange(1, INDEXED).to_bytes(20, "big")),
            maker_asset_data=encode(asset_of(number)),
            salt=rng.getrandbits(64),
            expiration_time_seconds=1_600_000_000 + rng.randrange(10**6),
        )

    for number in range(5_000):
        decode(encode(asset_of(number)))  # fills the decoder's own cache
    gc.collect()
    tracemalloc.start()
    try:
        index = WatchIndex(CONTRACTS)
        for number in range(count):
            index.add(OrderHash(rng.randbytes(32)), order(number))
        size = tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()
    return Figure(
        name=f"watch index, {name}",
        value=size,
        unit="bytes/order",
        target=f"≤ {INDEX_BUDGET:,.0f} bytes",
        reached=size <= INDEX_BUDGET,
    )


class _AllErc20:
    def role(self, address: bytes) -> ContractRole:
        return ContractRole.ERC20


def _log_decoding() -> Figure:
    log = Log(
        address=b"\x01" * 20,
        topics=(
            EVENT_TOPICS["Transfer(address,address,uint256)"],
            bytes(12) + b"\x02" * 20,
            bytes(12) + b"\x03" * 20,
        ),
        data=(10**18).to_bytes(32, "big"),
        block_number=1,
        block_hash=b"\x04" * 32,
        transaction_hash=b"\x05" * 32,
        transaction_index=0,
        log_index=0,
    )
    known = _AllErc20()

    def run() -> float:
        start = time.thread_time()
        for _ in range(10_000):
            decode_event(log, known)
        return (time.thread_time() - start) * 100

    value, spread = median_of(RUNS, run)
    return Figure(name="decode an ERC20 Transfer", value=value, unit="µs/log", spread=spread)


def measure() -> list[Figure]:
    """Return the figures of the arithmetic and of the index."""
    token = Address(b"\x63" * 20)
    return [
        _amounts(),
        _index_memory("ERC20, a maker each", lambda n: Erc20(Address(bytes([n % 50 + 1]) * 20))),
        _index_memory("ERC721, a maker and token each", lambda n: Erc721(token, n)),
        _log_decoding(),
    ]
