"""Which contracts the local chain has, where, and how they are wired. Pure.

Protocol v3 stands at the addresses that 0x Mesh has built in for chain 1337: each is
the CREATE address of account 0 at a known nonce. Protocol v2.1 stands beside it, at
nonces of our own, with the same tokens. Since an address follows from its nonce, all
of them are known before anything is deployed.

    PLACEMENTS -> plan(): a list of Deploy and Call steps -> build.py runs them

Sequence matters in one place: v2 DevUtils reads the proxies' addresses from the
Exchange in its constructor, so proxies are registered first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
from tiny_keccak import keccak256

from fondaco.chain import wire
from fondaco.devnet import abi

DEPLOYER = bytes.fromhex("5409ed021d9299bf6814279a6a1411a7e866a631")
"""Account 0 of the mnemonic; owns every contract."""

NULL = bytes(20)

SETUP_NONCE = 300
"""First nonce of the transactions that wire the contracts; above every placement's."""

FUNGIBLE_IDS = (1 << 128, 2 << 128)
"""ERC1155 token types that exist from the start; account 0 may mint them.
Source: ERC1155Mintable.create, which counts types in the upper 128 bits."""

Addresses = Mapping[str, bytes]


class Placement(NamedTuple):
    """One contract: where its code comes from and at which nonce it is created."""

    name: str
    source: str
    """Key of a contract package in packages.toml."""
    artifact: str
    nonce: int
    constructor: str = "()"
    arguments: Callable[[Addresses], tuple[object, ...]] = lambda _: ()


class Deploy(NamedTuple):
    """Create the contract of a placement."""

    placement: Placement
    arguments: bytes
    """ABI-encoded, appended to the creation code."""


class Call(NamedTuple):
    """Send a transaction from the deployer to one of the contracts."""

    target: bytes
    data: bytes


class Artifact(msgspec.Struct, frozen=True):
    """What is read from a compiler artifact of 0x."""

    class Output(msgspec.Struct, frozen=True):
        class Evm(msgspec.Struct, frozen=True):
            class Bytecode(msgspec.Struct, frozen=True, rename="camel"):
                object: str
                link_references: dict[str, dict[str, list[dict[str, int]]]] = {}

            bytecode: Bytecode

        evm: Evm

    compilerOutput: Output

    def creation_code(self, addresses: Addresses) -> bytes:
        """Return the bytecode with the addresses of its libraries put in.

        Args:
            addresses: by library name, as the artifact spells it.
        """
        bytecode = self.compilerOutput.evm.bytecode
        text = bytecode.object.removeprefix("0x")
        for libraries in bytecode.link_references.values():
            for library, places in libraries.items():
                for place in places:
                    start, size = place["start"] * 2, place["length"] * 2
                    text = text[:start] + addresses[library].hex() + text[start + size :]
        return bytes.fromhex(text)


def create_address(sender: bytes, nonce: int) -> bytes:
    """Return the address of the contract that *sender* creates with *nonce*.

    Source: yellow paper, section 7: the end of keccak-256 of RLP(sender, nonce).
    """
    digits = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    # RLP: one byte below 0x80 stands for itself, else a length comes first.
    number = digits if len(digits) == 1 and nonce < 0x80 else bytes([0x80 + len(digits)]) + digits
    payload = b"\x94" + sender + number
    return keccak256(bytes([0xC0 + len(payload)]) + payload)[12:]


def _zrx_asset(addresses: Addresses) -> bytes:
    return abi.encode_call("ERC20Token(address)", addresses["zrxToken"])


_SUPPLY = 10**27
"""Base units of each dummy token at the start, all with the deployer."""


def _dummy(name: str, symbol: str, nonce: int) -> Placement:
    return Placement(
        f"erc20 {symbol}",
        "v3",
        "DummyERC20Token",
        nonce,
        "(string,string,uint256,uint256)",
        lambda _: (name, symbol, 18, _SUPPLY),
    )


_TOKENS = (
    Placement("zrxToken", "v3", "ZRXToken", 2),
    Placement("weth9", "v3", "WETH9", 3),
    _dummy("Pepper", "PEP", 5),
    _dummy("Saffron", "SAF", 6),
    _dummy("Silk", "SLK", 7),
    _dummy("Amber", "AMB", 8),
    _dummy("Glass", "GLS", 9),
    Placement(
        "erc721 VOY",
        "v3",
        "DummyERC721Token",
        10,
        "(string,string)",
        lambda _: ("Voyages", "VOY"),
    ),
    Placement("erc1155", "v3", "ERC1155Mintable", 37),
)

_V3 = (
    Placement("erc20Proxy", "v3", "ERC20Proxy", 0),
    Placement("erc721Proxy", "v3", "ERC721Proxy", 1),
    Placement("exchange", "v3", "Exchange", 4, "(uint256)", lambda _: (1337,)),
    Placement("erc1155Proxy", "v3", "ERC1155Proxy", 11),
    Placement("staticCallProxy", "v3", "StaticCallProxy", 12),
    Placement("multiAssetProxy", "v3", "MultiAssetProxy", 13),
    Placement("erc20BridgeProxy", "v3", "ERC20BridgeProxy", 14),
    Placement("coordinatorRegistry", "v3", "CoordinatorRegistry", 30),
    Placement(
        "coordinator",
        "v3",
        "Coordinator",
        31,
        "(address,uint256)",
        lambda at: (at["exchange"], 1337),
    ),
    Placement("maximumGasPrice", "v3-extensions", "MaximumGasPrice", 56),
)

