"""What can become of a listing, as its own store sees it.

                      MERCHANT_UPDATES
    OFFERED ---------------------------------> SUPERSEDED, for ever; another contract is offered
     | ^ | ^
     | | | '--MERCHANT_RESTOCKS, BUYER_GIVES_BACK--.
     | | '----BUYER_TAKES_LAST--------------> SOLD_OUT
     | '------MERCHANT_RENEWS----------.
     '--------CLOCK_EXPIRES--------> EXPIRED
    any but SUPERSEDED --MERCHANT_REMOVES--> REMOVED --MERCHANT_RESTORES--> OFFERED

The table is the rule; the drawing leaves out what comes back to where it was. A step that time or
stock has made due (``due``) is taken after every other one, so a listing that is restored with
nothing left is sold out, and one that is restored too late has expired.

Visitors see no states: they have a listing's last offer, which is on offer or is not.
"""

from __future__ import annotations

import enum

from fondaco.market.errors import ForbiddenTransition


class State(enum.Enum):
    """Where a listing of our own store is."""

    OFFERED = "offered"
    SOLD_OUT = "sold out"
    EXPIRED = "expired"
    REMOVED = "removed"
    SUPERSEDED = "superseded"


class Event(enum.Enum):
    """What happens to a listing, beginning with who caused it."""

    MERCHANT_UPDATES = "merchant updates"
    """Another contract takes its place."""

    MERCHANT_REMOVES = "merchant removes"
    MERCHANT_RESTORES = "merchant restores"
    """The removal is undone."""

    MERCHANT_RENEWS = "merchant renews"
    """The offer is signed anew, for another lifetime."""

    MERCHANT_RESTOCKS = "merchant restocks"
    BUYER_TAKES_LAST = "buyer takes last"
    BUYER_GIVES_BACK = "buyer gives back"
    """An order that had taken some is cancelled."""

    CLOCK_EXPIRES = "clock expires"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.OFFERED: {
        Event.MERCHANT_UPDATES: State.SUPERSEDED,
        Event.MERCHANT_REMOVES: State.REMOVED,
        Event.MERCHANT_RENEWS: State.OFFERED,
        Event.MERCHANT_RESTOCKS: State.OFFERED,
        Event.BUYER_TAKES_LAST: State.SOLD_OUT,
        Event.BUYER_GIVES_BACK: State.OFFERED,
        Event.CLOCK_EXPIRES: State.EXPIRED,
    },
    State.SOLD_OUT: {
        Event.MERCHANT_UPDATES: State.SUPERSEDED,
        Event.MERCHANT_REMOVES: State.REMOVED,
        Event.MERCHANT_RENEWS: State.SOLD_OUT,
        Event.MERCHANT_RESTOCKS: State.OFFERED,
        Event.BUYER_GIVES_BACK: State.OFFERED,
        Event.CLOCK_EXPIRES: State.EXPIRED,
    },
    State.EXPIRED: {
        Event.MERCHANT_UPDATES: State.SUPERSEDED,
        Event.MERCHANT_REMOVES: State.REMOVED,
        Event.MERCHANT_RENEWS: State.OFFERED,
        Event.MERCHANT_RESTOCKS: State.EXPIRED,  # counted, and offered when it is renewed
        Event.BUYER_TAKES_LAST: State.EXPIRED,  # ordered before, accepted after
        Event.BUYER_GIVES_BACK: State.EXPIRED,
    },
    State.REMOVED: {
        Event.MERCHANT_RESTORES: State.OFFERED,
        Event.BUYER_TAKES_LAST: State.REMOVED,
        Event.BUYER_GIVES_BACK: State.REMOVED,
    },
    State.SUPERSEDED: {
        # Its orders go on; what they take or give back is counted where they are kept.
        Event.BUYER_TAKES_LAST: State.SUPERSEDED,
        Event.BUYER_GIVES_BACK: State.SUPERSEDED,
    },
}


def advance(state: State, event: Event) -> State:
    """Return the state after *event*.

    Raises:
        ForbiddenTransition: *event* is not allowed in *state*.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise ForbiddenTransition(
            "", f"no '{event.value}' of a listing that is {state.value}"
        ) from (None)


def due(state: State, *, quantity: int, expires_at: int, now: int) -> Event | None:
    """Return the step that stock or time has made due in *state*; None if none has.

    Args:
        quantity: how many are left.
        expires_at, now: seconds since 1970.
    """
    if state in {State.OFFERED, State.SOLD_OUT} and now >= expires_at:
        return Event.CLOCK_EXPIRES
    if state is State.OFFERED and quantity == 0:
        return Event.BUYER_TAKES_LAST
    return None


def settle(state: State, *, quantity: int, expires_at: int, now: int) -> State:
    """Return *state* after every step that is due."""
    while (event := due(state, quantity=quantity, expires_at=expires_at, now=now)) is not None:
        state = advance(state, event)
    return state
