"""Orders made to spoil a whole call for others: each is refused alone, its neighbours stay."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from fondaco.chain import wire
from fondaco.devnet import actions
from fondaco.devnet.deploy import FUNGIBLE_IDS
from fondaco.testing.contracts import (
    LOOPING,
    REVERTING,
    WALLET_MAGIC,
    accepting,
    answering,
)
from fondaco.zeroex.asset_data import Erc20, Erc721, Erc1155, basket, encode
from fondaco.zeroex.housekeeping import CLEANUP_INTERVAL
from fondaco.zeroex.order import NULL_ADDRESS, UINT256_MAX, Address, ProtocolVersion, SignedOrder
from fondaco.zeroex.signatures import SignatureType
from scenarios.conftest import OpenScene
from support.jumping_clock import JumpingClock
from support.limited_endpoint import open_limited, without_either
from support.market import Market
from support.mesh_socket import MeshSocket, open_socket
from support.running_node import node_in_process
from support.scene import name_of

pytestmark = pytest.mark.chain

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3

SIGNATURE = "OrderHasInvalidSignature"
MAKER_AMOUNT, TAKER_AMOUNT = "OrderHasInvalidMakerAssetAmount", "OrderHasInvalidTakerAssetAmount"
MAKER_DATA, TAKER_DATA = "OrderHasInvalidMakerAssetData", "OrderHasInvalidTakerAssetData"
UNFUNDED = "OrderUnfunded"
GOOD = "accepted"


class Ward:
    """A market with every kind of contract that means harm."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._salt = 0
        self.contracts: dict[str, Address] = {}

    async def open(self) -> None:
        """Create the contracts; those that can be makers get what a maker needs."""
        traders = self.market.traders
        for name, code in {
            "looping": LOOPING,
            "reverting": REVERTING,
            "terse": answering(b"\x01"),
            "boastful": answering(b"\xff" * 32),
            "wallet": accepting(WALLET_MAGIC),
        }.items():
            self.contracts[name] = Address(await traders.create(code))
        await traders.equip(self.contracts["wallet"])
        # The others would refuse shares; what they offer is Pepper.
        pepper = self.market.at["erc20 PEP"]
        for name in ("looping", "reverting", "boastful"):
            owner = self.contracts[name]
            await traders.do(
                actions.set_balance(pepper, owner, 10**24),
                actions.approve(pepper, owner, self.market.at["erc20Proxy"]),
                actions.approve(pepper, owner, self.market.at["erc20ProxyV2"]),
            )
        await traders.do(actions.mint_erc721(self.market.at["erc721 VOY"], self.maker, 7))

    @property
    def maker(self) -> Address:
        return Address(self.market.maker.address)

    def token(self, name: str) -> bytes:
        """Return the asset data of a bad contract as an ERC20."""
        return encode(Erc20(self.contracts[name]))

    def order(self, version: ProtocolVersion, **changes: object) -> SignedOrder:
        self._salt += 1
        return self.market.offer(version, salt=self._salt, **changes)


Make = Callable[[Ward, ProtocolVersion], SignedOrder]


def giving(asset: Callable[[Ward], bytes], amount: int = 100) -> Make:
    return lambda ward, version: ward.order(version, give=(asset(ward), amount))


def amounts(give: int, want: int, **changes: object) -> Make:
    return lambda ward, version: ward.order(
        version, give=(ward.market.pepper, give), want=(ward.market.weth, want), **changes
    )


def signed(signature: bytes, maker: str = "") -> Make:
    def make(ward: Ward, version: ProtocolVersion) -> SignedOrder:
        address = ward.contracts[maker] if maker else ward.maker
        return ward.order(version, maker_address=address, signature=signature)

    return make


def respelt(change: Callable[[bytes], bytes]) -> Make:
    """Return an order whose good signature is changed."""

    def make(ward: Ward, version: ProtocolVersion) -> SignedOrder:
        good = ward.order(version).signature
        return ward.order(version, signature=change(good))

    return make


def shares(*values: int) -> Callable[[Ward], bytes]:
    return lambda ward: encode(
        Erc1155(Address(ward.market.at["erc1155"]), FUNGIBLE_IDS[: len(values)], values, b"")
    )


def mixed(*parts: tuple[int, str]) -> Callable[[Ward], bytes]:
    """Return a basket of tokens: amounts and names, good ones by their symbol."""

    def make(ward: Ward) -> bytes:
        at = {**ward.contracts, "PEP": ward.market.at["erc20 PEP"]}
        return encode(basket(*((amount, Erc20(Address(at[name]))) for amount, name in parts)))

    return make


