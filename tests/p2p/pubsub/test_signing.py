"""Strict signing, beside what py-libp2p signed and judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fondaco.errors import Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import protobuf_public_key, spell_peer_id
from fondaco.p2p.pubsub.rpc import Message, decode_message
from fondaco.p2p.pubsub.signing import Author, BadSignature, UnknownKeyType, verify

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "pubsub_rpc_vectors.json").read_text()
)["messages"]
KEY = IdentityKey(bytes(31) + b"\x05")
OTHER = IdentityKey(bytes(31) + b"\x06")
NOW_NS = 1_600_000_000_000_000_000
MESSAGE = Author(KEY).write("topic", b"data", NOW_NS)


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_the_verdicts_of_py_libp2p(vector: dict[str, Any]) -> None:
    message = decode_message(bytes.fromhex(vector["wire"]))
    if vector["is_valid"]:
        assert verify(message) is message
        assert spell_peer_id(message.sender) == vector["peer_id"]
    else:
        with pytest.raises(BadSignature) as caught:
            verify(message)
        assert caught.value.verdict is Verdict.REJECT


@pytest.mark.parametrize("vector", VECTORS[:8], ids=range(8))
def test_the_signatures_of_py_libp2p(vector: dict[str, Any]) -> None:
    author = Author(IdentityKey(bytes.fromhex(vector["secret"])))
    ours = author.write(
        vector["topic"],
        bytes.fromhex(vector["data"]),
        int.from_bytes(bytes.fromhex(vector["seqno"])),
    )
    assert ours.signature.hex() == vector["signature"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data", b"dat"),
        ("topic", "topi"),
        ("seqno", bytes(8)),
        ("seqno", MESSAGE.seqno + b"\0"),
        ("seqno", b""),
        ("sender", Author(OTHER).peer),
        ("sender", MESSAGE.sender[:6] + b"\x02" + b"\xff" * 32),
        ("signature", b""),
        ("signature", b"\x30"),
        ("signature", MESSAGE.signature[:-1] + b"\0"),
        ("key", protobuf_public_key(OTHER.public_key)),
        ("key", KEY.public_key),
    ],
)
def test_a_spoiled_field_is_blamed(name: str, value: object) -> None:
    with pytest.raises(BadSignature):
        verify(msgspec.structs.replace(MESSAGE, **{name: value}))


def test_a_superfluous_key_is_taken() -> None:
    with_key = msgspec.structs.replace(MESSAGE, key=protobuf_public_key(KEY.public_key))
    assert verify(with_key) is with_key


@pytest.mark.parametrize("sender", [b"", bytes.fromhex("002408011220") + bytes(32), bytes(34)])
def test_other_keys_are_nobodys_fault(sender: bytes) -> None:
    message = Message(sender=sender, data=b"d", seqno=bytes(8), topic="t", signature=b"s")
    with pytest.raises(UnknownKeyType) as caught:
        verify(message)
    assert caught.value.verdict is Verdict.IGNORE


def test_numbers_never_go_back_and_survive_a_restart() -> None:
    author = Author(KEY)
    clock = [NOW_NS, NOW_NS, NOW_NS - 5, NOW_NS + 10]
    numbers = [int.from_bytes(author.write("t", b"d", now).seqno) for now in clock]
    assert numbers == [NOW_NS, NOW_NS + 1, NOW_NS + 2, NOW_NS + 10]
    restarted = int.from_bytes(Author(KEY).write("t", b"d", NOW_NS + 1_000_000_000).seqno)
    assert restarted > max(numbers)
