"""What becomes of a stored order when it is looked at again. The rules are a table.

                 .----------------- LIVE: on offer, amount > 0 <---------------.
                 |                   ^   |                                     |
      CHAIN_* :  |        time runs  |   | block time                    CHAIN_VALID:
      FULLY_FILLED, CANCELLED,  back |   | passes expiration             ADDED
      UNFUNDED, EXPIRED, INVALID     |   v                                     |
                 |                  LAPSED: flagged removed, amount kept       |
                 |                       |                                     |
                 '-------> GONE: flagged removed, amount 0 <-------------------'
                           (kept a while: a reorganisation may bring it back)

``TRANSITIONS`` has a cell for every situation that can arise; whatever a validation
says, some cell answers, and none of them stops the node. Where 0x Mesh stopped (an
order whose signature is no longer valid), the order ends as INVALID.

Source: 0x Mesh ``orderwatch``; reference/0x-mesh.md section 2.3.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

from fondaco.zeroex.errors import RejectionCode, RejectionKind
from fondaco.zeroex.order import SignedOrder

_T = TypeVar("_T")


class EndState(enum.Enum):
    """``endState`` of an order event on the wire."""

    ADDED = "ADDED"
    FILLED = "FILLED"
    FULLY_FILLED = "FULLY_FILLED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    UNEXPIRED = "UNEXPIRED"
    UNFUNDED = "UNFUNDED"
    FILLABILITY_INCREASED = "FILLABILITY_INCREASED"
    STOPPED_WATCHING = "STOPPED_WATCHING"
    INVALID = "INVALID"
    """Defined by Mesh and never sent by it. Here: the signature is no longer valid, as
    when a contract wallet changes its owner."""


# ---------------------------------------------------------------- outcomes


class Valid(msgspec.Struct, frozen=True, gc=False):
    """The order can be filled."""

    fillable: int
    """Taker base units, > 0."""


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The order cannot be filled, or the node could not tell."""

    code: RejectionCode
    detail: str = ""
    """The reason in more words, for ``mesh_explain`` and the log."""


Outcome = Valid | Rejected
"""What a validation at one block says of one order."""


class ContractState(Protocol):
    """What the chain said of an order (``fillable.OrderState``, ``dev_utils.RelevantState``)."""

    @property
    def status(self) -> int:
        """``LibOrder.OrderStatus``, 0 to 6."""

    @property
    def filled(self) -> int:
        """Taker base units already exchanged."""

    @property
    def fillable(self) -> int:
        """Taker base units that can still be exchanged."""


_FILLABLE = 3

_REJECTED_STATUS = {
    0: RejectionCode.INTERNAL_ERROR,
    1: RejectionCode.INVALID_MAKER_ASSET_AMOUNT,
    2: RejectionCode.INVALID_TAKER_ASSET_AMOUNT,
    4: RejectionCode.EXPIRED,
    5: RejectionCode.FULLY_FILLED,
    6: RejectionCode.CANCELLED,
}
"""``LibOrder.OrderStatus`` to code. Mesh drops 0 to 2 silently; we say them."""


def outcome_of(
    state: ContractState, order: SignedOrder, *, accept_partially_funded: bool = False
) -> Outcome:
    """Return what *state* means for *order*, whose signature is taken as valid.

    Args:
        state: read at one block.
        order: the order it belongs to.
        accept_partially_funded: keep an order whose maker can deliver only a part, with
            that part as its amount. Otherwise it is refused as unfunded, as Mesh does.
    """
    if state.status != _FILLABLE:
        code = _REJECTED_STATUS.get(state.status, RejectionCode.INTERNAL_ERROR)
        return Rejected(code, f"contract status {state.status}")
    remaining = order.taker_asset_amount - state.filled
    if state.fillable == remaining or (accept_partially_funded and state.fillable > 0):
        return Valid(state.fillable)
    return Rejected(RejectionCode.UNFUNDED, f"{state.fillable} of {remaining} can be delivered")


# ---------------------------------------------------------------- the table


class Standing(enum.Enum):
    """How an order stands in the store."""

    LIVE = "live"
    """On offer: not flagged removed, amount > 0."""
    LAPSED = "lapsed"
    """Expired by block time: flagged removed, its amount kept."""
    GONE = "gone"
    """Flagged removed with amount 0."""


class Finding(enum.Enum):
    """What happened, seen from the stored order."""

    CHAIN_SAME = "valid, amount unchanged"
    CHAIN_LESS = "valid, amount lower"
    CHAIN_MORE = "valid, amount higher"
    CHAIN_FULLY_FILLED = "rejected: fully filled"
    CHAIN_CANCELLED = "rejected: cancelled"
    CHAIN_EXPIRED = "rejected: expired"
    CHAIN_UNFUNDED = "rejected: unfunded"
    CHAIN_INVALID = "rejected: signature or fields not valid"
    NODE_UNSURE = "the node could not tell, or its own policy speaks"
    TIME_PASSED = "block time reached the expiration"
    TIME_REVERTED = "block time went back below the expiration"


