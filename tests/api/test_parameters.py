"""Positional parameters: what fits, and the words for what does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from fondaco.api.declarations import Param
from fondaco.api.parameters import Parameters
from fondaco.jsonrpc import InvalidParams


class Options(msgspec.Struct):
    pinned: bool = False


GET_ORDERS = Parameters(
    [
        Param(name="page", type=int),
        Param(name="perPage", type=int),
        Param(name="snapshotID", type=str),
    ]
)
ADD_ORDERS = Parameters(
    [
        Param(name="orders", type=list[Raw]),
        Param(name="options", type=Options, required=False),
    ]
)
NOTHING = Parameters([])
UNDECODED = Parameters([Param(name="any", type=Raw), Param(name="more", type=Raw, required=False)])


def decode(parameters: Parameters, text: str | None) -> tuple[Any, ...]:
    return parameters.decode(None if text is None else Raw(text.encode()))


def test_what_fits() -> None:
    assert decode(GET_ORDERS, '[0, 100, ""]') == (0, 100, "")
    assert decode(NOTHING, None) == ()
    assert decode(NOTHING, "[]") == ()
    orders, options = decode(ADD_ORDERS, '[[{"a":1}, 5],{"pinned":true}]')
    assert [bytes(order) for order in orders] == [b'{"a":1}', b"5"]
    assert options == Options(pinned=True)


@pytest.mark.parametrize("text", ["[[]]", "[[],null]", "[[], null ]"])
def test_an_optional_parameter_is_none_when_left_out_or_null(text: str) -> None:
    assert decode(ADD_ORDERS, text) == ([], None)


def test_undecoded_parameters() -> None:
    first, second = decode(UNDECODED, '[{"a" : 1}]')
    assert (bytes(first), second) == (b'{"a" : 1}', None)
    first, second = decode(UNDECODED, "[1, 2]")
    assert (bytes(first), bytes(second)) == (b"1", b"2")
    assert decode(UNDECODED, "[1, null]")[1] is None
    with pytest.raises(InvalidParams, match="missing value for required argument 0"):
        decode(UNDECODED, "[null]")


@pytest.mark.parametrize(
    ("parameters", "text", "message", "field"),
    [
        (GET_ORDERS, "[0,100]", "missing value for required argument 2", "snapshotID"),
        (GET_ORDERS, None, "missing value for required argument 0", "page"),
        (GET_ORDERS, "[]", "missing value for required argument 0", "page"),
        (GET_ORDERS, '[0,null,""]', "missing value for required argument 1", "perPage"),
        (NOTHING, "[1]", "too many arguments, want at most 0", None),
        (GET_ORDERS, '[0,1,"",3]', "too many arguments, want at most 3", None),
        (GET_ORDERS, f'[0,1,""{",3" * 9999}]', "too many arguments, want at most 3", None),
        (GET_ORDERS, '["x",1,"",3]', "invalid argument 0: Expected `int`, got `str`", "page"),
        (GET_ORDERS, '[0,1.5,""]', "invalid argument 1: Expected `int`, got `float`", "perPage"),
        (GET_ORDERS, "[0,1,{}]", "invalid argument 2: Expected `str`, got `object`", "snapshotID"),
        (GET_ORDERS, '[{},{},""]', "invalid argument 0: Expected `int`, got `object`", "page"),
        (GET_ORDERS, "{}", "non-array args", None),
        (GET_ORDERS, '"[0]"', "non-array args", None),
        (GET_ORDERS, "5", "non-array args", None),
        (ADD_ORDERS, "[5]", "invalid argument 0: Expected `array`, got `int`", "orders"),
        (
            ADD_ORDERS,
            '[[],{"pinned":1}]',
            "invalid argument 1: Expected `bool`, got `int` - at `$.pinned`",
            "options.pinned",
        ),
    ],
)
def test_what_does_not_fit(
    parameters: Parameters, text: str | None, message: str, field: str | None
) -> None:
    with pytest.raises(InvalidParams) as caught:
        decode(parameters, text)
    assert caught.value.message == message
    assert caught.value.rpc_code == -32602
    assert (caught.value.data or {}).get("field") == field


def test_what_was_expected_is_said_without_decoration() -> None:
    with pytest.raises(InvalidParams) as caught:
        decode(GET_ORDERS, '[0,"1",""]')
    assert caught.value.data == {"code": "InvalidParams", "field": "perPage", "expected": "int"}
