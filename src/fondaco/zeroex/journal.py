"""What the event log carries for an order, and how a client sees it.

A row of the log holds everything about an event except the order itself, which
stands once in ``zeroex_orders`` and is joined when the event is read:

    payload  {"endState":…,"fillableTakerAssetAmount":…,"contractEvents":…,"timestamp":…,"block":…}
    event    {"sequence":…,"orderHash":…,"signedOrder":{…}, …the fields of the payload… }

so an event costs a few hundred bytes to keep for a week, however often the same
order is filled, and is joined by slicing bytes instead of decoding them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fondaco.clock import rfc3339
from fondaco.zeroex.order import OrderHash

TOPIC = "zeroex"
"""Name of the token orders' rows in the event log."""

_encoder = msgspec.json.Encoder()


class OrderFact(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one order, as it will be logged."""

    order_hash: OrderHash
    end_state: str
    """A Mesh ``OrderEventEndState``."""
    fillable: int
    """Taker base units that can still be exchanged."""
    contract_events: Sequence[msgspec.Raw] | None
    """What ``contract_events.encode_event`` made of the causes; None prints as ``null``."""
    timestamp_ns: int
    """Submission: the node's time. Otherwise: the time of the block it was read at."""
    block_number: int | None
    """Block at which the amount was read; None where no block was asked."""
    reason: str = ""
    """A code that explains the end state further, such as ``OrderUnfunded``."""


def encode_payload(fact: OrderFact) -> bytes:
    """Return the log row's payload: a JSON object without the order."""
    fields: dict[str, object] = {
        "endState": fact.end_state,
        "fillableTakerAssetAmount": str(fact.fillable),
        "contractEvents": fact.contract_events,
        "timestamp": rfc3339(fact.timestamp_ns),
    }
    if fact.block_number is not None:
        fields["blockNumber"] = fact.block_number
    if fact.reason:
        fields["reason"] = fact.reason
    return _encoder.encode(fields)


def render_event(sequence: int, order_hash: bytes, body: bytes, payload: bytes) -> bytes:
    """Return the event as clients receive it (seed: ``OrderEvent``; ``sequence`` is ours).

    Args:
        sequence: position in the event log.
        order_hash: 32 bytes.
        body: the signed order as JSON (``codec.encode_order``).
        payload: what ``encode_payload`` made.
    """
    return b'{"sequence":%d,"orderHash":"0x%s","signedOrder":%s,%s' % (
        sequence,
        order_hash.hex().encode(),
        body,
        payload[1:],
    )
