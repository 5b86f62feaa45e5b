"""``fondaco peers``: who is there, who agrees."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fondaco.cli import asking

PEER = "16Uiu2HAmGd949LwaV4KNvK2WDSiMVy7xEmW983VH75CMmefmMpP7"


def peer(**changes: Any) -> dict[str, Any]:
    return {
        "peerID": PEER,
        "state": "agrees",
        "since": "2020-01-01T00:00:00Z",
        "differs": 0,
        "explained": 0,
        "direction": "outbound",
        "score": 1.5,
        "agent": "fondaco/0.1.0",
        **changes,
    }


@contextlib.contextmanager
def answering(*peers: dict[str, Any]) -> Iterator[str]:
    own = {"set": "v3", "orders": 7, "digest": "0a" * 16}
    reply = {"jsonrpc": "2.0", "id": 1, "result": {"peers": peers, "setDigests": [own]}}
    text = json.dumps(reply).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert b"mesh_getPeers" in self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_person_sees_who_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(peer(), peer(state="differs", differs=12, explained=3)) as node:
        asking.peers(node)
    assert capsys.readouterr().out.splitlines() == [
        f"{PEER}  outbound  score 1.5  fondaco/0.1.0",
        "  agrees since 2020-01-01T00:00:00Z",
        f"{PEER}  outbound  score 1.5  fondaco/0.1.0",
        "  differs by 12 orders (3 explained) since 2020-01-01T00:00:00Z",
        "v3: 7 orders, digest " + "0a" * 16,
    ]


def test_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with answering() as node:
        asking.peers(node)
    assert capsys.readouterr().out.startswith("no peers\n")


def test_a_program_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(peer()) as node:
        asking.peers(node, as_json=True)
    assert json.loads(capsys.readouterr().out)["peers"] == [peer()]
