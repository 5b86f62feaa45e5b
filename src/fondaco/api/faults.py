"""What a client is told of an error, whichever part of the node raised it."""

from __future__ import annotations

import logging

from fondaco.errors import NodeError
from fondaco.jsonrpc import RpcError, ServerError

log = logging.getLogger(__name__)


def as_rpc_error(error: NodeError, where: str) -> RpcError:
    """Return *error* as JSON-RPC carries it: its text, and ``data`` with the facts.

    Args:
        where: method or subscription, for the log.
    """
    if isinstance(error, RpcError):
        return error
    if error.code == NodeError.code:
        # A fault that nobody gave a code of its own is ours, and not the client's business.
        log.error("call failed", extra={"where": where}, exc_info=error)
        return ServerError("internal error", {"code": error.code})
    data: dict[str, object] = {"code": error.code}
    for fact in ("field", "expected"):
        value = getattr(error, fact, None)
        if value is not None:
            data[fact] = value
    return ServerError(str(error), data)
