"""Which contracts make up the 0x protocol on which chain.

The built-in tables are those of 0x Mesh, which took them from 0x's own releases. On
the public chains both protocol versions are there side by side; on 1337, the chain
of local tests, both tables name the same exchange address, so that only one can be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from fondaco.errors import ConfigurationError

SETTING = "CUSTOM_CONTRACT_ADDRESSES"
"""The setting that ``parse_custom`` reads; named in its errors."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The contracts of one protocol version on one chain; 20-byte addresses."""

    exchange: bytes
    dev_utils: bytes
    erc20_proxy: bytes
    erc721_proxy: bytes
    erc1155_proxy: bytes
    coordinator: bytes | None = None
    coordinator_registry: bytes | None = None
    weth9: bytes | None = None
    zrx_token: bytes | None = None
    chai_bridge: bytes | None = None
    chai_token: bytes | None = None
    maximum_gas_price: bytes | None = None


class ChainContracts(msgspec.Struct, frozen=True, kw_only=True):
    """The contracts a node works with. At least one version is there."""

    chain_id: int
    v3: Deployment | None = None
    v2: Deployment | None = None
    token_names: Mapping[bytes, str] = {}
    """For display only: address to name."""


_V2: dict[int, dict[str, str]] = {
    1: {
        "exchange": "0x080bf510fcbf18b91105470639e9561022937712",
        "devUtils": "0x92d9a4d50190ae04e03914db2ee650124af844e6",
        "erc20Proxy": "0x95e6f48254609a6ee006f7d493c8e5fb97094cef",
        "erc721Proxy": "0xefc70a1b18c432bdc64b596838b4d138f6bc6cad",
        "erc1155Proxy": "0x7eefbd48fd63d441ec7435d024ec7c5131019add",
        "coordinator": "0xa14857e8930acd9a882d33ec20559beb5479c8a6",
        "coordinatorRegistry": "0x45797531b873fd5e519477a070a955764c1a5b07",
        "weth9": "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
        "zrxToken": "0xe41d2489571d322189246dafa5ebde1f4699f498",
    },
    3: {
        "exchange": "0xbff9493f92a3df4b0429b6d00743b3cfb4c85831",
        "devUtils": "0x3e0b46bad8e374e4a110c12b832cb120dbe4a479",
        "erc20Proxy": "0xb1408f4c245a23c31b98d2c626777d4c0d766caa",
        "erc721Proxy": "0xe654aac058bfbf9f83fcaee7793311dd82f6ddb4",
        "erc1155Proxy": "0x19bb6caa3bc34d39e5a23cedfa3e6c7e7f3c931d",
        "coordinator": "0x2ba02e03ee0029311e0f43715307870a3e701b53",
        "coordinatorRegistry": "0x403cc23e88c17c4652fb904784d1af640a6722d9",
        "weth9": "0xc778417e063141139fce010982780140aa0cd5ab",
        "zrxToken": "0xff67881f8d12f372d91baae9752eb3631ff0ed00",
    },
    4: {
        "exchange": "0xbff9493f92a3df4b0429b6d00743b3cfb4c85831",
        "devUtils": "0x2d4a9abda7b8b3605c8dbd34e3550a7467c78287",
        "erc20Proxy": "0x3e809c563c15a295e832e37053798ddc8d6c8dab",
        "erc721Proxy": "0x8e1ff02637cb5e39f2fa36c14706aa348b065b09",
        "erc1155Proxy": "0x19bb6caa3bc34d39e5a23cedfa3e6c7e7f3c931d",
        "coordinator": "0x2ba02e03ee0029311e0f43715307870a3e701b53",
        "coordinatorRegistry": "0x1084b6a398e47907bae43fec3ff4b677db6e4fee",
        "weth9": "0xc778417e063141139fce010982780140aa0cd5ab",
        "zrxToken": "0x2727e688b8fd40b198cd5fe6e408e00494a06f07",
    },
    42: {
        "exchange": "0x30589010550762d2f0d06f650d8e8b6ade6dbf4b",
        "devUtils": "0x1e3616bc5144362f95d72de41874395567697e93",
        "erc20Proxy": "0xf1ec01d6236d3cd881a0bf0130ea25fe4234003e",
        "erc721Proxy": "0x2a9127c745688a165106c11cd4d647d2220af821",
        "erc1155Proxy": "0x64517fa2b480ba3678a2a3c0cf08ef7fd4fad36f",
        "coordinator": "0x2ba02e03ee0029311e0f43715307870a3e701b53",
        "coordinatorRegistry": "0x09fb99968c016a3ff537bf58fb3d9fe55a7975d5",
        "weth9": "0xd0a1e359811322d97991e03f863a0c30c2cf029c",
        "zrxToken": "0x2002d3812f58e35f0ea1ffbf80a75a38c32175fa",
    },
    1337: {
        "exchange": "0x48bacb9266a570d521063ef5dd96e61686dbe788",
        "devUtils": "0x38ef19fdf8e8415f18c307ed71967e19aac28ba1",
        "erc20Proxy": "0x1dc4c1cefef38a777b15aa20260a54e584b16c48",
        "erc721Proxy": "0x1d7022f5b17d2f8b695918fb48fa1089c9f85401",
        "erc1155Proxy": "0x6a4a62e5a7ed13c361b176a5f62c2ee620ac0df8",
        "coordinator": "0x0d8b0dd11f5d34ed41d556def5f841900d5b1c6b",
        "coordinatorRegistry": "0x1941ff73d1154774d87521d2d0aaad5d19c8df60",
        "weth9": "0x0b1ba0af832d7c05fd64161e0db78e85978e8082",
        "zrxToken": "0x871dd7c2b4b25e1aa18728e9d5f2af4c4e431f5c",
    },
}
"""Protocol v2 as 0x Mesh v6.1.2-beta had it: chain ID to key to address."""

