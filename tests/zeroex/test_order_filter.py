"""Custom filters: the vectors of the original, names, and schemas a stranger might send."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.errors import InvalidParameter
from fondaco.testing.orders import CHAIN_ID, EXCHANGE, make_order
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.limits import MAX_FILTER_SIZE, MAX_SCHEMA_ERRORS
from fondaco.zeroex.order import Address, ProtocolVersion
from fondaco.zeroex.order_filter import (
    CustomSchema,
    OrderFilter,
    pubsub_topic,
    rendezvous_points,
)

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
ALL_VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())
VECTORS = ALL_VECTORS["order_filter_v9"]


def filter_of(case: dict[str, Any]) -> OrderFilter:
    exchange = Address(bytes.fromhex(VECTORS["exchangeAddress"][2:]))
    return OrderFilter(VECTORS["chainId"], exchange, CustomSchema(case["customOrderSchema"]))


def assert_expected(errors: list[str], fragments: list[str]) -> None:
    assert bool(errors) is bool(fragments)
    for fragment in fragments:
        assert any(fragment in error for error in errors)


@pytest.mark.parametrize("case", VECTORS["validateOrderJSON"])
def test_orders_as_text(case: dict[str, Any]) -> None:
    raw = case["orderJSON"].encode()
    assert_expected(filter_of(case).errors(raw), case["expectedErrors"])
    assert filter_of(case).matches(raw) is not case["expectedErrors"]


@pytest.mark.parametrize("case", VECTORS["validateOrderStruct"])
def test_orders_as_values(case: dict[str, Any]) -> None:
    order = decode_order(json.dumps(case["signedOrder"]).encode())
    assert_expected(filter_of(case).errors_of(order), case["expectedErrors"])


@pytest.mark.parametrize("case", VECTORS["matchOrderMessageJSON"])
def test_gossip_messages(case: dict[str, Any]) -> None:
    assert filter_of(case).matches_message(case["messageJSON"].encode()) is case["matches"]


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"messageType":"order"}'])
def test_nonsense_is_no_message(raw: bytes) -> None:
    assert not OrderFilter(CHAIN_ID, EXCHANGE, CustomSchema()).matches_message(raw)


@pytest.mark.parametrize("case", VECTORS["topics"])
def test_names_both_ways(case: dict[str, Any]) -> None:
    order_filter = filter_of(case)
    assert order_filter.topic == case["topic"]
    assert order_filter.rendezvous == case["rendezvous"]
    assert order_filter.errors(case["orderJSONAccepted"].encode()) == []
    rebuilt = OrderFilter.from_topic(case["topic"], EXCHANGE)
    assert rebuilt.topic == case["topic"]
    assert rebuilt.chain_id == case["chainId"]
    assert rebuilt.schema.text == order_filter.schema.text


def test_names_of_a_node() -> None:
    default, custom = CustomSchema(), CustomSchema('{"minProperties": 1}')
    expected = ALL_VECTORS["integration_expectations_v9"]["getStats"]
    assert pubsub_topic(V3, 1337, default) == expected["pubSubTopic"]
    assert rendezvous_points(V3, 1337, default) == (expected["rendezvous"],)
    own, everybody = rendezvous_points(V3, 1337, custom)
    assert own.startswith("/0x-custom-filter-rendezvous/version/1/chain/1337/schema/")
    assert everybody == expected["rendezvous"]
    for schema in (default, custom):
        assert pubsub_topic(V2, 1, schema) == "/0x-orders/network/1/version/1"
        assert rendezvous_points(V2, 1, schema) == ("/0x-mesh/network/1/version/1",)


def named(text: str, chain: str = "1337") -> str:
    encoded = base64.urlsafe_b64encode(text.encode()).decode()
    return f"/0x-orders/version/3/chain/{chain}/schema/{encoded}"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "/0x-orders/network/1/version/1",
        named("{}").replace("version/3", "version/4"),
        named("{}").rstrip("="),
        named("{}", "01337"),
        named("{}", "-1"),
        named("{ }"),
        named("[]"),
        named('{"type":"nope"}'),
        named("{}") + "/",
        "/0x-orders/version/3/chain/1337/schema/====",
        "/0x-orders/version/3/chain/1337/schema/_____w==",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(InvalidParameter):
        OrderFilter.from_topic(topic, EXCHANGE)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("nope", id="not JSON"),
        pytest.param("[]", id="array"),
        pytest.param("true", id="boolean"),
        pytest.param('{"const":NaN}', id="NaN"),
        pytest.param('{"title":"\\ud800"}', id="lone surrogate"),
        pytest.param('{"type":"nope"}', id="unknown type"),
        pytest.param('{"$ref":"http://127.0.0.1:1/schema"}', id="from the network"),
        pytest.param('{"$ref":"file:///etc/passwd"}', id="from a file"),
        pytest.param('{"allOf":[{"$ref":"#"},{"$ref":"#"}]}', id="for ever"),
        pytest.param('{"pattern":"("}', id="broken pattern"),
        pytest.param('{"pattern":"(?=a)b"}', id="look-ahead"),
        pytest.param('{"pattern":"(a{1000}){1000}"}', id="pattern that explodes"),
        pytest.param('{"not":' * 900 + "{}" + "}" * 900, id="nested"),
        pytest.param('{"not":' * 99_999, id="nesting bomb"),
        pytest.param(json.dumps({"title": "x" * MAX_FILTER_SIZE}), id="too long"),
    ],
)
def test_what_is_no_schema(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        CustomSchema(text)
    assert caught.value.field == "customOrderSchema"


def test_patterns_run_in_linear_time() -> None:
    """Thousands of characters against a pattern that is exponential in other engines."""
    schema = CustomSchema('{"properties":{"makerAssetData":{"pattern":"^(0|0x|0+)+1$"}}}')
    order = make_order(maker_asset_data=bytes(5_000))
    assert schema.errors(json.loads(encode_order(order)))


def test_faults_are_said_in_the_words_of_the_original() -> None:
    schema = CustomSchema(
        json.dumps(
            {
                "required": ["note"],
                "properties": {
                    "makerFee": {"const": "1"},
                    "takerFee": {"enum": ["1", "2"]},
                    "salt": {"pattern": "^x"},
                    "chainId": {"minimum": 9999},
                },
            }
        )
    )
    errors = schema.errors(json.loads(encode_order(make_order())))
    assert set(errors) >= {
        "(root): note is required",
        'makerFee: makerFee does not match: "1"',
        'takerFee: takerFee must be one of the following: "1", "2"',
        "salt: Does not match pattern '^x'",
    }
    assert any(error.startswith("chainId: ") for error in errors)


def test_the_list_of_faults_has_an_end() -> None:
    schema = CustomSchema(json.dumps({"required": [f"f{i}" for i in range(500)]}))
    assert len(schema.errors({})) == MAX_SCHEMA_ERRORS


def test_the_default_accepts_every_order() -> None:
    assert CustomSchema().is_default
    assert not CustomSchema('{"type":"object"}').is_default
    CustomSchema().check(encode_order(make_order(version=V2)))


def test_a_v2_order_does_not_travel_on_a_v3_topic() -> None:
    order_filter = OrderFilter(CHAIN_ID, EXCHANGE, CustomSchema())
    assert order_filter.errors_of(make_order(version=V2)) == ["(root): chainId is required"]
    assert not order_filter.errors_of(make_order())
