from __future__ import annotations

import pytest

from fondaco.chain import wire
from fondaco.chain.errors import MalformedAnswer


@pytest.mark.parametrize(
    ("text", "value"),
    [("0x0", 0), ("0x10", 16), ("0x00ff", 255), ("0xFf", 255), ("0x" + "f" * 64, 2**256 - 1)],
)
def test_quantities(text: str, value: int) -> None:
    assert wire.quantity(text) == value
    assert wire.quantity(wire.encode_quantity(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        *("", "0x", "10", "0x1_0", "-0x1", "0x-1", "0xg", " 0x1", "0x1\n", "0X1"),
        *("0x1" + 64 * "0", 1, 1.5, None, True, ["0x1"]),
    ],
)
def test_what_is_no_quantity_is_refused_by_name(value: object) -> None:
    with pytest.raises(MalformedAnswer, match="blockNumber"):
        wire.quantity(value, "blockNumber")


@pytest.mark.parametrize("value", [b"", b"\x00", b"\xab" * 20])
def test_data(value: bytes) -> None:
    text = wire.encode_data(value)
    assert wire.data(text) == value
    assert wire.data(text.upper().replace("0X", "0x"), size=len(value)) == value


@pytest.mark.parametrize(
    "value", ["", "0", "00", "0x0", "0xzz", "0x 00", "0x00 ", "0x0 0 ", "0X00", None, 0, b"0x00"]
)
def test_what_is_no_data_is_refused_by_name(value: object) -> None:
    with pytest.raises(MalformedAnswer, match="topic"):
        wire.data(value, "topic")


def test_data_of_another_size_is_refused() -> None:
    with pytest.raises(MalformedAnswer, match="address is not 20 bytes"):
        wire.data("0x" + "00" * 19, "address", size=20)
