"""One read for all, few questions for one: who is asked about, and whom a failure harms."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from fondaco.chain.errors import BlockGone, EndpointUnavailable
from fondaco.chain.headers import Header
from fondaco.chain.multiread import MultiRead, Read
from fondaco.errors import Unavailable
from fondaco.testing.chain import FakeReader
from fondaco.testing.orders import EXCHANGE, OTHER_MAKER_KEY, WETH, ZRX, make_order
from fondaco.zeroex import dev_utils
from fondaco.zeroex.assessor import (
    INLINE_LIMIT,
    NOT_ASKED,
    ORDERS_PER_READ,
    SINGLE_CALLS_IN_FLIGHT,
    Assessor,
)
from fondaco.zeroex.asset_data import Erc20Bridge, encode
from fondaco.zeroex.dev_utils import RelevantState
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.lifecycle import Outcome, Rejected, Valid
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder
from fondaco.zeroex.signatures import encode_signature_call
from support.chain_words import CONTRACTS, MAX, NOW, ZRX_ASSET, World

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
AT = Header(number=7, hash=b"\x07" * 32, parent_hash=b"\x06" * 32, timestamp=NOW)
TRUE, FALSE = (1).to_bytes(32, "big"), bytes(32)
WALLET = b"\x04"
"""A signature that only the maker's contract can judge."""
BRIDGE = encode(Erc20Bridge(WETH, Address(b"\x88" * 20), b""))
"""An asset whose amount is not a word."""
MAKER = make_order().maker_address
OTHER_MAKER = make_order(maker_key=OTHER_MAKER_KEY).maker_address

assert CONTRACTS.v2
assert CONTRACTS.v3
DEV_UTILS = {V2: CONTRACTS.v2.dev_utils, V3: CONTRACTS.v3.dev_utils}


class Chain(FakeReader):
    """A chain on which both makers can deliver everything, and every question is answered.

    Attributes:
        reads: how many words each batched read asked for.
    """

    def __init__(self) -> None:
        self.world = World()
        self.reads: list[int] = []
        super().__init__(self._words)
        for maker in (MAKER, OTHER_MAKER):
            self.world.erc20(ZRX, maker, MAX, MAX)
        self.answers[EXCHANGE] = TRUE
        for version in (V2, V3):
            self.answers[DEV_UTILS[version]] = says()

    def _words(self, reads: Sequence[Read]) -> MultiRead:
        self.reads.append(len(reads))
        return self.world.answer(reads)

    @property
    def asked(self) -> list[bytes]:
        """The contracts that were asked about one order each."""
        return [target for target, _ in self.calls]


def says(*, status: int = 3, filled: int = 0, fillable: int = 42) -> bytes:
    """Return what DevUtils answers about one order."""
    state = RelevantState(
        order_hash=order_hash(make_order()),
        status=status,
        filled=filled,
        fillable=fillable,
        is_valid_signature=False,  # NOT_CHECKED was sent
    )
    return dev_utils.encode_answer([state])


def assessor(chain: FakeReader, *, accept_partially_funded: bool = False) -> Assessor:
    return Assessor(
        chain,
        CONTRACTS,
        zrx_asset_data=ZRX_ASSET,
        accept_partially_funded=accept_partially_funded,
    )


async def assess(
    chain: FakeReader,
    *orders: SignedOrder,
    are_stored: bool = False,
    accept_partially_funded: bool = False,
) -> list[Outcome]:
    return await assessor(chain, accept_partially_funded=accept_partially_funded).assess(
        [(order_hash(order), order) for order in orders], AT, are_stored=are_stored
    )


def plain(salt: int = 1, version: ProtocolVersion = V3) -> SignedOrder:
    return make_order(salt=salt, version=version)


def by_wallet(salt: int = 1, version: ProtocolVersion = V3) -> SignedOrder:
    return make_order(salt=salt, version=version, signature=WALLET)


def exotic(salt: int = 1, version: ProtocolVersion = V3, signature: bytes = b"") -> SignedOrder:
    """Return an order of a bridge, signed by its maker unless *signature* is given."""
    order = make_order(salt=salt, version=version, maker_asset_data=BRIDGE)
    return replace(order, signature=signature or order.signature)


def codes(outcomes: Sequence[Outcome]) -> list[RejectionCode | int]:
    """Return the amounts of valid orders and the codes of the others."""
    return [o.fillable if isinstance(o, Valid) else o.code for o in outcomes]


# ---------------------------------------------------------------- one read for all