BOTH = {V2, V3}

CASES: list[tuple[str, set[ProtocolVersion], Make, str]] = [
    # -- evm.md section 3
    ("no signature", BOTH, signed(b""), SIGNATURE),
    ("a signature cut short", BOTH, respelt(lambda s: s[:-2] + s[-1:]), SIGNATURE),
    ("a signature too long", BOTH, respelt(lambda s: b"\0" + s), SIGNATURE),
    ("another v", BOTH, respelt(lambda s: b"\x1d" + s[1:]), SIGNATURE),
    ("another's signature", BOTH, respelt(lambda s: s), SIGNATURE),
    ("type 0", BOTH, signed(b"\x00"), SIGNATURE),
    ("type 1", BOTH, signed(b"\x01"), SIGNATURE),
    ("type 8", BOTH, signed(b"\x08"), SIGNATURE),
    ("type 9", BOTH, signed(b"\x09"), SIGNATURE),
    ("type 255", BOTH, signed(b"\xff"), SIGNATURE),
    ("a wallet without code", BOTH, signed(b"\x04"), SIGNATURE),
    ("a validator nobody approved", BOTH, signed(b"\x11" * 20 + b"\x05"), SIGNATURE),
    ("a validator without an address", BOTH, signed(b"\x05"), SIGNATURE),
    ("signed beforehand by nobody", BOTH, signed(b"\x06"), SIGNATURE),
    ("an EIP-1271 wallet without code", BOTH, signed(b"\x07"), SIGNATURE),
    ("nothing to give", BOTH, amounts(0, 40), MAKER_AMOUNT),
    ("nothing wanted", BOTH, amounts(100, 0), TAKER_AMOUNT),
    ("amounts that overflow", BOTH, amounts(2**200, 2**200), MAKER_AMOUNT),
    (
        "asset data cut short",
        BOTH,
        giving(lambda ward: ward.market.pepper[:-5]),
        MAKER_DATA,
    ),
    ("only a selector", BOTH, giving(lambda ward: ward.market.pepper[:4]), MAKER_DATA),
    ("no asset data", BOTH, giving(lambda ward: b""), MAKER_DATA),
    (
        "taker asset data cut short",
        BOTH,
        lambda ward, version: ward.order(version, want=(ward.market.weth[:20], 40)),
        TAKER_DATA,
    ),
    ("shares of which one counts zero", {V2}, giving(shares(2, 0), 5), MAKER_DATA),
    ("shares of which one counts zero", {V3}, giving(shares(2, 0), 5), GOOD),
    ("shares of which all count zero", {V2}, giving(shares(0, 0), 5), MAKER_DATA),
    ("shares of which all count zero", {V3}, giving(shares(0, 0), 5), UNFUNDED),
    ("a basket with zero of something", {V2}, giving(mixed((0, "PEP"), (1, "PEP"))), MAKER_DATA),
    ("a basket with zero of something", {V3}, giving(mixed((0, "PEP"), (1, "PEP"))), GOOD),
    ("a token that loops", BOTH, giving(lambda ward: ward.token("looping")), UNFUNDED),
    (
        "a unique token that loops",
        BOTH,
        giving(lambda ward: encode(Erc721(ward.contracts["looping"], 7)), 1),
        UNFUNDED,
    ),
    ("a loop in a basket", BOTH, giving(mixed((1, "PEP"), (1, "looping"))), UNFUNDED),
    (
        "nobody's order",
        BOTH,
        lambda ward, version: ward.order(
            version, maker_address=NULL_ADDRESS, signature=b"\x1b" + b"\x07" * 64 + b"\x02"
        ),
        SIGNATURE,
    ),
    # -- 0x-mesh.md section 3.7
    ("the largest amounts", BOTH, amounts(UINT256_MAX, UINT256_MAX), MAKER_AMOUNT),
    # DevUtils of v2 multiplies what the maker has by it and fails; the Exchange does not.
    ("the largest price", BOTH, amounts(1, UINT256_MAX), GOOD),
    # -- beside them
    ("a fee that overflows", BOTH, amounts(100, 2**200, maker_fee=2**100), MAKER_AMOUNT),
    ("a token that reverts", BOTH, giving(lambda ward: ward.token("reverting")), UNFUNDED),
    ("a token of few words", BOTH, giving(lambda ward: ward.token("terse")), UNFUNDED),
    (
        "a token without code",
        BOTH,
        giving(lambda _: encode(Erc20(Address(b"\x99" * 20)))),
        UNFUNDED,
    ),
    # It says that everybody has everything; that is the taker's business.
    ("a token that boasts", BOTH, giving(lambda ward: ward.token("boastful")), GOOD),
    ("a wallet that loops", BOTH, signed(b"\x04", "looping"), SIGNATURE),
    ("a wallet that reverts", BOTH, signed(b"\x04", "reverting"), SIGNATURE),
    ("a wallet of other words", BOTH, signed(b"\x04", "boastful"), SIGNATURE),
]
"""Name, versions, how it is made, what becomes of it."""