_V3: dict[int, dict[str, str]] = {
    1: {
        "exchange": "0x61935cbdd02287b511119ddb11aeb42f1593b7ef",
        "devUtils": "0xb1a3d901bad1df7d710fc8d008db7cdd6bbbffe6",
        "erc20Proxy": "0x95e6f48254609a6ee006f7d493c8e5fb97094cef",
        "erc721Proxy": "0xefc70a1b18c432bdc64b596838b4d138f6bc6cad",
        "erc1155Proxy": "0x7eefbd48fd63d441ec7435d024ec7c5131019add",
        "coordinator": "0x38a795580d0f687e399913a00ddef6a17612c722",
        "coordinatorRegistry": "0x45797531b873fd5e519477a070a955764c1a5b07",
        "weth9": "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
        "zrxToken": "0xe41d2489571d322189246dafa5ebde1f4699f498",
        "chaiBridge": "0x77c31eba23043b9a72d13470f3a3a311344d7438",
        "chaiToken": "0x06af07097c9eeb7fd685c692751d5c66db49c215",
        "maximumGasPrice": "0xe2bfd35306495d11e3c9db0d8de390cda24563cf",
    },
    3: {
        "exchange": "0xfb2dd2a1366de37f7241c83d47da58fd503e2c64",
        "devUtils": "0xb1a3d901bad1df7d710fc8d008db7cdd6bbbffe6",
        "erc20Proxy": "0xb1408f4c245a23c31b98d2c626777d4c0d766caa",
        "erc721Proxy": "0xe654aac058bfbf9f83fcaee7793311dd82f6ddb4",
        "erc1155Proxy": "0x19bb6caa3bc34d39e5a23cedfa3e6c7e7f3c931d",
        "coordinator": "0x6ff734d96104965c9c1b0108f83abc46e6e501df",
        "coordinatorRegistry": "0x403cc23e88c17c4652fb904784d1af640a6722d9",
        "weth9": "0xc778417e063141139fce010982780140aa0cd5ab",
        "zrxToken": "0xff67881f8d12f372d91baae9752eb3631ff0ed00",
        "chaiBridge": "0x0000000000000000000000000000000000000000",
        "chaiToken": "0x0000000000000000000000000000000000000000",
        "maximumGasPrice": "0x407b4128e9ecad8769b2332312a9f655cb9f5f3a",
    },
    4: {
        "exchange": "0x198805e9682fceec29413059b68550f92868c129",
        "devUtils": "0xb1a3d901bad1df7d710fc8d008db7cdd6bbbffe6",
        "erc20Proxy": "0x2f5ae4f6106e89b4147651688a92256885c5f410",
        "erc721Proxy": "0x7656d773e11ff7383a14dcf09a9c50990481cd10",
        "erc1155Proxy": "0x19bb6caa3bc34d39e5a23cedfa3e6c7e7f3c931d",
        "coordinator": "0x70c5385ee5ee4629ef72abd169e888c8b4a12238",
        "coordinatorRegistry": "0x1084b6a398e47907bae43fec3ff4b677db6e4fee",
        "weth9": "0xc778417e063141139fce010982780140aa0cd5ab",
        "zrxToken": "0x8080c7e4b81ecf23aa6f877cfbfd9b0c228c6ffa",
        "chaiBridge": "0x0000000000000000000000000000000000000000",
        "chaiToken": "0x0000000000000000000000000000000000000000",
        "maximumGasPrice": "0x47697b44bd89051e93b4d5857ba8e024800a74ac",
    },
    42: {
        "exchange": "0x4eacd0af335451709e1e7b570b8ea68edec8bc97",
        "devUtils": "0xb1a3d901bad1df7d710fc8d008db7cdd6bbbffe6",
        "erc20Proxy": "0xf1ec01d6236d3cd881a0bf0130ea25fe4234003e",
        "erc721Proxy": "0x2a9127c745688a165106c11cd4d647d2220af821",
        "erc1155Proxy": "0x64517fa2b480ba3678a2a3c0cf08ef7fd4fad36f",
        "coordinator": "0xd29e59e51e8ab5f94121efaeebd935ca4214e257",
        "coordinatorRegistry": "0x09fb99968c016a3ff537bf58fb3d9fe55a7975d5",
        "weth9": "0xd0a1e359811322d97991e03f863a0c30c2cf029c",
        "zrxToken": "0x2002d3812f58e35f0ea1ffbf80a75a38c32175fa",
        "chaiBridge": "0x0000000000000000000000000000000000000000",
        "chaiToken": "0x0000000000000000000000000000000000000000",
        "maximumGasPrice": "0x67a094cf028221ffdd93fc658f963151d05e2a74",
    },
    1337: {
        "exchange": "0x48bacb9266a570d521063ef5dd96e61686dbe788",
        "devUtils": "0xb23672f74749bf7916ba6827c64111a4d6de7f11",
        "erc20Proxy": "0x1dc4c1cefef38a777b15aa20260a54e584b16c48",
        "erc721Proxy": "0x1d7022f5b17d2f8b695918fb48fa1089c9f85401",
        "erc1155Proxy": "0x6a4a62e5a7ed13c361b176a5f62c2ee620ac0df8",
        "coordinator": "0x4d3d5c850dd5bd9d6f4adda3dd039a3c8054ca29",
        "coordinatorRegistry": "0xaa86dda78e9434aca114b6676fc742a18d15a1cc",
        "weth9": "0x0b1ba0af832d7c05fd64161e0db78e85978e8082",
        "zrxToken": "0x871dd7c2b4b25e1aa18728e9d5f2af4c4e431f5c",
        "chaiBridge": "0x0000000000000000000000000000000000000000",
        "chaiToken": "0x0000000000000000000000000000000000000000",
        "maximumGasPrice": "0x2c530e4ecc573f11bd72cf5fdf580d134d25f15f",
    },
}
"""Protocol v3 as 0x Mesh v9.4.3 had it."""

