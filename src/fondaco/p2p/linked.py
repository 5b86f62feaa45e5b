"""The network of a p2p process that may die at any time.

    calls --> frames --> child --> frames --> queues, futures, handlers
                ^  dies: back-off, start again |
                '--- topics, protocols, wanted and known peers, bans, unsent messages

The caller notices nothing but requests that fail and peers that leave and come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from fondaco.clock import Clock
from fondaco.errors import ConfigurationError, PeerError, Verdict
from fondaco.p2p import limits, link
from fondaco.p2p.child import Child, start_child
from fondaco.p2p.metrics import LEVELS
from fondaco.p2p.network import (
    GossipMessage,
    Handler,
    KnownPeer,
    PeerEvent,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    RequestFailed,
)
from fondaco.p2p.scores import Offence

log = logging.getLogger(__name__)


class LinkedNetwork:
    """See ``network.Network``. ``run`` keeps the child alive until it is cancelled."""

    def __init__(
        self,
        start: link.Start,
        peer_id: str,
        clock: Clock,
        *,
        wanted: Sequence[str] = (),
        known_peers: Sequence[KnownPeer] = (),
    ) -> None:
        self.peer_id = peer_id
        self._start = start
        self._clock = clock
        self._child: Child | None = None
        self._up = asyncio.Event()
        self._addresses: tuple[str, ...] = ()
        self._cannot_listen = ""
        self._settled = asyncio.Event()
        # What a new child has to be told.
        self._topics: dict[str, None] = {}
        self._handlers: dict[str, tuple[bool, Handler]] = {}
        self._wanted: dict[str, None] = dict.fromkeys(wanted)
        self._names: tuple[str, ...] = ()
        self._known: OrderedDict[str, KnownPeer] = OrderedDict()
        self._bans: dict[str, float] = {}
        self._unsent: deque[link.Publish] = deque()
        self._credit = asyncio.Semaphore(limits.MAX_PUBLISHES_UNDERWAY)
        # What is underway.
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._requests = asyncio.Semaphore(limits.MAX_REQUESTS)
        self._answering: dict[int, asyncio.Task[None]] = {}
        # The child bounds it: it reads nobody on while verdicts are due.
        self._messages: asyncio.Queue[GossipMessage] = asyncio.Queue()
        self._peers: dict[str, PeerInfo] = {}
        self._joined: dict[str, tuple[str, ...]] = {}
        self._readers: set[asyncio.Queue[PeerEvent]] = set()
        self._counters: dict[str, int] = {}
        self._past: Counter[str] = Counter()
        self._counted = asyncio.Event()
        self._counts: Counter[str] = Counter()
        self._note_known(known_peers)

    # --- the child's lives --------------------------------------------------------------

    async def run(self) -> None:
        """Keep a child running; for ever."""
        delay = limits.FIRST_RESTART_DELAY
        while True:
            began = self._clock.monotonic()
            try:
                await self._live()
            except (OSError, TimeoutError, link.BrokenLink) as exc:
                log.warning("the p2p process failed", extra={"why": str(exc) or "no word of it"})
            # A bug of ours in here must not leave the node without peers for good.
            except Exception:
                log.exception("the p2p process failed")
            lived = self._clock.monotonic() - began
            if lived >= limits.STABLE_SECONDS:
                delay = limits.FIRST_RESTART_DELAY
            log.warning("the p2p process has ended", extra={"lived": lived, "again_in": delay})
            self._counts["restarts"] += 1
            await self._clock.sleep(delay)
            delay = min(2 * delay, limits.LONGEST_RESTART_DELAY)

    async def _live(self) -> None:
        child = await start_child()
        try:
            self._restore(child)
            async for frames in child.frames():
                for frame in frames:
                    self._take(frame)
        except BaseException as exc:
            self._buried()
            await (child.stop() if isinstance(exc, asyncio.CancelledError) else child.kill())
            raise
        self._buried()
        await child.kill()

    def _restore(self, child: Child) -> None:
        child.put(self._start)
        for topic in self._topics:
            child.put(link.Subscribe(topic))
        for protocol, (is_lines, _) in self._handlers.items():
            child.put(link.Serve(protocol, is_lines))
        now = self._clock.monotonic()
        self._bans = {peer: until for peer, until in self._bans.items() if until > now}
        for peer, until in self._bans.items():
            child.put(link.KeepBan(peer, until - now))
        for rows in _batches(list(self._known.values())):
            child.put(link.Remember(rows))
        child.put(link.Want(tuple(self._wanted)))
        child.put(link.Meet(self._names))
        for frame in self._unsent:
            child.put(frame)
        self._child = child
        self._up.set()

    def _buried(self) -> None:
        self._child = None
        self._up.clear()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(RequestFailed("the p2p process has ended"))
        self._waiting.clear()
        for task in self._answering.values():
            task.cancel()
        self._answering.clear()
        for peer in list(self._peers):
            self._peer_gone(peer)
        # What it counted goes on counting; what it held is gone.
        self._past.update({k: count for k, count in self._counters.items() if k not in LEVELS})
        self._counters = {}

    # --- frames of the child ------------------------------------------------------------

    def _take(self, frame: link.ToMain) -> None:
        match frame:
            case link.Delivered():
                self._counts["messages"] += 1
                self._messages.put_nowait(
                    GossipMessage(
                        topic=frame.topic,
                        message_id=frame.message_id,
                        peer=frame.peer,
                        data=frame.data,
                    )
                )
            case link.Published():
                if self._unsent:
                    self._unsent.popleft()
                    self._credit.release()
            case link.Response():
                if (future := self._waiting.pop(frame.number, None)) and not future.done():
                    future.set_result(frame.payload)
            case link.Failure():
                if (future := self._waiting.pop(frame.number, None)) and not future.done():
                    future.set_exception(RequestFailed(frame.problem))
            case link.Inbound():
                self._answer_later(frame)
            case link.Forgotten():
                if (task := self._answering.pop(frame.number, None)) is not None:
                    task.cancel()
            case link.Counters():
                self._counters = frame.values
                self._counted.set()
                self._counted = asyncio.Event()
            case _:
                self._take_news(frame)

    def _take_news(self, frame: link.ToMain) -> None:
        match frame:
            case link.PeerState():
                self._peer_state(frame)
            case link.PeerGone():
                self._peer_gone(frame.peer)
            case link.Banned():
                self._counts["bans"] += 1
                self._bans[frame.peer] = self._clock.monotonic() + frame.seconds
            case link.Seen():
                self._note_known(frame.peers)
            case link.Listening():
                self._addresses = tuple(dict.fromkeys(frame.addresses))
                self._keep_port()
                self._settled.set()
                log.info("listening for peers", extra={"addresses": self._addresses})
            case link.CannotListen():
                self._cannot_listen = frame.problem
                self._settled.set()

    def _keep_port(self) -> None:
        """Come back at the same port after a restart, also where any would have done."""
        port = self._addresses[0].partition("/tcp/")[2].partition("/")[0]
        fields = {name: getattr(self._start, name) for name in self._start.__struct_fields__}
        self._start = link.Start(**{**fields, "port": int(port)})

    def _peer_state(self, frame: link.PeerState) -> None:
        known = self._peers.get(frame.peer)
        info = self._peers[frame.peer] = PeerInfo(
            peer_id=frame.peer,
            addresses=frame.addresses,
            since_ns=self._clock.now_ns() if known is None else known.since_ns,
            is_outbound=frame.direction == "outbound",
            score=frame.score,
            topics=frame.topics,
            agent=frame.agent,
            protocols=frame.protocols,
            relay=frame.relay,
        )
        if frame.protocols and self._joined.get(frame.peer) != frame.protocols:
            self._joined[frame.peer] = frame.protocols
            self._tell(PeerJoined(info))

    def _peer_gone(self, peer: str) -> None:
        self._peers.pop(peer, None)
        if self._joined.pop(peer, None) is not None:
            self._tell(PeerLeft(peer))

    def _tell(self, event: PeerEvent) -> None:
        for queue in self._readers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    def _note_known(self, rows: Sequence[KnownPeer]) -> None:
        for row in rows:
            self._known.pop(row.peer, None)
            self._known[row.peer] = row
        while len(self._known) > limits.MAX_KNOWN_PEERS:
            self._known.popitem(last=False)

    def _answer_later(self, frame: link.Inbound) -> None:
        task = asyncio.create_task(self._answer(frame), name=f"answer on {frame.protocol}")
        self._answering[frame.number] = task

    async def _answer(self, frame: link.Inbound) -> None:
        payload: bytes | None = None
        is_offence = False
        try:
            _, handler = self._handlers[frame.protocol]
            payload = await handler(frame.peer, frame.payload)
            if len(payload) > limits.MAX_STREAM_FRAME:
                log.error("an answer is too long", extra={"protocol": frame.protocol})
                payload = None
        except PeerError as exc:
            is_offence = exc.verdict is Verdict.REJECT
            log.debug("request refused", extra={"peer": frame.peer, "why": str(exc)})
        # A handler of anybody above: the peer sees a closed stream, we the reason.
        except Exception:
            log.exception("a request could not be answered", extra={"protocol": frame.protocol})
        if self._answering.pop(frame.number, None) is not None and self._child is not None:
            await self._child.send(link.Answer(frame.number, payload, is_offence))

    # --- calls --------------------------------------------------------------------------

    @property
    def is_available(self) -> bool:
        return True

    @property
    def addresses(self) -> tuple[str, ...]:
        return self._addresses

    @property
    def child_pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    async def ready(self) -> tuple[str, ...]:
        await self._settled.wait()
        if not self._addresses:
            raise ConfigurationError(
                "p2p_tcp_port",
                self._cannot_listen,
                "choose another port, or 0 for a free one",
            )
        return self._addresses

    async def subscribe(self, topic: str) -> None:
        self._topics[topic] = None
        await self._send(link.Subscribe(topic))

    async def unsubscribe(self, topic: str) -> None:
        self._topics.pop(topic, None)
        await self._send(link.Unsubscribe(topic))

    async def publish(self, topic: str, data: bytes) -> None:
        if not 0 < len(data) <= limits.MAX_DATA_SIZE:
            raise ValueError(f"message of {len(data)} bytes")
        await self._credit.acquire()
        frame = link.Publish(topic, data)
        # Kept until the child has it: the next child gets it where this one dies before.
        self._unsent.append(frame)
        self._counts["published"] += 1
        await self._send(frame)

    async def messages(self) -> AsyncIterator[GossipMessage]:
        while True:
            yield await self._messages.get()

    def verdict(self, message_id: bytes, verdict: Verdict) -> None:
        self._put(link.Judge(message_id, verdict.value))

    async def request(
        self,
        peer: str,
        protocol: str,
        payload: bytes,
        *,
        timeout: float = limits.REQUEST_TIMEOUT,  # noqa: ASYNC109
    ) -> bytes:
        return await self._request(peer, protocol, payload, timeout, is_lines=False)

    async def request_lines(
        self,
        peer: str,
        protocol: str,
        line: bytes,
        *,
        timeout: float = limits.REQUEST_TIMEOUT,  # noqa: ASYNC109
    ) -> bytes:
        return await self._request(peer, protocol, line, timeout, is_lines=True)

    async def _request(
        self,
        peer: str,
        protocol: str,
        payload: bytes,
        timeout: float,  # noqa: ASYNC109
        *,
        is_lines: bool,
    ) -> bytes:
        if len(payload) > limits.MAX_STREAM_FRAME or (is_lines and b"\n" in payload):
            raise ValueError(f"request of {len(payload)} bytes")
        return await self._ask(
            lambda number: link.Request(number, peer, protocol, is_lines, payload, timeout),
            timeout,
        )

    async def _ask(self, frame: Callable[[int], link.ToChild], timeout: float) -> bytes:  # noqa: ASYNC109
        try:
            async with asyncio.timeout(timeout), self._requests:
                if self._child is None:
                    raise RequestFailed("the p2p process is starting")
                number = next(self._numbers)
                future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
                self._waiting[number] = future
                try:
                    await self._child.send(frame(number))
                    return await future
                finally:
                    if self._waiting.pop(number, None) is not None:
                        self._put(link.Cancel(number))
        except TimeoutError:
            raise RequestFailed(f"no answer within {timeout:g} s") from None

    async def serve(self, protocol: str, handler: Handler) -> None:
        await self._serve(protocol, handler, is_lines=False)

    async def serve_lines(self, protocol: str, handler: Handler) -> None:
        await self._serve(protocol, handler, is_lines=True)

    async def _serve(self, protocol: str, handler: Handler, *, is_lines: bool) -> None:
        self._handlers[protocol] = (is_lines, handler)
        await self._send(link.Serve(protocol, is_lines))

    def peers(self) -> list[PeerInfo]:
        return list(self._peers.values())

    async def events(self) -> AsyncIterator[PeerEvent]:
        queue: asyncio.Queue[PeerEvent] = asyncio.Queue(limits.MAX_PEER_EVENTS)
        for peer in self._joined:
            queue.put_nowait(PeerJoined(self._peers[peer]))
        self._readers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._readers.discard(queue)

    async def add_peer(
        self,
        peer_id: str,
        addresses: Sequence[str],
        *,
        timeout: float = 60.0,  # noqa: ASYNC109
    ) -> None:
        for address in addresses:
            self._wanted[_named(address, peer_id)] = None
        self._bans.pop(peer_id, None)
        try:
            async with asyncio.timeout(timeout):
                await self._up.wait()
        except TimeoutError:
            raise RequestFailed("the p2p process is starting") from None
        # The child's deadline comes first: it knows what the matter was.
        await self._ask(
            lambda number: link.AddPeer(number, peer_id, tuple(addresses), timeout),
            timeout + limits.REQUEST_TIMEOUT,
        )

    async def set_rendezvous(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        await self._send(link.Meet(self._names))

    def report(self, peer: str, offence: Offence, weight: float = 1.0) -> None:
        self._put(link.Report(peer, offence.value, weight))

    def reward(self, peer: str) -> None:
        self._put(link.Reward(peer))

    async def counters_changed(self) -> None:
        """Return when the child has counted anew, once a second."""
        await self._counted.wait()

    def known_peers(self) -> list[KnownPeer]:
        return list(self._known.values())

    def stats(self) -> Mapping[str, int]:
        own = {
            "is-up": int(self._up.is_set()),
            "unread-messages": self._messages.qsize(),
            "unsent-messages": len(self._unsent),
            "requests-underway": len(self._waiting),
            "queued-bytes-to-child": 0 if self._child is None else self._child.queued_bytes,
        }
        counted = self._past.copy()
        counted.update(self._counters)
        return {"restarts": 0, "bans": 0, **counted, **self._counts, **own}

    async def _send(self, frame: link.ToChild) -> None:
        if self._child is not None:
            await self._child.send(frame)

    def _put(self, frame: link.ToChild) -> None:
        if self._child is not None:
            with contextlib.suppress(ConnectionError):
                self._child.put(frame)


def _named(address: str, peer_id: str) -> str:
    """Return *address* with the peer at its end, whether it was there or not."""
    first, circuit, _ = address.replace("/ipfs/", "/p2p/").partition("/p2p-circuit")
    place = first + circuit if circuit else first.partition("/p2p/")[0]
    return f"{place}/p2p/{peer_id}"


def _batches(rows: list[KnownPeer]) -> list[tuple[KnownPeer, ...]]:
    return [tuple(rows[at : at + 100]) for at in range(0, len(rows), 100)]