async def test_plain_orders_of_all_makers_and_versions_cost_one_read() -> None:
    chain = Chain()
    outcomes = await assess(
        chain, plain(1), plain(2, V2), make_order(salt=3, maker_key=OTHER_MAKER_KEY), plain(4)
    )
    assert outcomes == [Valid(42)] * 4
    assert len(chain.reads) == 1
    assert chain.calls == []


async def test_no_orders_no_read() -> None:
    chain = Chain()
    assert await assess(chain) == []
    assert chain.reads == []


@pytest.mark.parametrize(
    ("count", "reads"), [(ORDERS_PER_READ, 1), (ORDERS_PER_READ + 1, 2), (2 * ORDERS_PER_READ, 2)]
)
async def test_so_many_fit_in_one_read(count: int, reads: int) -> None:
    chain = Chain()
    many = [make_order(salt=n, taker_asset_amount=n + 1, signature=b"\x02") for n in range(count)]
    assert await assess(chain, *many) == [Valid(n + 1) for n in range(count)]
    assert len(chain.reads) == reads


@pytest.mark.parametrize("count", [12, INLINE_LIMIT + 4])
async def test_each_outcome_stands_where_its_order_stood(count: int) -> None:
    """On the event loop or in a thread, with questions that end in any sequence."""
    chain = Chain()
    chain.answers[DEV_UTILS[V3]] = says(fillable=42)
    makers = (plain, by_wallet, exotic, plain)
    given = [makers[n % 4](n) for n in range(count)]
    for cancelled in given[3::4]:
        chain.world.cancel(order_hash(cancelled))
    assert codes(await assess(chain, *given)) == [42, 42, 42, RejectionCode.CANCELLED] * (
        count // 4
    )


@pytest.mark.parametrize("problem", [EndpointUnavailable("away"), BlockGone("unknown block")])
async def test_without_the_read_nothing_is_known(problem: Unavailable) -> None:
    chain = Chain()
    chain.problem = problem
    with pytest.raises(Unavailable) as raised:
        await assess(chain, plain(1), by_wallet(2), exotic(3))
    assert raised.value is problem
    assert chain.calls == []


# ---------------------------------------------------------------- asked about alone


async def test_who_needs_it_is_asked_about_alone() -> None:
    chain = Chain()
    wallets, bridges = [by_wallet(1), by_wallet(2, V2)], [exotic(3), exotic(4, V2)]
    assert await assess(chain, *wallets, plain(5), *bridges) == [Valid(42)] * 5
    assert len(chain.reads) == 1
    assert sorted(chain.calls) == sorted(
        [(EXCHANGE, encode_signature_call(order, order_hash(order))) for order in wallets]
        + [
            (DEV_UTILS[order.version], dev_utils.encode_call([order], [dev_utils.NOT_CHECKED]))
            for order in bridges
        ]
    )


async def test_an_exotic_order_of_a_wallet_is_asked_about_twice() -> None:
    chain = Chain()
    assert await assess(chain, exotic(signature=WALLET)) == [Valid(42)]
    assert chain.asked == [EXCHANGE, DEV_UTILS[V3]]


async def test_whose_signature_is_bad_need_not_be_asked_about_again() -> None:
    chain = Chain()
    chain.answers[EXCHANGE] = FALSE
    outcomes = await assess(chain, exotic(signature=WALLET))
    assert codes(outcomes) == [RejectionCode.INVALID_SIGNATURE]
    assert chain.asked == [EXCHANGE]


async def test_few_are_asked_about_at_once() -> None:
    chain = Chain()
    many = [by_wallet(n) if n % 2 else exotic(n) for n in range(5 * SINGLE_CALLS_IN_FLIGHT)]
    assert await assess(chain, *many) == [Valid(42)] * len(many)
    assert len(chain.calls) == len(many)
    assert chain.most_at_once == SINGLE_CALLS_IN_FLIGHT


async def test_whom_the_words_refuse_costs_no_question() -> None:
    chain = Chain()
    cancelled, filled, late, poor = (
        by_wallet(1),
        by_wallet(2),
        make_order(expiration_time_seconds=NOW, signature=WALLET),
        make_order(maker_address=Address(b"\x66" * 20), signature=WALLET),
    )
    chain.world.cancel(order_hash(cancelled))
    chain.world.fill(order_hash(filled), 42)
    assert codes(await assess(chain, cancelled, filled, late, poor)) == [
        RejectionCode.CANCELLED,
        RejectionCode.FULLY_FILLED,
        RejectionCode.EXPIRED,
        RejectionCode.UNFUNDED,
    ]
    assert chain.calls == []


