"""What peers do wrong with orders, and what it weighs.

The p2p floor keeps the scores (``p2p.scores.PENALTIES``); gossip's verdicts count there by
themselves. Here is what only a reader of orders can tell. An accident that can happen to
an honest node (an order that ends between two messages) has to stay far from a ban.

Source of the kinds: 0x Mesh's scores, reference/0x-mesh.md section 5.6.
"""

from __future__ import annotations

import enum

from fondaco.p2p.scores import Offence


class Fault(enum.Enum):
    """What a peer did."""

    MALFORMED_ANSWER = "an answer that is not of the protocol"
    FALSE_CLAIMS = "named orders again that it had not delivered"
    NOTHING_DELIVERED = "named many orders and delivered few"
    UNASKED_ORDERS = "sent orders nobody asked for"
    INVALID_ORDER = "handed out an order that everybody can see is invalid"
    BARREN_DIALOGUE = "a reconciliation without end or result"


WEIGHTS: dict[Fault, tuple[Offence, float]] = {
    Fault.MALFORMED_ANSWER: (Offence.MALFORMED_STREAM, 1.0),
    Fault.FALSE_CLAIMS: (Offence.FALSE_RECONCILIATION, 1.0),
    Fault.NOTHING_DELIVERED: (Offence.FALSE_RECONCILIATION, 1.0),
    Fault.UNASKED_ORDERS: (Offence.FALSE_RECONCILIATION, 1.0),
    Fault.INVALID_ORDER: (Offence.INVALID_ORDER, 1.0),
    Fault.BARREN_DIALOGUE: (Offence.FALSE_RECONCILIATION, 0.5),
}
"""Fault -> the offence it is, and how many times it counts."""