class Emit(msgspec.Struct, frozen=True, gc=False):
    """An event to be told."""

    end_state: EndState
    with_contract_events: bool = True
    """Whether the contract events that caused it are listed, or ``null``."""


class Amount(enum.Enum):
    """Which amount is stored, and told with the event."""

    NEW = "new"
    KEPT = "kept"
    ZERO = "zero"


class Cell(msgspec.Struct, frozen=True, gc=False):
    """One cell of the table."""

    events: tuple[Emit, ...] = ()
    amount: Amount = Amount.KEPT
    becomes: Standing | None = None
    """None: as before."""
    is_looked_at: bool = True
    """Whether ``last_updated`` moves: the order's state at a block is now known."""


def _ends(end_state: EndState) -> Cell:
    return Cell((Emit(end_state),), Amount.ZERO, Standing.GONE)


_UNEXPIRED = Emit(EndState.UNEXPIRED, with_contract_events=False)
_FILLED = Emit(EndState.FILLED)
_INCREASED = Emit(EndState.FILLABILITY_INCREASED)
_NO_NEWS = Cell()
_IGNORED = Cell(is_looked_at=False)
_LIVE, _LAPSED, _GONE = Standing.LIVE, Standing.LAPSED, Standing.GONE

TRANSITIONS: dict[tuple[Standing, Finding], Cell] = {
    (_LIVE, Finding.CHAIN_SAME): _NO_NEWS,
    (_LIVE, Finding.CHAIN_LESS): Cell((_FILLED,), Amount.NEW),
    (_LIVE, Finding.CHAIN_MORE): Cell((_INCREASED,), Amount.NEW),
    (_LIVE, Finding.CHAIN_FULLY_FILLED): _ends(EndState.FULLY_FILLED),
    (_LIVE, Finding.CHAIN_CANCELLED): _ends(EndState.CANCELLED),
    (_LIVE, Finding.CHAIN_EXPIRED): _ends(EndState.EXPIRED),
    (_LIVE, Finding.CHAIN_UNFUNDED): _ends(EndState.UNFUNDED),
    (_LIVE, Finding.CHAIN_INVALID): _ends(EndState.INVALID),
    (_LIVE, Finding.NODE_UNSURE): _IGNORED,
    (_LIVE, Finding.TIME_PASSED): Cell(
        (Emit(EndState.EXPIRED, with_contract_events=False),), Amount.KEPT, _LAPSED
    ),
    (_LIVE, Finding.TIME_REVERTED): _IGNORED,
    #
    (_LAPSED, Finding.CHAIN_SAME): Cell((_UNEXPIRED,), Amount.KEPT, _LIVE),
    (_LAPSED, Finding.CHAIN_LESS): Cell((_UNEXPIRED, _FILLED), Amount.NEW, _LIVE),
    (_LAPSED, Finding.CHAIN_MORE): Cell((_UNEXPIRED, _INCREASED), Amount.NEW, _LIVE),
    (_LAPSED, Finding.CHAIN_FULLY_FILLED): _ends(EndState.FULLY_FILLED),
    (_LAPSED, Finding.CHAIN_CANCELLED): _ends(EndState.CANCELLED),
    # Mesh tells EXPIRED a second time here and forgets the amount; it is no news.
    (_LAPSED, Finding.CHAIN_EXPIRED): _NO_NEWS,
    (_LAPSED, Finding.CHAIN_UNFUNDED): _ends(EndState.UNFUNDED),
    (_LAPSED, Finding.CHAIN_INVALID): _ends(EndState.INVALID),
    (_LAPSED, Finding.NODE_UNSURE): _IGNORED,
    (_LAPSED, Finding.TIME_PASSED): _IGNORED,
    (_LAPSED, Finding.TIME_REVERTED): Cell((_UNEXPIRED,), Amount.KEPT, _LIVE),
    #
    # An amount of 0 is below any valid one, so SAME and LESS cannot be found here.
    (_GONE, Finding.CHAIN_MORE): Cell((Emit(EndState.ADDED),), Amount.NEW, _LIVE),
    (_GONE, Finding.CHAIN_FULLY_FILLED): _NO_NEWS,
    (_GONE, Finding.CHAIN_CANCELLED): _NO_NEWS,
    (_GONE, Finding.CHAIN_EXPIRED): _NO_NEWS,
    (_GONE, Finding.CHAIN_UNFUNDED): _NO_NEWS,
    (_GONE, Finding.CHAIN_INVALID): _NO_NEWS,
    (_GONE, Finding.NODE_UNSURE): _IGNORED,
    (_GONE, Finding.TIME_PASSED): _IGNORED,
    (_GONE, Finding.TIME_REVERTED): _IGNORED,
}
"""What is told and stored, by how the order stood and what was found."""

IMPOSSIBLE = frozenset({(_GONE, Finding.CHAIN_SAME), (_GONE, Finding.CHAIN_LESS)})
"""Cells no input can reach."""

