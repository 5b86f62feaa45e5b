"""A scripted Ethereum endpoint: blocks, logs, reorganisations, errors and nonsense.

``FakeChain`` is the chain and what it answers; ``FakeEndpoint`` puts it under an
``EthereumClient`` without sockets, for tests that move a clock; ``open_fake_ethereum``
serves it on loopback over HTTP and WebSocket, for tests of the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from fondaco.chain import wire
from fondaco.chain.budget import RpcBudget
from fondaco.chain.envelope import Notification, decode_message, result_of
from fondaco.chain.errors import EndpointUnavailable, MalformedAnswer
from fondaco.chain.headers import Header
from fondaco.chain.logs import Log, encode_log
from fondaco.chain.rpc import EthereumClient
from fondaco.clock import Clock

BLOCK_TIME = 12
"""Seconds between the blocks of a fake chain."""


class LogSeed(msgspec.Struct, frozen=True, kw_only=True):
    """What a test says of a log; its place in the chain is filled in."""

    address: bytes = b"\xaa" * 20
    topics: tuple[bytes, ...] = (b"\x01" * 32,)
    data: bytes = b""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that goes wrong. Without a field set, the connection is cut."""

    method: str | None = None
    """Only for this method; any where None."""
    error: tuple[int, str, object] | None = None
    """A JSON-RPC error: code, message, data."""
    status: int | None = None
    """An HTTP status with an HTML page."""
    headers: dict[str, str] = {}
    body: bytes | None = None
    """Sent in place of the answer, with status 200."""
    is_hanging: bool = False
    """No answer ever."""
    is_foreign: bool = False
    """The right answer under another id."""


