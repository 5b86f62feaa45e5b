"""Frames against an independent reader: the one of the websockets library."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from websockets.frames import Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from fondaco.api import frames


def read(data: bytes) -> tuple[bytes, list[int]]:
    """Return the payload of all frames in *data*, and the size of each."""
    reader = Protocol(CLIENT, state=OPEN, max_size=None)
    reader.receive_data(data)
    received = list(reader.events_received())
    assert reader.parser_exc is None
    found = [(frame.opcode, frame.fin, bytes(frame.data)) for frame in received]  # type: ignore[union-attr]
    opcodes = [opcode for opcode, _, _ in found]
    assert opcodes == [Opcode.TEXT] + [Opcode.CONT] * (len(found) - 1)
    assert [fin for _, fin, _ in found] == [False] * (len(found) - 1) + [True]
    return b"".join(payload for _, _, payload in found), [len(payload) for _, _, payload in found]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_one_frame(size: int) -> None:
    text = b"x" * size
    assert read(frames.text_frame((text[:7], text[7:]), size)) == (text, [size])


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [
        pytest.param([b""], [0], id="empty"),
        pytest.param([b"abc"], [3], id="short"),
        pytest.param([b"abcdefgh"], [8], id="exactly one"),
        pytest.param([b"abcdefghi"], [8, 1], id="one more"),
        pytest.param([b"abc", b"defgh", b"i"], [8, 1], id="cut between parts"),
        pytest.param([b"abc", b"", b"defghijklmnopqrst", b"u"], [8, 8, 5], id="cut in a part"),
        pytest.param([b"a"] * 16, [8, 8], id="many parts"),
    ],
)
def test_fragments(parts: Sequence[bytes], sizes: list[int]) -> None:
    wire = b"".join(bytes(buffer) for frame in frames.fragments(parts, 8) for buffer in frame)
    assert read(wire) == (b"".join(parts), sizes)


def test_shared_parts_are_not_copied() -> None:
    shared = b"y" * 100
    (first, second) = frames.fragments((b"head", shared), 60)
    views = [buffer for buffer in (*first, *second) if isinstance(buffer, memoryview)]
    assert [view.obj is shared for view in views] == [False, True, True]
