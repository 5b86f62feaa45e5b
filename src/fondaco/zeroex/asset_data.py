"""What an order gives and takes: asset data, its kinds and which of them are supported.

    0x f47261b0 | ABI words ...
       '-- which asset proxy '-- its arguments

Decoding is as lenient as the contracts where it does not matter (trailing bytes, the
upper 12 bytes of an address word, odd offsets) and strict where they would fail:
nothing points outside the data, the two lists of a basket have the same length, and a
member of a known kind is whole. A member of an unknown kind is kept as it is.

Source: 0x v2 and v3 ``LibAssetData``, ``MultiAssetProxy``; support rules of 0x Mesh v6
(v2) and v9.4.3 (v3) ``OrderValidator``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

import msgspec

from fondaco.chain.contracts import Deployment
from fondaco.errors import NodeError
from fondaco.zeroex.limits import ASSETS_CACHED, MAX_ASSET_COMPONENTS, MAX_ASSET_NESTING
from fondaco.zeroex.order import NULL_ADDRESS, Address, ProtocolVersion

ERC20_ID = bytes.fromhex("f47261b0")
ERC721_ID = bytes.fromhex("02571792")
ERC1155_ID = bytes.fromhex("a7cb5fb7")
MULTI_ASSET_ID = bytes.fromhex("94cfcdd7")
STATIC_CALL_ID = bytes.fromhex("c339d10a")
ERC20_BRIDGE_ID = bytes.fromhex("dc1600f3")

CHECK_GAS_PRICE = bytes.fromhex("d728f5b7")
"""``checkGasPrice()`` of the MaximumGasPrice contract."""

CHECK_GAS_PRICE_UP_TO = bytes.fromhex("da5b166a")
"""``checkGasPrice(uint256)`` of the MaximumGasPrice contract; the limit in wei."""


class AssetDataError(NodeError):
    """Asset data does not decode, or is of a kind that is not supported."""

    code = "InvalidAssetData"


class Erc20(msgspec.Struct, frozen=True, gc=False):
    """Units of a fungible token."""

    token: Address


class Erc721(msgspec.Struct, frozen=True, gc=False):
    """One token that exists once."""

    token: Address
    token_id: int


class Erc1155(msgspec.Struct, frozen=True, gc=False):
    """A basket of tokens of one contract, given together, times the order's amount."""

    token: Address
    ids: tuple[int, ...]
    values: tuple[int, ...]
    """One per id: how many of it make one unit of the basket."""
    callback_data: bytes


class StaticCall(msgspec.Struct, frozen=True, gc=False):
    """No asset: a condition on the chain, checked when the order is filled."""

    target: Address
    call_data: bytes
    expected_return_hash: bytes
    """32 bytes: keccak of what the call must return."""


class Erc20Bridge(msgspec.Struct, frozen=True, gc=False):
    """Units of a token that a bridge contract supplies at the moment of the fill."""

    token: Address
    bridge: Address
    bridge_data: bytes


class UnknownAsset(msgspec.Struct, frozen=True, gc=False):
    """A basket's member of a kind we do not know. No contract can move it."""

    data: bytes


class MultiAsset(msgspec.Struct, frozen=True, gc=False):
    """A basket of assets of any kind, given together, times the order's amount."""

    amounts: tuple[int, ...]
    nested: tuple[bytes, ...]
    """Asset data of each member, as written."""
    members: tuple[MemberAsset, ...]
    """The same, decoded."""


MemberAsset: TypeAlias = (
    Erc20 | Erc721 | Erc1155 | MultiAsset | StaticCall | Erc20Bridge | UnknownAsset
)
Asset: TypeAlias = Erc20 | Erc721 | Erc1155 | MultiAsset | StaticCall | Erc20Bridge


