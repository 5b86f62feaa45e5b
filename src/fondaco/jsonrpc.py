"""JSON-RPC 2.0, the text of it: what a server reads and writes, and what a client does.

    server   bytes --parse--> Message(Call | Unusable ...)   answer, failure --> bytes
    client   encode_request --> bytes      bytes --decode_reply--> Answer | Notice

The rules and texts are those of go-ethereum 1.9.6, which 0x Mesh is built on: only
positional parameters, ``jsonrpc`` is not looked at on input, the id is echoed byte for
byte, a call without id gets no answer. Parameters stay undecoded (``msgspec.Raw``) so that
five megabytes of orders are decoded once, by who knows their type.

Errors a server answers with:

    RpcError                  code, message, data
    |- ParseError             -32700  broken JSON, not UTF-8, nested too deep
    |- InvalidRequest         -32600  JSON, but not a call; empty or too long batch
    |- MethodNotFound         -32601  no such method or subscription
    |- InvalidParams          -32602  parameters do not fit the method
    '- ServerError            -32000  everything else
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from fondaco.errors import NodeError

NULL = b"null"
"""The id of an answer to something that had none that could be echoed."""


class RpcError(NodeError):
    """A request that ends in a JSON-RPC error object.

    Args:
        message: the text clients see; clients of the original switch on some of them.
        data: JSON-encodable facts for the error's ``data``; None leaves it out.
    """

    code = "RpcError"
    rpc_code: ClassVar[int] = -32000

    def __init__(self, message: str, data: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class ParseError(RpcError):
    """The message is not JSON. Where its end is cannot be known, so a stream is over."""

    code = "ParseError"
    rpc_code = -32700

    def __init__(self, problem: str) -> None:
        super().__init__("parse error", {"code": self.code, "expected": "JSON", "found": problem})


class InvalidRequest(RpcError):
    """The message is JSON but no call."""

    code = "InvalidRequest"
    rpc_code = -32600


class MethodNotFound(RpcError):
    """No such method, or no such subscription."""

    code = "MethodNotFound"
    rpc_code = -32601


class InvalidParams(RpcError):
    """The parameters do not fit the method's declaration."""

    code = "InvalidParams"
    rpc_code = -32602


class ServerError(RpcError):
    """A call that was understood and failed."""

    code = "ServerError"


class MalformedReply(NodeError):
    """An endpoint we are a client of answered something that is not JSON-RPC."""

    code = "MalformedReply"