_REQUIRED = {
    "exchange": "exchange",
    "devUtils": "dev_utils",
    "erc20Proxy": "erc20_proxy",
    "erc721Proxy": "erc721_proxy",
    "erc1155Proxy": "erc1155_proxy",
}
_OPTIONAL = {
    "coordinator": "coordinator",
    "coordinatorRegistry": "coordinator_registry",
    "weth9": "weth9",
    "zrxToken": "zrx_token",
    "chaiBridge": "chai_bridge",
    "chaiToken": "chai_token",
    "maximumGasPrice": "maximum_gas_price",
}
_FIELDS = _REQUIRED | _OPTIONAL
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_V2_SUFFIX = "V2"


def built_in(chain_id: int, protocols: frozenset[int]) -> ChainContracts:
    """Return the contracts of a chain the node knows by itself.

    Args:
        chain_id: EIP-155.
        protocols: the versions wanted, of 2 and 3. Where both are wanted and the chain
            has room for one (1337), v3 is taken.

    Raises:
        ConfigurationError: the chain is not built in.
    """
    if chain_id not in _V3:
        known = ", ".join(map(str, sorted(_V3)))
        raise ConfigurationError(
            "ETHEREUM_CHAIN_ID",
            f"no contract addresses are built in for chain {chain_id} (known: {known})",
            f"set {SETTING}",
        )
    v3 = _deployment(_V3[chain_id], _V3[chain_id], "") if 3 in protocols else None
    v2 = _deployment(_V2[chain_id], _V2[chain_id], "") if 2 in protocols else None
    if v2 is not None and v3 is not None and v2.exchange == v3.exchange:
        v2 = None
    return ChainContracts(chain_id=chain_id, v3=v3, v2=v2)


