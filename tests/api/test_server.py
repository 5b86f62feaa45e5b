"""Listeners: where they are, who may reach them, how they end."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from fondaco.api.access import LOCAL_ONLY, Access
from fondaco.api.limits import Limits
from fondaco.api.server import Address, Listen, open_server
from fondaco.errors import ConfigurationError
from fondaco.testing.api import connect, connect_raw, counting_bytes, post, serve
from support.api_words import Words, words_registry

CALL = b'{"id":1,"method":"mesh_getStats"}'


def ready() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def opened(*listen: Listen, allowed: Access = LOCAL_ONLY) -> tuple[Address, ...]:
    """Open and close listeners; return where they were."""
    async with open_server(
        listen,
        words_registry(Words()),
        allowed=allowed,
        ready=ready(),
        token_bytes=counting_bytes(),
    ) as server:
        for address in server.addresses:
            status = (await post(address, CALL, Authorization="Bearer t"))[0]
            assert status == (200 if allowed.token else 401)
        return server.addresses


async def test_a_free_port_is_found_and_told() -> None:
    (address,) = await opened(Listen(host="127.0.0.1", port=0), allowed=Access(token="t"))
    assert address.host == "127.0.0.1"
    assert address.port > 0
    assert address.http == f"http://127.0.0.1:{address.port}"
    assert address.ws == f"ws://127.0.0.1:{address.port}"


async def test_names_are_looked_up_for_ipv4() -> None:
    (address,) = await opened(Listen(host="localhost", port=0), allowed=Access(token="t"))
    assert address.host == "127.0.0.1"


def test_ipv6_addresses_are_bracketed() -> None:
    assert Address(host="::1", port=5).http == "http://[::1]:5"


async def test_ipv6_listeners() -> None:
    (address,) = await opened(Listen(host="::1", port=0), allowed=Access(token="t"))
    assert address.http.startswith("http://[::1]:")


async def test_two_listeners_serve_the_same() -> None:
    places = [Listen(host="127.0.0.1", port=0), Listen(host="localhost", port=0, setting="B")]
    first, second = await opened(*places, allowed=Access(token="t"))
    assert first.port != second.port


async def test_the_same_place_twice_is_one_listener() -> None:
    place = Listen(host="127.0.0.1", port=0)
    assert len(await opened(place, place, allowed=Access(token="t"))) == 1


async def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match="cannot listen") as caught:
            await opened(Listen(host="127.0.0.1", port=port, setting="HTTP_RPC_ADDR"))
    assert caught.value.setting == "HTTP_RPC_ADDR"
    assert str(port) in str(caught.value)


@pytest.mark.parametrize(
    "place",
    [
        Listen(host="192.0.2.1", port=0),
        Listen(host="no.such.name.invalid", port=0),
        Listen(host="127.0.0.1", port=70_000),
    ],
    ids=lambda place: f"{place.host}:{place.port}",
)
async def test_places_that_cannot_be(place: Listen) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen"):
        await opened(place)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_a_place_open_to_others_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigurationError, match="RPC_TOKEN"):
        await opened(Listen(host=host, port=0))
    assert await opened(Listen(host=host, port=0), allowed=Access(token="t"))


async def test_one_bad_place_closes_the_good_one() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    good = Listen(host="127.0.0.1", port=port)
    with pytest.raises(ConfigurationError):
        await opened(good, Listen(host="0.0.0.0", port=0))
    assert await opened(good, allowed=Access(token="t"))


async def test_running_calls_may_end_when_the_server_stops() -> None:
    words = Words()
    async with serve(words_registry(words)) as address, connect(address) as client:
        await client.send('{"id":1,"method":"mesh_wait","params":["x"]}')
        await words.until_waiting(1)
        asyncio.get_running_loop().call_soon(words.gate.set)
    assert words.log == ["x waits", "x done"]


async def test_calls_that_do_not_end_are_ended() -> None:
    words = Words()
    limits = Limits(close_seconds=0.1)
    async with (
        serve(words_registry(words), limits=limits) as address,
        connect_raw(address) as raw,
    ):
        await raw.upgrade()
        await raw.send_frame(b'{"id":1,"method":"mesh_wait","params":["x"]}')
        await words.until_waiting(1)
    await words.until_waiting(0)
    assert words.log == ["x waits"]


async def test_http_calls_that_do_not_end_are_ended() -> None:
    words = Words()
    body = b'{"id":1,"method":"mesh_wait","params":["x"]}'
    async with (
        serve(words_registry(words), limits=Limits(close_seconds=0.1)) as address,
        connect_raw(address) as raw,
    ):
        await raw.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        await words.until_waiting(1)
    await words.until_waiting(0)


async def test_broken_requests_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with serve(words_registry(Words())) as address:
            for garbage in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"A / HTTP/9.9\r\n\r\n"):
                async with connect_raw(address) as raw:
                    await raw.send(garbage + b"\r\n\r\n")
                    assert (await raw.rest()).startswith(b"HTTP/1.")
    assert [record.message for record in caplog.records] == []
