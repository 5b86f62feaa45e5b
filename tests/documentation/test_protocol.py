"""The page of the protocol has everything that the declarations have."""

from __future__ import annotations

import re

import pytest

from fondaco.api.limits import Limits
from fondaco.documentation.protocol import protocol_page, registry
from fondaco.zeroex.contract_events import EventKind
from fondaco.zeroex.errors import RejectionCode, RejectionKind
from fondaco.zeroex.lifecycle import TRANSITIONS, EndState
from fondaco.zeroex.query import FILTER_FIELDS, Sort
from fondaco.zeroex.stats import Stats

PAGE = protocol_page()


def test_nothing_is_left_to_fill_in() -> None:
    assert "{{" not in PAGE
    assert "$ref" not in PAGE


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([code.code for code in RejectionCode], id="codes"),
        pytest.param([kind.value for kind in RejectionKind], id="kinds"),
        pytest.param([state.value for state in EndState], id="end states"),
        pytest.param([kind.value for kind in EventKind if kind.is_listed], id="contract events"),
        pytest.param([*Stats.__struct_fields__][:8], id="statistics"),
        pytest.param([*FILTER_FIELDS, *(sort.value for sort in Sort)], id="search"),
        pytest.param([*Limits.__struct_fields__], id="limits"),
        pytest.param([method.name for method in registry().methods()], id="methods"),
    ],
)
def test_every_name_a_client_can_meet_is_there(names: list[str]) -> None:
    assert names
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_subscriptions_are_there() -> None:
    names = [entry.name for entry in registry().subscriptions()]
    assert names == ["heartbeat", "orders"]
    for name in names:
        assert f'### `mesh_subscribe ["{name}"]`' in PAGE


def test_messages_of_refusals_are_whole() -> None:
    for code in RejectionCode:
        assert f"| `{code.code}` | `{code.kind.value}` | {code.message} | " in PAGE


def test_the_drawing_has_an_arrow_for_each_cell_that_tells() -> None:
    arrows = re.findall(r"^ *(\w+) --\( (.+?) \)-+> (\w+) +(.+)$", PAGE, re.MULTILINE)
    assert {(before, found) for before, found, _, _ in arrows} == {
        (standing.name, finding.value)
        for (standing, finding), cell in TRANSITIONS.items()
        if cell.events
    }
    assert {state for arrow in arrows for state in arrow[3].split(", ")} == {
        state.value for state in EndState if state is not EndState.STOPPED_WATCHING
    }


def test_the_signature_event_is_not_promised() -> None:
    assert EventKind.SIGNATURE_VALIDATOR_APPROVAL.value not in PAGE