_V3_DEV_UTILS = (
    Placement("LibAssetData", "v3-dev-utils", "LibAssetData", 32),
    Placement("LibDydxBalance", "v3-dev-utils", "LibDydxBalance", 33),
    Placement("LibOrderTransferSimulation", "v3-dev-utils", "LibOrderTransferSimulation", 34),
    Placement("LibTransactionDecoder", "v3-dev-utils", "LibTransactionDecoder", 35),
    Placement(
        "devUtils",
        "v3-dev-utils",
        "DevUtils",
        36,
        "(address,address,address)",
        # Neither a Chai nor a dYdX bridge exists here.
        lambda at: (at["exchange"], NULL, NULL),
    ),
)

_V2 = (
    Placement("erc20ProxyV2", "v2", "ERC20Proxy", 200),
    Placement("erc721ProxyV2", "v2", "ERC721Proxy", 201),
    Placement("erc1155ProxyV2", "v2", "ERC1155Proxy", 202),
    Placement("staticCallProxyV2", "v2", "StaticCallProxy", 203),
    Placement("multiAssetProxyV2", "v2", "MultiAssetProxy", 204),
    Placement(
        "exchangeV2",
        "v2-exchange",
        "Exchange",
        205,
        "(bytes)",
        lambda at: (_zrx_asset(at),),
    ),
)

_V2_DEV_UTILS = (
    Placement(
        "devUtilsV2",
        "v2",
        "DevUtils",
        206,
        "(address,bytes)",
        lambda at: (at["exchangeV2"], _zrx_asset(at)),
    ),
)

PLACEMENTS = _TOKENS + _V3 + _V2 + _V3_DEV_UTILS + _V2_DEV_UTILS
"""Every contract of the local chain."""

ADDRESSES: Addresses = {p.name: create_address(DEPLOYER, p.nonce) for p in PLACEMENTS}
"""Where each of them is, by name."""


def plan() -> list[Deploy | Call]:
    """Return all steps in their sequence."""
    steps: list[Deploy | Call] = [_deploy(p) for p in _TOKENS + _V3 + _V2]
    steps += _wire("", ("erc20Proxy", "erc721Proxy", "erc1155Proxy", "erc20BridgeProxy"))
    steps += _wire("V2", ("erc20ProxyV2", "erc721ProxyV2", "erc1155ProxyV2"))
    steps += [_deploy(p) for p in _V3_DEV_UTILS + _V2_DEV_UTILS]
    create = abi.encode_call("create(string,bool)", "", False)
    steps += [Call(ADDRESSES["erc1155"], create) for _ in FUNGIBLE_IDS]
    return steps


def contracts() -> dict[str, object]:
    """Return the chain's contracts with the keys of CUSTOM_CONTRACT_ADDRESSES.

    Addresses are 0x-prefixed lower-case text. There is no Chai bridge.
    """
    keys = ("exchange", "devUtils", "erc20Proxy", "erc721Proxy", "erc1155Proxy")
    v3_only = ("coordinator", "coordinatorRegistry", "weth9", "zrxToken", "maximumGasPrice")
    names = (*keys, *v3_only, *(key + "V2" for key in keys))
    found: dict[str, object] = {name: wire.encode_data(ADDRESSES[name]) for name in names}
    found["tokens"] = {
        "weth9": wire.encode_data(ADDRESSES["weth9"]),
        "erc20": _tokens("erc20 "),
        "erc721": _tokens("erc721 "),
        "erc1155": [wire.encode_data(ADDRESSES["erc1155"])],
    }
    return found


def _tokens(prefix: str) -> list[str]:
    return [wire.encode_data(at) for name, at in ADDRESSES.items() if name.startswith(prefix)]


def _deploy(placement: Placement) -> Deploy:
    arguments = placement.arguments(ADDRESSES)
    return Deploy(placement, abi.encode_arguments(placement.constructor, *arguments))


def _wire(suffix: str, guarded: tuple[str, ...]) -> list[Call]:
    """Return the calls that join one version's exchange and asset proxies.

    Args:
        guarded: proxies that move tokens, so only for authorised callers: the exchange
            and the multi-asset proxy. StaticCallProxy moves nothing and has no list.
    """
    exchange, multi = ADDRESSES["exchange" + suffix], ADDRESSES["multiAssetProxy" + suffix]
    singles = [ADDRESSES[name] for name in guarded]
    static = ADDRESSES["staticCallProxy" + suffix]
    authorise = "addAuthorizedAddress(address)"
    register = "registerAssetProxy(address)"
    calls = [Call(proxy, abi.encode_call(authorise, exchange)) for proxy in (*singles, multi)]
    calls += [Call(proxy, abi.encode_call(authorise, multi)) for proxy in singles]
    for proxy in (*singles, static):
        calls.append(Call(exchange, abi.encode_call(register, proxy)))
        calls.append(Call(multi, abi.encode_call(register, proxy)))
    calls.append(Call(exchange, abi.encode_call(register, multi)))
    return calls
