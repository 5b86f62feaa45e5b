"""Every wrong argument of the clients' words, with its code and text, and odd options."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fondaco import jsonrpc
from fondaco.api.declarations import Registry
from fondaco.api.dispatch import Dispatcher
from fondaco.api.limits import DEFAULT_LIMITS
from fondaco.api.subscriptions import Session
from fondaco.chain.headers import Header
from fondaco.store import eventlog
from fondaco.testing.api import Client, connect, counting_bytes, serve
from fondaco.testing.ethereum import ample_budget
from fondaco.testing.orders import MAKER_KEY, OTHER_MAKER_KEY, address_of, make_order
from fondaco.zeroex import codec, journal
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.intake import MAX_RECEIVED
from fondaco.zeroex.lifecycle import Rejected
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from fondaco.zeroex.query import QUERY_LIMIT_MAX
from fondaco.zeroex.rpc import ENCODED_INLINE, MAX_PER_PAGE, MeshRpc
from fondaco.zeroex.snapshots import Snapshots
from fondaco.zeroex.stats import NodeStats
from fondaco.zeroex.trading import Trading
from support.chain_words import CONTRACTS
from support.order_bench import OrderBench, names, orders

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text()
)
ORDER = make_order(salt=1)


class NoBlocks(msgspec.Struct):
    """What the statistics ask of the block watcher, before the first block."""

    head: Header | None = None
    staleness: float = 0.0
    last_error: str | None = None


class Words:
    """The mesh methods over a bench, asked as one HTTP caller asks."""

    def __init__(self, bench: OrderBench, snapshots: Snapshots) -> None:
        stats = NodeStats(
            book=bench.index,
            blocks=NoBlocks(),
            watcher=bench.watcher,
            budget=ample_budget(bench.clock),
            clock=bench.clock,
            trading=Trading(CONTRACTS, "{}"),
            peer_id="16Uiu2HAm",
            max_expiration=lambda: bench.ceiling.current,
            feed=lambda: (bench.feed.subscriber_count, bench.feed.last),
            added={},
        )
        self.bench = bench
        self.registry = Registry()
        MeshRpc(
            service=bench.service,
            database=bench.database,
            snapshots=snapshots,
            stats=stats,
            feed=bench.feed,
            clock=bench.clock,
        ).declare(self.registry)
        ready = asyncio.Event()
        ready.set()
        self._dispatcher = Dispatcher(self.registry, limits=DEFAULT_LIMITS, ready=ready)
        self._session = Session(peer="test", limits=DEFAULT_LIMITS, token_bytes=counting_bytes())

    async def answer(self, request: object) -> dict[str, Any]:
        message = jsonrpc.parse(json.dumps(request).encode(), batch_limit=1)
        reply = await self._dispatcher.reply(self._session, message)
        assert reply.data is not None
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    async def call(self, method: str, *params: object) -> Any:
        answer = await self.answer({"id": 1, "method": method, "params": params})
        assert "result" in answer, answer
        return answer["result"]

    async def error(self, method: str, *params: object) -> dict[str, Any]:
        answer = await self.answer({"id": 1, "method": method, "params": params})
        error: dict[str, Any] = answer["error"]
        return error

    async def add(self, *given: SignedOrder, options: object = None) -> Any:
        """Send orders as a client does."""
        async with self.bench.watching():
            return await self.call("mesh_addOrders", [as_json(order) for order in given], options)


@pytest.fixture
async def words(bench: OrderBench) -> AsyncIterator[Words]:
    numbers = itertools.count(1)
    snapshots = Snapshots(bench.database, bench.clock, new_id=lambda: f"id-{next(numbers)}")
    yield Words(bench, snapshots)
    await snapshots.close()


def as_json(order: SignedOrder) -> Any:
    return json.loads(codec.encode_order(order))


def hex_of(order: SignedOrder) -> str:
    return f"0x{names(order)[0].hex()}"


def listed(answer: dict[str, Any]) -> list[str]:
    return [info["orderHash"] for info in answer["ordersInfos"]]


# ---------------------------------------------------------------- mesh_addOrders


async def test_what_there_is_no_more_to_say_of_is_left_out(words: Words) -> None:
    words.bench.assessor.outcomes[names(ORDER)[0]] = Rejected(RejectionCode.UNFUNDED)
    [rejected] = (await words.add(ORDER))["rejected"]
    assert sorted(rejected) == ["kind", "orderHash", "signedOrder", "status"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({}, id="an empty object"),
        pytest.param([], id="a list"),
        pytest.param(None, id="null"),
        pytest.param({"chainId": "1337", "makerAddress": 5, "salt": None}, id="wrong types"),
        pytest.param(as_json(ORDER) | {"salt": "-1"}, id="v3, one field wrong"),
        pytest.param(
            {k: v for k, v in as_json(ORDER).items() if k != "takerAddress"}, id="v3, one missing"
        ),
        pytest.param(
            as_json(make_order(version=ProtocolVersion.V2)) | {"signature": 7}, id="v2, one wrong"
        ),
    ],
)
async def test_clients_find_every_field_in_what_was_no_order(words: Words, sent: object) -> None:
    """The published clients throw when a field of a rejected order is not a string."""
    [rejected] = (await words.call("mesh_addOrders", [sent]))["rejected"]
    assert rejected["orderHash"] == "0x" + "00" * 32
    assert rejected["kind"] == "MESH_VALIDATION"
    assert rejected["status"]["code"] == "InvalidSchema"
    assert json.loads(rejected["received"]) == sent
    is_v2 = isinstance(sent, dict) and "makerFee" in sent and "chainId" not in sent
    whole = as_json(make_order(version=ProtocolVersion.V2 if is_v2 else ProtocolVersion.V3))
    types = {field: type(value) for field, value in rejected["signedOrder"].items()}
    assert types == {field: type(value) for field, value in whole.items()}
    assert {field for field, kind in types.items() if kind is not str} <= {"chainId"}


async def test_what_was_no_order_is_sent_back_cut(words: Words) -> None:
    for blown_up in ("x" * 5_000, "é" * 5_000):
        [rejected] = (await words.call("mesh_addOrders", [{"note": blown_up}]))["rejected"]
        assert len(rejected["received"]) <= MAX_RECEIVED == 1024
        assert rejected["received"].startswith('{"note": "')


async def test_no_orders_at_all(words: Words) -> None:
    assert await words.call("mesh_addOrders", []) == {"accepted": [], "rejected": []}


async def test_a_long_answer_is_encoded_the_same(words: Words) -> None:
    answer = await words.call("mesh_addOrders", [{}] * (ENCODED_INLINE + 1))
    assert len(answer["rejected"]) == ENCODED_INLINE + 1
    assert {rejected["received"] for rejected in answer["rejected"]} == {"{}"}


@pytest.mark.parametrize(
    ("options", "pinned"),
    [
        pytest.param([], True, id="no options"),
        pytest.param([None], True, id="null"),
        pytest.param([{}], False, id="an empty object"),
        pytest.param([{"pinned": True}], True, id="true"),
        pytest.param([{"pinned": False}], False, id="false"),
        pytest.param([{"pinned": None}], False, id="null inside, as Go reads it"),
        pytest.param([{"pined": True}], False, id="an unknown key"),
    ],
)
async def test_what_is_pinned(words: Words, options: list[object], pinned: bool) -> None:
    async with words.bench.watching():
        await words.call("mesh_addOrders", [as_json(ORDER)], *options)
    [row] = await words.bench.stored(ORDER)
    assert row is not None
    assert row.is_pinned is pinned


@pytest.mark.parametrize(
    ("params", "message", "field"),
    [
        ([], "missing value for required argument 0", "orders"),
        ([None], "missing value for required argument 0", "orders"),
        ([{}], "invalid argument 0: Expected `array`, got `object`", "orders"),
        (
            [[], {"pinned": "yes"}],
            "invalid argument 1: Expected `bool | null`, got `str` - at `$.pinned`",
            "options.pinned",
        ),
        ([[], True], "invalid argument 1: Expected `object`, got `bool`", "options"),
        ([[], None, 1], "too many arguments, want at most 2", None),
    ],
)
async def test_arguments_of_add_orders(
    words: Words, params: list[object], message: str, field: str | None
) -> None:
    error = await words.error("mesh_addOrders", *params)
    assert (error["code"], error["message"]) == (-32602, message)
    assert error["data"].get("field") == field


# ---------------------------------------------------------------- mesh_getOrders by page


async def test_a_page_as_mesh_prints_it(words: Words) -> None:
    await words.add(ORDER)
    assert await words.call("mesh_getOrders", 0, 10, "") == {
        "snapshotID": "id-1",
        "snapshotTimestamp": "2020-01-03T12:00:00Z",
        "ordersInfos": [
            {
                "orderHash": hex_of(ORDER),
                "signedOrder": as_json(ORDER),
                "fillableTakerAssetAmount": "42",
            }
        ],
    }


async def test_pages_of_one_snapshot(words: Words) -> None:
    given = orders(5)
    await words.add(*given)
    first = await words.call("mesh_getOrders", 0, 2, "")
    await words.add(make_order(salt=99))
    rest = [await words.call("mesh_getOrders", page, 2, first["snapshotID"]) for page in (1, 2, 3)]
    pages = [listed(answer) for answer in (first, *rest)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert [name for page in pages for name in page] == sorted(map(hex_of, given))
    assert {answer["snapshotID"] for answer in rest} == {"id-1"}
    assert {answer["snapshotTimestamp"] for answer in rest} == {first["snapshotTimestamp"]}


async def test_a_page_far_past_the_end(words: Words) -> None:
    await words.add(ORDER)
    assert listed(await words.call("mesh_getOrders", 10**30, MAX_PER_PAGE, "")) == []


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ([], -32602, "missing value for required argument 0"),
        ([None, 1, ""], -32602, "missing value for required argument 0"),
        ([0], -32602, "missing value for required argument 1"),
        ([0, None, ""], -32602, "missing value for required argument 1"),
        ([0, 100], -32602, "missing value for required argument 2"),
        ([0, 100, None], -32602, "missing value for required argument 2"),
        (["0", 1, ""], -32602, "invalid argument 0: Expected `int | object`, got `str`"),
        ([True, 1, ""], -32602, "invalid argument 0: Expected `int | object`, got `bool`"),
        ([0, "1", ""], -32602, "invalid argument 1: Expected `int`, got `str`"),
        ([0, 1.5, ""], -32602, "invalid argument 1: Expected `int`, got `float`"),
        ([0, 1, 5], -32602, "invalid argument 2: Expected `str`, got `int`"),
        ([0, 1, "", 1], -32602, "too many arguments, want at most 3"),
        ([0, 0, ""], -32000, "perPage cannot be zero"),
        ([0, -1, ""], -32000, "perPage cannot be zero"),
        ([-1, 1, ""], -32000, "page: expected 0 or more"),
        ([0, MAX_PER_PAGE + 1, ""], -32000, f"perPage: expected at most {MAX_PER_PAGE}"),
    ],
)
async def test_arguments_of_get_orders(
    words: Words, params: list[object], code: int, message: str
) -> None:
    error = await words.error("mesh_getOrders", *params)
    assert (error["code"], error["message"]) == (code, message)


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in VECTORS["rpc_errors"]["cases"]
        if isinstance(case["send"], dict)
        and case["send"].get("method") in {"mesh_getOrders", "mesh_getStats", "mesh_nope"}
    ],
    ids=lambda case: case["message"],
)
async def test_errors_recorded_of_mesh(words: Words, case: dict[str, Any]) -> None:
    error = (await words.answer(case["send"]))["error"]
    assert (error["code"], error["message"]) == (case["code"], case["message"])


# ---------------------------------------------------------------- mesh_getOrders by cursor


async def test_a_filter_chooses(words: Words) -> None:
    mine = make_order(maker_key=OTHER_MAKER_KEY)
    await words.add(ORDER, mine)
    wanted = {"makerAddress": f"0x{address_of(OTHER_MAKER_KEY).hex()}"}
    answer = await words.call("mesh_getOrders", {"filter": wanted})
    assert (listed(answer), answer["after"]) == ([hex_of(mine)], None)
    assert answer["ordersInfos"][0]["signedOrder"] == as_json(mine)


@pytest.mark.parametrize(
    ("options", "field", "expected"),
    [
        ({"limit": 0}, "limit", f"an integer from 1 to {QUERY_LIMIT_MAX}"),
        ({"limit": QUERY_LIMIT_MAX + 1}, "limit", f"an integer from 1 to {QUERY_LIMIT_MAX}"),
        (
            {"sort": "age"},
            "sort",
            "one of hash, expiration, price, with a leading - for the reverse",
        ),
        (
            {"after": "AA"},
            "after",
            "the cursor of the page before, asked with the same sort",
        ),
        ({"filter": 5}, "filter", "an object"),
        ({"page": 1}, "page", "one of filter, sort, limit, after"),
        (
            {"filter": {"makerAddress": "0x12"}},
            "filter.makerAddress",
            "20 bytes as 0x-prefixed hex",
        ),
    ],
)
async def test_options_that_mean_nothing(
    words: Words, options: object, field: str, expected: str
) -> None:
    error = await words.error("mesh_getOrders", options)
    assert (error["code"], error["message"]) == (-32000, f"{field}: expected {expected}")
    assert error["data"] == {"code": "InvalidParameter", "field": field, "expected": expected}


# ---------------------------------------------------------------- the node


@pytest.mark.parametrize("spell", [str, lambda text: "0x" + text[2:].upper()])
async def test_explain_takes_a_hash_in_any_case(words: Words, spell: Any) -> None:
    await words.add(ORDER)
    found = await words.call("mesh_explain", spell(hex_of(ORDER)))
    assert (found["orderHash"], found["status"]) == (hex_of(ORDER), "live")
    assert found["fillableTakerAssetAmount"] == "42"
    assert found["isPinned"] is True
    assert [step["what"] for step in found["steps"]] == ["ADDED"]


async def test_an_order_the_node_knows_nothing_of(words: Words) -> None:
    found = await words.call("mesh_explain", "0x" + "ab" * 32)
    assert sorted(found) == ["orderHash", "status", "steps", "summary"]
    assert (found["status"], found["steps"]) == ("unknown", [])


@pytest.mark.parametrize(
    "text", ["", "0x", "ab" * 32, "0x" + "ab" * 31, "0x" + "zz" * 32, "0x" + "ab" * 32 + "\n"]
)
async def test_explain_of_what_is_no_hash(words: Words, text: str) -> None:
    error = await words.error("mesh_explain", text)
    assert error["code"] == -32000
    assert error["message"] == "orderHash: expected 0x and 64 hexadecimal digits"
    assert error["data"]["field"] == "orderHash"


# ---------------------------------------------------------------- subscriptions


async def told(client: Client, subscription: str) -> list[str]:
    """Return which orders the next notification is about."""
    params = await client.notification()
    assert params["subscription"] == subscription
    return [event["orderHash"] for event in params["result"]]


async def test_what_has_happened_since(words: Words) -> None:
    seen, missed, live = orders(3)
    await words.add(seen)
    await words.add(missed)
    async with serve(words.registry) as address, connect(address) as client:
        subscription = await client.call("mesh_subscribe", "orders", {"since": 1})
        assert await told(client, subscription) == [hex_of(missed)]
        await words.add(live)
        assert await told(client, subscription) == [hex_of(live)]


async def test_a_filter_on_what_was_and_on_what_comes(words: Words) -> None:
    makers = itertools.cycle([MAKER_KEY, OTHER_MAKER_KEY])
    first, second, third, fourth = (
        make_order(salt=salt, maker_key=next(makers)) for salt in range(4)
    )
    wanted = {"makerAddress": f"0x{address_of(OTHER_MAKER_KEY).hex()}"}
    await words.add(first, second)
    async with serve(words.registry) as address, connect(address) as client:
        options = {"since": 0, "filter": wanted}
        subscription = await client.call("mesh_subscribe", "orders", options)
        assert await told(client, subscription) == [hex_of(second)]
        await words.add(third)
        await words.add(fourth)
        assert await told(client, subscription) == [hex_of(fourth)]


@pytest.mark.parametrize("options", [[], [None], [{}], [{"since": None, "filter": None}]])
async def test_options_left_out(words: Words, options: list[object]) -> None:
    async with serve(words.registry) as address, connect(address) as client:
        subscription = await client.call("mesh_subscribe", "orders", *options)
        await words.add(ORDER)
        assert await told(client, subscription) == [hex_of(ORDER)]


@pytest.mark.parametrize(
    ("options", "code", "message", "field"),
    [
        (
            {"sinse": 1},
            -32602,
            "invalid argument 1: Object contains unknown field `sinse`",
            "options",
        ),
        (
            {"since": "1"},
            -32602,
            "invalid argument 1: Expected `int | null`, got `str` - at `$.since`",
            "options.since",
        ),
        ({"since": 1}, -32000, "since: expected a sequence from 0 to 0", "since"),
        ({"since": -1}, -32000, "since: expected a sequence from 0 to 0", "since"),
        (
            {"filter": []},
            -32602,
            "invalid argument 1: Expected `object | null`, got `array` - at `$.filter`",
            "options.filter",
        ),
        (
            {"filter": {"protocolVersion": 4}},
            -32000,
            "filter.protocolVersion: expected 2 or 3",
            "filter.protocolVersion",
        ),
        ("orders", -32602, "invalid argument 1: Expected `object`, got `str`", "options"),
    ],
)
async def test_options_of_subscribe(
    words: Words, options: object, code: int, message: str, field: str
) -> None:
    async with serve(words.registry) as address, connect(address) as client:
        error = (await client.ask("mesh_subscribe", "orders", options))["error"]
    assert (error["code"], error["message"]) == (code, message)
    assert error["data"]["field"] == field


async def test_what_the_log_has_forgotten(words: Words) -> None:
    await words.add(*orders(3))
    await words.bench.database.write(
        lambda connection: eventlog.prune(connection, older_than_ns=0, max_rows=1)
    )
    bounds = await words.bench.database.read(
        lambda connection: eventlog.bounds(connection, journal.TOPIC)
    )
    assert bounds.first_retained == 3
    async with serve(words.registry) as address, connect(address) as client:
        error = (await client.ask("mesh_subscribe", "orders", {"since": 0}))["error"]
        assert (error["code"], error["message"]) == (-32000, "events before 3 are no longer kept")
        assert error["data"]["firstAvailable"] == 3
        assert await client.call("mesh_subscribe", "orders", {"since": 2})


async def test_a_heart_beats_before_the_node_is_ready(words: Words) -> None:
    async with (
        serve(words.registry, ready=asyncio.Event()) as address,
        connect(address) as client,
    ):
        subscription = await client.call("mesh_subscribe", "heartbeat")
        for _ in range(2):
            assert await client.notification() == {"subscription": subscription, "result": "tick"}
            await words.bench.clock.until_sleeping()
            await words.bench.clock.advance(5)
