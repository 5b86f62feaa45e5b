"""The local chain's contracts: the recorded addresses, wired as the recordings say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fondaco.devnet import abi, deploy
from fondaco.devnet.chain import Devnet

VECTORS = Path(__file__).parents[1] / "vectors"
NAMES = {"zrx": "zrxToken", "weth": "weth9", "erc721": "erc721 VOY"}
"""Where the recordings' names differ from ours."""


def recorded(version: int) -> dict[str, Any]:
    path = VECTORS / f"mesh_onchain_v{version}_vectors.json"
    deployment: dict[str, Any] = json.loads(path.read_text())["deployment"]
    return deployment


def test_every_recorded_address_of_v3_is_ours() -> None:
    for name, address in recorded(3)["addresses"].items():
        ours = deploy.ADDRESSES[NAMES.get(name, name)]
        assert "0x" + ours.hex() == address, name


def test_the_keys_are_those_of_mesh_v9() -> None:
    tables = json.loads((VECTORS / "mesh_vectors.json").read_text())["contract_addresses"]
    table = {k: v for k, v in tables["v9.4.3"]["1337"].items() if int(v, 16)}
    ours = deploy.contracts()
    assert {key: ours[key] for key in table} == table


def test_create_address_of_a_nonce_with_two_bytes() -> None:
    # RLP needs a length byte from 0x80 on.
    made = {deploy.create_address(deploy.DEPLOYER, nonce) for nonce in (0, 1, 127, 128, 255, 256)}
    assert len(made) == 6
    assert deploy.create_address(deploy.DEPLOYER, 56).hex() == (
        "2c530e4ecc573f11bd72cf5fdf580d134d25f15f"
    )


@pytest.mark.chain
async def test_the_code_has_the_recorded_sizes(devnet: Devnet) -> None:
    for name, size in recorded(3)["runtimeCodeBytes"].items():
        address = "0x" + deploy.ADDRESSES[NAMES.get(name, name)].hex()
        code = await devnet.rpc.call("eth_getCode", address, "latest")
        assert len(code) // 2 - 1 == size, name


@pytest.mark.chain
@pytest.mark.parametrize("suffix", ["", "V2"])
@pytest.mark.parametrize(
    ("kind", "proxy"),
    [
        ("ERC20Token(address)", "erc20Proxy"),
        ("ERC721Token(address,uint256)", "erc721Proxy"),
        ("ERC1155Assets(address,uint256[],uint256[],bytes)", "erc1155Proxy"),
        ("MultiAsset(uint256[],bytes[])", "multiAssetProxy"),
        ("StaticCall(address,bytes,bytes32)", "staticCallProxy"),
    ],
)
async def test_each_exchange_knows_its_own_proxies(
    devnet: Devnet, suffix: str, kind: str, proxy: str
) -> None:
    # An asset proxy is chosen by the selector that its asset data starts with.
    question = abi.encode_call("getAssetProxy(bytes4)", abi.selector(kind))
    call = {"to": devnet.contracts["exchange" + suffix], "data": "0x" + question.hex()}
    answer = await devnet.rpc.call("eth_call", call, "latest")
    assert answer[-40:] == devnet.addresses[proxy + suffix].hex()
