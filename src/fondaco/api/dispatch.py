"""From a parsed message to its answer: find the method, fit the parameters, call, encode.

    Message --.                                .--> bytes to send (None: nothing)
              |  calls of a batch one by one   |
              '--> find --> fit --> [ready?] --> handler --> encode
                    |        |                    |
                  -32601   -32602              -32000        (texts of go-ethereum)

Different messages run side by side; the server bounds how many. This is the one handler for
the tree of ``NodeError``; it looks at types and fields, never at texts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from fondaco import jsonrpc
from fondaco.api.declarations import Method, Param, Registry, Subscription
from fondaco.api.faults import as_rpc_error
from fondaco.api.limits import Limits
from fondaco.api.parameters import Parameters
from fondaco.api.subscriptions import Active, Session
from fondaco.errors import NodeError
from fondaco.jsonrpc import Call, InvalidParams, MethodNotFound, ServerError, Unusable

log = logging.getLogger(__name__)

T = TypeVar("T")

_SUBSCRIBE = "_subscribe"
_UNSUBSCRIBE = "_unsubscribe"
_UNSUBSCRIBE_PARAMS = Parameters((Param(name="subscriptionId", type=str),))
_SUBJECT = Param(name="subscriptionName", type=str)


class NotReady(ServerError):
    """The node was still starting when the caller's patience, or ours, ended."""

    code = "NotReady"


class Reply(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a message is answered with."""

    data: bytes | None
    """JSON text; None when nothing is to be sent."""
    started: tuple[Active, ...] = ()
    """Subscriptions to start once *data* has been sent."""


class Calls:
    """Messages being worked on. They run to their end, also when their client has left:
    what a client has sent is done, whether or not it waits for the answer."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run *work*; to await the task shielded does not end it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self, seconds: float) -> None:
        """Give what runs *seconds* to end, then end it."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


class Dispatcher:
    """Answers messages. Shared by all connections of all listeners.

    Args:
        ready: set when the node has started; calls made before wait for it.
    """

    def __init__(self, registry: Registry, *, limits: Limits, ready: asyncio.Event) -> None:
        self._registry = registry
        self._limits = limits
        self._ready = ready
        self._places = asyncio.Semaphore(limits.calls_at_once)
        self._parameters: dict[tuple[str, str], Parameters] = {}

    async def reply(self, session: Session, message: jsonrpc.Message) -> Reply:
        """Run the calls of *message* in sequence and return their answer."""
        async with self._places:
            started: list[Active] = []
            answers: list[bytes] = []
            size = 0
            for call in message.calls:
                if size > self._limits.batch_answer_bytes:
                    answered = _too_long(call, self._limits.batch_answer_bytes)
                else:
                    answered = await self._answer(session, call, started)
                if answered is not None:
                    answers.append(answered)
                    size += len(answered)
        if not answers:
            return Reply(data=None, started=tuple(started))
        data = jsonrpc.batch(answers) if message.is_batch else answers[0]
        return Reply(data=data, started=tuple(started))

    async def _answer(
        self, session: Session, call: Call | Unusable, started: list[Active]
    ) -> bytes | None:
        """Return the answer to one call; None for a notification."""
        if isinstance(call, Unusable):
            return jsonrpc.failure(call.id, jsonrpc.InvalidRequest("invalid request"))
        try:
            result = await self._run(session, call, started)
            return None if call.id is None else jsonrpc.answer(call.id, result)
        except NodeError as exc:
            error: jsonrpc.RpcError = as_rpc_error(exc, call.method)
        except Exception:  # the one place that stands between a bug and the node
            log.exception("call crashed", extra={"method": call.method, "peer": session.peer})
            error = ServerError(
                f"method handler crashed in {call.method} RPC call (check logs for stack trace)"
            )
        return None if call.id is None else jsonrpc.failure(call.id, error)

    async def _run(self, session: Session, call: Call, started: list[Active]) -> object:
        if call.method.endswith(_SUBSCRIBE):
            return await self._subscribe(session, call, started)
        if call.method.endswith(_UNSUBSCRIBE):
            (subscription_id,) = _UNSUBSCRIBE_PARAMS.decode(call.params)
            return session.unsubscribe(subscription_id)
        method = self._registry.method(call.method)
        if method is None:
            raise MethodNotFound(f"the method {call.method} does not exist/is not available")
        arguments = self._fit(("", method.name), method.params, call.params)
        return await self._invoke(method, session, arguments)

    async def _subscribe(self, session: Session, call: Call, started: list[Active]) -> str:
        if not session.can_notify:
            raise ServerError("notifications not supported")
        namespace = call.method.partition("_")[0]
        name = _subject(call.params)
        declared = self._registry.subscription(namespace, name)
        if declared is None:
            raise MethodNotFound(f'no "{name}" subscription in {namespace} namespace')
        arguments = self._fit((namespace, name), (_SUBJECT, *declared.params), call.params)
        stream = await self._invoke(declared, session, arguments[1:])
        active = session.subscribe(namespace, stream)
        started.append(active)
        return active.id

    def _fit(
        self, key: tuple[str, str], params: Sequence[Param], raw: Raw | None
    ) -> tuple[Any, ...]:
        parameters = self._parameters.get(key)
        if parameters is None:
            parameters = self._parameters[key] = Parameters(params)
        return parameters.decode(raw)

    async def _invoke(
        self, entry: Method | Subscription, session: Session, arguments: tuple[Any, ...]
    ) -> Any:
        if entry.waits_for_node and not self._ready.is_set():
            await self._until_ready()
        return await entry.handler(session, *arguments)

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(self._limits.start_wait_seconds):
                await self._ready.wait()
        except TimeoutError:
            raise NotReady(
                "the node is still starting, try again later", {"code": NotReady.code}
            ) from None


class _FirstOnly(msgspec.Struct, array_like=True, gc=False):
    """Positional parameters of which only the first is looked at."""

    first: Raw = Raw(jsonrpc.NULL)


_first_only = msgspec.json.Decoder(_FirstOnly)
_texts = msgspec.json.Decoder(str)


def _subject(params: Raw | None) -> str:
    """Return the first parameter of a subscribe call."""
    if params is None or bytes(memoryview(params)[:1]) != b"[":
        raise InvalidParams("non-array args")
    try:
        return _texts.decode(_first_only.decode(params).first)
    except msgspec.ValidationError:
        raise InvalidParams("expected subscription name as first argument") from None


def _too_long(call: Call | Unusable, limit: int) -> bytes | None:
    if call.id is None:
        return None
    error = ServerError(
        f"the answers to this batch are longer than {limit} bytes, send smaller batches",
        {"code": "BatchAnswerTooLong", "expected": f"answers of at most {limit} bytes together"},
    )
    return jsonrpc.failure(call.id, error)
