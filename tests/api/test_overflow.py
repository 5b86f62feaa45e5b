"""One connection too many is told so, and those inside notice nothing."""

from __future__ import annotations

import json

import aiohttp
import pytest

from fondaco.api.limits import Limits
from fondaco.testing.api import connect, connect_raw, post, serve
from support.api_words import Words, words_registry

LIMITS = Limits(connections=2, close_seconds=0.2)


async def test_one_too_many() -> None:
    async with (
        serve(words_registry(Words()), limits=LIMITS) as address,
        connect(address) as one,
        connect(address) as two,
    ):
        status, body = await post(address, b"{}")
        assert status == 503
        assert json.loads(body) == {
            "error": "this node serves 2 connections at once and has no place left"
        }
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(address.ws)
            assert caught.value.status == 503
            assert caught.value.headers is not None
            assert caught.value.headers["Retry-After"] == "5"
        assert await one.call("mesh_getStats")
        assert await two.call("mesh_getStats")


async def test_a_place_that_is_left_is_given_again() -> None:
    async with serve(words_registry(Words()), limits=LIMITS) as address:
        for _ in range(5):
            async with connect(address) as one, connect(address) as two:
                assert await one.call("mesh_getStats")
                assert await two.call("mesh_getStats")


async def test_connections_that_say_nothing_count() -> None:
    async with (
        serve(words_registry(Words()), limits=LIMITS) as address,
        connect_raw(address) as one,
        connect_raw(address),
    ):
        await one.send(b"GET ")
        assert (await post(address, b"{}"))[0] == 503


async def test_a_refused_connection_that_says_nothing_is_dropped() -> None:
    async with (
        serve(words_registry(Words()), limits=LIMITS) as address,
        connect(address),
        connect(address),
        connect_raw(address) as refused,
    ):
        assert await refused.rest() == b""


async def test_too_many_to_be_told() -> None:
    limits = Limits(connections=4, close_seconds=5)
    async with (
        serve(words_registry(Words()), limits=limits) as address,
        connect(address),
        connect(address),
        connect(address),
        connect(address),
        connect_raw(address) as first,
        connect_raw(address) as second,
        connect_raw(address) as third,
    ):
        assert await third.rest() == b""
        for told in (first, second):
            await told.send(b"GET / HTTP/1.1\r\n\r\n")
            assert (await told.rest()).startswith(b"HTTP/1.1 503 ")
