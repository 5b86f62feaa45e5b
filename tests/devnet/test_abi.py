"""Our encoder against eth_abi, on the types that the 0x contracts use."""

from __future__ import annotations

import random
from typing import Any

import pytest
from eth_abi.abi import encode

from fondaco.devnet import abi
from fondaco.devnet.abi import AbiTypeError

ORDER = "(address,address,uint256,uint256,bytes,bytes)"


def test_a_call_everybody_knows() -> None:
    call = abi.encode_call("transfer(address,uint256)", b"\x11" * 20, 5)
    assert call.hex() == "a9059cbb" + "00" * 12 + "11" * 20 + f"{5:064x}"


@pytest.mark.parametrize(
    "types",
    [
        ["uint256", "bool", "bytes32", "bytes4"],
        ["string", "bytes", "address"],
        ["uint256[]", "address[]", "bytes[]"],
        [ORDER, "uint256", "bytes"],
        [f"{ORDER}[]", "bytes[]"],
        ["(uint256,address)", "(uint256,address)[]"],
        [],
    ],
    ids=lambda types: " ".join(types) or "nothing",
)
def test_it_agrees_with_eth_abi(types: list[str]) -> None:
    rng = random.Random(repr(types))
    for _ in range(50):
        values = [made_up(kind, rng) for kind in types]
        theirs = encode(types, values)
        assert abi.encode_arguments(f"f({','.join(types)})", *values) == theirs


def made_up(kind: str, rng: random.Random) -> Any:
    if kind.endswith("[]"):
        return [made_up(kind[:-2], rng) for _ in range(rng.randrange(4))]
    if kind.startswith("("):
        return tuple(made_up(inner, rng) for inner in kind[1:-1].split(","))
    sizes = {"address": 20, "bytes32": 32, "bytes4": 4, "bytes": rng.randrange(70)}
    if kind in sizes:
        return rng.randbytes(sizes[kind])
    choices = {
        "bool": rng.random() < 0.5,
        "string": "Größe" * rng.randrange(9),
        "uint256": rng.getrandbits(rng.choice((1, 64, 256))),
    }
    return choices[kind]


@pytest.mark.parametrize(
    ("signature", "values"),
    [
        pytest.param("f(uint256)", (-1,), id="negative"),
        pytest.param("f(uint256)", (1 << 256,), id="too large"),
        pytest.param("f(address)", (bytes(19),), id="short address"),
        pytest.param("f(bytes4)", (bytes(5),), id="long bytes4"),
        pytest.param("f(uint256)", (True,), id="flag as a number"),
        pytest.param("f(bool)", (1,), id="number as a flag"),
        pytest.param("f(uint256,uint256)", (1,), id="one missing"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(signature: str, values: tuple[object, ...]) -> None:
    with pytest.raises(AbiTypeError):
        abi.encode_call(signature, *values)
