"""What a node says about itself once it is ready to be used."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec


class ReadyInfo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Addresses of a node whose doors are open, for whoever started it."""

    rpc: str
    """``ws://HOST:PORT`` of the JSON-RPC WebSocket."""

    http: str
    """``http://HOST:PORT`` of JSON-RPC by POST; the same listener unless a second is set."""

    peer_id: str
    pid: int

    p2p: tuple[str, ...] = ()
    """Multiaddresses at which peers reach it; empty where peers are off."""

    def to_json(self, more: Mapping[str, object] | None = None) -> str:
        """Return the one line that ``fondaco run --json`` prints, without a line end.

        Args:
            more: further members, such as the devnet's addresses.
        """
        line: dict[str, object] = {
            "ready": True,
            "rpc": self.rpc,
            "http": self.http,
            "peerID": self.peer_id,
            "pid": self.pid,
            "p2p": list(self.p2p),
        }
        return json.dumps({**line, **(more or {})}, separators=(",", ":"))
