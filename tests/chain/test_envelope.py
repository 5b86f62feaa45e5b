from __future__ import annotations

import json
from typing import Any

import pytest

from fondaco.chain.envelope import (
    Answer,
    Notification,
    decode_message,
    encode_request,
    result_of,
)
from fondaco.chain.errors import EndpointError, MalformedAnswer
from fondaco.chain.limits import ERROR_TEXT_KEPT


def answer(**members: Any) -> Answer:
    message = decode_message(json.dumps({"jsonrpc": "2.0", **members}))
    assert isinstance(message, Answer)
    return message


def test_a_request_on_the_wire() -> None:
    assert encode_request(7, "eth_getBlockByNumber", ["latest", False]) == (
        b'{"jsonrpc":"2.0","id":7,"method":"eth_getBlockByNumber","params":["latest",false]}'
    )


def test_a_result_is_handed_on_as_text() -> None:
    assert bytes(result_of(answer(id=7, result={"a": [1, 2]}), 7)) == b'{"a": [1, 2]}'
    assert bytes(result_of(answer(id=7, result=None), 7)) == b"null"
    assert bytes(result_of(answer(id=7, result="0x", error=None), 7)) == b'"0x"'


@pytest.mark.parametrize("request_id", [7, None])
def test_an_error_of_ours_is_raised_with_its_parts(request_id: int | None) -> None:
    error = {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}
    with pytest.raises(EndpointError, match="execution reverted") as caught:
        result_of(answer(id=request_id, error=error), 7)
    assert (caught.value.rpc_code, caught.value.data) == (3, "0x08c379a0")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        ("rate limited", 0, "rate limited"),
        ({"message": "no code"}, 0, "no code"),
        ({"code": "x", "message": 5}, 0, "5"),
        ({"code": 1, "message": "x" * 10_000}, 1, "x" * ERROR_TEXT_KEPT),
        ({}, 0, "None"),
        (False, 0, "False"),
    ],
)
def test_a_careless_error_is_an_error_still(error: object, code: int, text: str) -> None:
    failure = answer(id=1, error=error).error
    assert failure is not None
    assert (failure.rpc_code, failure.message) == (code, text)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"id": 8, "result": 1}, id="another id"),
        pytest.param({"id": "7", "result": 1}, id="id as text"),
        pytest.param({"id": None, "result": 1}, id="no id"),
        pytest.param({"id": 8, "error": {"code": 1, "message": "x"}}, id="another's error"),
    ],
)
def test_the_answer_to_another_request_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer, match="another request"):
        result_of(answer(**members), 7)


def test_true_is_not_the_id_1() -> None:
    with pytest.raises(MalformedAnswer, match="another request"):
        result_of(answer(id=True, result=1), 1)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>502</html>", id="html"),
        pytest.param(b'{"jsonrpc":"2.0","id":1,"resu', id="truncated"),
        pytest.param(b"[]", id="batch"),
        pytest.param(b"5", id="number"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"jsonrpc":"2.0","id":1}', id="neither result nor error"),
        pytest.param(b'{"method":5,"id":1,"result":1}', id="method is a number"),
        pytest.param(b'{"method":"eth_subscription","params":{}}', id="empty notification"),
        pytest.param(b'{"method":"eth_subscription","params":[1]}', id="notification list"),
        pytest.param(b'{"id":' + b"[" * 100_000, id="deep"),
        pytest.param(b'{"id":1,"error":"\xff\xfe"}', id="not UTF-8"),
    ],
)
def test_nonsense_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        decode_message(body)


def test_a_notification() -> None:
    text = '{"method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0x5"}}}'
    message = decode_message(text)
    assert isinstance(message, Notification)
    assert (message.subscription, bytes(message.result)) == ("0x1", b'{"number":"0x5"}')
