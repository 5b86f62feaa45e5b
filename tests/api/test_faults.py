"""What of an error leaves the node."""

from __future__ import annotations

import logging

import pytest

from fondaco.api.faults import as_rpc_error
from fondaco.errors import InvalidParameter, NodeError, Unavailable
from fondaco.jsonrpc import ServerError


def test_rpc_errors_are_what_they_are() -> None:
    error = ServerError("text", {"code": "X"})
    assert as_rpc_error(error, "m") is error


def test_facts_are_told() -> None:
    told = as_rpc_error(InvalidParameter("filter", "an object"), "m")
    assert (told.rpc_code, told.message) == (-32000, "filter: expected an object")
    assert told.data == {"code": "InvalidParameter", "field": "filter", "expected": "an object"}
    assert as_rpc_error(Unavailable("away"), "m").data == {"code": "Unavailable"}


def test_an_error_without_a_code_is_logged_instead(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="fondaco"):
        told = as_rpc_error(NodeError("a detail of ours"), "mesh_getStats")
    assert told.message == "internal error"
    (record,) = caplog.records
    assert record.__dict__["where"] == "mesh_getStats"
    assert record.exc_info is not None
