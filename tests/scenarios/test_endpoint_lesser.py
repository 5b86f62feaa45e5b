"""Endpoints that can do less than ours, or that answer nonsense for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from fondaco.devnet import actions
from fondaco.testing.contracts import WALLET_MAGIC, accepting
from fondaco.zeroex.asset_data import Erc20, basket, encode
from fondaco.zeroex.order import Address, ProtocolVersion
from support.limited_endpoint import (
    LimitedEndpoint,
    Refuse,
    Spoil,
    encoded,
    open_limited,
    without_block_hash,
    without_either,
    without_override,
)
from support.market import Market
from support.mesh_socket import PATIENCE, MeshSocket, codes, open_socket
from support.running_node import node_in_process
from support.scene import brief, name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
FILL, TRANSFER = "ExchangeFillEvent", "ERC20TransferEvent"


@pytest.fixture
async def endpoint(market: Market) -> AsyncIterator[LimitedEndpoint]:
    async with open_limited(market.traders.devnet.http_url) as opened:
        yield opened


@pytest.fixture
async def client(
    endpoint: LimitedEndpoint, settings: dict[str, str], tmp_path: Path
) -> AsyncIterator[MeshSocket]:
    """A client of a node that reaches the chain through ``endpoint`` only."""
    own = settings | {"ETHEREUM_RPC_URL": endpoint.url}
    async with (
        node_in_process(own, data_dir=tmp_path / "node") as node,
        open_socket(node.rpc) as connected,
    ):
        yield connected


@pytest.mark.parametrize("refuse", [without_override, without_block_hash, without_either])
async def test_everything_works_with_an_endpoint_that_can_do_less(
    market: Market, settings: dict[str, str], tmp_path: Path, refuse: Refuse
) -> None:
    wallet = Address(await market.traders.create(accepting(WALLET_MAGIC)))
    await market.traders.equip(wallet)
    pepper, saffron = (Erc20(Address(market.at[f"erc20 {name}"])) for name in ("PEP", "SAF"))
    filled, cancelled, signed_by_contract = (
        market.offer(V2, salt=1),
        market.offer(V3, salt=2, give=(encode(basket((3, pepper), (4, saffron))), 9)),
        market.offer(V3, salt=3, maker_address=wallet, signature=b"\x04"),
    )
    bad = market.offer(V3, salt=4, signature=filled.signature)
    async with open_limited(market.traders.devnet.http_url, refuse) as endpoint:
        own = settings | {"ETHEREUM_RPC_URL": endpoint.url}
        async with (
            node_in_process(own, data_dir=tmp_path) as node,
            open_socket(node.rpc) as client,
        ):
            added = await client.add(filled, cancelled, signed_by_contract, bad)
            assert len(added["accepted"]) == 3
            assert codes(added["rejected"]) == ["OrderHasInvalidSignature"]
            watching = await client.subscribe()
            taker = market.taker.address
            await market.traders.do(actions.fill(filled, taker, 10))
            (event,) = await watching.take(1)
            assert (event["orderHash"], *brief(event)) == (
                name_of(filled),
                "FILLED",
                "30",
                [FILL, TRANSFER],
            )
            await market.traders.do(actions.cancel(cancelled))
            (event,) = await watching.take(1)
            assert (event["orderHash"], *brief(event)) == (
                name_of(cancelled),
                "CANCELLED",
                "0",
                ["ExchangeCancelEvent"],
            )
        assert endpoint.refused
        assert endpoint.passed["eth_call"]


async def test_a_worse_endpoint_takes_over(
    market: Market, endpoint: LimitedEndpoint, client: MeshSocket
) -> None:
    """Behind one address there may be several machines; what they can do is found out anew."""
    salts = iter(range(1_000))
    for refuse in (without_override, without_either, None):
        await client.add(market.offer(V3, salt=next(salts)))
        endpoint.refuse = refuse
        async with asyncio.timeout(PATIENCE):
            while (await client.add(market.offer(V3, salt=next(salts))))["rejected"]:
                pass


def replaced(method: str, result: Any) -> Spoil:
    """Return what spoils a method's answers: another *result*, or a function of the true one."""

    def spoil(asked: str, answer: dict[str, Any]) -> bytes:
        if asked == method and "result" in answer:
            new = result(answer["result"]) if callable(result) else result
            answer = {**answer, "result": new}
        return encoded(answer)

    return spoil


