"""Messages on a request stream: behind a varint length, or as lines.

Fondaco's own protocols put an unsigned varint before each message, as libp2p's do. Mesh's
order sync writes JSON texts that end with a newline.
"""

from __future__ import annotations

from typing import Protocol

from fondaco.errors import PeerError
from fondaco.p2p import limits

MAX_LENGTH_SIZE = 4
"""Bytes of the varint: 28 bits are more than MAX_STREAM_FRAME."""


class MalformedFrame(PeerError):
    """Bytes that are no message of the stream's protocol."""

    code = "MalformedFrame"


class Framing(Protocol):
    """One direction of one stream."""

    def encode(self, payload: bytes) -> bytes:
        """Return *payload* as it goes over the wire.

        Raises:
            ValueError: it cannot be a message of this framing; our own bug.
        """

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrive."""

    def next(self) -> bytes | None:
        """Return the next message that is complete; None while there is none.

        Raises:
            MalformedFrame: the peer sends what it should know not to; close the stream.
        """


class LengthFraming:
    """A varint, then as many bytes."""

    def __init__(self, max_size: int = limits.MAX_STREAM_FRAME) -> None:
        self._max_size = max_size
        self._buffer = bytearray()

    def encode(self, payload: bytes) -> bytes:
        if len(payload) > self._max_size:
            raise ValueError(f"message of {len(payload)} bytes")
        size, head = len(payload), bytearray()
        while size > 0x7F:
            head.append(size & 0x7F | 0x80)
            size >>= 7
        head.append(size)
        return bytes(head) + payload

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> bytes | None:
        size = 0
        for index, byte in enumerate(self._buffer[:MAX_LENGTH_SIZE]):
            size |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                break
        else:
            if len(self._buffer) < MAX_LENGTH_SIZE:
                return None
            raise MalformedFrame("endless length")
        if size > self._max_size:
            raise MalformedFrame(f"message of {size} bytes")
        end = index + 1 + size
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[index + 1 : end])
        del self._buffer[:end]
        return payload

    def take_rest(self) -> bytes:
        """Return what came behind the last message, where the stream goes on without them."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


class LineFraming:
    """Bytes up to a newline, which is not part of the message. Blank lines do not count."""

    def __init__(self, max_size: int = limits.MAX_STREAM_FRAME) -> None:
        self._max_size = max_size
        self._buffer = bytearray()
        self._searched = 0

    def encode(self, payload: bytes) -> bytes:
        if len(payload) > self._max_size or b"\n" in payload:
            raise ValueError(f"{len(payload)} bytes are no line")
        return payload + b"\n"

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> bytes | None:
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = bytes(self._buffer[:end]).strip()
            del self._buffer[: end + 1]
            self._searched = 0
            if len(line) > self._max_size:
                raise MalformedFrame(f"line of {len(line)} bytes")
            if line:
                return line
        self._searched = len(self._buffer)
        if self._searched > self._max_size:
            raise MalformedFrame("endless line")
        return None


def framing(*, is_lines: bool) -> Framing:
    """Return the framing of one direction of one stream."""
    return LineFraming() if is_lines else LengthFraming()
