"""Frames of a pubsub stream: a varint length, then one RPC.

Source: libp2p pubsub specification, "unsigned varint length prefix".
"""

from __future__ import annotations

from fondaco.p2p import limits
from fondaco.p2p.protobuf import encode_varint
from fondaco.p2p.pubsub.rpc import MalformedRpc

MAX_HEADER_SIZE = 3
"""Bytes of the length of an RPC of MAX_RPC_SIZE."""


def encode_frame(payload: bytes) -> bytes:
    """Return *payload* with its length before it.

    Raises:
        ValueError: *payload* is over MAX_RPC_SIZE; our own bug.
    """
    if len(payload) > limits.MAX_RPC_SIZE:
        raise ValueError(f"payload of {len(payload)} bytes cannot be framed")
    return encode_varint(len(payload)) + payload


class FrameDecoder:
    """Cut a byte stream into RPCs. One instance per stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they arrive; return each payload they complete.

        How the bytes were cut on their way makes no difference: payloads before a bad
        length are returned first, and the call after that raises.

        Raises:
            MalformedRpc: a length over MAX_RPC_SIZE. The stream cannot be resynchronised.
        """
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        at = 0
        while (header := self._header(at, has_payloads=bool(payloads))) is not None:
            start, size = header
            if len(buffer) < start + size:
                break
            at = start + size
            payloads.append(bytes(buffer[start:at]))
        del buffer[:at]
        return payloads

    def _header(self, at: int, *, has_payloads: bool) -> tuple[int, int] | None:
        """Return where the payload starts and its size; None where not to be had now."""
        size = 0
        for index, byte in enumerate(self._buffer[at : at + MAX_HEADER_SIZE]):
            size |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if size > limits.MAX_RPC_SIZE:
                    break
                return at + index + 1, size
        else:
            if len(self._buffer) < at + MAX_HEADER_SIZE:
                return None
        if has_payloads:
            return None
        raise MalformedRpc("frame longer than any RPC")