class RpcFault(Exception):
    """Raised by a handler: the answer is this JSON-RPC error."""

    def __init__(self, rpc_code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code
        self.message = message
        self.data = data


class FakeChain:
    """A chain of empty or scripted blocks, and the methods a node asks.

    Attributes:
        requests: every method asked with its parameters, in order.
        handlers: methods answered by the test itself: parameters to result.
        faults: taken from the left, one for each request they fit.
        knows_orphans: whether blocks that left the chain are still found by hash, as
            Geth does; anvil forgets them.
    """

    def __init__(self, *, chain_id: int = 1337, genesis_time: int = 1_578_052_800) -> None:
        self.chain_id = chain_id
        self.requests: list[tuple[str, Any]] = []
        self.handlers: dict[str, Callable[[Any], object]] = {}
        self.faults: deque[Fault] = deque()
        self.knows_orphans = True
        self.on_head: list[Callable[[Header], None]] = []
        self._blocks: list[tuple[Header, tuple[Log, ...]]] = []
        self._known: dict[bytes, tuple[Header, tuple[Log, ...]]] = {}
        self._salt = 0
        self._add(0, bytes(32), genesis_time, ())

    @property
    def head(self) -> Header:
        return self._blocks[-1][0]

    def header(self, number: int) -> Header:
        """Return the header with *number* on the chain."""
        return self._blocks[number][0]

    def mine(self, *logs: LogSeed, seconds: int = BLOCK_TIME) -> Header:
        """Add a block with *logs*, *seconds* after the last one; tell the subscribers."""
        parent = self.head
        header = self._add(parent.number + 1, parent.hash, parent.timestamp + seconds, logs)
        for tell in list(self.on_head):
            tell(header)
        return header

    def mine_many(self, count: int) -> Header:
        """Add *count* empty blocks; return the last."""
        for _ in range(count):
            self.mine()
        return self.head

    def roll_back(self, depth: int) -> None:
        """Take the last *depth* blocks away and tell nobody, as ``evm_revert`` does."""
        for header, _ in self._blocks[len(self._blocks) - depth :]:
            if not self.knows_orphans:
                del self._known[header.hash]
        del self._blocks[len(self._blocks) - depth :]
        self._salt += 1  # the next block with the same number is another one

    def reorganise(self, depth: int, *blocks: Sequence[LogSeed]) -> Header:
        """Replace the last *depth* blocks by *blocks*, each given by its logs."""
        self.roll_back(depth)
        for logs in blocks:
            self.mine(*logs)
        return self.head

    def fail(self, *faults: Fault) -> None:
        """Let the next requests go wrong, in this order."""
        self.faults.extend(faults)

    def take_fault(self, method: str) -> Fault | None:
        """Return the next fault if it fits *method*."""
        if self.faults and self.faults[0].method in (None, method):
            return self.faults.popleft()
        return None

    def answer(self, method: str, params: Any) -> object:
        """Return the result of *method*. Raises: RpcFault."""
        self.requests.append((method, params))
        if method in self.handlers:
            return self.handlers[method](params)
        match method:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_blockNumber":
                return hex(self.head.number)
            case "eth_getBlockByNumber":
                return self._by_number(params[0])
            case "eth_getBlockByHash":
                known = self._known.get(wire.data(params[0]))
                return None if known is None else _wire_header(known[0])
            case "eth_getLogs":
                return [encode_log(log) for log in self._logs(params[0])]
        raise RpcFault(-32601, f"the method {method} does not exist/is not available")

    def _add(
        self, number: int, parent_hash: bytes, timestamp: int, seeds: Sequence[LogSeed]
    ) -> Header:
        identity = b"%d %b %d %d" % (number, parent_hash, timestamp, self._salt)
        block_hash = hashlib.sha256(identity).digest()
        header = Header(
            number=number, hash=block_hash, parent_hash=parent_hash, timestamp=timestamp
        )
        logs = tuple(
            [
                Log(
                    address=seed.address,
                    topics=seed.topics,
                    data=seed.data,
                    block_number=number,
                    block_hash=block_hash,
                    transaction_hash=hashlib.sha256(block_hash + bytes([place])).digest(),
                    transaction_index=place,
                    log_index=place,
                )
                for place, seed in enumerate(seeds)
            ]
        )
        self._blocks.append((header, logs))
        self._known[block_hash] = (header, logs)
        return header

    def _by_number(self, which: str) -> object:
        number = self.head.number if which == "latest" else wire.quantity(which)
        return _wire_header(self._blocks[number][0]) if number < len(self._blocks) else None

    def _logs(self, query: dict[str, Any]) -> list[Log]:
        wanted = {wire.data(topic) for topic in query["topics"][0]}
        if "blockHash" in query:
            known = self._known.get(wire.data(query["blockHash"]))
            if known is None:
                raise RpcFault(-32000, "unknown block")
            found = list(known[1])
        else:
            first, last = wire.quantity(query["fromBlock"]), wire.quantity(query["toBlock"])
            found = [log for _, logs in self._blocks[first : last + 1] for log in logs]
        return [log for log in found if log.topics and log.topics[0] in wanted]


class FakeEndpoint:
    """A ``FakeChain`` as what carries an ``EthereumClient``'s requests; no sockets."""

    has_subscriptions = False

    def __init__(self, chain: FakeChain) -> None:
        self._chain = chain
        self.is_away = False

    async def exchange(self, request_id: int, request: bytes) -> msgspec.Raw:
        call = msgspec.json.decode(request)
        fault = self._chain.take_fault(call["method"])
        if self.is_away or (fault and fault == Fault(method=fault.method)):
            raise EndpointUnavailable("connection failed")
        if fault and fault.is_hanging:
            await asyncio.get_running_loop().create_future()
        if fault and fault.status is not None:
            after = fault.headers.get("Retry-After")
            raise EndpointUnavailable(
                f"HTTP status {fault.status}",
                status=fault.status,
                retry_after=None if after is None else float(after),
            )
        answer = decode_message(_encode_answer(self._chain, call, fault))
        if isinstance(answer, Notification):
            raise MalformedAnswer("a notification came as the answer")
        return result_of(answer, request_id)

    async def close(self) -> None:
        pass


def fake_client(
    chain: FakeChain, clock: Clock, *, endpoint: FakeEndpoint | None = None
) -> EthereumClient:
    """Return a client of *chain* without sockets and with a budget nobody exhausts."""
    return EthereumClient(
        endpoint or FakeEndpoint(chain), budget=ample_budget(clock), clock=clock, timeout=30.0
    )


def ample_budget(clock: Clock) -> RpcBudget:
    """Return a budget that grants everything and still counts."""
    return RpcBudget(per_day=0, per_second=1.0, now_ns=clock.now_ns(), is_enabled=False)


class FakeEthereum:
    """A ``FakeChain`` served on loopback. Made by ``open_fake_ethereum``."""

    def __init__(self, chain: FakeChain) -> None:
        self.chain = chain
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = asyncio.Event()
        chain.on_head.append(self._tell)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def come_back(self) -> None:
        """Listen; on the same port as before, where there was one."""
        self._leaving = asyncio.Event()
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/", self._post)
        app.router.add_get("/", self._upgrade)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def go_away(self) -> None:
        """Close every connection and stop listening."""
        self._leaving.set()
        for socket in list(self._sockets):
            await socket.close()
        for task in list(self._tasks):
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _post(self, request: web.Request) -> web.StreamResponse:
        call = msgspec.json.decode(await request.read())
        fault = self.chain.take_fault(call["method"])
        if fault is None:
            return _json(_encode_answer(self.chain, call, None))
        if fault == Fault(method=fault.method):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if fault.is_hanging:
            await self._leaving.wait()
        if fault.status is not None:
            page = "<html><body>no such luck</body></html>"
            return web.Response(
                status=fault.status, text=page, content_type="text/html", headers=fault.headers
            )
        return _json(_encode_answer(self.chain, call, fault))

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=64 * 1024 * 1024)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._spawn(self._answer_socket(socket, msgspec.json.decode(message.data)))
        finally:
            self._sockets.discard(socket)
        return socket

    async def _answer_socket(self, socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        fault = self.chain.take_fault(call["method"])
        if fault is not None and fault.is_hanging:
            return
        if fault is not None and (fault == Fault(method=fault.method) or fault.status):
            await socket.close()
            return
        if call["method"] == "eth_subscribe" and fault is None:
            self.chain.requests.append((call["method"], call["params"]))
            body = msgspec.json.encode({"jsonrpc": "2.0", "id": call["id"], "result": "0x1"})
        else:
            body = _encode_answer(self.chain, call, fault)
        await socket.send_str(body.decode("utf-8", "replace"))

    def _tell(self, header: Header) -> None:
        params = {"subscription": "0x1", "result": _wire_header(header)}
        text = msgspec.json.encode(
            {"jsonrpc": "2.0", "method": "eth_subscription", "params": params}
        ).decode()
        for socket in self._sockets:
            self._spawn(socket.send_str(text))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextlib.asynccontextmanager
async def open_fake_ethereum(chain: FakeChain | None = None) -> AsyncIterator[FakeEthereum]:
    """Serve *chain* on a free port of loopback, over HTTP and WebSocket."""
    server = FakeEthereum(chain or FakeChain())
    await server.come_back()
    try:
        yield server
    finally:
        await server.go_away()


def _encode_answer(chain: FakeChain, call: dict[str, Any], fault: Fault | None) -> bytes:
    if fault is not None and fault.body is not None:
        return fault.body
    request_id = call["id"] + (1_000_000 if fault is not None and fault.is_foreign else 0)
    try:
        if fault is not None and fault.error is not None:
            raise RpcFault(*fault.error)
        result = chain.answer(call["method"], call["params"])
    except RpcFault as exc:
        error = {"code": exc.rpc_code, "message": exc.message, "data": exc.data}
        return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": error})
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "result": result})


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _wire_header(header: Header) -> dict[str, object]:
    return {
        "number": wire.encode_quantity(header.number),
        "hash": wire.encode_data(header.hash),
        "parentHash": wire.encode_data(header.parent_hash),
        "timestamp": wire.encode_quantity(header.timestamp),
        # Members of later hard forks: whoever decodes must not trip over them.
        "baseFeePerGas": "0x7",
        "withdrawals": [],
        "transactions": [],
    }
