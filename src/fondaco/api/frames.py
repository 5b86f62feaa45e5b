"""WebSocket frames as a server writes them (RFC 6455, section 5.2): not masked.

Because a server does not mask, the frame of one text is the same bytes for every client,
and a part that many texts share (the events of a block) is written without being copied.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

CONTINUATION = 0x0
TEXT = 0x1
PONG = 0xA

FIN = 0x80
"""Set in the first byte of the last frame of a message."""

_short = struct.Struct(">BB").pack
_medium = struct.Struct(">BBH").pack
_long = struct.Struct(">BBQ").pack


def header(opcode: int, length: int, *, fin: bool = True) -> bytes:
    """Return what stands before a payload of *length* bytes."""
    first = opcode | FIN if fin else opcode
    if length < 126:
        return _short(first, length)
    if length < 65_536:
        return _medium(first, 126, length)
    return _long(first, 127, length)


def text_frame(parts: Sequence[bytes], length: int) -> bytes:
    """Return one frame whose payload is *parts*, *length* bytes together."""
    return b"".join((header(TEXT, length), *parts))


def fragments(parts: Sequence[bytes], size: int) -> Iterator[list[bytes | memoryview]]:
    """Cut a text given as *parts* into frames of *size* bytes of payload; the last is shorter.

    Each frame is a list of buffers to be written one after the other. The parts are not
    copied. Control frames may stand between two of them, other messages may not.
    """
    left = sum(map(len, parts))
    views = [memoryview(part) for part in parts if part]
    opcode = TEXT
    while True:
        length = min(size, left)
        left -= length
        frame: list[bytes | memoryview] = [header(opcode, length, fin=not left)]
        while length:
            view = views[0]
            frame.append(view[:length])
            if len(view) > length:
                views[0] = view[length:]
                length = 0
            else:
                length -= len(view)
                del views[0]
        yield frame
        if not left:
            return
        opcode = CONTINUATION