def garbage(method: str, body: bytes) -> Spoil:
    """Return what answers a method with *body*, whatever it is."""
    return lambda asked, answer: body if asked == method else encoded(answer)


def with_field(name: str, value: Any) -> Callable[[Any], Any]:
    """Return what changes one field of a block, or of each log in a list."""

    def change(result: Any) -> Any:
        if isinstance(result, list):
            return [change(entry) for entry in result]
        return {**result, name: value} if isinstance(result, dict) else result

    return change


BLOCK, LOGS, CALL = "eth_getBlockByNumber", "eth_getLogs", "eth_call"

NONSENSE: dict[str, Spoil] = {
    "a page of HTML": garbage(BLOCK, b"<html><body>welcome</body></html>"),
    "nothing": garbage(BLOCK, b""),
    "broken JSON": garbage(BLOCK, b'{"jsonrpc":"2.0","id":1,"result":{"number"'),
    "a list": garbage(BLOCK, b"[1,2,3]"),
    "deep nesting": garbage(BLOCK, b"[" * 100_000),
    "not UTF-8": garbage(BLOCK, b'{"id":1,"result":"\xff\xfe"}'),
    "another id": lambda _, answer: encoded({**answer, "id": 10**9}),
    "no block": replaced(BLOCK, None),
    "an empty block": replaced(BLOCK, {}),
    "a number that is none": replaced(BLOCK, with_field("number", "0xzz")),
    "a number of a far future": replaced(BLOCK, with_field("number", hex(2**60))),
    "a negative time": replaced(BLOCK, with_field("timestamp", "-0x1")),
    "a short hash": replaced(BLOCK, with_field("hash", "0x1234")),
    "a foreign hash": replaced(BLOCK, with_field("hash", "0x" + "ab" * 32)),
    "logs that are no list": replaced(LOGS, {"logs": []}),
    "logs of another block": replaced(LOGS, with_field("blockHash", "0x" + "ab" * 32)),
    "logs without topics": replaced(LOGS, with_field("topics", None)),
    "logs with odd data": replaced(LOGS, with_field("data", "0xabc")),
    "an empty answer": replaced(CALL, "0x"),
    "an answer that is no hex": replaced(CALL, "0xzz"),
    "a number for an answer": replaced(CALL, 7),
    "words of another block": replaced(CALL, "0x" + "00" * 96),
    "too many words": replaced(CALL, lambda result: result + "00" * 3200),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_is_told_to_nobody_and_forgotten_when_it_ends(
    market: Market, endpoint: LimitedEndpoint, client: MeshSocket, name: str
) -> None:
    filled, untouched = market.offer(V2), market.offer(V3)
    await client.add(filled, untouched)
    watching = await client.subscribe()
    book = {name_of(filled): "40", name_of(untouched): "40"}
    endpoint.spoil = NONSENSE[name]
    await market.traders.do(actions.fill(filled, market.taker.address, 10))
    async with asyncio.timeout(PATIENCE):
        while sum(endpoint.spoilt.values()) < 2:
            assert await client.book() == book
            stats = await client.stats()
    assert await client.book() == book
    assert watching.results.empty()

    endpoint.spoil = None
    if name != "an empty answer":
        # That one shows that it needs no new block; to the others it saves seconds.
        await market.traders.control.mine()
    (event,) = await watching.take(1)
    assert (event["orderHash"], event["endState"]) == (name_of(filled), "FILLED")
    assert event["fillableTakerAssetAmount"] == "30"
    head = await market.traders.control.block()
    async with asyncio.timeout(PATIENCE):
        while stats["latestBlock"]["hash"] != f"0x{head.hash.hex()}":
            stats = await client.stats()
    assert await client.book() == book | {name_of(filled): "30"}
    assert watching.results.empty()


@pytest.mark.parametrize("name", ["an empty answer", "words of another block", "another id"])
async def test_new_orders_are_refused_while_the_endpoint_answers_nonsense(
    market: Market, endpoint: LimitedEndpoint, client: MeshSocket, name: str
) -> None:
    order = market.offer(V3)
    endpoint.spoil = NONSENSE[name]
    refused = await client.add(order)
    assert codes(refused["rejected"]) == ["EthRPCRequestFailed"]
    assert await client.book() == {}
    endpoint.spoil = None
    async with asyncio.timeout(PATIENCE):
        while (await client.add(order))["rejected"]:
            pass
    assert await client.book() == {name_of(order): "40"}
