"""How the node says that it is well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
import pytest

from fondaco.api.health import STARTING_REASON, HealthPage
from fondaco.metrics import Metric, Sample


class Part:
    """A part of the node with the troubles the test gives it."""

    metrics: Sequence[Metric] = ()

    def __init__(self, *troubles: str) -> None:
        self.said = list(troubles)

    def samples(self) -> Iterable[Sample]:
        return ()

    def troubles(self) -> Sequence[str]:
        return self.said


@pytest.mark.parametrize(
    ("is_ready", "troubles", "code", "status", "reasons"),
    [
        (True, [], 200, "ok", []),
        (True, ["no chain"], 200, "degraded", ["no chain"]),
        (False, [], 503, "starting", [STARTING_REASON]),
        (False, ["no chain"], 503, "starting", [STARTING_REASON, "no chain"]),
    ],
)
async def test_status_and_reasons(
    is_ready: bool, troubles: list[str], code: int, status: str, reasons: list[str]
) -> None:
    ready = asyncio.Event()
    page = HealthPage(ready, [Part(), Part(*troubles)], version="1.2.3", peer_id="16Uiu2")
    if is_ready:
        ready.set()
    answer = page("text/html")
    assert (answer.status, answer.content_type) == (code, "application/json")
    assert msgspec.json.decode(answer.body) == {
        "status": status,
        "reasons": reasons,
        "version": "1.2.3",
        "peerID": "16Uiu2",
    }


async def test_it_is_asked_anew_each_time() -> None:
    ready = asyncio.Event()
    ready.set()
    part = Part("no chain")
    page = HealthPage(ready, [part], version="", peer_id="")
    assert b"degraded" in page("").body
    part.said.clear()
    assert b'"ok"' in page("").body