def innocents(ward: Ward) -> list[SignedOrder]:
    """Return good orders of every kind."""
    voyage = encode(Erc721(Address(ward.market.at["erc721 VOY"]), 7))
    return [
        order
        for version in (V2, V3)
        for order in (
            ward.order(version),
            ward.order(version, signature_type=SignatureType.ETH_SIGN),
            ward.order(version, give=(voyage, 1)),
            ward.order(version, give=(shares(2, 3)(ward), 5)),
            ward.order(version, give=(mixed((1, "PEP"), (2, "PEP"))(ward), 5)),
            ward.order(version, maker_address=ward.contracts["wallet"], signature=b"\x04"),
        )
    ]


@pytest.fixture
async def ward(market: Market) -> Ward:
    opened = Ward(market)
    await opened.open()
    return opened


async def judge_all(ward: Ward, client: MeshSocket) -> None:
    """Send every culprit between two innocents, all in one call."""
    cases = [
        (f"v{version} {name}", make(ward, version), expected)
        for name, versions, make, expected in CASES
        for version in sorted(versions)
    ]
    cases += [(f"innocent {n}", order, GOOD) for n, order in enumerate(innocents(ward))]
    random.Random(7).shuffle(cases)
    result = await client.add(*(order for _, order, _ in cases))
    verdicts = {entry["orderHash"]: GOOD for entry in result["accepted"]}
    for entry in result["rejected"]:
        assert entry["kind"] == "ZEROEX_VALIDATION", entry
        verdicts[entry["orderHash"]] = entry["status"]["code"]
    assert {name: verdicts.get(name_of(order)) for name, order, _ in cases} == {
        name: expected for name, _, expected in cases
    }
    good = {name_of(order) for _, order, expected in cases if expected == GOOD}
    assert (await client.book()).keys() == good
    # Asked once more, one by one, each gets the same answer.
    for name, order, expected in cases:
        again = await client.add(order)
        if expected == GOOD:
            assert [entry["isNew"] for entry in again["accepted"]] == [False], name
        else:
            assert [entry["status"]["code"] for entry in again["rejected"]] == [expected], name


async def test_culprits_are_refused_alone(
    ward: Ward, settings: dict[str, str], tmp_path: Path
) -> None:
    async with (
        node_in_process(settings, data_dir=tmp_path) as node,
        open_socket(node.rpc) as client,
    ):
        await judge_all(ward, client)


async def test_culprits_are_refused_alone_by_the_weakest_endpoint(
    ward: Ward, settings: dict[str, str], tmp_path: Path
) -> None:
    """Without state override a batch is another program; it isolates as well."""
    async with open_limited(ward.market.traders.devnet.http_url, without_either) as endpoint:
        own = settings | {"ETHEREUM_RPC_URL": endpoint.url}
        async with (
            node_in_process(own, data_dir=tmp_path) as node,
            open_socket(node.rpc) as client,
        ):
            await judge_all(ward, client)


async def test_a_token_turns_to_poison_when_it_is_stored_already(open_scene: OpenScene) -> None:
    clock = JumpingClock()
    async with open_scene(clock=clock) as scene:
        saffron = scene.at("erc20 SAF")
        poisoned = scene.market.offer(V3, salt=1, give=(encode(Erc20(Address(saffron))), 100))
        neighbours = [scene.market.offer(version, salt=2) for version in (V2, V3)]
        await scene.add(poisoned, *neighbours)
        # The running code of a contract that loops: JUMPDEST PUSH1 0 JUMP.
        await scene.market.traders.devnet.rpc.call(
            "anvil_setCode", wire.encode_data(saffron), "0x5b600056"
        )
        await scene.looked_at_again(poisoned, lambda: clock.jump(CLEANUP_INTERVAL))
        (event,) = await scene.events()
        assert (event["orderHash"], event["endState"]) == (name_of(poisoned), "UNFUNDED")
        await scene.do(actions.cancel(neighbours[0]))
        (event,) = await scene.events()
        assert (event["orderHash"], event["endState"]) == (name_of(neighbours[0]), "CANCELLED")
