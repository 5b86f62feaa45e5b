"""From message to answer, without sockets."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from fondaco import jsonrpc
from fondaco.api.dispatch import Dispatcher, Reply
from fondaco.api.limits import Limits
from fondaco.api.subscriptions import Session
from fondaco.testing.api import counting_bytes, turns
from support.api_words import Words, words_registry

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text()
)


class Bench:
    """A dispatcher over the test words, and one HTTP caller."""

    def __init__(self, limits: Limits = Limits(), *, is_ready: bool = True) -> None:  # noqa: B008
        self.words = Words()
        self.ready = asyncio.Event()
        if is_ready:
            self.ready.set()
        registry = words_registry(self.words)
        self.dispatcher = Dispatcher(registry, limits=limits, ready=self.ready)
        self.session = Session(peer="test", limits=limits, token_bytes=counting_bytes())

    async def reply(self, text: str) -> Reply:
        message = jsonrpc.parse(text.encode(), batch_limit=1000)
        return await self.dispatcher.reply(self.session, message)

    async def answer(self, request: object) -> Any:
        text = request if isinstance(request, str) else json.dumps(request)
        data = (await self.reply(text)).data
        return None if data is None else json.loads(data)

    async def ask(self, method: str, *params: object) -> Any:
        answer = await self.answer({"id": 1, "method": method, "params": params})
        assert answer["id"] == 1
        return answer.get("error") or answer["result"]


async def test_a_call() -> None:
    answer = await Bench().answer('{"id":"a","method":"mesh_getOrders","params":[3,4,""]}')
    assert answer == {"jsonrpc": "2.0", "id": "a", "result": [3, 4]}


async def test_orders_reach_the_handler_undecoded() -> None:
    orders = [{"makerAddress": "0x"}, 5, {"x": [1.50]}]
    assert await Bench().ask("mesh_addOrders", orders) == {
        "count": 3,
        "bytes": sum(len(json.dumps(order)) for order in orders),
        "pinned": True,
    }
    pinned = [await Bench().ask("mesh_addOrders", [], o) for o in (None, {}, {"pinned": True})]
    assert [answer["pinned"] for answer in pinned] == [True, False, True]


@pytest.mark.parametrize("text", ['{"method":"mesh_note","params":["a"]}', '{"method":"nope"}'])
async def test_notifications_get_no_answer(text: str) -> None:
    bench = Bench()
    assert (await bench.reply(text)).data is None
    assert bench.words.log == ["a"] * ("note" in text)


async def test_a_batch_is_run_in_sequence() -> None:
    bench = Bench()
    batch = [
        {"id": 1, "method": "mesh_wait", "params": ["first"]},
        {"method": "mesh_note", "params": ["unanswered"]},
        5,
        {"id": 2, "method": "mesh_note", "params": ["second"]},
    ]
    running = asyncio.create_task(bench.answer(batch))
    await bench.words.until_waiting(1)
    assert bench.words.log == ["first waits"]
    bench.words.gate.set()
    answers = await running
    assert [(a["id"], a.get("result")) for a in answers] == [
        (1, "first"),
        (None, None),
        (2, "second"),
    ]
    assert bench.words.log == ["first waits", "first done", "unanswered", "second"]


async def test_a_batch_of_notifications_gets_no_answer() -> None:
    assert await Bench().answer('[{"method":"mesh_note","params":["a"]}]') is None


async def test_a_batch_of_one_is_answered_with_an_array() -> None:
    (answer,) = await Bench().answer([{"id": 1, "method": "mesh_getStats"}])
    assert answer["result"] == {"version": "test"}


async def test_messages_run_side_by_side() -> None:
    bench = Bench()
    waiting = asyncio.create_task(bench.ask("mesh_wait", "slow"))
    assert await bench.ask("mesh_note", "quick") == "quick"
    bench.words.gate.set()
    assert await waiting == "slow"


async def test_the_answers_to_a_batch_are_bounded() -> None:
    bench = Bench(Limits(batch_answer_bytes=1000))
    call = {"id": 1, "method": "mesh_big", "params": [600]}
    answers = await bench.answer([call, call, call, {"method": "mesh_note", "params": ["x"]}])
    assert [len(answer.get("result", "")) for answer in answers] == [600, 600, 0]
    assert answers[2]["error"]["code"] == -32000
    assert "longer than 1000 bytes" in answers[2]["error"]["message"]
    assert bench.words.log == []


CASES = [
    case
    for case in VECTORS["rpc_errors"]["cases"]
    if isinstance(case["send"], dict) and case["send"].get("method") != "mesh_subscribe"
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["message"][:40])
async def test_errors_as_recorded(case: dict[str, Any]) -> None:
    answer = await Bench().answer(case["send"])
    assert answer["id"] == case["send"]["id"]
    assert answer["error"]["code"] == case["code"]
    assert answer["error"]["message"] == case["message"]


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("mesh_unsubscribe", [], "missing value for required argument 0"),
        ("mesh_unsubscribe", [5], "invalid argument 0: Expected `str`, got `int`"),
        ("anything_unsubscribe", ["0x1"], "subscription not found"),
        ("rpc_modules", [1], "too many arguments, want at most 0"),
        ("mesh_subscribe", ["heartbeat"], "notifications not supported"),
        ("mesh", [], "the method mesh does not exist/is not available"),
    ],
)
async def test_more_errors(method: str, params: list[object], message: str) -> None:
    assert (await Bench().ask(method, *params))["message"] == message


async def test_modules() -> None:
    assert await Bench().ask("rpc_modules") == {"mesh": "1.0", "rpc": "1.0"}


@pytest.mark.parametrize(
    ("how", "message", "data"),
    [
        (
            "parameter",
            "filter.maker: expected an address",
            {"code": "InvalidParameter", "field": "filter.maker", "expected": "an address"},
        ),
        ("unavailable", "the endpoint is away", {"code": "Unavailable"}),
        ("storage", "disk full", {"code": "StorageError"}),
        ("nameless", "internal error", {"code": "InternalError"}),
    ],
)
async def test_errors_with_a_code_are_told(how: str, message: str, data: dict[str, str]) -> None:
    assert await Bench().ask("mesh_fail", how) == {
        "code": -32000,
        "message": message,
        "data": data,
    }


@pytest.mark.parametrize("how", ["bug", "unencodable", "timeout"])
async def test_a_crash_is_logged_and_not_told(how: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="fondaco"):
        error = await Bench().ask("mesh_fail", how)
    assert error == {
        "code": -32000,
        "message": "method handler crashed in mesh_fail RPC call (check logs for stack trace)",
    }
    (record,) = caplog.records
    assert record.exc_info is not None


async def test_a_crash_of_a_notification_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert await Bench().answer('{"method":"mesh_fail","params":["bug"]}') is None
    assert [record.message for record in caplog.records] == ["call crashed"]


async def test_early_calls_wait_for_the_node() -> None:
    bench = Bench(is_ready=False)
    early = asyncio.create_task(bench.ask("mesh_getStats"))
    assert await bench.ask("mesh_now") == {"version": "test"}
    assert (await bench.ask("mesh_getStats", 1))["code"] == -32602
    assert not early.done()
    bench.ready.set()
    assert await early == {"version": "test"}


async def test_early_calls_do_not_wait_for_ever() -> None:
    error = await Bench(Limits(start_wait_seconds=0.01), is_ready=False).ask("mesh_getStats")
    assert error["message"] == "the node is still starting, try again later"
    assert error["data"] == {"code": "NotReady"}


async def test_calls_at_once_are_bounded() -> None:
    bench = Bench(Limits(calls_at_once=2))
    tasks = [asyncio.create_task(bench.ask("mesh_wait", str(n))) for n in range(3)]
    await bench.words.until_waiting(2)
    await turns()
    assert bench.words.log == ["0 waits", "1 waits"]
    bench.words.gate.set()
    assert await asyncio.gather(*tasks) == ["0", "1", "2"]
