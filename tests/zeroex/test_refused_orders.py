"""Refused orders are left alone for as long as their reason lasts."""

from __future__ import annotations

import pytest

from fondaco.errors import Verdict
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.refused_orders import (
    ANYBODY,
    BY_CHAIN,
    BY_POLICY,
    FOR_GOOD,
    LONGEST,
    OF_THE_COPY,
    UNSURE,
    WITHHELD_SECONDS,
    RefusedOrders,
    Withheld,
)

NAME, OTHER = b"\x01" * 32, b"\x02" * 32


def refused(code: RejectionCode, **changes: object) -> RefusedOrders:
    orders = RefusedOrders()
    arguments = {"peer": "ann", "now": 100.0, "block": 7, **changes}
    orders.add(NAME, code.code, code.verdict, **arguments)  # type: ignore[arg-type]
    return orders


@pytest.mark.parametrize(
    ("code", "seconds", "is_of_chain"),
    [
        (RejectionCode.UNFUNDED, BY_CHAIN, True),
        (RejectionCode.EXPIRED, BY_CHAIN, True),
        (RejectionCode.ALREADY_STORED_AND_UNFILLABLE, BY_CHAIN, True),
        (RejectionCode.DATABASE_FULL_OF_ORDERS, BY_POLICY, False),
        (RejectionCode.ETH_RPC_REQUEST_FAILED, UNSURE, False),
        (RejectionCode.INVALID_MAKER_ASSET_DATA, FOR_GOOD, False),
        (RejectionCode.INVALID_SIGNATURE, FOR_GOOD, False),
    ],
)
def test_until_a_time_and_where_the_chain_spoke_a_newer_block(
    code: RejectionCode, seconds: float, is_of_chain: bool
) -> None:
    orders = refused(code)
    assert orders.refuses(NAME, 100.0 + seconds - 1, 8, peer="ann")
    assert orders.refuses(NAME, 100.0 + seconds, 7, peer="ann") == is_of_chain
    assert not orders.refuses(NAME, 100.0 + seconds, 8, peer="ann")
    assert not orders.refuses(OTHER, 100.0, 7, peer="ann")


@pytest.mark.parametrize("code", list(RejectionCode))
def test_a_forged_copy_does_not_keep_the_true_order_out(code: RejectionCode) -> None:
    orders = refused(code)
    assert orders.refuses(NAME, 101.0, 7, peer="ann")
    for_all = code not in OF_THE_COPY
    assert orders.refuses(NAME, 101.0, 7, peer="bob") == for_all
    assert orders.refuses(NAME, 101.0, 7, peer=ANYBODY) == for_all
    by_nobody = refused(code, peer=None)
    assert by_nobody.refuses(NAME, 101.0, 7, peer="ann") == for_all


def test_what_a_signature_can_change_is_of_the_copy() -> None:
    assert {
        RejectionCode.INVALID_SIGNATURE,  # another signature, or another kind of it
        RejectionCode.ETH_RPC_REQUEST_FAILED,  # a contract's signature that was not asked about
        RejectionCode.MAX_ORDER_SIZE_EXCEEDED,  # a signature of 16 kB
    } <= OF_THE_COPY


def test_each_refusal_in_a_row_counts_twice_as_long() -> None:
    orders, now = RefusedOrders(), 0.0
    code = RejectionCode.UNFUNDED
    for times in range(20):
        orders.add(NAME, code.code, code.verdict, peer=None, now=now, block=times)
        wait = min(LONGEST, BY_CHAIN * 2**times)
        assert orders.refuses(NAME, now + wait - 1, times + 1)
        assert not orders.refuses(NAME, now + wait, times + 1)
        now += wait
    orders.forget(NAME)
    orders.add(NAME, code.code, code.verdict, peer=None, now=now, block=99)
    assert not orders.refuses(NAME, now + BY_CHAIN, 100)


def test_the_longest_known_make_room() -> None:
    orders = RefusedOrders(most=3)
    names = [bytes([n]) * 32 for n in range(5)]
    for one in names:
        orders.add(one, "OrderCancelled", Verdict.IGNORE, peer=None, now=0.0, block=0)
    assert len(orders) == 3
    assert [orders.refuses(one, 1.0, 0) for one in names] == [False, False, True, True, True]


def test_a_peer_that_withholds_is_not_asked_again_for_a_while_others_are() -> None:
    withheld = Withheld(most=2)
    withheld.add("ann", [NAME], 0.0)
    assert withheld.is_withheld("ann", NAME, WITHHELD_SECONDS - 1)
    assert not withheld.is_withheld("ann", NAME, WITHHELD_SECONDS)
    assert not withheld.is_withheld("bob", NAME, 1.0)
    withheld.add("bob", [NAME, OTHER], 1.0)
    assert len(withheld) == 2
    assert not withheld.is_withheld("ann", NAME, 1.0)