# ---------------------------------------------------------------- the server's side


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call, its parameters not decoded yet."""

    method: str
    params: Raw | None = None
    """None where absent or null: no parameters."""
    id: bytes | None = None
    """JSON text to echo (a string, number, true, false or null); None: a notification."""


class Unusable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An object or scalar that is no call; it is answered ``invalid request``."""

    id: bytes = NULL


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one frame or one body carried, in its order.

    Answers that nobody asked for are left out, so ``calls`` may be empty.
    """

    calls: tuple[Call | Unusable, ...]
    is_batch: bool


class _Envelope(msgspec.Struct, gc=False):
    """Every key of a request or answer that matters, whatever type its value has."""

    id: Raw | UnsetType = UNSET
    method: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


_envelopes = msgspec.json.Decoder(_Envelope)
_texts = msgspec.json.Decoder(str)


def parse(data: bytes, *, batch_limit: int) -> Message:
    """Cut *data*, one frame or body, into calls.

    Args:
        batch_limit: the longest batch taken. A longer one costs no more than this many
            elements: five megabytes of ``[1,1,...`` are not turned into objects.

    Raises:
        ParseError: not UTF-8, not JSON, nested too deep, or something after the value.
        InvalidRequest: ``empty batch``, or a batch longer than *batch_limit*.
    """
    if not data.isascii():
        try:
            # Raw values are cut out unchecked; what is echoed must be text.
            data.decode()
        except UnicodeDecodeError as exc:
            raise ParseError(f"not UTF-8 at byte {exc.start}") from None
    try:
        if data.lstrip()[:1] != b"[":
            element = _element(data)
            return Message(calls=() if element is None else (element,), is_batch=False)
        elements = _split(data, batch_limit)
    except msgspec.ValidationError:
        raise InvalidRequest(
            f"batch too long, want at most {batch_limit} calls",
            {"code": "BatchTooLong", "expected": f"at most {batch_limit} calls"},
        ) from None
    except msgspec.DecodeError as exc:
        raise ParseError(str(exc)) from None
    except RecursionError:
        raise ParseError("nested too deep") from None
    if not elements:
        raise InvalidRequest("empty batch")
    calls = [call for call in map(_element, elements) if call is not None]
    return Message(calls=tuple(calls), is_batch=True)


def _element(data: bytes | Raw) -> Call | Unusable | None:
    """Return what one value says; None for an answer, which is nothing to act on."""
    try:
        envelope = _envelopes.decode(data)
    except msgspec.ValidationError:
        return Unusable()
    has_id = envelope.id is not UNSET
    request_id = NULL if envelope.id is UNSET else bytes(envelope.id)
    if request_id[:1] in (b"{", b"["):
        return Unusable()
    if envelope.method is UNSET:
        if has_id and (envelope.result is not UNSET or envelope.error is not UNSET):
            return None
        return Unusable(id=request_id)
    try:
        method = _texts.decode(envelope.method)
    except msgspec.ValidationError:
        return Unusable(id=request_id)
    if not method:
        return Unusable(id=request_id)
    params: Raw | None = None
    if envelope.params is not UNSET and not _is_null(envelope.params):
        params = envelope.params
    return Call(method=method, params=params, id=request_id if has_id else None)


def _is_null(raw: Raw) -> bool:
    return memoryview(raw) == NULL


def _split(data: bytes | Raw, limit: int) -> list[Raw]:
    """Cut a JSON array into its elements; stop at the first one over *limit*."""
    row = _rows(limit).decode(data)
    return [raw for raw in msgspec.structs.astuple(row) if raw is not UNSET]


@functools.lru_cache(maxsize=8)
def _rows(limit: int) -> msgspec.json.Decoder[msgspec.Struct]:
    # msgspec checks the length of a list after it has built it. A struct written as an
    # array, with as many fields as elements are allowed, is refused at the first excess.
    fields = [(f"at_{index}", Raw | UnsetType, UNSET) for index in range(limit)]
    row = msgspec.defstruct(
        "Row", fields, array_like=True, forbid_unknown_fields=True, frozen=True, gc=False
    )
    return msgspec.json.Decoder(row)


def split_array(raw: Raw, limit: int) -> list[Raw] | None:
    """Cut positional parameters into values; None where there are more than *limit*.

    Raises:
        InvalidParams: ``non-array args``.
    """
    if bytes(memoryview(raw)[:1]) != b"[":
        raise InvalidParams("non-array args")
    try:
        return _split(raw, limit)
    except msgspec.ValidationError:
        return None


_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""Return the JSON text of a value: plain types, msgspec structs, and ``Raw`` as it is."""


def answer(request_id: bytes, result: object) -> bytes:
    """Return the answer to a call that worked; ``Raw`` results are not encoded again."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (request_id, encode(result))


def error_object(error: RpcError) -> dict[str, Any]:
    """Return *error* as JSON-RPC spells it."""
    fields: dict[str, Any] = {"code": error.rpc_code, "message": error.message}
    if error.data is not None:
        fields["data"] = error.data
    return fields


def failure(request_id: bytes, error: RpcError) -> bytes:
    """Return the answer to a call that failed, or (id null) to a message that is none."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (request_id, encode(error_object(error)))


def batch(answers: Sequence[bytes]) -> bytes:
    """Return the answer to a batch from the answers to its calls."""
    return b"[" + b",".join(answers) + b"]"


def notification_head(method: str, subscription_id: str) -> bytes:
    """Return a notification up to its result; NOTIFICATION_TAIL completes it.

    Made once per subscription, so that one encoded result is shared by all of them.
    """
    return (
        b'{"jsonrpc":"2.0","method":%b,"params":{"subscription":%b,"result":'
        % (encode(method), encode(subscription_id))
    )  # fmt: skip


NOTIFICATION_TAIL = b"}}"
"""Closes what ``notification_head`` opened."""


def failed_notification(method: str, subscription_id: str, error: Mapping[str, object]) -> bytes:
    """Return the last notification of a subscription that ends with an error."""
    return encode(
        {
            "jsonrpc": "2.0",
            "method": method,
            "params": {"subscription": subscription_id, "error": error},
        }
    )


# ---------------------------------------------------------------- the client's side


class ErrorObject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The error of an answer; ``data`` is undecoded, its shape differs by provider."""

    code: int = 0
    message: str = ""
    # Not "Raw | None": msgspec takes that for None alone when it decodes.
    data: Raw = Raw(NULL)


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An endpoint's answer: exactly one of result and error is not None."""

    id: int | str | None
    result: Raw | None = None
    error: ErrorObject | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an endpoint sends unasked, such as ``eth_subscription``."""

    method: str
    params: Raw | None = None


_reply_ids = msgspec.json.Decoder(int | str | None)
_errors = msgspec.json.Decoder(ErrorObject)


def encode_request(request_id: int, method: str, params: Sequence[object] = ()) -> bytes:
    """Return one call, as a client sends it."""
    return encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def decode_reply(data: bytes | Raw) -> Answer | Notice:
    """Return what an endpoint sent.

    Raises:
        MalformedReply: anything but a JSON-RPC answer or notification.
    """
    try:
        envelope = _envelopes.decode(data)
        if envelope.method is not UNSET:
            params = None if envelope.params is UNSET else envelope.params
            return Notice(method=_texts.decode(envelope.method), params=params)
        request_id = None if envelope.id is UNSET else _reply_ids.decode(envelope.id)
        # Some providers send both keys, one of them null.
        if envelope.error is not UNSET and not _is_null(envelope.error):
            return Answer(id=request_id, error=_errors.decode(envelope.error))
        if envelope.result is not UNSET:
            return Answer(id=request_id, result=envelope.result)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise MalformedReply(f"not a JSON-RPC answer: {exc}") from None
    raise MalformedReply("an answer with neither result nor error")


def decode_replies(data: bytes) -> list[Answer | Notice]:
    """Return the answers of a batch; a lone answer (an error, mostly) counts as one.

    Raises:
        MalformedReply: as for ``decode_reply``.
    """
    if data.lstrip()[:1] != b"[":
        return [decode_reply(data)]
    try:
        elements = msgspec.json.decode(data, type=list[Raw])
    except (msgspec.DecodeError, RecursionError) as exc:
        raise MalformedReply(f"not a JSON-RPC batch: {exc}") from None
    return [decode_reply(element) for element in elements]