async def test_an_exotic_order_that_has_ended_costs_no_question() -> None:
    chain = Chain()
    order = exotic()
    chain.world.cancel(order_hash(order))
    assert codes(await assess(chain, order)) == [RejectionCode.CANCELLED]
    assert chain.calls == []


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (says(filled=2, fillable=40), 40),
        (says(fillable=0), RejectionCode.UNFUNDED),
        (says(fillable=41), RejectionCode.UNFUNDED),
        (says(status=4), RejectionCode.EXPIRED),
        (says(status=5, filled=42), RejectionCode.FULLY_FILLED),
        (says(status=6), RejectionCode.CANCELLED),
    ],
)
async def test_the_word_of_dev_utils_counts(answer: bytes, outcome: RejectionCode | int) -> None:
    chain = Chain()
    chain.answers[DEV_UTILS[V3]] = answer
    assert codes(await assess(chain, exotic())) == [outcome]


# ---------------------------------------------------------------- what goes wrong alone


async def test_a_signature_that_makes_the_call_revert_is_not_valid() -> None:
    chain = Chain()
    del chain.answers[EXCHANGE]
    outcomes = await assess(chain, by_wallet(1), plain(2), exotic(3))
    assert codes(outcomes) == [RejectionCode.INVALID_SIGNATURE, 42, 42]
    assert outcomes[0] == Rejected(
        RejectionCode.INVALID_SIGNATURE, "the Exchange does not accept it"
    )


async def test_an_asset_that_makes_the_call_revert_is_not_funded() -> None:
    chain = Chain()
    del chain.answers[DEV_UTILS[V3]]
    outcomes = await assess(chain, exotic(1), plain(2), exotic(3, V2), by_wallet(4))
    assert codes(outcomes) == [RejectionCode.UNFUNDED, 42, 42, 42]
    assert isinstance(outcomes[0], Rejected)
    assert "execution reverted" in outcomes[0].detail


@pytest.mark.parametrize("answer", [b"", TRUE, says()[:-1], says(status=7)])
async def test_nonsense_of_dev_utils_is_not_funded(answer: bytes) -> None:
    chain = Chain()
    chain.answers[DEV_UTILS[V3]] = answer
    assert codes(await assess(chain, exotic(1), plain(2))) == [RejectionCode.UNFUNDED, 42]


@pytest.mark.parametrize("answer", [b"", b"\x01", (2).to_bytes(32, "big")])
async def test_nonsense_of_the_exchange_says_nothing_of_the_signature(answer: bytes) -> None:
    chain = Chain()
    chain.answers[EXCHANGE] = answer
    outcomes = await assess(chain, by_wallet(1), plain(2))
    assert codes(outcomes) == [RejectionCode.ETH_RPC_REQUEST_FAILED, 42]


async def test_a_question_without_an_answer_harms_only_its_order() -> None:
    chain = Chain()
    chain.answers[DEV_UTILS[V2]] = EndpointUnavailable("connection reset")
    outcomes = await assess(chain, plain(1), exotic(2, V2), exotic(3), by_wallet(4), plain(5, V2))
    failed = Rejected(RejectionCode.ETH_RPC_REQUEST_FAILED, "connection reset")
    assert outcomes == [Valid(42), failed, Valid(42), Valid(42), Valid(42)]


async def test_an_endpoint_that_answers_no_question_leaves_the_read() -> None:
    chain = Chain()
    chain.answers[EXCHANGE] = EndpointUnavailable("too many requests")
    wallets = [by_wallet(n) for n in range(3 * SINGLE_CALLS_IN_FLIGHT)]
    outcomes = await assess(chain, *wallets, plain(99))
    assert codes(outcomes) == [RejectionCode.ETH_RPC_REQUEST_FAILED] * len(wallets) + [42]


async def test_the_places_of_failed_questions_are_free_again() -> None:
    chain = Chain()
    judge = assessor(chain)
    given = [(order_hash(o), o) for o in map(by_wallet, range(2 * SINGLE_CALLS_IN_FLIGHT))]
    chain.answers[EXCHANGE] = EndpointUnavailable("too many requests")
    assert codes(await judge.assess(given, AT)) == [RejectionCode.ETH_RPC_REQUEST_FAILED] * 10
    chain.answers[EXCHANGE] = TRUE
    assert await judge.assess(given, AT) == [Valid(42)] * 10
    assert chain.most_at_once == SINGLE_CALLS_IN_FLIGHT


# ---------------------------------------------------------------- who may be asked about


