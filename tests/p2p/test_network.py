from __future__ import annotations

import inspect

import pytest

from fondaco.p2p.absent import AbsentNetwork
from fondaco.p2p.linked import LinkedNetwork
from fondaco.p2p.network import Network
from fondaco.testing.network import MemoryNetwork

CALLS = {
    name: value
    for name, value in vars(Network).items()
    if not name.startswith("_") and inspect.isfunction(value)
}


@pytest.mark.parametrize("kind", [LinkedNetwork, AbsentNetwork, MemoryNetwork])
@pytest.mark.parametrize("name", CALLS)
def test_all_networks_are_called_alike(kind: type, name: str) -> None:
    """mypy compares the types; this the names and defaults of arguments."""
    wanted = inspect.signature(CALLS[name]).parameters
    found = inspect.signature(getattr(kind, name)).parameters
    assert [(one.name, one.kind, one.default) for one in found.values()] == [
        (one.name, one.kind, one.default) for one in wanted.values()
    ]


def test_every_call_says_what_it_does() -> None:
    assert all(inspect.getdoc(call) for call in CALLS.values())
