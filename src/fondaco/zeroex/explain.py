"""``mesh_explain``: what happened to an order, step by step, or why it is not here.

The steps come from the event log and from the remembered refusals; nothing is asked of
the chain. What neither knows, the answer says it does not know.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from fondaco.clock import rfc3339
from fondaco.store import eventlog
from fondaco.zeroex import journal, refusals, repository
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.order import OrderHash

STEPS_SHOWN = 200
"""Newest events of an order that are shown."""

_CODES = {code.code: code for code in RejectionCode}

SUMMARIES = {
    "live": "the order is here and on offer",
    "removed": "the order is here but cannot be filled now; it is kept for a while in case a "
    "block reorganisation or new funds make it fillable again",
    "gone": "the order was here and is no longer kept",
    "refused": "the order was refused and never stored",
    "unknown": "this node has never seen the order, or it was so long ago that nothing about it "
    "is kept",
}
"""What each status means, in words."""


class Step(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One thing that happened."""

    at: str
    """When the node learned of it, RFC 3339."""
    what: str
    """An ``endState``, or ``REFUSED``."""
    why: str
    sequence: int | None = None
    block_number: int | None = None
    fillable_taker_asset_amount: str | None = None
    contract_events: list[Any] | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer."""

    order_hash: str
    status: str
    """A key of ``SUMMARIES``."""
    summary: str
    steps: list[Step]
    """Oldest first."""
    fillable_taker_asset_amount: str | None = None
    is_pinned: bool | None = None
    last_looked_at: str | None = None


class _Payload(msgspec.Struct, rename="camel"):
    end_state: str
    fillable_taker_asset_amount: str
    contract_events: list[Any] | None
    timestamp: str
    block_number: int | None = None
    reason: str = ""


_decode = msgspec.json.Decoder(_Payload).decode


def explain(connection: sa.Connection, order_hash: OrderHash) -> Explanation:
    """Return what is known of the order called *order_hash*."""
    events = eventlog.about(connection, journal.TOPIC, order_hash, STEPS_SHOWN)
    refused = refusals.about(connection, order_hash)
    kept = repository.find(connection, [order_hash]).get(order_hash)
    if kept is not None:
        status = "removed" if kept.is_removed else "live"
    elif events:
        status = "gone"
    else:
        status = "refused" if refused else "unknown"
    dated = [(event.recorded_at_ns, _event_step(event)) for event in events]
    dated += [(refusal.at_ns, _refusal_step(refusal)) for refusal in refused]
    dated.sort(key=lambda entry: entry[0])
    return Explanation(
        order_hash=f"0x{order_hash.hex()}",
        status=status,
        summary=SUMMARIES[status],
        steps=[step for _, step in dated],
        fillable_taker_asset_amount=None if kept is None else _amount(kept),
        is_pinned=None if kept is None else kept.is_pinned,
        last_looked_at=None if kept is None else rfc3339(kept.last_updated_ns),
    )


def _amount(kept: repository.StoredOrder) -> str:
    # An order that expired by time keeps its amount in the store; nobody can fill it now.
    return "0" if kept.is_removed else str(kept.fillable)


def _event_step(event: eventlog.LoggedEvent) -> Step:
    payload = _decode(event.payload)
    why = _CODES[payload.reason].message if payload.reason in _CODES else payload.reason
    return Step(
        at=rfc3339(event.recorded_at_ns),
        what=payload.end_state,
        why=why or _reason_of(payload),
        sequence=event.sequence,
        block_number=payload.block_number,
        fillable_taker_asset_amount=payload.fillable_taker_asset_amount,
        contract_events=payload.contract_events,
    )


def _reason_of(payload: _Payload) -> str:
    kinds = [event["kind"] for event in payload.contract_events or ()]
    if kinds:
        return f"moved by {', '.join(kinds)}"
    return "found when the order was looked at again"


def _refusal_step(refusal: refusals.StoredRefusal) -> Step:
    code = _CODES.get(refusal.code)
    why = f"{refusal.code}: {refusal.detail or (code.message if code else '')}"
    return Step(at=rfc3339(refusal.at_ns), what="REFUSED", why=f"{why} (came by {refusal.origin})")
