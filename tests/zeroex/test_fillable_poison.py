"""Orders that spoil a whole DevUtils call, read together with innocent neighbours.

Source of the list: reference/evm.md, section 3, and reference/0x-mesh.md, section 3.7.
Whether each is refused, and with which code, is tested with the service. Here: the words
of the neighbours are right whatever stands beside them in the one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from fondaco.chain.headers import Header
from fondaco.chain.reader import Reverted
from fondaco.devnet.chain import Devnet
from fondaco.devnet.offers import offer
from fondaco.devnet.traders import Traders
from fondaco.zeroex.asset_data import (
    Erc20,
    Erc721,
    Erc1155,
    MemberAsset,
    StaticCall,
    basket,
    encode,
)
from fondaco.zeroex.dev_utils import encode_call
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.fillable import OrderState, compute, plan
from fondaco.zeroex.order import NULL_ADDRESS, Address, ProtocolVersion, SignedOrder
from support.dev_utils_oracle import ChainUnderTest, open_chain
from support.random_market import FAR, MAX

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3

TOKENS = {
    "looping": "5b600056",  # JUMPDEST PUSH1 0 JUMP
    "invalid": "fe",
    "reverting": "60006000fd",
    "silent": "00",
    "short": "601f6000f3",  # returns 31 bytes
    "long": "60406000f3",  # returns 64 bytes
    "endless": "6301ffffff6000f3",  # returns 32 MB
    "hungry": "63ffffffff6000f3",  # 4 GB: more than any gas pays for
}
"""Runtime code of tokens that answer balanceOf and allowance in their own way."""


def creation_code(runtime: str) -> bytes:
    """Return init code that deploys *runtime* (under 32 bytes)."""
    code = bytes.fromhex(runtime)
    # PUSH32 code, PUSH1 0, MSTORE, PUSH1 size, PUSH1 0, RETURN
    word = code.ljust(32, b"\0")
    return b"\x7f" + word + bytes.fromhex("600052") + b"\x60" + bytes([len(code)]) + b"\x60\0\xf3"


class Bench(NamedTuple):
    """What a poison order is made from."""

    devnet: Devnet
    tokens: dict[str, Address]
    """Deployed from ``TOKENS``."""

    def erc20(self, symbol: str) -> Erc20:
        return Erc20(Address(self.devnet.addresses[f"erc20 {symbol}"]))

    def order(self, version: ProtocolVersion, **changes: Any) -> SignedOrder:
        """A good order, or one with *changes*, signed anew."""
        return offer(
            self.devnet.addresses,
            self.devnet.accounts[1],
            give=(encode(self.erc20("PEP")), 100),
            want=(encode(self.erc20("SAF")), 42),
            expires_at=FAR,
            version=version,
            **{"salt": 1, **changes},
        )

    def giving(self, version: ProtocolVersion, asset: MemberAsset, **changes: Any) -> SignedOrder:
        return self.order(version, maker_asset_data=encode(asset), **changes)


Maker = Callable[[Bench, ProtocolVersion], SignedOrder]
GOOD = OrderState(3, 0, 42, False)
UNFUNDED = OrderState(3, 0, 0, False)


def signed_with(signature: bytes) -> Maker:
    return lambda bench, version: bench.order(version, signature=signature)


def of_token(name: str) -> Maker:
    return lambda bench, version: bench.giving(version, Erc20(bench.tokens[name]))


def with_fields(**changes: Any) -> Maker:
    return lambda bench, version: bench.order(version, **changes)


def zero_in_basket(bench: Bench, version: ProtocolVersion) -> SignedOrder:
    return bench.giving(version, basket((1, bench.erc20("PEP")), (0, bench.erc20("SAF"))))


def zero_in_erc1155(bench: Bench, version: ProtocolVersion) -> SignedOrder:
    token = Address(bench.devnet.addresses["erc1155"])
    return bench.giving(version, Erc1155(token, (1 << 128, 2 << 128), (1, 0), b""))


def stranger_in_basket(bench: Bench, version: ProtocolVersion) -> SignedOrder:
    return bench.giving(
        version, basket((1, bench.erc20("PEP")), (1, Erc20(bench.tokens["looping"])))
    )


def looping_fee(bench: Bench, version: ProtocolVersion) -> SignedOrder:
    data = encode(Erc20(bench.tokens["looping"]))
    return bench.order(V3, maker_fee=1, maker_fee_asset_data=data)


def looping_erc721(bench: Bench, version: ProtocolVersion) -> SignedOrder:
    return bench.giving(version, Erc721(bench.tokens["looping"], 1))


def looping_erc1155(bench: Bench, version: ProtocolVersion) -> SignedOrder:
    return bench.giving(version, Erc1155(bench.tokens["looping"], (1,), (1,), b""))


def static_call(bench: Bench, version: ProtocolVersion) -> SignedOrder:
    return bench.giving(version, StaticCall(bench.tokens["looping"], b"\1\2\3\4", bytes(32)))


HUGE = 1 << 200
INVALID_MAKER, INVALID_TAKER = OrderState(1, 0, 0, False), OrderState(2, 0, 0, False)
# Name, order, its own state in v2 and in v3, and the versions whose DevUtils it spoils.
POISONS: list[tuple[str, Maker, OrderState, OrderState, set[ProtocolVersion]]] = [
    ("empty signature", signed_with(b""), GOOD, GOOD, {V2, V3}),
    ("cut signature", signed_with(b"\x1b" * 64 + b"\x02"), GOOD, GOOD, {V2, V3}),
    ("illegal signature type", signed_with(b"\x00"), GOOD, GOOD, {V2, V3}),
    ("signature type 8", signed_with(b"\x08"), GOOD, GOOD, {V2, V3}),
    ("signature type 9", signed_with(b"\x09"), GOOD, GOOD, {V2, V3}),
    ("wallet signature of a plain account", signed_with(b"\x04"), GOOD, GOOD, {V2, V3}),
    ("validator that was not approved", signed_with(b"\x11" * 20 + b"\x05"), GOOD, GOOD, {V3}),
    ("EIP-1271 signature of a plain account", signed_with(b"\x07"), GOOD, GOOD, {V2, V3}),
    ("nobody's order", with_fields(maker_address=NULL_ADDRESS), UNFUNDED, UNFUNDED, {V3}),
    ("gives nothing", with_fields(maker_asset_amount=0), INVALID_MAKER, INVALID_MAKER, {V2, V3}),
    ("wants nothing", with_fields(taker_asset_amount=0), INVALID_TAKER, INVALID_TAKER, set()),
    (
        "product of the amounts overflows",
        with_fields(maker_asset_amount=HUGE, taker_asset_amount=HUGE),
        OrderState(3, 0, 10**24, False),
        OrderState(3, 0, 10**24, False),
        {V2, V3},
    ),
    (
        "all of everything for all of everything",
        with_fields(maker_asset_amount=MAX, taker_asset_amount=MAX, maker_fee=MAX, taker_fee=MAX),
        OrderState(3, 0, 10**21, False),
        UNFUNDED,
        {V2, V3},
    ),
    (
        "one for all of everything",
        with_fields(maker_asset_amount=1, taker_asset_amount=MAX),
        OrderState(3, 0, MAX, False),
        OrderState(3, 0, MAX, False),
        {V2},
    ),
    (
        "asset data cut short",
        with_fields(maker_asset_data=b"\xf4\x72\x61\xb0" + bytes(7)),
        UNFUNDED,
        UNFUNDED,
        {V2, V3},
    ),
    ("asset data of nothing", with_fields(maker_asset_data=b""), UNFUNDED, UNFUNDED, {V2}),
    (
        "basket with far offsets",
        with_fields(maker_asset_data=b"\x94\xcf\xcd\xd7" + b"\xff" * 64),
        UNFUNDED,
        UNFUNDED,
        {V2, V3},
    ),
    ("basket with a zero amount", zero_in_basket, GOOD, GOOD, {V2}),
    ("ERC1155 with a zero value", zero_in_erc1155, GOOD, GOOD, {V2}),
    ("looping token", of_token("looping"), UNFUNDED, UNFUNDED, {V2, V3}),
    ("token with an invalid opcode", of_token("invalid"), UNFUNDED, UNFUNDED, {V2, V3}),
    ("reverting token", of_token("reverting"), UNFUNDED, UNFUNDED, set()),
    ("token that answers nothing", of_token("silent"), UNFUNDED, UNFUNDED, set()),
    ("token that answers 31 bytes", of_token("short"), UNFUNDED, UNFUNDED, set()),
    ("token that answers 64 bytes", of_token("long"), UNFUNDED, UNFUNDED, set()),
    ("token that answers 32 MB", of_token("endless"), UNFUNDED, UNFUNDED, {V2, V3}),
    ("token that answers 4 GB", of_token("hungry"), UNFUNDED, UNFUNDED, {V2, V3}),
    ("looping token in a basket", stranger_in_basket, UNFUNDED, UNFUNDED, {V2, V3}),
    ("looping token as the fee", looping_fee, UNFUNDED, UNFUNDED, {V2, V3}),
    ("looping ERC721", looping_erc721, UNFUNDED, UNFUNDED, {V2, V3}),
    ("looping ERC1155", looping_erc1155, UNFUNDED, UNFUNDED, {V2, V3}),
    (
        "static call to a loop",
        static_call,
        OrderState(3, 0, 0, True),
        OrderState(3, 0, 0, True),
        set(),  # it burns 63/64 of the gas, and a few orders live on the rest
    ),
]


async def set_up(devnet: Devnet, traders: Traders) -> Bench:
    await traders.equip(devnet.accounts[1].address)
    tokens = {
        name: Address(await traders.create(creation_code(code))) for name, code in TOKENS.items()
    }
    return Bench(devnet, tokens)


async def states(
    chain: ChainUnderTest, bench: Bench, orders: Sequence[SignedOrder], at: Header
) -> list[OrderState]:
    zrx = encode(Erc20(Address(bench.devnet.addresses["zrxToken"])))
    read_plan = plan([(order_hash(order), order) for order in orders], chain.contracts, zrx)
    return compute(read_plan, await chain.reader.read(read_plan.reads, at))


async def spoils(chain: ChainUnderTest, orders: Sequence[SignedOrder], at: Header) -> bool:
    try:
        await chain.reader.call(
            chain.deployment(orders[0].version).dev_utils, encode_call(orders), at
        )
    except Reverted:
        return True
    return False


def poisons(bench: Bench, version: ProtocolVersion) -> list[tuple[str, SignedOrder, OrderState]]:
    return [
        (name, order, in_v2 if version is V2 else in_v3)
        for name, make, in_v2, in_v3, _ in POISONS
        if (order := make(bench, version)).version is version
    ]


@pytest.mark.parametrize("version", ProtocolVersion)
async def test_neighbours_in_one_read_are_right(
    devnet: Devnet, traders: Traders, version: ProtocolVersion
) -> None:
    """One call with every poison there is, an innocent order before and after each."""
    bench = await set_up(devnet, traders)
    half = bench.order(version, salt=2, maker_asset_amount=2 * 10**24)
    orders: list[SignedOrder] = []
    expected: list[OrderState] = []
    for salt, (_, poison, state) in enumerate(poisons(bench, version), start=100):
        orders += [bench.order(version, salt=salt), poison, half]
        expected += [GOOD, state, OrderState(3, 0, 21, False)]
    async with open_chain(devnet) as chain:
        at = await chain.newest()
        found = await states(chain, bench, orders, at)
        for number, (name, _, _) in enumerate(poisons(bench, version)):
            three = slice(3 * number, 3 * number + 3)
            assert found[three] == expected[three], name
        assert await states(chain, bench, [half], at) == [OrderState(3, 0, 21, False)]


@pytest.mark.parametrize("version", ProtocolVersion)
async def test_what_they_do_to_dev_utils(
    devnet: Devnet, traders: Traders, version: ProtocolVersion
) -> None:
    """Why orders never share a call to DevUtils: these make the whole call fail."""
    bench = await set_up(devnet, traders)
    good = bench.order(version, salt=2)
    async with open_chain(devnet) as chain:
        at = await chain.newest()
        assert not await spoils(chain, [good, good], at)
        spoiling = {
            name
            for name, poison, _ in poisons(bench, version)
            if await spoils(chain, [good, poison, good], at)
        }
    assert spoiling == {
        name
        for name, make, _, _, spoiled in POISONS
        if version in spoiled and make(bench, version).version is version
    }
