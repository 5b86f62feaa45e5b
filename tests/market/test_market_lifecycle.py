"""The life of a listing: every cell of the table, and what time and stock bring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.market import lifecycle
from fondaco.market.errors import ForbiddenTransition
from fondaco.market.lifecycle import TRANSITIONS, Event, State, advance, due, settle


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_cell(state: State, event: Event) -> None:
    if event in TRANSITIONS[state]:
        assert advance(state, event) is TRANSITIONS[state][event]
    else:
        with pytest.raises(ForbiddenTransition, match=event.value):
            advance(state, event)


def test_every_state_can_be_reached() -> None:
    reached = {State.OFFERED}
    while new := {t for s in reached for t in TRANSITIONS[s].values()} - reached:
        reached |= new
    assert reached == set(State)


def test_nothing_leads_back_from_superseded() -> None:
    assert set(TRANSITIONS[State.SUPERSEDED].values()) == {State.SUPERSEDED}


def test_the_drawing_names_every_state_and_event() -> None:
    drawing = (lifecycle.__doc__ or "").partition("The table is the rule")[0]
    assert all(state.name in drawing for state in State)
    moving = {e for s, row in TRANSITIONS.items() for e, t in row.items() if t is not s}
    assert all(event.name in drawing for event in moving)


def test_the_story_of_a_bicycle() -> None:
    state = State.OFFERED
    for event, after in (
        (Event.BUYER_TAKES_LAST, State.SOLD_OUT),
        (Event.BUYER_GIVES_BACK, State.OFFERED),
        (Event.MERCHANT_REMOVES, State.REMOVED),
        (Event.MERCHANT_RESTORES, State.OFFERED),
        (Event.CLOCK_EXPIRES, State.EXPIRED),
        (Event.MERCHANT_RENEWS, State.OFFERED),
        (Event.MERCHANT_UPDATES, State.SUPERSEDED),
    ):
        state = advance(state, event)
        assert state is after


@pytest.mark.parametrize(
    ("state", "quantity", "now", "settled"),
    [
        (State.OFFERED, 1, 99, State.OFFERED),
        (State.OFFERED, 0, 99, State.SOLD_OUT),
        (State.OFFERED, 1, 100, State.EXPIRED),
        (State.OFFERED, 0, 100, State.EXPIRED),
        (State.SOLD_OUT, 0, 100, State.EXPIRED),
        (State.SOLD_OUT, 0, 99, State.SOLD_OUT),
        (State.EXPIRED, 1, 99, State.EXPIRED),  # a clock set back revives nothing
        (State.REMOVED, 0, 200, State.REMOVED),
        (State.SUPERSEDED, 0, 200, State.SUPERSEDED),
    ],
)
def test_what_is_due(state: State, quantity: int, now: int, settled: State) -> None:
    assert settle(state, quantity=quantity, expires_at=100, now=now) is settled


@given(st.sampled_from(State), st.integers(0, 2), st.integers(0, 3), st.integers(0, 3))
def test_what_is_settled_stays(state: State, quantity: int, expires_at: int, now: int) -> None:
    settled = settle(state, quantity=quantity, expires_at=expires_at, now=now)
    assert due(settled, quantity=quantity, expires_at=expires_at, now=now) is None
    if settled is State.OFFERED:
        assert quantity > 0
        assert now < expires_at


def test_undone_too_late_or_with_nothing_left() -> None:
    restored = advance(State.REMOVED, Event.MERCHANT_RESTORES)
    assert settle(restored, quantity=0, expires_at=100, now=50) is State.SOLD_OUT
    assert settle(restored, quantity=5, expires_at=100, now=150) is State.EXPIRED
