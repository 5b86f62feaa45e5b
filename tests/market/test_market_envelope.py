"""Envelopes: what is read, what is refused by name, what goes out."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.errors import NodeError, Unavailable
from fondaco.market import word_limits
from fondaco.market.envelope import (
    Failure,
    Request,
    decode_request,
    encode_frame,
    failure,
)
from fondaco.market.errors import CommandUnavailable, MalformedRequest, UnknownCommand
from support.seed_messages import SeedMessage, seed_messages


@pytest.mark.parametrize("message", seed_messages("client"), ids=lambda m: m.note)
def test_a_printed_request_is_read(message: SeedMessage) -> None:
    request = decode_request(message.json)
    assert request.command == message.value["command"]
    assert request.size == len(message.json)
    assert decode_request(message.json.encode()) == request


def test_marks_of_the_web_client_are_taken_off() -> None:
    text = '{"id": 42, "command": "x", "params": {"a": [{"$$hashKey": "00G", "b": "\u00fc"}]}}'
    request = decode_request(text)
    assert request == Request(command="x", params={"a": [{"b": "\u00fc"}]}, size=len(text.encode()))


@pytest.mark.parametrize("request_id", ["42", '"abc"', "null", "-1.5", "{}", "[]"])
def test_an_id_may_be_anything(request_id: str) -> None:
    text = f'{{"id": {request_id}, "command": "peers", "params": {{}}}}'
    assert decode_request(text).command == "peers"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", ""),
        ("hello", ""),
        ("[]", ""),
        ('"peers"', ""),
        ("1", ""),
        ("true", ""),
        ("null", ""),
        ("{}", "id"),
        ('{"command": "peers", "params": {}}', "id"),
        ('{"id": 1, "params": {}}', "command"),
        ('{"id": 1, "command": 7, "params": {}}', "command"),
        ('{"id": 1, "command": null, "params": {}}', "command"),
        ('{"id": 1, "command": "peers"}', "params"),
        ('{"id": 1, "command": "peers", "params": []}', "params"),
        ('{"id": 1, "command": "peers", "params": null}', "params"),
        ('{"id": 1, "command": "peers", "params": "{}"}', "params"),
        ('{"id": 1, "id": 1, "command": "peers", "params": {}}', ""),
        ('{"id": 1, "command": "peers", "params": {"a": 1, "a": 1}}', ""),
        ('{"id": 1, "command": "peers", "params": {}} x', ""),
        ('{"id": 1, "command": "peers", "params": {"a":' + "[" * 50 + "]" * 50 + "}}", ""),
        (b"\xff\xfe", ""),
    ],
)
def test_what_is_no_request_becomes_an_error_frame(text: str | bytes, field: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        decode_request(text)
    frame = json.loads(encode_frame(7, failure(caught.value)))
    assert frame["id"] == 7
    assert frame["result"].keys() == {"type", "code", "field", "message"}
    assert frame["result"]["type"] == "error"
    assert frame["result"]["code"] == "MalformedRequest"
    assert frame["result"]["field"] == field
    assert "expected" in frame["result"]["message"]


def test_a_request_is_bounded() -> None:
    text = '{"id": 1, "command": "peers", "params": {}}'
    assert decode_request(text + " " * (word_limits.MAX_FRAME - len(text))).command == "peers"
    with pytest.raises(MalformedRequest, match=str(word_limits.MAX_FRAME)):
        decode_request(text + " " * (word_limits.MAX_FRAME - len(text) + 1))


@given(
    st.text(max_size=60)
    | st.binary(max_size=60)
    | st.fixed_dictionaries(
        {},
        optional={
            "id": st.integers(),
            "command": st.text(max_size=4) | st.none() | st.lists(st.integers(), max_size=1),
            "params": st.dictionaries(st.text(max_size=3), st.floats() | st.text(), max_size=3)
            | st.integers(),
        },
    ).map(json.dumps)
)
def test_nothing_raises_anything_else(text: str | bytes) -> None:
    with contextlib.suppress(MalformedRequest):
        assert isinstance(decode_request(text).params, dict)


def test_what_a_client_is_told() -> None:
    assert failure(UnknownCommand("x" * 500)).message.count("x") < 80
    told = failure(CommandUnavailable("read_log", "the log stays on the node's own machine"))
    assert told == Failure(
        code="CommandUnavailable",
        field="command",
        message="read_log: the log stays on the node's own machine",
    )
    assert failure(Unavailable("no peer has it")).field == ""


def test_a_fault_of_ours_is_not_told() -> None:
    told = failure(NodeError("/home/x/secret"))
    assert told == Failure(code="InternalError", field="", message="internal error")


def test_what_cannot_be_sent_is_our_own_bug() -> None:
    peers = {"type": "hello"}
    assert json.loads(encode_frame(word_limits.MAX_FRAME_ID, peers)) == {
        "id": 1_000_000,
        "result": peers,
    }
    for frame_id, result in ((-1, peers), (word_limits.MAX_FRAME_ID + 1, peers), (1, {"a": "b"})):
        with pytest.raises(ValueError, match=r"id|type"):
            encode_frame(frame_id, result)
