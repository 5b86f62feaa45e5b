"""JSON-RPC 2.0 as a client speaks it: requests out, answers and notifications in."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fondaco.chain.errors import EndpointError, MalformedAnswer
from fondaco.chain.limits import ERROR_TEXT_KEPT

_encoder = msgspec.json.Encoder()


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a subscription."""

    subscription: str
    result: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a request, its content not yet looked at."""

    request_id: object
    """As sent; None where the endpoint could not tell (it did not understand us)."""
    result: msgspec.Raw | None
    error: EndpointError | None


class _WireMessage(msgspec.Struct, gc=False):
    id: object = None
    method: str | None = None
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: object = None


class _WireNotification(msgspec.Struct, gc=False):
    subscription: str
    result: msgspec.Raw


_message_decoder = msgspec.json.Decoder(_WireMessage)
_notification_decoder = msgspec.json.Decoder(_WireNotification)


def encode_request(request_id: int, method: str, params: Sequence[object]) -> bytes:
    """Return the JSON of one request."""
    return _encoder.encode(
        {"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}
    )


def decode_message(body: bytes | str) -> Answer | Notification:
    """Return what *body* says.

    Raises:
        MalformedAnswer: it is not JSON, or not a JSON-RPC answer or notification.
    """
    try:
        message = _message_decoder.decode(body)
        if message.method is not None and not isinstance(message.params, msgspec.UnsetType):
            wire = _notification_decoder.decode(message.params)
            return Notification(subscription=wire.subscription, result=wire.result)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedAnswer("the answer is not JSON-RPC") from exc
    if message.error is not None:
        return Answer(request_id=message.id, result=None, error=_error(message.error))
    if isinstance(message.result, msgspec.UnsetType):
        raise MalformedAnswer("the answer has neither result nor error")
    return Answer(request_id=message.id, result=message.result, error=None)


def result_of(answer: Answer, request_id: int) -> msgspec.Raw:
    """Return the result in *answer*, which must be the one to *request_id*.

    Raises:
        EndpointError: the endpoint answered with an error. Its id may be null: anvil
            says so where it did not read the request at all.
        MalformedAnswer: the answer belongs to another request.
    """
    # A boolean equals 0 or 1 in Python, but not in JSON.
    is_ours = answer.request_id == request_id and not isinstance(answer.request_id, bool)
    if answer.error is not None and (is_ours or answer.request_id is None):
        raise answer.error
    if not is_ours or answer.result is None:
        raise MalformedAnswer("the answer belongs to another request")
    return answer.result


def _error(value: object) -> EndpointError:
    """Return the error in *value*. Gateways are careless here; a text alone will do."""
    if isinstance(value, dict):
        code, message = value.get("code"), value.get("message")
        return EndpointError(
            code if isinstance(code, int) else 0,
            str(message)[:ERROR_TEXT_KEPT],
            value.get("data"),
        )
    return EndpointError(0, str(value)[:ERROR_TEXT_KEPT])
