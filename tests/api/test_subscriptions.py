"""How subscriptions begin, what they send, and every way they end."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from fondaco.api.declarations import Method, Registry, Subscription
from fondaco.api.feed import EventsGone
from fondaco.api.limits import Limits
from fondaco.api.outlet import ClientGone
from fondaco.api.subscriptions import Heartbeat, Session, Sink
from fondaco.errors import StorageError
from fondaco.jsonrpc import ServerError
from fondaco.testing.api import Client, connect, serve
from fondaco.testing.clock import FakeClock


class Scripted:
    """A stream that sends one thing and then ends as it is told to."""

    def __init__(self, ending: BaseException | None) -> None:
        self._ending = ending

    async def run(self, sink: Sink) -> None:
        await sink.send(b"[1]")
        if self._ending is not None:
            raise self._ending


def scripted(ending: BaseException | None) -> Registry:
    async def subscribe(session: Session) -> Scripted:
        return Scripted(ending)

    async def count(session: Session) -> int:
        return session.subscription_count

    registry = Registry()
    registry.add(
        Subscription(namespace="mesh", name="x", handler=subscribe),
        Method(name="mesh_count", handler=count),
    )
    return registry


async def ended_with(client: Client) -> Any:
    """Subscribe, read the one notification, return what the last one carries."""
    subscription = await client.call("mesh_subscribe", "x")
    assert await client.notification() == {"subscription": subscription, "result": [1]}
    last = await client.receive()
    assert "id" not in last
    assert last["method"] == "mesh_subscription"
    assert last["params"]["subscription"] == subscription
    assert "result" not in last["params"]
    return last["params"]["error"]


async def test_past_the_logs_end_the_client_is_told() -> None:
    async with serve(scripted(EventsGone(77))) as address, connect(address) as client:
        error = await ended_with(client)
        assert error["code"] == -32000
        assert error["message"] == "events before 77 are no longer kept"
        assert error["firstAvailable"] == 77
        assert error["data"]["code"] == "EventsGone"
        assert await client.call("mesh_count") == 0


async def test_an_error_of_the_node_is_told() -> None:
    async with serve(scripted(StorageError("disk full"))) as address, connect(address) as client:
        assert await ended_with(client) == {
            "code": -32000,
            "message": "disk full",
            "data": {"code": "StorageError"},
        }


async def test_a_bug_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="fondaco"):
        async with serve(scripted(ZeroDivisionError("x"))) as address, connect(address) as client:
            assert await ended_with(client) == {"code": -32000, "message": "internal error"}
            assert await client.call("mesh_count") == 0
    assert [record.message for record in caplog.records] == ["subscription crashed"]


async def test_a_stream_that_is_over_is_forgotten() -> None:
    async with serve(scripted(None)) as address, connect(address) as client:
        await client.call("mesh_subscribe", "x")
        await client.notification()
        assert await client.call("mesh_count") == 0


def session(limits: Limits = Limits()) -> Session:  # noqa: B008 - a frozen value
    return Session(peer="test", limits=limits, token_bytes=lambda size: bytes(size))


def test_without_a_websocket_there_are_no_subscriptions() -> None:
    assert not session().can_notify
    with pytest.raises(ServerError, match="notifications not supported"):
        session().subscribe("mesh", Scripted(None))


class Silent:
    """An outlet that notes what it is given."""

    def __init__(self) -> None:
        self.texts: list[Any] = []
        self.is_gone = False

    def offer(self, parts: tuple[bytes, ...]) -> bool:
        self.texts.append(json.loads(b"".join(parts)))
        return True

    async def send(self, parts: tuple[bytes, ...]) -> None:
        if self.is_gone:
            raise ClientGone("gone")
        self.offer(parts)


def session_on(outlet: Any, ids: list[bytes]) -> Session:
    numbers = iter(ids)
    return Session(
        peer="test", limits=Limits(), token_bytes=lambda size: next(numbers), outlet=outlet
    )


def test_ids_are_spelled_as_go_ethereum_does() -> None:
    ids = [b"\x00\x0a" + bytes(14), bytes(16), bytes.fromhex("cd0c3e8af590364c09d0fa6a1210faf5")]
    owner = session_on(Silent(), ids)
    assert [owner.subscribe("mesh", Scripted(None)).id for _ in range(3)] == [
        "0xa" + "0" * 28,
        "0x0",
        "0xcd0c3e8af590364c09d0fa6a1210faf5",
    ]


def test_an_id_is_not_given_twice() -> None:
    owner = session_on(Silent(), [b"\x01", b"\x01", b"\x02"])
    assert [owner.subscribe("mesh", Scripted(None)).id for _ in range(2)] == ["0x1", "0x2"]


async def test_an_ended_subscription_is_silent_at_once() -> None:
    outlet = Silent()
    owner = session_on(outlet, [b"\x01"])
    active = owner.subscribe("mesh", Heartbeat(FakeClock()))
    owner.start(active)
    owner.unsubscribe("0x1")
    assert not active.offer(b"1")
    with pytest.raises(ClientGone):
        await active.send(b"1")
    await active.ended()
    assert outlet.texts == []


async def test_closing_waits_for_the_streams_to_let_go() -> None:
    released = asyncio.Event()

    class Holding:
        async def run(self, sink: Sink) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0)
                released.set()

    owner = session_on(Silent(), [b"\x01"])
    owner.start(owner.subscribe("mesh", Holding()))
    await asyncio.sleep(0)
    await owner.close()
    assert released.is_set()
    assert owner.subscription_count == 0


async def test_nobody_left_to_tell_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    outlet = Silent()

    class Fails:
        async def run(self, sink: Sink) -> None:
            outlet.is_gone = True
            raise StorageError("disk full")

    owner = session_on(outlet, [b"\x01"])
    active = owner.subscribe("mesh", Fails())
    with caplog.at_level(logging.INFO, logger="fondaco"):
        owner.start(active)
        await active.ended()
    assert caplog.records == []