def parse_custom(text: str, chain_id: int, protocols: frozenset[int]) -> ChainContracts:
    """Return the contracts in *text*, a JSON object of keys and addresses.

    The plain keys are those of 0x Mesh. They mean protocol v3, or v2 where only that
    is wanted. Keys ending in ``V2`` add protocol v2 beside v3. ``tokens`` gives names
    to addresses (or lists of addresses), for display.

    Raises:
        ConfigurationError: names the first key that is missing, unknown or not an
            address. Chain 1 is refused: its contracts are known, and another address
            there is a mistake or a fraud (0x Mesh refuses it too).
    """
    if chain_id == 1:
        raise ConfigurationError(SETTING, "cannot be used on chain 1", "leave it empty")
    fields = _object(text)
    tokens = fields.pop("tokens", {})
    known = {*_FIELDS, *(key + _V2_SUFFIX for key in _FIELDS)}
    for key in fields:
        if key not in known:
            raise ConfigurationError(f"{SETTING}.{key}", "unknown key")
    addresses = {key: _address(key, value) for key, value in fields.items()}
    plain = _deployment_or_none(addresses, "")
    suffixed = _deployment_or_none(addresses, _V2_SUFFIX)
    if protocols == {2}:
        v2, v3 = suffixed or plain, None
    else:
        v2, v3 = suffixed if 2 in protocols else None, plain
    if v2 is None and v3 is None:
        raise ConfigurationError(f"{SETTING}.exchange", "missing")
    if v2 is not None and v3 is not None and v2.exchange == v3.exchange:
        raise ConfigurationError(
            f"{SETTING}.exchange{_V2_SUFFIX}",
            "is also the exchange of v3",
            "one contract serves one protocol version; choose with ORDER_PROTOCOLS",
        )
    return ChainContracts(chain_id=chain_id, v3=v3, v2=v2, token_names=_token_names(tokens))


def _object(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(SETTING, f"is not JSON ({exc})") from exc
    if not isinstance(fields, dict):
        raise ConfigurationError(SETTING, "is not a JSON object")
    return fields


def _address(key: str, value: object) -> str:
    if not (isinstance(value, str) and _ADDRESS.fullmatch(value)):
        raise ConfigurationError(f"{SETTING}.{key}", "is not an address of 40 hex digits")
    return value


def _deployment_or_none(addresses: Mapping[str, str], suffix: str) -> Deployment | None:
    if not any(key + suffix in addresses for key in _FIELDS):
        return None
    # Tokens are contracts of the chain, not of a protocol version: the plain key serves both.
    shared = {key + suffix: addresses[key] for key in ("weth9", "zrxToken") if key in addresses}
    return _deployment(shared | dict(addresses), addresses, suffix)


def _deployment(table: Mapping[str, str], given: Mapping[str, str], suffix: str) -> Deployment:
    for key in _REQUIRED:
        if not int(given.get(key + suffix, "0x0"), 16):
            raise ConfigurationError(f"{SETTING}.{key}{suffix}", "missing or the null address")
    return Deployment(
        **{
            field: bytes.fromhex(table[key + suffix][2:])
            for key, field in _FIELDS.items()
            # 0x Mesh writes the null address for a contract the chain does not have.
            if int(table.get(key + suffix, "0x0"), 16)
        }
    )


def _token_names(tokens: object) -> dict[bytes, str]:
    if not isinstance(tokens, dict):
        raise ConfigurationError(f"{SETTING}.tokens", "is not a JSON object")
    names: dict[bytes, str] = {}
    for name, value in tokens.items():
        if isinstance(value, list):
            entries = {f"{name}[{place}]": item for place, item in enumerate(value)}
        else:
            entries = {name: value}
        for label, item in entries.items():
            names[bytes.fromhex(_address(f"tokens.{label}", item)[2:])] = label
    return names
