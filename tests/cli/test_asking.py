"""Questions to a node that speaks JSON-RPC over HTTP, and to what is none."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fondaco.cli import asking
from fondaco.errors import Unavailable

Answer = Callable[[dict[str, Any], Any], tuple[int, bytes]]


@contextlib.contextmanager
def answering(answer: Answer) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, text = answer(json.loads(body), self.headers)
            self.send_response(status)
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


def result(value: object) -> tuple[int, bytes]:
    return 200, json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode()


def info(number: int) -> dict[str, Any]:
    order = {"makerAddress": "0x01", "makerAssetAmount": "7", "takerAssetAmount": "9"}
    return {"orderHash": f"0x{number:064x}", "signedOrder": order, "fillableTakerAssetAmount": "5"}


def test_a_question_is_json_rpc_with_the_token() -> None:
    def answer(call: dict[str, Any], headers: Any) -> tuple[int, bytes]:
        assert call == {"jsonrpc": "2.0", "id": 1, "method": "mesh_explain", "params": ["0x0"]}
        return result(headers["Authorization"])

    with answering(answer) as node:
        assert asking.ask(node, "sesame", "mesh_explain", "0x0") == "Bearer sesame"


@pytest.mark.parametrize(
    ("status", "text", "error", "told"),
    [
        (200, b"<html>", Unavailable, "no node answers"),
        (200, b"[]", Unavailable, "is no node"),
        (200, b'{"error":null}', Unavailable, "is no node"),
        (200, b'{"error":{"code":-32601,"message":"the method x does not exist"}}',
         asking.NodeAnsweredError, "mesh_getStats: the method x does not exist (-32601)"),
        (401, b"send a token", asking.NodeAnsweredError, "answered 401: send a token"),
        (500, b"", asking.NodeAnsweredError, "answered 500: Internal Server Error"),
    ],
)  # fmt: skip
def test_other_answers(status: int, text: bytes, error: type[Exception], told: str) -> None:
    with answering(lambda _call, _headers: (status, text)) as node, pytest.raises(error) as caught:
        asking.ask(node, "", "mesh_getStats")
    assert told in str(caught.value)


@pytest.mark.parametrize("node", ["http://127.0.0.1:1", "file:///etc/passwd", "ws://x", "", "x:y"])
def test_no_node_is_there(node: str) -> None:
    with pytest.raises(Unavailable):
        asking.ask(node, "", "mesh_getStats")


@pytest.mark.parametrize(("limit", "pages"), [(1, 1), (100, 1), (150, 2), (1000, 3)])
def test_orders_are_paged(limit: int, pages: int, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[list[object]] = []

    def answer(call: dict[str, Any], _headers: Any) -> tuple[int, bytes]:
        calls.append(call["params"])
        page, per_page, _snapshot = call["params"]
        numbers = range(250)[page * per_page : (page + 1) * per_page]
        return result({"snapshotID": "s", "ordersInfos": [info(number) for number in numbers]})

    with answering(answer) as node:
        asking.orders(node, "", limit, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [info(number) for number in range(min(limit, 250))]
    assert calls == [[page, 100, "s" if page else ""] for page in range(pages)]


def test_what_a_person_sees(capsys: pytest.CaptureFixture[str]) -> None:
    explanation = {
        "orderHash": "0x1",
        "status": "live",
        "summary": "the order is here",
        "steps": [{"at": "2020-01-01T00:00:00Z", "what": "REFUSED", "why": "OrderExpired"}],
    }

    def answer(call: dict[str, Any], _headers: Any) -> tuple[int, bytes]:
        return {
            "mesh_getStats": result({"numOrders": 3, "peerID": "16Uiu2", "latestBlock": {"n": 1}}),
            "mesh_getOrders": result({"snapshotID": "s", "ordersInfos": [info(1)]}),
            "mesh_explain": result(explanation),
        }[call["method"]]

    with answering(answer) as node:
        asking.stats(node)
        asking.orders(node, limit=5)
        asking.explain("0x1", node)
    shown = capsys.readouterr().out
    for word in ("numOrders", "16Uiu2", f"0x{1:064x}", "live: the order is here", "OrderExpired"):
        assert word in shown