async def test_who_may_not_be_asked_about_is_put_off(caplog: pytest.LogCaptureFixture) -> None:
    chain = Chain()
    allowed = iter([True, False, True, False])
    given = [by_wallet(1), plain(2), exotic(3), exotic(4, signature=WALLET), by_wallet(5)]
    with caplog.at_level(logging.WARNING, logger="fondaco.zeroex.assessor"):
        outcomes = await assessor(chain).assess(
            [(order_hash(order), order) for order in given], AT, may_ask=lambda: next(allowed)
        )
    assert outcomes == [Valid(42), Valid(42), NOT_ASKED, Valid(42), NOT_ASKED]
    assert sorted(chain.asked) == sorted([EXCHANGE, EXCHANGE, DEV_UTILS[V3]])
    assert [record.__dict__["orders"] for record in caplog.records] == [2]


async def test_permission_is_asked_once_an_order_and_only_where_needed() -> None:
    chain = Chain()
    asked: list[int] = []

    def may_ask() -> bool:
        asked.append(len(chain.calls))
        return True

    cancelled = by_wallet(9)
    chain.world.cancel(order_hash(cancelled))
    given = [plain(1), exotic(2, signature=WALLET), cancelled]
    await assessor(chain).assess([(order_hash(o), o) for o in given], AT, may_ask=may_ask)
    assert asked == [0]


# ---------------------------------------------------------------- partly funded, partly filled


@pytest.mark.parametrize("version", [V2, V3])
@pytest.mark.parametrize(
    ("balance", "allowance", "refused_as", "taken_as"),
    [
        (50, MAX, RejectionCode.UNFUNDED, 21),
        (MAX, 50, RejectionCode.UNFUNDED, 21),
        (100, 100, 42, 42),
        (99, 100, RejectionCode.UNFUNDED, 41),
        (0, MAX, RejectionCode.UNFUNDED, RejectionCode.UNFUNDED),
    ],
)
async def test_what_is_partly_funded_is_taken_when_the_operator_says_so(
    version: ProtocolVersion,
    balance: int,
    allowance: int,
    refused_as: RejectionCode | int,
    taken_as: RejectionCode | int,
) -> None:
    chain = Chain()
    chain.world.erc20(ZRX, MAKER, balance, allowance)
    order = plain(version=version)
    assert codes(await assess(chain, order)) == [refused_as]
    assert codes(await assess(chain, order, accept_partially_funded=True)) == [taken_as]


async def test_the_operators_word_holds_for_exotic_orders_too() -> None:
    chain = Chain()
    chain.answers[DEV_UTILS[V3]] = says(fillable=5)
    assert codes(await assess(chain, exotic())) == [RejectionCode.UNFUNDED]
    assert await assess(chain, exotic(), accept_partially_funded=True) == [Valid(5)]


async def test_what_is_filled_counts_before_what_is_funded() -> None:
    """40 of 42 are taken: the maker needs 4 of 100 for the rest, not all."""
    chain = Chain()
    order = plain()
    chain.world.fill(order_hash(order), 40)
    chain.world.erc20(ZRX, MAKER, 5, 5)
    assert await assess(chain, order) == [Valid(2)]


@pytest.mark.parametrize(
    ("version", "filled", "are_stored", "is_asked"),
    [
        (V2, 2, True, False),
        (V2, 0, True, True),
        (V2, 2, False, True),
        (V3, 2, True, True),
        (V3, 2, False, True),
    ],
)
async def test_a_v2_signature_makes_no_difference_after_the_first_fill(
    version: ProtocolVersion, filled: int, are_stored: bool, is_asked: bool
) -> None:
    chain = Chain()
    chain.answers[EXCHANGE] = FALSE
    order = by_wallet(version=version)
    chain.world.fill(order_hash(order), filled)
    outcomes = await assess(chain, order, are_stored=are_stored)
    assert codes(outcomes) == [RejectionCode.INVALID_SIGNATURE if is_asked else 42 - filled]
    assert chain.asked == [EXCHANGE] * is_asked


async def test_an_exotic_v2_order_after_its_first_fill_has_its_amount_asked_for() -> None:
    chain = Chain()
    chain.answers[EXCHANGE] = FALSE
    chain.answers[DEV_UTILS[V2]] = says(filled=2, fillable=40)
    order = exotic(version=V2, signature=WALLET)
    chain.world.fill(order_hash(order), 2)
    assert await assess(chain, order, are_stored=True) == [Valid(40)]
    assert chain.asked == [DEV_UTILS[V2]]
