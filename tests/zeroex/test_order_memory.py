"""What is known of an order by its hash."""

from __future__ import annotations

from fondaco.p2p.idset import IdSet
from fondaco.testing.orders import make_order
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import InvalidSchema, OrderRejected, RejectionCode
from fondaco.zeroex.intake import NO_HASH, Refusal
from fondaco.zeroex.ledger import ToldEvent
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from fondaco.zeroex.order_memory import OrderMemory
from fondaco.zeroex.orderset import OrderSets
from fondaco.zeroex.scopes import Scope
from fondaco.zeroex.service import AddResult

ORDER = make_order()
NAME = order_hash(ORDER)


class Moment:
    """Time and block, moved by hand."""

    def __init__(self) -> None:
        self.now, self.block = 0.0, 1
        self.memory = OrderMemory(OrderSets(), now=lambda: self.now, block=lambda: self.block)
        for version in ProtocolVersion:
            sets = self.memory.sets
            sets.fill(sets.begin(Scope(version)), IdSet())

    def tell(self, end_state: str, order: SignedOrder = ORDER) -> None:
        body = encode_order(order)
        event = ToldEvent(
            sequence=1,
            order_hash=order_hash(order),
            order=order,
            end_state=end_state,
            reason="",
            body=body,
            encoded=b"",
        )
        self.memory.take([event])


def refusal(code: RejectionCode) -> AddResult:
    rejection = OrderRejected(code)
    refused = Refusal(order_hash=NAME, signed_order=b"{}", rejection=rejection)
    unreadable = Refusal(order_hash=NO_HASH, signed_order=b"{}", rejection=InvalidSchema("(root)"))
    return AddResult(accepted=[], rejected=[unreadable, refused])


def test_what_is_stored_is_dull_until_it_ends() -> None:
    moment = Moment()
    assert not moment.memory.is_dull(NAME)
    for order in (ORDER, make_order(version=ProtocolVersion.V2)):
        moment.tell("ADDED", order)
        assert moment.memory.holds(order_hash(order))
        assert moment.memory.is_dull(order_hash(order))
        moment.tell("CANCELLED", order)
        assert not moment.memory.is_dull(order_hash(order))


def test_what_was_refused_is_dull_for_a_while() -> None:
    moment = Moment()
    moment.memory.note(refusal(RejectionCode.UNFUNDED))
    assert moment.memory.is_dull(NAME)
    assert not moment.memory.is_dull(NO_HASH)
    moment.now, moment.block = 31.0, 2
    assert not moment.memory.is_dull(NAME)


def test_a_bad_signature_is_remembered_of_the_peer_alone() -> None:
    moment = Moment()
    moment.memory.note(refusal(RejectionCode.INVALID_SIGNATURE), peer="ann")
    assert not moment.memory.is_dull(NAME)
    assert moment.memory.is_refused(NAME, peer="ann")
    assert not moment.memory.is_refused(NAME, peer="bob")


def test_an_order_that_was_taken_after_all_is_refused_no_more() -> None:
    moment = Moment()
    moment.memory.note(refusal(RejectionCode.UNFUNDED))
    moment.tell("ADDED")
    moment.tell("CANCELLED")
    assert not moment.memory.is_refused(NAME)


def test_what_a_peer_withholds() -> None:
    moment = Moment()
    moment.memory.note_withheld("ann", [NAME])
    assert moment.memory.is_withheld("ann", NAME)
    assert not moment.memory.is_withheld("bob", NAME)
