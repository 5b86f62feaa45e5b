"""The root of the error tree: codes, verdicts and texts."""

from __future__ import annotations

import pytest

from fondaco import errors


def test_a_setting_that_cannot_be_used_says_what_to_do() -> None:
    error = errors.ConfigurationError("rpc_addr", "is taken", "use another")
    assert str(error) == "rpc_addr: is taken; use another"
    assert str(errors.ConfigurationError("rpc_addr", "is taken")) == "rpc_addr: is taken"


def test_a_bad_parameter_names_its_field() -> None:
    error = errors.InvalidParameter("params[0].limit", "a number from 1 to 1000")
    assert str(error) == "params[0].limit: expected a number from 1 to 1000"
    assert error.field == "params[0].limit"


@pytest.mark.parametrize(
    "kind",
    [errors.ConfigurationError, errors.Unavailable, errors.StorageError, errors.InvalidParameter],
)
def test_only_a_peer_is_blamed(kind: type[errors.NodeError]) -> None:
    assert issubclass(kind, errors.NodeError)
    assert kind.code == kind.__name__
    assert kind.verdict is errors.Verdict.IGNORE
    assert errors.PeerError.verdict is errors.Verdict.REJECT