_FINDINGS = {
    RejectionCode.EXPIRED: Finding.CHAIN_EXPIRED,
    RejectionCode.FULLY_FILLED: Finding.CHAIN_FULLY_FILLED,
    RejectionCode.CANCELLED: Finding.CHAIN_CANCELLED,
    RejectionCode.UNFUNDED: Finding.CHAIN_UNFUNDED,
}


# ---------------------------------------------------------------- applying it


class Emission(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event about one order, still without its contract events."""

    end_state: EndState
    fillable: int
    """``fillableTakerAssetAmount`` of the event; 0 when the order ends."""
    with_contract_events: bool


class Transition(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a finding does to an order."""

    events: tuple[Emission, ...]
    """In the sequence they are told."""
    fillable: int
    """Amount to store, taker base units."""
    is_removed: bool
    """Flag to store."""
    is_looked_at: bool
    """Whether to store the time of this look; nothing is stored when False."""
    reason: RejectionCode | None = None
    """Why the order ended, when a rejection ended it."""


def standing(fillable: int, is_removed: bool) -> Standing:
    """Return how an order with this stored amount and flag stands."""
    if fillable == 0:
        return Standing.GONE
    return Standing.LAPSED if is_removed else Standing.LIVE


def finding(fillable: int, expiration: int, outcome: Outcome, block_timestamp: int) -> Finding:
    """Return what *outcome*, read at a block of *block_timestamp*, means for a stored order.

    An order found valid at or after its *expiration* (unix seconds) counts as expired:
    endpoints that run a call in a block still to come may say so, the contract never.
    """
    if isinstance(outcome, Rejected):
        if (found := _FINDINGS.get(outcome.code)) is not None:
            return found
        if outcome.code.kind is RejectionKind.ZEROEX_VALIDATION:
            return Finding.CHAIN_INVALID
        return Finding.NODE_UNSURE
    if block_timestamp >= expiration:
        return Finding.CHAIN_EXPIRED
    if outcome.fillable == fillable:
        return Finding.CHAIN_SAME
    return Finding.CHAIN_LESS if outcome.fillable < fillable else Finding.CHAIN_MORE


def transition(
    fillable: int, is_removed: bool, expiration: int, outcome: Outcome, block_timestamp: int
) -> Transition:
    """Return what revalidation does to a stored order.

    Args:
        fillable: the stored amount, taker base units.
        is_removed: the stored flag.
        expiration: unix seconds.
        outcome: what the validation said.
        block_timestamp: unix seconds of the block it was made at.
    """
    found = finding(fillable, expiration, outcome, block_timestamp)
    new = outcome.fillable if isinstance(outcome, Valid) else 0
    reason = outcome.code if isinstance(outcome, Rejected) else None
    return _apply(fillable, is_removed, found, new, reason)


def expire(fillable: int, is_removed: bool, expiration: int, block_timestamp: int) -> Transition:
    """Return what a block of *block_timestamp* does to an order by time alone.

    It expires when the time has reached its *expiration*, is revived when the time (in a
    reorganisation) has gone back below it, and is left alone otherwise. Orders queued for
    revalidation in the same step must not come here: the chain's answer goes first.
    """
    passed = block_timestamp >= expiration
    found = Finding.TIME_PASSED if passed else Finding.TIME_REVERTED
    return _apply(fillable, is_removed, found, 0, RejectionCode.EXPIRED if passed else None)


def _apply(
    old: int, is_removed: bool, found: Finding, new: int, reason: RejectionCode | None
) -> Transition:
    before = standing(old, is_removed)
    cell = TRANSITIONS[before, found]
    after = cell.becomes or before
    stored = {Amount.NEW: new, Amount.KEPT: old, Amount.ZERO: 0}[cell.amount]
    return Transition(
        events=tuple([_emission(emit, old, stored, after) for emit in cell.events]),
        fillable=stored,
        is_removed=after is not Standing.LIVE,
        is_looked_at=cell.is_looked_at or bool(cell.events),
        reason=reason if cell.events else None,
    )


def _emission(emit: Emit, old: int, stored: int, after: Standing) -> Emission:
    if after is not Standing.LIVE:
        told = 0
    elif emit.end_state is EndState.UNEXPIRED:
        told = old
    else:
        told = stored
    return Emission(
        end_state=emit.end_state,
        fillable=told,
        with_contract_events=emit.with_contract_events,
    )


def added(fillable: int) -> Emission:
    """Return the event of a new order: ADDED, without contract events."""
    return Emission(end_state=EndState.ADDED, fillable=fillable, with_contract_events=False)


def stopped_watching(fillable: int) -> Emission:
    """Return the event of an order dropped to make room, with its last known amount."""
    return Emission(
        end_state=EndState.STOPPED_WATCHING, fillable=fillable, with_contract_events=False
    )


def contract_events_of(emission: Emission, events: Sequence[_T]) -> Sequence[_T] | None:
    """Return what stands in ``contractEvents``: the list, or None for JSON ``null``.

    Submission and time have no cause on the chain and say ``null``; a revalidation lists
    what caused it, which is an empty list when the cleanup job asked.
    """
    return events if emission.with_contract_events else None
