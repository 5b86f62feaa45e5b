"""Every cell of the table, and the scenarios of the original's order watcher."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fondaco.zeroex.errors import RejectionCode, RejectionKind
from fondaco.zeroex.lifecycle import (
    IMPOSSIBLE,
    TRANSITIONS,
    Emission,
    EndState,
    Finding,
    Outcome,
    Rejected,
    Standing,
    Transition,
    Valid,
    added,
    contract_events_of,
    expire,
    finding,
    outcome_of,
    standing,
    stopped_watching,
    transition,
)
from fondaco.zeroex.order import Address, Amount, ProtocolVersion, SignedOrder

VECTORS = Path(__file__).parent.parent / "vectors"
MESH = json.loads((VECTORS / "mesh_vectors.json").read_text())

EXPIRATION = 1_000
"""Unix seconds; blocks before it are at 900, blocks from it on at 1100."""

STORED = {Standing.LIVE: (40, False), Standing.LAPSED: (40, True), Standing.GONE: (0, True)}

OUTCOMES: dict[Finding, tuple[Outcome, int]] = {
    Finding.CHAIN_SAME: (Valid(40), 900),
    Finding.CHAIN_LESS: (Valid(10), 900),
    Finding.CHAIN_MORE: (Valid(70), 900),
    Finding.CHAIN_FULLY_FILLED: (Rejected(RejectionCode.FULLY_FILLED), 900),
    Finding.CHAIN_CANCELLED: (Rejected(RejectionCode.CANCELLED), 900),
    Finding.CHAIN_EXPIRED: (Rejected(RejectionCode.EXPIRED), 1100),
    Finding.CHAIN_UNFUNDED: (Rejected(RejectionCode.UNFUNDED), 900),
    Finding.CHAIN_INVALID: (Rejected(RejectionCode.INVALID_SIGNATURE), 900),
    Finding.NODE_UNSURE: (Rejected(RejectionCode.ETH_RPC_REQUEST_FAILED), 900),
}

NOTHING = "-"
EXPECTED = {
    # finding: (LIVE, LAPSED, GONE) as "events told -> amount stored, flag stored"
    Finding.CHAIN_SAME: ("-> 40", "UNEXPIRED* 40 -> 40", None),
    Finding.CHAIN_LESS: ("FILLED 10 -> 10", "UNEXPIRED* 40, FILLED 10 -> 10", None),
    Finding.CHAIN_MORE: (
        "FILLABILITY_INCREASED 70 -> 70",
        "UNEXPIRED* 40, FILLABILITY_INCREASED 70 -> 70",
        "ADDED 70 -> 70",
    ),
    Finding.CHAIN_FULLY_FILLED: (
        "FULLY_FILLED 0 -> 0 removed",
        "FULLY_FILLED 0 -> 0 removed",
        "-> 0 removed",
    ),
    Finding.CHAIN_CANCELLED: (
        "CANCELLED 0 -> 0 removed",
        "CANCELLED 0 -> 0 removed",
        "-> 0 removed",
    ),
    Finding.CHAIN_EXPIRED: ("EXPIRED 0 -> 0 removed", "-> 40 removed", "-> 0 removed"),
    Finding.CHAIN_UNFUNDED: (
        "UNFUNDED 0 -> 0 removed",
        "UNFUNDED 0 -> 0 removed",
        "-> 0 removed",
    ),
    Finding.CHAIN_INVALID: ("INVALID 0 -> 0 removed", "INVALID 0 -> 0 removed", "-> 0 removed"),
    Finding.NODE_UNSURE: ("ignored", "ignored", "ignored"),
    Finding.TIME_PASSED: ("EXPIRED* 0 -> 40 removed", "ignored", "ignored"),
    Finding.TIME_REVERTED: ("ignored", "UNEXPIRED* 40 -> 40", "ignored"),
}
"""A star marks an event whose contractEvents are null."""


def in_words(result: Transition) -> str:
    if not result.is_looked_at:
        assert result.events == ()
        return "ignored"
    told = ", ".join(
        f"{event.end_state.value}{'' if event.with_contract_events else '*'} {event.fillable}"
        for event in result.events
    )
    return f"{told} -> {result.fillable}{' removed' if result.is_removed else ''}".lstrip()


def run(before: Standing, found: Finding) -> Transition:
    fillable, is_removed = STORED[before]
    if found is Finding.TIME_PASSED:
        return expire(fillable, is_removed, EXPIRATION, EXPIRATION)
    if found is Finding.TIME_REVERTED:
        return expire(fillable, is_removed, EXPIRATION, EXPIRATION - 1)
    outcome, timestamp = OUTCOMES[found]
    return transition(fillable, is_removed, EXPIRATION, outcome, timestamp)


@pytest.mark.parametrize("found", Finding)
@pytest.mark.parametrize("before", Standing)
def test_every_cell(before: Standing, found: Finding) -> None:
    expected = EXPECTED[found][list(Standing).index(before)]
    if expected is None:
        assert (before, found) in IMPOSSIBLE
        assert (before, found) not in TRANSITIONS
        return
    result = run(before, found)
    assert in_words(result) == expected
    if expected == "ignored":
        assert (result.fillable, result.is_removed) == STORED[before]


def test_table_and_impossible_cells_are_all_there_is() -> None:
    every = {(before, found) for before in Standing for found in Finding}
    assert set(TRANSITIONS) | IMPOSSIBLE == every
    assert not set(TRANSITIONS) & IMPOSSIBLE


def test_every_standing_but_the_first_is_reached_and_left() -> None:
    reached = {cell.becomes for cell in TRANSITIONS.values()}
    assert reached >= set(Standing)


@pytest.mark.parametrize("code", RejectionCode)
@pytest.mark.parametrize("before", Standing)
def test_no_rejection_stops_the_node(before: Standing, code: RejectionCode) -> None:
    fillable, is_removed = STORED[before]
    result = transition(fillable, is_removed, EXPIRATION, Rejected(code), 900)
    if code.kind is not RejectionKind.ZEROEX_VALIDATION:
        assert in_words(result) == "ignored"
    elif before is Standing.LIVE:
        assert len(result.events) == 1
        assert result.reason is code
        assert result.is_removed
        assert result.fillable == 0


def test_end_state_by_code() -> None:
    ends = {
        code: transition(40, False, EXPIRATION, Rejected(code), 900).events[0].end_state
        for code in RejectionCode
        if code.kind is RejectionKind.ZEROEX_VALIDATION
    }
    named = {
        RejectionCode.EXPIRED: EndState.EXPIRED,
        RejectionCode.FULLY_FILLED: EndState.FULLY_FILLED,
        RejectionCode.CANCELLED: EndState.CANCELLED,
        RejectionCode.UNFUNDED: EndState.UNFUNDED,
    }
    assert ends == {code: named.get(code, EndState.INVALID) for code in ends}


def test_valid_at_a_block_after_its_expiration_counts_as_expired() -> None:
    assert finding(40, EXPIRATION, Valid(40), EXPIRATION) is Finding.CHAIN_EXPIRED
    assert finding(40, EXPIRATION, Valid(40), EXPIRATION - 1) is Finding.CHAIN_SAME


def test_amount_zero_is_gone_whatever_the_flag() -> None:
    assert standing(0, False) is standing(0, True) is Standing.GONE
    assert in_words(transition(0, False, EXPIRATION, Valid(5), 900)) == "ADDED 5 -> 5"


def make_order(taker_asset_amount: int = 100, expiration: int = EXPIRATION) -> SignedOrder:
    nobody = Address(bytes(20))
    return SignedOrder(
        version=ProtocolVersion.V3,
        chain_id=1337,
        exchange_address=nobody,
        maker_address=Address(b"\x01" * 20),
        taker_address=nobody,
        fee_recipient_address=nobody,
        sender_address=nobody,
        maker_asset_amount=Amount(100),
        taker_asset_amount=Amount(taker_asset_amount),
        maker_fee=Amount(0),
        taker_fee=Amount(0),
        expiration_time_seconds=expiration,
        salt=1,
        maker_asset_data=b"",
        taker_asset_data=b"",
        maker_fee_asset_data=b"",
        taker_fee_asset_data=b"",
        signature=b"\x01",
    )


class State(msgspec.Struct, frozen=True):
    """What the contract said."""

    status: int
    filled: int
    fillable: int


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0, RejectionCode.INTERNAL_ERROR),
        (1, RejectionCode.INVALID_MAKER_ASSET_AMOUNT),
        (2, RejectionCode.INVALID_TAKER_ASSET_AMOUNT),
        (4, RejectionCode.EXPIRED),
        (5, RejectionCode.FULLY_FILLED),
        (6, RejectionCode.CANCELLED),
        (7, RejectionCode.INTERNAL_ERROR),
    ],
)
def test_contract_status_decides_before_the_amount(status: int, code: RejectionCode) -> None:
    for partially in (False, True):
        outcome = outcome_of(State(status, 0, 100), make_order(), accept_partially_funded=partially)
        assert isinstance(outcome, Rejected)
        assert outcome.code is code


@pytest.mark.parametrize(
    ("filled", "fillable", "strict", "partial"),
    [
        pytest.param(0, 100, 100, 100, id="whole"),
        pytest.param(60, 40, 40, 40, id="rest of a filled order"),
        pytest.param(0, 99, None, 99, id="one unit short"),
        pytest.param(60, 39, None, 39, id="one unit short of the rest"),
        pytest.param(0, 0, None, None, id="nothing"),
    ],
)
def test_partially_funded_orders(
    filled: int, fillable: int, strict: int | None, partial: int | None
) -> None:
    for policy, expected in ((False, strict), (True, partial)):
        outcome = outcome_of(
            State(3, filled, fillable), make_order(), accept_partially_funded=policy
        )
        if expected is None:
            assert isinstance(outcome, Rejected)
            assert outcome.code is RejectionCode.UNFUNDED
        else:
            assert outcome == Valid(expected)


def onchain_cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{version}: {case['note']}")
        for version in ("v2", "v3")
        for case in json.loads((VECTORS / f"mesh_onchain_{version}_vectors.json").read_text())[
            "getOrderRelevantStates"
        ]["cases"]
        if case.get("decoded") and "offchain" not in case["meshResult"]
    ]


@pytest.mark.parametrize("case", onchain_cases())
def test_verdict_from_the_answer_of_the_real_contract(case: dict[str, Any]) -> None:
    decoded = case["decoded"]
    state = State(
        decoded["orderStatus"],
        int(decoded["orderTakerAssetFilledAmount"]),
        int(decoded["fillableTakerAssetAmount"]),
    )
    order = make_order(int(case["signedOrder"]["takerAssetAmount"]))
    outcome: Outcome = (
        outcome_of(state, order)
        if decoded["isValidSignature"]
        else Rejected(RejectionCode.INVALID_SIGNATURE)
    )
    mesh = case["meshResult"]
    derived = mesh.get("derivedFromContractAnswer", "")
    if mesh.get("accepted") or derived.startswith("ACCEPT"):
        told = mesh.get("fillableTakerAssetAmount") or derived.removeprefix("ACCEPT ")
        assert outcome == Valid(int(told))
    else:
        assert isinstance(outcome, Rejected)
        assert outcome.code.code == mesh.get("statusCode", derived)


class Book:
    """One stored order and what clients were told of it."""

    def __init__(self, fillable: int = 100) -> None:
        self.fillable, self.is_removed = fillable, False
        self.told: list[Emission] = [added(fillable)]

    def _store(self, result: Transition) -> None:
        self.told += result.events
        self.fillable, self.is_removed = result.fillable, result.is_removed

    def revalidated(self, outcome: Outcome, timestamp: int = 900) -> Book:
        self._store(transition(self.fillable, self.is_removed, EXPIRATION, outcome, timestamp))
        return self

    def block(self, timestamp: int) -> Book:
        self._store(expire(self.fillable, self.is_removed, EXPIRATION, timestamp))
        return self

    def events(self) -> list[str]:
        return [event.end_state.value for event in self.told[1:]]


UNFUNDED = Rejected(RejectionCode.UNFUNDED)
SCENARIOS = {
    "maker transfers the ERC20 maker asset away": Book().revalidated(UNFUNDED),
    "maker transfers the ERC20 maker-fee asset away": Book().revalidated(UNFUNDED),
    "maker transfers the ERC721 token away": Book().revalidated(UNFUNDED),
    "maker revokes ERC721 allowance (approve to null)": Book().revalidated(UNFUNDED),
    "maker revokes ERC1155 setApprovalForAll": Book().revalidated(UNFUNDED),
    "maker transfers ERC1155 balance away": Book().revalidated(UNFUNDED),
    "maker sets ERC20 allowance of the ERC20 proxy to 0": Book().revalidated(UNFUNDED),
    "maker transfers away, later receives the asset back": Book()
    .revalidated(UNFUNDED)
    .revalidated(Valid(100)),
    "unrelated transfer of the same token involving the maker that leaves the order fully "
    "fillable": Book().revalidated(Valid(100)),
    "maker withdraws WETH maker asset, then deposits it again": Book()
    .revalidated(UNFUNDED)
    .revalidated(Valid(100)),
    "maker cancels": Book().revalidated(Rejected(RejectionCode.CANCELLED)),
    "maker cancelOrdersUpTo(salt)": Book().revalidated(Rejected(RejectionCode.CANCELLED)),
    "taker fills completely": Book().revalidated(Rejected(RejectionCode.FULLY_FILLED)),
    "taker fills half": Book().revalidated(Valid(50)),
    "cleanup job on a stale but unchanged order": Book().revalidated(Valid(100)),
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case["do"])
        for case in MESH["order_watcher_scenarios"]["cases"]
        if case["do"] in SCENARIOS
    ],
)
def test_watcher_scenario(case: dict[str, Any]) -> None:
    book = SCENARIOS[case["do"]]
    assert book.events() == case["events"]
    if expected := case.get("db"):
        assert book.is_removed is expected["isRemoved"]
        amounts = {"0": 0, "takerAssetAmount": 100, "takerAssetAmount/2": 50}
        if "fillable" in expected:
            assert book.fillable == amounts[expected["fillable"]]


def test_expiry_and_reorganisation_scenario() -> None:
    case = next(c for c in MESH["order_watcher_scenarios"]["cases"] if "reorg" in c["do"])
    book = Book().block(EXPIRATION + 1)
    assert (book.is_removed, book.fillable) == (case["db"][0]["isRemoved"], 100)
    book.block(EXPIRATION - 2)
    assert (book.is_removed, book.fillable) == (case["db"][1]["isRemoved"], 100)
    assert book.events() == case["events"]
    assert [str(e.fillable) for e in book.told[1:]] == ["0", "100"]
    assert case["eventFillable"] == ["0", "takerAssetAmount"]


def test_unexpired_and_half_filled_scenario() -> None:
    case = next(c for c in MESH["order_watcher_scenarios"]["cases"] if "half fillable" in c["do"])
    book = Book().block(EXPIRATION).revalidated(Valid(50), EXPIRATION - 1)
    fill = object()
    lists = [contract_events_of(event, [fill]) for event in book.told[2:]]
    assert book.events() == ["EXPIRED", "UNEXPIRED", "FILLED"]
    assert case["events"] == ["UNEXPIRED (no contractEvents)", "FILLED (1 contractEvent)"]
    assert lists == [None, [fill]]
    assert book.is_removed is case["db"]["isRemoved"]


def test_when_contract_events_are_null_and_when_empty() -> None:
    cleanup = transition(100, False, EXPIRATION, UNFUNDED, 900).events[0]
    by_time = expire(100, False, EXPIRATION, EXPIRATION).events[0]
    assert contract_events_of(cleanup, []) == []
    for event in (added(100), stopped_watching(100), by_time):
        assert contract_events_of(event, []) is None


def test_every_end_state_can_be_told() -> None:
    told = {emit.end_state for cell in TRANSITIONS.values() for emit in cell.events}
    assert told | {stopped_watching(1).end_state} == set(EndState)