class _Words:
    """ABI arguments, read with every bound checked before anything is copied."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def uint(self, position: int) -> int:
        """The word that starts at byte *position*."""
        end = position + 32
        if end > len(self._data):
            raise AssetDataError(f"the data ends before byte {end}")
        return int.from_bytes(self._data[position:end], "big")

    def address(self, position: int) -> Address:
        """The last 20 bytes of a word; the contracts do not look at the others."""
        end = position + 32
        if end > len(self._data):
            raise AssetDataError(f"the data ends before byte {end}")
        return Address(self._data[position + 12 : end])

    def raw(self, start: int, size: int) -> bytes:
        if start + size > len(self._data):
            raise AssetDataError(f"{size} bytes at {start} reach past the end of the data")
        return self._data[start : start + size]

    def dynamic(self, head: int, base: int = 0) -> bytes:
        """``bytes`` whose offset from *base* stands at byte *head*."""
        start = base + self.uint(head)
        return self.raw(start + 32, self.uint(start))

    def array(self, head: int) -> tuple[int, int]:
        """Position of the first element and number of a one-word-per-element array."""
        start = self.uint(head)
        count = self.uint(start)
        if count > MAX_ASSET_COMPONENTS:
            raise AssetDataError(f"a list of {count}, at most {MAX_ASSET_COMPONENTS} allowed")
        self.raw(start + 32, 32 * count)
        return start + 32, count

    def uints(self, head: int) -> tuple[int, ...]:
        first, count = self.array(head)
        return tuple(self.uint(first + 32 * i) for i in range(count))

    def byte_strings(self, head: int) -> tuple[bytes, ...]:
        first, count = self.array(head)
        return tuple(self.dynamic(first + 32 * i, first) for i in range(count))


class _Budget:
    """How many components one asset may still unfold into."""

    def __init__(self) -> None:
        self._left = MAX_ASSET_COMPONENTS

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise AssetDataError(f"more than {MAX_ASSET_COMPONENTS} components")


def decode(data: bytes) -> Asset:
    """Return the asset that *data* describes.

    Raises:
        AssetDataError: the kind is unknown, the arguments do not decode, a basket's
            lists differ in length, or it is deeper or wider than ``limits`` allow.
    """
    # ERC20 and ERC721, nearly all there is; longer data would let strangers fill memory.
    if len(data) <= 68:
        return _decode_short(data)
    return _decode_known(data)


@lru_cache(maxsize=ASSETS_CACHED)
def _decode_short(data: bytes) -> Asset:
    return _decode_known(data)


def _decode_known(data: bytes) -> Asset:
    asset = _decode_member(data, 0, _Budget())
    if isinstance(asset, UnknownAsset):
        raise AssetDataError(f"0x{data[:4].hex()} is no known asset proxy")
    return asset


def _decode_member(data: bytes, level: int, budget: _Budget) -> MemberAsset:
    if len(data) < 4:
        raise AssetDataError(f"{len(data)} bytes cannot name an asset proxy")
    words = _Words(data[4:])
    match data[:4]:
        case b"\xf4\x72\x61\xb0":
            return Erc20(words.address(0))
        case b"\x02\x57\x17\x92":
            return Erc721(words.address(0), words.uint(32))
        case b"\xa7\xcb\x5f\xb7":
            return _decode_erc1155(words, budget)
        case b"\x94\xcf\xcd\xd7":
            return _decode_multi_asset(words, level, budget)
        case b"\xc3\x39\xd1\x0a":
            return StaticCall(words.address(0), words.dynamic(32), words.raw(64, 32))
        case b"\xdc\x16\x00\xf3":
            return Erc20Bridge(words.address(0), words.address(32), words.dynamic(64))
        case _:
            return UnknownAsset(data)


def _decode_erc1155(words: _Words, budget: _Budget) -> Erc1155:
    ids, values = words.uints(32), words.uints(64)
    if len(ids) != len(values):
        raise AssetDataError(f"{len(ids)} token IDs but {len(values)} values")
    budget.spend(len(ids))
    return Erc1155(words.address(0), ids, values, words.dynamic(96))


def _decode_multi_asset(words: _Words, level: int, budget: _Budget) -> MultiAsset:
    if level >= MAX_ASSET_NESTING:
        raise AssetDataError(f"baskets nested more than {MAX_ASSET_NESTING} deep")
    amounts = words.uints(0)
    # Before the members are cut out: many offsets may point to one long member.
    _, count = words.array(32)
    if count != len(amounts):
        raise AssetDataError(f"{count} assets but {len(amounts)} amounts")
    budget.spend(count)
    nested = words.byte_strings(32)
    members = tuple(_decode_member(member, level + 1, budget) for member in nested)
    return MultiAsset(amounts, nested, members)


# -- writing -----------------------------------------------------------------------


def _uint(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _address(address: bytes) -> bytes:
    return bytes(12) + address


def _dynamic(data: bytes) -> bytes:
    return _uint(len(data)) + data + bytes(-len(data) % 32)


def _uints(numbers: tuple[int, ...]) -> bytes:
    return _uint(len(numbers)) + b"".join(map(_uint, numbers))


def _byte_strings(items: tuple[bytes, ...]) -> bytes:
    offsets, bodies, position = [], [], 32 * len(items)
    for item in items:
        offsets.append(_uint(position))
        bodies.append(_dynamic(item))
        position += len(bodies[-1])
    return b"".join([_uint(len(items)), *offsets, *bodies])


def encode(asset: MemberAsset) -> bytes:
    """Return the canonical asset data of *asset*; members of a basket as written.

    For tests, the devnet and messages of our own; an order keeps the bytes it came with.
    """
    match asset:
        case Erc20(token):
            return ERC20_ID + _address(token)
        case Erc721(token, token_id):
            return ERC721_ID + _address(token) + _uint(token_id)
        case Erc1155(token, ids, values, callback_data):
            bodies = [_uints(ids), _uints(values), _dynamic(callback_data)]
            offsets = [128, 128 + len(bodies[0]), 128 + len(bodies[0]) + len(bodies[1])]
            return b"".join([ERC1155_ID, _address(token), *map(_uint, offsets), *bodies])
        case MultiAsset(amounts, nested):
            listed = _uints(amounts)
            heads = _uint(64) + _uint(64 + len(listed))
            return MULTI_ASSET_ID + heads + listed + _byte_strings(nested)
        case StaticCall(target, call_data, expected):
            return STATIC_CALL_ID + _address(target) + _uint(96) + expected + _dynamic(call_data)
        case Erc20Bridge(token, bridge, bridge_data):
            heads = _address(token) + _address(bridge) + _uint(96)
            return ERC20_BRIDGE_ID + heads + _dynamic(bridge_data)
        case UnknownAsset(data):
            return data


def basket(*parts: tuple[int, MemberAsset]) -> MultiAsset:
    """Return a MultiAsset of (amount, member) parts."""
    return MultiAsset(
        amounts=tuple(amount for amount, _ in parts),
        nested=tuple(encode(member) for _, member in parts),
        members=tuple(member for _, member in parts),
    )


# -- judging -----------------------------------------------------------------------


def max_gas_price(call_data: bytes) -> int | None:
    """Return the limit in wei that a MaximumGasPrice call names, None for its default.

    Raises:
        AssetDataError: *call_data* is another call.
    """
    if call_data[:4] == CHECK_GAS_PRICE:
        return None
    if call_data[:4] == CHECK_GAS_PRICE_UP_TO:
        return _Words(call_data[4:]).uint(0)
    raise AssetDataError("a static call that is not checkGasPrice")


def is_exotic(asset: MemberAsset) -> bool:
    """Return whether more than words must be read to know how much of *asset* can be moved."""
    if isinstance(asset, MultiAsset):
        return any(map(is_exotic, asset.members))
    return isinstance(asset, StaticCall | Erc20Bridge)


def check_supported(asset: Asset, version: ProtocolVersion, contracts: Deployment) -> None:
    """Accept *asset* when orders of *version* may trade it.

    Members of a basket are not looked at, as in Mesh: what no contract can move is
    simply never funded.

    Raises:
        AssetDataError: it may not.
    """
    match asset:
        case Erc20() | Erc721() | Erc1155() | MultiAsset():
            return
        case StaticCall(target, call_data) if version is ProtocolVersion.V3:
            if not _is(target, contracts.maximum_gas_price):
                raise AssetDataError("a static call to a contract that is not MaximumGasPrice")
            max_gas_price(call_data)
        case Erc20Bridge(_, bridge) if version is ProtocolVersion.V3:
            if not _is(bridge, contracts.chai_bridge):
                raise AssetDataError("an ERC20 bridge that is not the Chai bridge")
        case _:
            raise AssetDataError(f"{type(asset).__name__} does not exist in v{version}")


def _is(address: Address, known: bytes | None) -> bool:
    # Some tables of addresses spell "not deployed here" as the null address.
    return known is not None and known != NULL_ADDRESS and address == known


def has_zero_component(asset: MemberAsset) -> bool:
    """Return whether a basket holds none of something it names, at any level."""
    match asset:
        case Erc1155(values=values):
            return 0 in values
        case MultiAsset(amounts=amounts, members=members):
            return 0 in amounts or any(map(has_zero_component, members))
        case _:
            return False


def token_pairs(asset: MemberAsset) -> list[tuple[Address, int | None]]:
    """Return (contract, token ID or None) of every token in *asset*, each once.

    Source: 0x Mesh ``meshdb.ParseContractAddressesAndTokenIdsFromAssetData``.
    """
    return list(dict.fromkeys(_pairs(asset)))


def _pairs(asset: MemberAsset) -> Iterator[tuple[Address, int | None]]:
    match asset:
        case Erc20(token) | Erc20Bridge(token):
            yield token, None
        case Erc721(token, token_id):
            yield token, token_id
        case Erc1155(token, ids):
            yield from ((token, token_id) for token_id in ids)
        case MultiAsset(members=members):
            for member in members:
                yield from _pairs(member)
        case _:
            return
