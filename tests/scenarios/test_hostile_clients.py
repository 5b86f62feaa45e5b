"""Clients that send too much, too little, too late or nonsense, and clients beside them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from fondaco.api.limits import MIB
from fondaco.api.server import Address as ServerAddress
from fondaco.devnet import actions
from fondaco.testing.api import connect_raw, post
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.intake import MAX_RECEIVED
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from support.market import Market
from support.mesh_socket import MESSAGE_LIMIT, PATIENCE, MeshSocket, codes, open_socket
from support.running_node import node_in_process
from support.scene import brief, name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
MESSAGE_BYTES = 5 * MIB


@pytest.fixture
async def address(settings: dict[str, str], tmp_path: Path) -> AsyncIterator[ServerAddress]:
    """Where a node serves."""
    async with node_in_process(settings, data_dir=tmp_path / "node") as node:
        host, port = node.rpc.removeprefix("ws://").split(":")
        yield ServerAddress(host=host, port=int(port))


@pytest.fixture
async def client(address: ServerAddress) -> AsyncIterator[MeshSocket]:
    async with open_socket(address.ws) as connected:
        yield connected


def fields(order: SignedOrder) -> dict[str, Any]:
    decoded = json.loads(encode_order(order))
    assert isinstance(decoded, dict)
    return decoded


# ---------------------------------------------------------------- one order, one bad field

NO_TEXT: list[Any] = [None, True, 7.5, [], {}, ["0x"], {"a": 1}]
NO_ADDRESS = ["", "0x", "0x12", "12" * 20, "0x" + "1" * 41, "0x" + "g" * 40, "0X" + "1" * 40]
NO_NUMBER = [
    "",
    "x",
    "-1",
    "+1",
    " 1",
    "1 ",
    "01",
    "1.0",
    "1e3",
    "0x10",
    "1_0",
    "\u0661",
    str(2**256),
]
NO_HEX = ["x", "0", "0x1", "0xzz", "0x 12", "12", "0X12"]
NO_CHAIN: list[Any] = [None, True, "1337", "0x539", 7.5, -1, 2**70, [], {}]

NUMBERS = {
    "makerAssetAmount",
    "takerAssetAmount",
    "makerFee",
    "takerFee",
    "expirationTimeSeconds",
    "salt",
}


def bad_values(name: str) -> list[Any]:
    """Return values that no field called *name* may have."""
    if name == "chainId":
        return NO_CHAIN
    if name.endswith("Address"):
        return [*NO_TEXT, 7, *NO_ADDRESS]
    if name in NUMBERS:
        return [*NO_TEXT, *NO_NUMBER]
    return [*NO_TEXT, 7, *NO_HEX]


@pytest.mark.parametrize("version", [V2, V3])
async def test_every_field_malformed_in_every_way(
    market: Market, client: MeshSocket, version: ProtocolVersion
) -> None:
    good = fields(market.offer(version))
    spoilt = [{**good, name: value} for name in good for value in bad_values(name)]
    missing = [{key: good[key] for key in good if key != name} for name in good]
    neighbour = market.offer(version, salt=2)
    result = await client.add(*spoilt, neighbour, *missing)
    assert [entry["orderHash"] for entry in result["accepted"]] == [name_of(neighbour)]
    sent = [*spoilt, *missing]
    assert len(result["rejected"]) == len(sent)
    named = [name for name in good for _ in bad_values(name)] + list(good)
    for order, name, entry in zip(sent, named, result["rejected"], strict=True):
        assert entry["status"]["code"] == "InvalidSchema"
        assert entry["kind"] == "MESH_VALIDATION"
        assert entry["orderHash"] == "0x" + "00" * 32
        if order in spoilt or name != "chainId":
            assert name in entry["status"]["message"]
        # Clients throw on a field that is null or missing.
        shown = dict(entry["signedOrder"])
        if "chainId" in shown:
            assert isinstance(shown.pop("chainId"), int)
        assert {type(value) for value in shown.values()} == {str}
        assert shown.keys() | {"chainId"} == good.keys() | {"chainId"}
        assert json.loads(entry["received"]) == order
    assert await client.book() == {name_of(neighbour): "40"}


@pytest.mark.parametrize("version", [V2, V3])
async def test_things_that_are_no_orders(
    market: Market, client: MeshSocket, version: ProtocolVersion
) -> None:
    things: list[Any] = [None, 1, "order", [], {}, [[]], "x" * 5_000, {"a": "b" * 5_000}]
    order = market.offer(version)
    result = await client.add(*things, order)
    assert codes(result["rejected"]) == ["InvalidSchema"] * len(things)
    received = [entry["received"] for entry in result["rejected"]]
    assert received == [json.dumps(thing, separators=(",", ":"))[:MAX_RECEIVED] for thing in things]
    assert len(result["accepted"]) == 1


async def test_other_spellings_of_a_good_order(market: Market, client: MeshSocket) -> None:
    order = market.offer(V3)
    spelt = fields(order)
    loud = {
        name: "0x" + value[2:].upper() if str(value).startswith("0x") else value
        for name, value in spelt.items()
    }
    result = await client.add({**dict(reversed(loud.items())), "comment": "extra"})
    assert result["rejected"] == []
    assert result["accepted"][0]["signedOrder"] == spelt


# ---------------------------------------------------------------- the same order again


async def test_an_order_given_several_times_in_one_request(
    market: Market, client: MeshSocket
) -> None:
    order, other = market.offer(V2), market.offer(V3)
    bad = market.offer(V3, salt=9, signature=b"\x00")
    watching = await client.subscribe()
    result = await client.add(order, bad, order, other, order, bad, other)
    hashes = [entry["orderHash"] for entry in result["accepted"]]
    assert hashes == [name_of(order), name_of(other)]
    assert codes(result["rejected"]) == ["OrderHasInvalidSignature"]
    assert len(await watching.take(2)) == 2
    assert (await client.stats())["lastSequence"] == 2


async def test_the_same_orders_from_many_clients_at_once(
    market: Market, address: ServerAddress, client: MeshSocket
) -> None:
    orders = [market.offer(version, salt=n) for n in range(60) for version in (V2, V3)]
    is_new: Counter[str] = Counter()

    async def add(first: int) -> None:
        async with open_socket(address.ws) as own:
            for start in range(0, len(orders), 30):
                # Each client goes through them in another sequence.
                at = (start + first * 30) % len(orders)
                result = await own.add(*orders[at : at + 30])
                assert result["rejected"] == []
                assert len(result["accepted"]) == 30
                is_new.update(entry["orderHash"] for entry in result["accepted"] if entry["isNew"])

    await asyncio.gather(*map(add, range(6)))
    assert is_new == Counter(map(name_of, orders))
    assert (await client.stats())["lastSequence"] == len(orders)


# ---------------------------------------------------------------- large messages


def padded(order: SignedOrder, size: int) -> str:
    """Return a call that adds *order*, of exactly *size* bytes."""
    call = '{"id":1,"method":"mesh_addOrders","params":[[%s%s]]}'
    body = encode_order(order).decode()
    return call % (" " * (size - len(call % ("", body))), body)


async def test_the_largest_message_and_one_byte_more(
    market: Market, address: ServerAddress, client: MeshSocket
) -> None:
    orders = [market.offer(V3, salt=salt) for salt in range(4)]
    for order, send in zip(orders[:2], ("ws", "http"), strict=True):
        text = padded(order, MESSAGE_BYTES)
        if send == "ws":
            async with connect(address.ws, max_size=MESSAGE_LIMIT) as connection:
                await connection.send(text)
                answer = json.loads(await connection.recv())
        else:
            status, body = await post(address, text.encode())
            assert status == 200
            answer = json.loads(body)
        assert [entry["isNew"] for entry in answer["result"]["accepted"]] == [True]

    async with connect(address.ws, max_size=MESSAGE_LIMIT) as connection:
        await connection.send(padded(orders[2], MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
    status, _ = await post(address, padded(orders[3], MESSAGE_BYTES + 1).encode())
    assert status == 413
    assert (await client.book()).keys() == set(map(name_of, orders[:2]))


async def test_ten_thousand_orders(
    market: Market, address: ServerAddress, client: MeshSocket
) -> None:
    """As many as fit into one message; the rest in one batch by POST."""
    orders = [market.offer(V2, salt=salt) for salt in range(10_000)]
    texts = [encode_order(order) for order in orders]
    room = MESSAGE_BYTES - 200
    fitting = 0
    while fitting < len(texts) and room > len(texts[fitting]):
        room -= len(texts[fitting]) + 1
        fitting += 1
    assert fitting > 5_000
    watching = await client.subscribe()
    adding = asyncio.create_task(client.add(*orders[:fitting], patience=60))
    # Somebody else is served meanwhile.
    async with open_socket(address.ws) as other:
        slowest = 0.0
        while not adding.done():
            began = asyncio.get_running_loop().time()
            await other.stats()
            slowest = max(slowest, asyncio.get_running_loop().time() - began)
    assert slowest < 2
    assert len((await adding)["accepted"]) == fitting
    calls = [
        b'{"id":%d,"method":"mesh_addOrders","params":[[%s]]}'
        % (start, b",".join(texts[start : start + 1_000]))
        for start in range(fitting, len(texts), 1_000)
    ]
    status, body = await post(address, b"[" + b",".join(calls) + b"]")
    assert status == 200
    accepted = [entry for answer in json.loads(body) for entry in answer["result"]["accepted"]]
    assert len(accepted) == len(orders) - fitting
    events = await watching.until(len(orders), after=0)
    assert Counter(event["orderHash"] for event in events) == Counter(map(name_of, orders))
    assert len(await client.book(per_page=10_000)) == len(orders)


async def test_ten_thousand_things_that_are_no_orders(client: MeshSocket) -> None:
    result = await client.add(*[{}] * 10_000, patience=60)
    assert Counter(codes(result["rejected"])) == {"InvalidSchema": 10_000}


# ---------------------------------------------------------------- clients that go, or do not read


@pytest.mark.parametrize("sent", [0.5, 1.0])
async def test_a_client_that_disconnects_half_way(
    market: Market, address: ServerAddress, client: MeshSocket, sent: float
) -> None:
    """Half-way through its message nothing is stored; after it the log and the book agree."""
    orders = [market.offer(V3, salt=salt) for salt in range(1_500)]
    call = b'{"id":1,"method":"mesh_addOrders","params":[[%s]]}' % b",".join(
        map(encode_order, orders)
    )
    message = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    message += b"Content-Length: %d\r\n\r\n%s" % (len(call), call)
    async with connect_raw(address) as rude:
        await rude.send(message[: int(len(message) * sent)])
        if sent == 1.0:
            # The node has begun to store them.
            while not (await client.stats())["numOrders"]:
                pass
        rude.hang_up()
    again = await client.add(*orders, patience=60)
    assert again["rejected"] == []
    is_new = {entry["orderHash"]: entry["isNew"] for entry in again["accepted"]}
    assert is_new.keys() == set(map(name_of, orders))
    assert any(is_new.values()) is (sent == 0.5)
    log = await (await client.subscribe(since=0)).until(len(orders), after=0)
    assert Counter(event["orderHash"] for event in log) == Counter(is_new.keys())
    assert (await client.book()).keys() == is_new.keys()
    await market.traders.do(actions.cancel(orders[-1]))
    watching = await client.subscribe(since=len(orders))
    (event,) = await watching.take(1)
    assert (event["orderHash"], event["endState"]) == (name_of(orders[-1]), "CANCELLED")


async def test_a_subscriber_that_does_not_read_for_a_while(
    market: Market, address: ServerAddress, client: MeshSocket
) -> None:
    """Others are told at once; it is told everything when it reads, and nothing twice."""
    orders = [market.offer(V3, salt=salt) for salt in range(4_000)]
    prompt = await client.subscribe()
    async with connect_raw(address) as mute:
        await mute.upgrade()
        subscribe = b'{"id":1,"method":"mesh_subscribe","params":["orders"]}'
        await mute.send_frame(subscribe)
        assert b'"id":1' in await mute.until(b"\n")
        for start in range(0, len(orders), 500):
            await client.add(*orders[start : start + 500])
            told = await prompt.take(500)
            assert {brief(event)[0] for event in told} == {"ADDED"}
        sequences: list[int] = []
        while len(sequences) < len(orders):
            async with asyncio.timeout(PATIENCE):
                notification = json.loads(await read_message(mute.reader))
            sequences += [event["sequence"] for event in notification["params"]["result"]]
        assert sequences == list(range(1, len(orders) + 1))


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """Return the payload of one WebSocket message, of one frame or several."""
    payload = b""
    while True:
        head = await reader.readexactly(2)
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
        payload += await reader.readexactly(size)
        if head[0] & 0x80:
            return payload
