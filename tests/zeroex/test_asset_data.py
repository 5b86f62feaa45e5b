"""Asset data: vectors both ways, bounds, bombs, and what each version trades."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from hypothesis import given
from hypothesis import strategies as st

from fondaco.chain.contracts import Deployment
from fondaco.zeroex import asset_data
from fondaco.zeroex.asset_data import (
    Asset,
    AssetDataError,
    Erc20,
    Erc20Bridge,
    Erc721,
    Erc1155,
    MemberAsset,
    MultiAsset,
    StaticCall,
    UnknownAsset,
    basket,
    check_supported,
    decode,
    encode,
    has_zero_component,
    max_gas_price,
    token_pairs,
)
from fondaco.zeroex.limits import MAX_ASSET_COMPONENTS, MAX_ASSET_NESTING
from fondaco.zeroex.order import NULL_ADDRESS, Address, ProtocolVersion

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mesh_vectors.json").read_text())

TOKEN, OTHER = Address(b"\x11" * 20), Address(b"\x22" * 20)
CHAI, GAS_PRICE = Address(b"\x33" * 20), Address(b"\x44" * 20)
CONTRACTS = Deployment(
    exchange=b"\x01" * 20,
    dev_utils=b"\x02" * 20,
    erc20_proxy=b"\x03" * 20,
    erc721_proxy=b"\x04" * 20,
    erc1155_proxy=b"\x05" * 20,
    chai_bridge=CHAI,
    maximum_gas_price=GAS_PRICE,
)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def expected_asset(fields: dict[str, Any]) -> Asset:
    match fields["kind"]:
        case "ERC20":
            return Erc20(Address(unhex(fields["tokenAddress"])))
        case "ERC721":
            return Erc721(Address(unhex(fields["tokenAddress"])), int(fields["tokenId"]))
        case "ERC1155":
            return Erc1155(
                Address(unhex(fields["tokenAddress"])),
                tuple(map(int, fields["ids"])),
                tuple(map(int, fields["values"])),
                unhex(fields["callbackData"]),
            )
        case "MultiAsset":
            nested = tuple(map(unhex, fields["nested"]))
            return MultiAsset(
                tuple(map(int, fields["amounts"])), nested, tuple(map(decode, nested))
            )
        case "StaticCall":
            return StaticCall(
                Address(unhex(fields["target"])),
                unhex(fields["callData"]),
                unhex(fields["expectedReturnHash"]),
            )
        case kind:
            assert kind == "ERC20Bridge"
            return Erc20Bridge(
                Address(unhex(fields["tokenAddress"])),
                Address(unhex(fields["bridgeAddress"])),
                unhex(fields["bridgeData"]),
            )


ASSETS = [
    v for v in VECTORS["asset_data"] if not v.get("decoded", {}).get("kind", "").endswith(")")
]
GAS_CALLS = [v for v in VECTORS["asset_data"] if v not in ASSETS]


@pytest.mark.parametrize("vector", ASSETS)
def test_asset_data_vectors_both_ways(vector: dict[str, Any]) -> None:
    data = unhex(vector["assetData"])
    asset = decode(data)
    assert encode(asset) == data
    if "decoded" in vector:
        assert asset == expected_asset(vector["decoded"])
    if "indexedPairs" in vector:
        assert [
            {"address": "0x" + token.hex(), "tokenId": None if t is None else str(t)}
            for token, t in token_pairs(asset)
        ] == vector["indexedPairs"]


@pytest.mark.parametrize("vector", GAS_CALLS)
def test_gas_price_call_vectors(vector: dict[str, Any]) -> None:
    limit = vector["decoded"]["maxGasPrice"]
    assert max_gas_price(unhex(vector["assetData"])) == (None if limit is None else int(limit))


def test_there_are_vectors_of_both_sorts() -> None:
    assert (len(ASSETS), len(GAS_CALLS)) == (10, 2)


@pytest.mark.parametrize(
    ("name", "proxy_id"),
    [
        ("ERC20", asset_data.ERC20_ID),
        ("ERC721", asset_data.ERC721_ID),
        ("ERC1155", asset_data.ERC1155_ID),
        ("MultiAsset", asset_data.MULTI_ASSET_ID),
        ("StaticCall", asset_data.STATIC_CALL_ID),
        ("ERC20Bridge", asset_data.ERC20_BRIDGE_ID),
    ],
)
def test_asset_proxy_ids(name: str, proxy_id: bytes) -> None:
    assert "0x" + proxy_id.hex() == VECTORS["asset_proxy_ids"][name]


def test_static_call_selectors() -> None:
    selectors = VECTORS["function_selectors"]
    assert "0x" + asset_data.CHECK_GAS_PRICE.hex() == selectors["checkGasPrice()"]
    assert "0x" + asset_data.CHECK_GAS_PRICE_UP_TO.hex() == selectors["checkGasPrice(uint256)"]


SAMPLES: list[Asset] = [
    Erc20(TOKEN),
    Erc721(TOKEN, 2**256 - 1),
    Erc1155(TOKEN, (1, 2), (3, 4), b"call"),
    Erc1155(TOKEN, (), (), b""),
    StaticCall(TOKEN, b"\xd7\x28\xf5\xb7", b"\x07" * 32),
    Erc20Bridge(TOKEN, OTHER, b"x" * 33),
    basket(),
    basket((5, Erc20(TOKEN)), (0, Erc721(OTHER, 9)), (1, UnknownAsset(b"\0\0\0\0"))),
    basket((2, basket((3, Erc1155(TOKEN, (1,), (1,), b""))))),
]


@pytest.mark.parametrize("asset", SAMPLES)
def test_every_cut_of_valid_data_is_refused_or_harmless(asset: Asset) -> None:
    data = encode(asset)
    assert decode(data) == asset
    for end in range(len(data)):
        try:
            assert decode(data[:end]) == asset  # padding of the last word may be missing
        except AssetDataError:
            continue
        assert len(data) - end < 32


@pytest.mark.parametrize("asset", SAMPLES)
def test_trailing_bytes_are_tolerated(asset: Asset) -> None:
    assert decode(encode(asset) + b"\xde\xad\xbe\xef") == asset


def test_the_upper_bytes_of_an_address_are_not_looked_at() -> None:
    assert decode(asset_data.ERC20_ID + b"\xff" * 12 + TOKEN) == Erc20(TOKEN)


@pytest.mark.parametrize(
    ("types", "values", "asset"),
    [
        (
            ["address", "uint256[]", "uint256[]", "bytes"],
            (TOKEN, [7, 8], [9, 10], b"hello"),
            Erc1155(TOKEN, (7, 8), (9, 10), b"hello"),
        ),
        (
            ["uint256[]", "bytes[]"],
            ([4, 5], [encode(Erc20(TOKEN)), encode(Erc721(OTHER, 1))]),
            basket((4, Erc20(TOKEN)), (5, Erc721(OTHER, 1))),
        ),
    ],
)
def test_another_encoder_writes_the_same(
    types: list[str], values: tuple[Any, ...], asset: Asset
) -> None:
    assert encode(asset)[4:] == abi_encode(types, values)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


ERC1155_HEAD = asset_data.ERC1155_ID + bytes(12) + TOKEN


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xf4\x72\x61", id="three bytes"),
        pytest.param(b"\xde\xad\xbe\xef" + bytes(64), id="unknown kind"),
        pytest.param(asset_data.ERC20_ID + bytes(31), id="short ERC20"),
        pytest.param(asset_data.ERC721_ID + bytes(63), id="short ERC721"),
        pytest.param(asset_data.MULTI_ASSET_ID + word(2**255) + word(64), id="far offset"),
        pytest.param(asset_data.MULTI_ASSET_ID + word(64) * 2 + word(2**64), id="long list"),
        pytest.param(asset_data.MULTI_ASSET_ID + word(64) * 2 + word(5), id="list past the end"),
        pytest.param(
            ERC1155_HEAD + word(128) + word(160) + word(192) + word(0) + word(1) + word(9),
            id="more values than ids",
        ),
        pytest.param(
            asset_data.MULTI_ASSET_ID
            + word(64)
            + word(96)
            + word(0)
            + word(1)
            + word(32)
            + word(0),
            id="more assets than amounts",
        ),
        pytest.param(encode(basket((1, UnknownAsset(b"abc")))), id="member of three bytes"),
        pytest.param(
            encode(basket((1, UnknownAsset(asset_data.ERC20_ID + bytes(31))))),
            id="member cut short",
        ),
    ],
)
def test_data_that_does_not_decode(data: bytes) -> None:
    with pytest.raises(AssetDataError):
        decode(data)


def nested(levels: int) -> MemberAsset:
    asset: MemberAsset = Erc20(TOKEN)
    for _ in range(levels):
        asset = basket((1, asset))
    return asset


def test_nesting_has_an_end() -> None:
    deepest = nested(MAX_ASSET_NESTING)
    assert decode(encode(deepest)) == deepest
    with pytest.raises(AssetDataError, match="nested"):
        decode(encode(nested(MAX_ASSET_NESTING + 1)))


def test_a_basket_has_an_end() -> None:
    widest = basket(*((1, Erc20(TOKEN)) for _ in range(MAX_ASSET_COMPONENTS)))
    assert decode(encode(widest)) == widest
    with pytest.raises(AssetDataError, match="at most"):
        decode(encode(basket(*((1, Erc20(TOKEN)) for _ in range(MAX_ASSET_COMPONENTS + 1)))))


def test_offsets_that_share_bytes_do_not_multiply() -> None:
    """A few kilobytes whose members all point to the same basket, three levels deep."""
    bomb: bytes = encode(Erc20(TOKEN))
    for _ in range(3):
        count = 60
        members = word(count) + word(32 * count) * count + word(len(bomb)) + bomb
        amounts = word(count) + word(1) * count
        bomb = asset_data.MULTI_ASSET_ID + word(64) + word(64 + len(amounts)) + amounts + members
    assert len(bomb) < 16_000
    with pytest.raises(AssetDataError, match="components"):
        decode(bomb)


def test_an_unknown_member_is_kept() -> None:
    asset = decode(encode(basket((1, UnknownAsset(b"\xde\xad\xbe\xef" + bytes(5))))))
    assert isinstance(asset, MultiAsset)
    assert asset.members == (UnknownAsset(b"\xde\xad\xbe\xef" + bytes(5)),)
    assert token_pairs(asset) == []


@pytest.mark.parametrize(
    ("asset", "in_v2", "in_v3"),
    [
        (Erc20(TOKEN), True, True),
        (Erc721(TOKEN, 1), True, True),
        (Erc1155(TOKEN, (1,), (1,), b""), True, True),
        (basket(), True, True),
        (basket((1, StaticCall(TOKEN, b"", bytes(32)))), True, True),
        (StaticCall(GAS_PRICE, asset_data.CHECK_GAS_PRICE, bytes(32)), False, True),
        (StaticCall(GAS_PRICE, asset_data.CHECK_GAS_PRICE_UP_TO + word(5), bytes(32)), False, True),
        (StaticCall(GAS_PRICE, asset_data.CHECK_GAS_PRICE_UP_TO, bytes(32)), False, False),
        (StaticCall(GAS_PRICE, b"\xde\xad\xbe\xef", bytes(32)), False, False),
        (StaticCall(GAS_PRICE, b"", bytes(32)), False, False),
        (StaticCall(TOKEN, asset_data.CHECK_GAS_PRICE, bytes(32)), False, False),
        (Erc20Bridge(TOKEN, CHAI, b""), False, True),
        (Erc20Bridge(TOKEN, OTHER, b""), False, False),
        (Erc20Bridge(CHAI, NULL_ADDRESS, b""), False, False),
    ],
)
def test_what_each_version_trades(asset: Asset, in_v2: bool, in_v3: bool) -> None:
    for version, is_supported in ((V2, in_v2), (V3, in_v3)):
        if is_supported:
            check_supported(asset, version, CONTRACTS)
        else:
            with pytest.raises(AssetDataError):
                check_supported(asset, version, CONTRACTS)


def test_the_null_address_is_nobodys_contract() -> None:
    """Some address tables spell "not deployed" as the null address."""
    nowhere = Deployment(
        exchange=b"\x01" * 20,
        dev_utils=b"\x02" * 20,
        erc20_proxy=b"\x03" * 20,
        erc721_proxy=b"\x04" * 20,
        erc1155_proxy=b"\x05" * 20,
        chai_bridge=NULL_ADDRESS,
    )
    for asset in (
        Erc20Bridge(TOKEN, NULL_ADDRESS, b""),
        StaticCall(NULL_ADDRESS, asset_data.CHECK_GAS_PRICE, bytes(32)),
    ):
        with pytest.raises(AssetDataError):
            check_supported(asset, V3, nowhere)


@pytest.mark.parametrize(
    ("asset", "has_zero"),
    [
        (Erc20(TOKEN), False),
        (Erc1155(TOKEN, (0, 1), (1, 1), b""), False),
        (Erc1155(TOKEN, (0, 1), (1, 0), b""), True),
        (basket(), False),
        (basket((0, Erc20(TOKEN))), True),
        (basket((1, Erc20(TOKEN)), (2, basket((0, Erc20(TOKEN))))), True),
        (basket((1, Erc1155(TOKEN, (1,), (0,), b""))), True),
    ],
)
def test_zero_components(asset: MemberAsset, has_zero: bool) -> None:
    assert has_zero_component(asset) is has_zero


@given(
    st.sampled_from([encode(asset)[:4] for asset in SAMPLES]),
    st.lists(st.one_of(st.integers(0, 300).map(word), st.binary(max_size=40)), max_size=12),
)
def test_any_bytes_decode_or_are_refused(proxy_id: bytes, parts: list[bytes]) -> None:
    data = proxy_id + b"".join(parts)
    try:
        asset = decode(data)
    except AssetDataError:
        return
    assert decode(encode(asset)) == asset


def test_changed_words_decode_or_are_refused() -> None:
    rng = random.Random(1155)
    for _ in range(3_000):
        data = bytearray(encode(rng.choice(SAMPLES)))
        for _ in range(rng.randint(1, 3)):
            position = rng.randrange(len(data))
            data[position] = rng.choice((0, 1, 32, 64, 255, rng.randrange(256)))
        try:
            asset = decode(bytes(data))
        except AssetDataError:
            continue
        assert decode(encode(asset)) == asset
