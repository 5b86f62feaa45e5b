"""JSON-RPC text in both directions: wire bytes, vectors, and everything that is no call."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fondaco import jsonrpc
from fondaco.jsonrpc import Answer, Call, Message, Notice, Unusable

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors" / "mesh_vectors.json").read_text()
)


def parse(data: bytes | str, batch_limit: int = 1000) -> Message:
    return jsonrpc.parse(
        data if isinstance(data, bytes) else data.encode(), batch_limit=batch_limit
    )


def only(data: bytes | str) -> Call:
    (call,) = parse(data).calls
    assert isinstance(call, Call)
    return call


def params_of(call: Call) -> Any:
    return None if call.params is None else json.loads(bytes(call.params))


SEED_BLOCKS = VECTORS["seed_json_blocks"]["blocks"]


def test_the_seed_has_requests_answers_and_events() -> None:
    assert sum("method" in block and "id" in block for block in SEED_BLOCKS) >= 7


@pytest.mark.parametrize("block", SEED_BLOCKS, ids=lambda b: b.get("method", "answer"))
def test_every_block_of_the_seed_is_read(block: dict[str, Any]) -> None:
    text = json.dumps(block)
    if "method" not in block:
        assert parse(text) == Message(calls=(), is_batch=False)
        reply = jsonrpc.decode_reply(text.encode())
        assert isinstance(reply, Answer)
        assert reply.id == block["id"]
        assert reply.result is not None
        assert json.loads(bytes(reply.result)) == block["result"]
        return
    call = only(text)
    assert call.method == block["method"]
    assert params_of(call) == block["params"]
    assert call.id == (str(block["id"]).encode() if "id" in block else None)


CLIENT_FRAMES = [
    pytest.param(frame, id=f"{client.split()[-1]} {frame['id']} {frame['method']}")
    for client, frames in VECTORS["client_frames"].items()
    if isinstance(frames, list)
    for frame in frames
]


@pytest.mark.parametrize("frame", CLIENT_FRAMES)
def test_frames_of_real_clients_are_read_and_written(frame: dict[str, Any]) -> None:
    call = only(json.dumps(frame))
    assert (call.method, params_of(call)) == (frame["method"], frame["params"])
    assert call.id == str(frame["id"]).encode()
    sent = jsonrpc.encode_request(frame["id"], frame["method"], frame["params"])
    assert json.loads(sent) == frame


@pytest.mark.parametrize(
    ("text", "echoed"),
    [
        pytest.param("7", b"7", id="number"),
        pytest.param("1.50e1", b"1.50e1", id="number as spelled"),
        pytest.param('"a\\u00e9"', b'"a\\u00e9"', id="string as spelled"),
        pytest.param('"é"', '"é"'.encode(), id="not ASCII"),
        pytest.param("null", b"null", id="null is an id"),
        pytest.param("true", b"true", id="boolean"),
        pytest.param("123456789012345678901234567890", b"123456789012345678901234567890", id="big"),
    ],
)
def test_ids_are_echoed_byte_for_byte(text: str, echoed: bytes) -> None:
    call = only(f'{{"id": {text} ,"method":"m"}}')
    assert call.id == echoed
    assert jsonrpc.answer(echoed, True) == b'{"jsonrpc":"2.0","id":%b,"result":true}' % echoed


def test_a_call_without_id_is_a_notification() -> None:
    assert only('{"method":"m"}').id is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"method":"m","id":1}', id="absent"),
        pytest.param('{"method":"m","id":1,"params":null}', id="null"),
        pytest.param('{"method":"m","id":1,"params": null }', id="null with spaces"),
    ],
)
def test_no_params(text: str) -> None:
    assert only(text).params is None


def test_jsonrpc_is_not_looked_at() -> None:
    assert only('{"jsonrpc":1,"method":"m","id":1}') == only('{"method":"m","id":1}')


@pytest.mark.parametrize(
    ("text", "request_id"),
    [
        pytest.param('{"jsonrpc":"2.0","id":1}', b"1", id="no method"),
        pytest.param('{"id":"x","params":[]}', b'"x"', id="params only"),
        pytest.param('{"id":1,"method":5}', b"1", id="method is a number"),
        pytest.param('{"id":1,"method":null}', b"1", id="method is null"),
        pytest.param('{"id":1,"method":""}', b"1", id="method is empty"),
        pytest.param('{"id":{},"method":"m"}', b"null", id="id is an object"),
        pytest.param('{"id":[1],"method":"m"}', b"null", id="id is an array"),
        pytest.param("{}", b"null", id="empty object"),
        pytest.param("5", b"null", id="number"),
        pytest.param('"m"', b"null", id="string"),
        pytest.param("null", b"null", id="null"),
    ],
)
def test_json_that_is_no_call(text: str, request_id: bytes) -> None:
    assert parse(text).calls == (Unusable(id=request_id),)
    assert parse(f"[{text}]") == Message(calls=(Unusable(id=request_id),), is_batch=True)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{bad}", id="bare word"),
        pytest.param(b"", id="nothing"),
        pytest.param(b" \n", id="spaces"),
        pytest.param(b'{"id":1', id="cut short"),
        pytest.param(b'{"id":1} x', id="something after"),
        pytest.param(b'{"id":1}{"id":2}', id="two values"),
        pytest.param(b'[{"id":1},]', id="comma at the end"),
        pytest.param(b'{"id":1,"method":"m","params":[01]}', id="leading zero deep inside"),
        pytest.param(b'{"id":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"method":"m","params":["\xff"]}', id="not UTF-8 in params"),
        pytest.param(b'{"id":"\\ud800","method":"m"}', id="half a surrogate pair"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="arrays nested too deep"),
        pytest.param(b'{"params":' * 100_000, id="objects nested too deep"),
    ],
)
def test_broken_messages(data: bytes) -> None:
    with pytest.raises(jsonrpc.ParseError) as caught:
        parse(data)
    assert (caught.value.rpc_code, caught.value.message) == (-32700, "parse error")
    error = json.loads(jsonrpc.failure(jsonrpc.NULL, caught.value))
    assert error["id"] is None
    assert error["error"]["data"]["expected"] == "JSON"


def test_empty_batch() -> None:
    with pytest.raises(jsonrpc.InvalidRequest, match=r"^empty batch$") as caught:
        parse(" [ ] ")
    assert caught.value.rpc_code == -32600


def test_a_batch_is_read_in_its_order() -> None:
    message = parse('[{"method":"a","id":1},5,{"method":"b"},{"id":9,"result":1}]')
    assert message.is_batch
    assert message.calls == (Call(method="a", id=b"1"), Unusable(), Call(method="b"))


def test_the_longest_batch() -> None:
    calls = ['{"method":"m"}'] * 10
    assert len(parse(f"[{','.join(calls)}]", batch_limit=10).calls) == 10
    with pytest.raises(jsonrpc.InvalidRequest, match="batch too long, want at most 9 calls"):
        parse(f"[{','.join(calls)}]", batch_limit=9)


def test_a_huge_batch_is_refused_at_its_first_excess() -> None:
    """Not a measurement: a hundred times the limit below is what reading it all takes."""
    data = b"[" + b"1," * 2_500_000 + b"1]"
    before = time.thread_time()
    with pytest.raises(jsonrpc.InvalidRequest):
        parse(data)
    assert time.thread_time() - before < 0.1


def test_answers_nobody_asked_for_are_dropped() -> None:
    assert parse('{"id":1,"result":5}').calls == ()
    assert parse('{"id":1,"error":{"code":1}}').calls == ()


def test_results_that_are_text_already_are_not_touched() -> None:
    raw = msgspec.Raw(b'{"a":  1}')
    assert jsonrpc.answer(b"1", {"x": [raw]}).endswith(b'"result":{"x":[{"a":  1}]}}')


def test_failures_carry_data_only_when_there_is_some() -> None:
    bare = json.loads(jsonrpc.failure(b"1", jsonrpc.ServerError("no")))
    assert bare == {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no"}}
    told = json.loads(jsonrpc.failure(b"1", jsonrpc.InvalidParams("no", {"field": "f"})))
    assert told["error"] == {"code": -32602, "message": "no", "data": {"field": "f"}}


def test_notifications_have_no_id() -> None:
    text = jsonrpc.notification_head("mesh_subscription", "0x1") + b'"tick"' + b"}}"
    assert json.loads(text) == {
        "jsonrpc": "2.0",
        "method": "mesh_subscription",
        "params": {"subscription": "0x1", "result": "tick"},
    }
    notice = jsonrpc.decode_reply(text)
    assert isinstance(notice, Notice)
    assert notice.method == "mesh_subscription"


def test_replies_of_endpoints() -> None:
    ok = jsonrpc.decode_reply(b'{"id":1,"result":null,"error":null}')
    assert isinstance(ok, Answer)
    assert (ok.id, ok.error) == (1, None)
    assert ok.result is not None
    assert bytes(ok.result) == b"null"
    failed = jsonrpc.decode_reply(b'{"id":"a","error":{"code":-32000,"message":"m","data":"0x"}}')
    assert isinstance(failed, Answer)
    assert failed.error is not None
    assert (failed.id, failed.error.code, failed.error.message) == ("a", -32000, "m")
    assert bytes(failed.error.data) == b'"0x"'
    batch = jsonrpc.decode_replies(b'[{"id":1,"result":1},{"id":2,"error":{"code":3}}]')
    assert [reply.id for reply in batch if isinstance(reply, Answer)] == [1, 2]
    assert len(jsonrpc.decode_replies(b'{"id":null,"error":{"code":1,"message":"m"}}')) == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"[]", b"{}", b'{"id":1}', b'{"id":{},"result":1}', b'{"id":1,"error":5}'],
)
def test_nonsense_from_endpoints(data: bytes) -> None:
    with pytest.raises(jsonrpc.MalformedReply):
        jsonrpc.decode_reply(data)


def test_a_batch_of_nonsense_from_endpoints() -> None:
    with pytest.raises(jsonrpc.MalformedReply):
        jsonrpc.decode_replies(b"[1,")
    with pytest.raises(jsonrpc.MalformedReply):
        jsonrpc.decode_replies(b"[1]")
