from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.chain.contracts import Deployment, built_in, parse_custom
from fondaco.errors import ConfigurationError

BOTH = frozenset({2, 3})
VECTORS = json.loads((Path(__file__).parents[1] / "vectors/mesh_vectors.json").read_bytes())[
    "contract_addresses"
]
KEYS = {
    "exchange": "exchange",
    "devUtils": "dev_utils",
    "erc20Proxy": "erc20_proxy",
    "erc721Proxy": "erc721_proxy",
    "erc1155Proxy": "erc1155_proxy",
    "coordinator": "coordinator",
    "coordinatorRegistry": "coordinator_registry",
    "weth9": "weth9",
    "zrxToken": "zrx_token",
    "chaiBridge": "chai_bridge",
    "chaiToken": "chai_token",
    "maximumGasPrice": "maximum_gas_price",
}
PLAIN = {key: "0x" + f"{place:02x}" * 20 for place, key in enumerate(KEYS, start=1)}
SUFFIXED = {
    f"{key}V2": "0x" + f"{place:02x}" * 20
    for place, key in enumerate(["exchange", "devUtils", "erc20Proxy", "erc721Proxy"], start=0x41)
} | {"erc1155ProxyV2": "0x" + "4A" * 20}


def in_words(deployment: Deployment | None) -> dict[str, str]:
    assert deployment is not None
    return {key: "0x" + (getattr(deployment, KEYS[key]) or bytes(20)).hex() for key in KEYS}


@pytest.mark.parametrize(("tag", "version"), [("v6.1.2-beta", 2), ("v9.4.3", 3)])
@pytest.mark.parametrize("chain_id", [1, 3, 4, 42, 1337])
def test_built_in_addresses_are_those_of_mesh(tag: str, version: int, chain_id: int) -> None:
    contracts = built_in(chain_id, frozenset({version}))
    there, absent = (contracts.v2, contracts.v3) if version == 2 else (contracts.v3, contracts.v2)
    assert absent is None
    expected = dict.fromkeys(KEYS, "0x" + "00" * 20) | VECTORS[tag][str(chain_id)]
    assert in_words(there) == expected


@pytest.mark.parametrize("chain_id", [1, 3, 4, 42])
def test_both_versions_live_side_by_side_on_public_chains(chain_id: int) -> None:
    contracts = built_in(chain_id, BOTH)
    assert contracts.v2 is not None
    assert contracts.v3 is not None
    assert contracts.v2.exchange != contracts.v3.exchange


def test_on_1337_the_one_exchange_address_is_v3_unless_only_v2_is_wanted() -> None:
    both, only_v2 = built_in(1337, BOTH), built_in(1337, frozenset({2}))
    assert (both.v2, both.v3) == (None, built_in(1337, frozenset({3})).v3)
    assert (only_v2.v3, only_v2.v2 is not None) == (None, True)


def test_an_unknown_chain_is_refused_with_advice() -> None:
    with pytest.raises(ConfigurationError, match=r"31337.*set CUSTOM_CONTRACT_ADDRESSES"):
        built_in(31337, BOTH)


def test_custom_addresses_of_both_versions() -> None:
    tokens = {"weth9": PLAIN["weth9"], "erc20": ["0x" + "AB" * 20, "0x" + "cd" * 20]}
    contracts = parse_custom(json.dumps(PLAIN | SUFFIXED | {"tokens": tokens}), 1337, BOTH)
    assert in_words(contracts.v3) == PLAIN
    assert contracts.v2 is not None
    assert contracts.v2.exchange == b"\x41" * 20
    assert contracts.v2.erc1155_proxy == b"\x4a" * 20
    assert contracts.v2.weth9 == contracts.v3.weth9 if contracts.v3 else None
    assert contracts.v2.coordinator is None
    assert contracts.token_names == {
        bytes.fromhex(PLAIN["weth9"][2:]): "weth9",
        b"\xab" * 20: "erc20[0]",
        b"\xcd" * 20: "erc20[1]",
    }


def test_plain_keys_mean_v2_where_only_v2_is_wanted() -> None:
    contracts = parse_custom(json.dumps(PLAIN), 31337, frozenset({2}))
    assert contracts.v3 is None
    assert in_words(contracts.v2) == PLAIN


def test_keys_of_a_version_that_is_not_wanted_are_left_out() -> None:
    assert parse_custom(json.dumps(PLAIN | SUFFIXED), 5, frozenset({3})).v2 is None
    only_v2 = parse_custom(json.dumps(PLAIN | SUFFIXED), 5, frozenset({2}))
    assert only_v2.v3 is None
    assert only_v2.v2 is not None
    assert only_v2.v2.exchange == b"\x41" * 20


def without(table: dict[str, str], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


@pytest.mark.parametrize(
    ("value", "setting"),
    [
        *(
            pytest.param(without(PLAIN, key), key, id=f"no {key}")
            for key in ("exchange", "devUtils", "erc20Proxy", "erc721Proxy", "erc1155Proxy")
        ),
        *(pytest.param(PLAIN | without(SUFFIXED, k), k, id=f"no {k}") for k in SUFFIXED),
        pytest.param({}, "exchange", id="nothing"),
        pytest.param({"tokens": {}}, "exchange", id="only tokens"),
        pytest.param(PLAIN | {"exchange": "0x12"}, "exchange", id="short"),
        pytest.param(PLAIN | {"exchange": "12" * 21}, "exchange", id="no prefix"),
        pytest.param(PLAIN | {"exchange": 5}, "exchange", id="number"),
        pytest.param(PLAIN | {"exchange": "0x" + "00" * 20}, "exchange", id="null address"),
        pytest.param(PLAIN | {"weth": PLAIN["weth9"]}, "weth", id="unknown key"),
        pytest.param(PLAIN | {"weth9": None}, "weth9", id="null"),
        pytest.param(PLAIN | {"tokens": []}, "tokens", id="tokens is a list"),
        pytest.param(PLAIN | {"tokens": {"a": ["0x"]}}, "tokens.a[0]", id="bad token"),
        pytest.param(
            PLAIN | SUFFIXED | {"exchangeV2": PLAIN["exchange"]}, "exchangeV2", id="one exchange"
        ),
    ],
)
def test_a_bad_custom_table_is_refused_by_key(value: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_custom(json.dumps(value), 1337, BOTH)
    assert caught.value.setting == f"CUSTOM_CONTRACT_ADDRESSES.{setting}"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_what_is_not_an_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_custom(text, 1337, BOTH)
    assert caught.value.setting == "CUSTOM_CONTRACT_ADDRESSES"


def test_mainnet_takes_no_custom_addresses() -> None:
    with pytest.raises(ConfigurationError, match="chain 1"):
        parse_custom(json.dumps(PLAIN), 1, BOTH)
