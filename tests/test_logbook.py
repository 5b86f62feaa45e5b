"""Log lines: one JSON object each, with nothing secret in them."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fondaco.identity.keys import Seed
from fondaco.logbook import TRACE, log_unhandled, open_log
from fondaco.redaction import Redactor

URL = "https://eth.example/v3/0123456789abcdef"
TOKEN = "correct-horse-battery"

SOURCES = sorted((Path(__file__).parents[1] / "src" / "fondaco").rglob("*.py"))

log = logging.getLogger("fondaco.test")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _put_logging_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def opened(verbosity: int = 4, stream: io.StringIO | None = None, as_json: bool = True) -> Any:
    stream = stream or io.StringIO()
    redact = Redactor(urls=[URL], secrets=[TOKEN])
    open_log(verbosity=verbosity, as_json=as_json, redact=redact, stream=stream)
    return stream


def test_a_line_is_an_object() -> None:
    stream = opened()
    log.info("order refused", extra={"code": "OrderExpired", "order_hash": b"\x01\xff"})
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "msg": "order refused",
        "level": "info",
        "logger": "fondaco.test",
        "code": "OrderExpired",
        "order_hash": "0x01ff",
    }


def test_a_text_with_arguments_keeps_its_fields() -> None:
    stream = opened()
    log.warning("orders wait: %s", ValueError("the disk is full"), extra={"due": 3})
    line = json.loads(stream.getvalue())
    assert (line["msg"], line["due"]) == ("orders wait: the disk is full", 3)


def test_no_field_has_a_name_that_logging_needs_itself() -> None:
    """It would raise where something is to be told, at run time and not before."""
    taken = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "time", "level", "logger"}
    fields = {
        (path.name, str(key.value))
        for path in SOURCES
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.keyword)
        and call.arg == "extra"
        and isinstance(call.value, ast.Dict)
        for key in call.value.keys
        if isinstance(key, ast.Constant)
    }
    assert len(fields) > 20
    assert {(path, field) for path, field in fields if field in taken} == set()


@pytest.mark.parametrize(
    ("verbosity", "heard"),
    [(0, "C"), (1, "C"), (2, "CE"), (3, "CEW"), (4, "CEWI"), (5, "CEWID"), (6, "CEWIDT")],
)
def test_verbosity(verbosity: int, heard: str) -> None:
    stream = opened(verbosity)
    for level, letter in [(50, "C"), (40, "E"), (30, "W"), (20, "I"), (10, "D"), (TRACE, "T")]:
        log.log(level, letter)
    lines = stream.getvalue().splitlines()
    assert "".join(json.loads(line)["msg"] for line in lines) == heard


def test_libraries_are_heard_when_it_matters() -> None:
    stream = opened(5)
    logging.getLogger("aiohttp.access").debug("GET /")
    logging.getLogger("aiohttp.server").error("broken")
    assert "GET" not in stream.getvalue()
    assert "broken" in stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_go_wherever_they_hide(as_json: bool) -> None:
    stream = opened(as_json=as_json)
    seed = Seed.from_entropy(bytes(32))
    try:
        raise ConnectionError(f"cannot connect to {URL}")
    except ConnectionError:
        log.exception("lost %s", URL, extra={"header": f"Bearer {TOKEN}", "seed": seed})
    text = stream.getvalue()
    assert "ConnectionError" in text
    assert "https://eth.example/***" in text
    for secret in ("0123456789abcdef", TOKEN, "abandon"):
        assert secret not in text


def test_a_traceback_does_not_show_variables() -> None:
    stream = opened(stream=Terminal(), as_json=False)
    words = "abandon abandon art"
    try:
        raise RuntimeError("out of " + str(len(words)))
    except RuntimeError:
        log.exception("failed")
    assert "out of 19" in stream.getvalue()
    assert "abandon abandon art" not in stream.getvalue()


def test_colours_only_on_a_terminal() -> None:
    for stream, has_colours in ((Terminal(), True), (io.StringIO(), False)):
        opened(stream=stream, as_json=False)
        log.warning("here")
        assert ("\x1b[" in stream.getvalue()) is has_colours


async def test_what_nobody_caught_is_logged() -> None:
    stream = opened()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_unhandled)

    def fail() -> None:
        raise ValueError(f"lost {URL}")

    loop.call_soon(fail)
    await asyncio.sleep(0)
    line = json.loads(stream.getvalue())
    assert line["level"] == "error"
    assert "ValueError: lost https://eth.example/***" in line["exception"]
    assert "fail" in line["source"]
