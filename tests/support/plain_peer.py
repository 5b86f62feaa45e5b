"""A peer written from docs/protocol-p2p.md and from nothing else: the page's second implementation.

It shares no code with the node: MessagePack, protobuf, Negentropy and hashing are done by hand,
as far as the page says they are needed. Where this peer and the node understand each other,
the page is enough to write one.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from coincurve import PrivateKey
from tiny_keccak import keccak256

# --- numbers -----------------------------------------------------------------------------


def low_first(number: int) -> bytes:
    """Return the varint of protobuf and of lengths: seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number % 128 + 128)
        number //= 128
    return bytes((*out, number))


def high_first(number: int) -> bytes:
    """Return the varint of Negentropy: seven bits a byte, the highest first."""
    out = [number % 128]
    while number := number // 128:
        out.insert(0, number % 128 + 128)
    return bytes(out)


# --- MessagePack -------------------------------------------------------------------------


def pack(value: object) -> bytes:
    """Return MessagePack of what requests consist of."""
    match value:
        case int() if value < 128:
            return bytes((value,))
        case int():
            return b"\xcf" + value.to_bytes(8, "big")
        case str():
            text = value.encode()
            return b"\xdb" + len(text).to_bytes(4, "big") + text
        case bytes():
            return b"\xc6" + len(value).to_bytes(4, "big") + value
        case dict():
            pairs = (pack(key) + pack(each) for key, each in value.items())
            return b"\xdf" + len(value).to_bytes(4, "big") + b"".join(pairs)
        case list() | tuple():
            return b"\xdd" + len(value).to_bytes(4, "big") + b"".join(map(pack, value))
    raise TypeError(type(value))


def unpack(raw: bytes) -> Any:
    """Return what MessagePack says."""
    value, at = _unpacked(raw, 0)
    assert at == len(raw)
    return value


def _unpacked(raw: bytes, at: int) -> tuple[Any, int]:
    code = raw[at]
    at += 1
    if code < 0x80:
        return code, at
    if 0xCC <= code <= 0xCF:
        end = at + 2 ** (code - 0xCC)
        return int.from_bytes(raw[at:end], "big"), end
    count, at = _count(raw, code, at)
    if 0x80 <= code <= 0x8F or code in {0xDE, 0xDF}:
        pairs, at = _many(raw, at, 2 * count)
        return dict(zip(pairs[::2], pairs[1::2], strict=True)), at
    if 0x90 <= code <= 0x9F or code in {0xDC, 0xDD}:
        return _many(raw, at, count)
    data = raw[at : at + count]
    assert len(data) == count
    return (data if 0xC4 <= code <= 0xC6 else data.decode()), at + count


def _count(raw: bytes, code: int, at: int) -> tuple[int, int]:
    if code < 0xA0:
        return code & 0x0F, at
    if code < 0xC0:
        return code & 0x1F, at
    size = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}.get(code) or (
        2 if code in {0xDC, 0xDE} else 4
    )
    assert code in {*range(0xC4, 0xC7), *range(0xD9, 0xE0)}
    return int.from_bytes(raw[at : at + size], "big"), at + size


def _many(raw: bytes, at: int, count: int) -> tuple[list[Any], int]:
    values = []
    for _ in range(count):
        value, at = _unpacked(raw, at)
        values.append(value)
    return values, at


# --- orders ------------------------------------------------------------------------------

# fmt: off
_WORDS = (
    "makerAddress", "takerAddress", "feeRecipientAddress", "senderAddress", "makerAssetAmount",
    "takerAssetAmount", "makerFee", "takerFee", "expirationTimeSeconds", "salt",
)
_DATA = ("makerAssetData", "takerAssetData")
_FEE_DATA = ("makerFeeAssetData", "takerFeeAssetData")
# fmt: on


def name_of(order: Mapping[str, Any]) -> bytes:
    """Return the hash of an order as JSON: EIP-712, as the page gives its types."""
    is_v3 = "chainId" in order
    data = (*_DATA, *_FEE_DATA) if is_v3 else _DATA
    members = [f"{'address' if 'Address' in one else 'uint256'} {one}" for one in _WORDS]
    members += [f"bytes {one}" for one in data]
    struct = keccak256(f"Order({','.join(members)})".encode())
    for one in _WORDS:
        text = order[one]
        number = int(text, 16) if text.startswith("0x") else int(text)
        struct += number.to_bytes(32, "big")
    struct += b"".join(keccak256(bytes.fromhex(order[one][2:])) for one in data)
    chain = "uint256 chainId," if is_v3 else ""
    kind = f"EIP712Domain(string name,string version,{chain}address verifyingContract)"
    domain = keccak256(kind.encode()) + keccak256(b"0x Protocol")
    domain += keccak256(b"3.0.0" if is_v3 else b"2")
    if is_v3:
        domain += order["chainId"].to_bytes(32, "big")
    domain += int(order["exchangeAddress"], 16).to_bytes(32, "big")
    return keccak256(b"\x19\x01" + keccak256(domain) + keccak256(struct))


# --- Negentropy, timestamp 0 everywhere --------------------------------------------------

Range = tuple[bytes | None, int, bytes]
"""Upper bound (None: infinity), mode, and the fingerprint or the ids in one piece."""

ID = 32


def fingerprint(ids: Iterable[bytes]) -> bytes:
    """Return the fingerprint of *ids*."""
    listed = list(ids)
    total = sum(int.from_bytes(one, "little") for one in listed) % 2**256
    return hashlib.sha256(total.to_bytes(32, "little") + high_first(len(listed))).digest()[:16]


def split(ids: Sequence[bytes], bound: bytes | None) -> list[Range]:
    """Return how to ask about *ids*, ascending, up to *bound*."""
    if len(ids) < 32:
        return [(bound, 2, b"")]
    size, more = divmod(len(ids), 16)
    ranges: list[Range] = []
    start = 0
    for bucket in range(16):
        stop = start + size + (bucket < more)
        cut = bound if bucket == 15 else _between(ids[stop - 1], ids[stop])
        ranges.append((cut, 1, fingerprint(ids[start:stop])))
        start = stop
    return ranges


def _between(below: bytes, above: bytes) -> bytes:
    size = next(place for place in range(ID) if below[place] != above[place]) + 1
    return above[:size]


def write_ranges(ranges: Iterable[Range]) -> bytes:
    """Return a message."""
    out = b"\x61"
    for bound, mode, payload in ranges:
        out += b"\x00\x00" if bound is None else b"\x01" + bytes((len(bound),)) + bound
        out += bytes((mode,)) + (high_first(len(payload) // ID) if mode == 2 else b"") + payload
    return out


def read_ranges(message: bytes) -> list[Range]:
    """Return what a message says."""
    assert message[0] == 0x61
    at, ranges = 1, []
    while at < len(message):
        assert message[at] in {0, 1}
        is_end, size = message[at] == 0, message[at + 1]
        bound = None if is_end else message[at + 2 : at + 2 + size]
        mode = message[at + 2 + size]
        at += 3 + size
        length = 16 if mode == 1 else 0
        if mode == 2:
            count = 0
            while message[at] > 127:
                count, at = count * 128 + message[at] - 128, at + 1
            length, at = (count * 128 + message[at]) * ID, at + 1
        ranges.append((bound, mode, message[at : at + length]))
        at += length
    assert at == len(message)
    return ranges


def differences(ids: Sequence[bytes], message: bytes) -> tuple[set[bytes], set[bytes], list[Range]]:
    """Return what an answer tells: ids only we have, ids only the peer has, what to ask next."""
    have: set[bytes] = set()
    need: set[bytes] = set()
    ask: list[Range] = []
    lower = 0
    settled: bytes | None = b""
    for bound, mode, payload in read_ranges(message):
        # What stands behind infinity says nothing that was not said.
        if settled is None:
            break
        upper = sum(bound is None or one < bound for one in ids)
        mine = ids[lower:upper]
        more: list[Range] = []
        if mode == 1 and payload != fingerprint(mine):
            more = split(mine, bound)
        elif mode == 2:
            theirs = {payload[at : at + ID] for at in range(0, len(payload), ID)}
            have |= set(mine) - theirs
            need |= theirs - set(ids)
        if more and settled and (not ask or ask[-1][0] != settled):
            ask.append((settled, 0, b""))
        ask += more
        lower, settled = upper, bound
    return have, need, ask


# --- a session ---------------------------------------------------------------------------

Ask = Callable[[bytes], Awaitable[bytes]]
"""Sends a payload to the peer on one protocol; returns the payload of the answer."""


class PlainPeer:
    """Compares with a node and fetches from it.

    Args:
        reconcile: asks on /fondaco/reconcile/1.
        orders: asks on /fondaco/orders/1.
    """

    def __init__(self, reconcile: Ask, orders: Ask) -> None:
        self._reconcile = reconcile
        self._orders = orders
        self.rounds = 0

    async def greet(self, chain: int, deployments: dict[int, bytes], filters: list[str]) -> Any:
        """Return the other side's terms."""
        return unpack(
            await self._reconcile(
                pack(
                    {
                        "type": "greet",
                        "chain": chain,
                        "deployments": deployments,
                        "filters": filters,
                    }
                )
            )
        )

    async def compare(
        self, header: dict[str, Any], ids: Iterable[bytes]
    ) -> tuple[set[bytes], set[bytes]]:
        """Return which ids only we hold and which only the node holds."""
        mine = sorted(ids)
        have: set[bytes] = set()
        need: set[bytes] = set()
        ask = split(mine, None)
        while ask:
            self.rounds += 1
            request = {"type": "compare", **header, "message": write_ranges(ask)}
            answer = unpack(await self._reconcile(pack(request)))
            assert answer["type"] == "compared"
            more_have, more_need, ask = differences(mine, answer["message"])
            have |= more_have
            need |= more_need
        return have, need

    async def offer(self, header: dict[str, Any], ids: Sequence[bytes]) -> list[bytes]:
        """Offer orders; return those that the node has refused before."""
        request = {"type": "offer", **header, "ids": b"".join(ids)}
        answer = unpack(await self._reconcile(pack(request)))
        assert answer["type"] == "taken"
        bits = int.from_bytes(answer["refused"], "little")
        return [one for place, one in enumerate(ids) if bits >> place & 1]

    async def fetch(self, ids: Iterable[bytes]) -> dict[bytes, dict[str, Any]]:
        """Return the orders behind *ids*, each under the hash worked out here."""
        found: dict[bytes, dict[str, Any]] = {}
        left = sorted(ids)
        while left:
            answer = unpack(await self._orders(pack({"ids": b"".join(left[:500])})))
            for line in zlib.decompress(answer["frame"]).split(b"\n"):
                if line:
                    order = json.loads(line)
                    found[name_of(order)] = order
            left = left[answer["handled"] :]
        return found


# --- gossip ------------------------------------------------------------------------------


def part(number: int, raw: bytes) -> bytes:
    """Return a protobuf field of bytes."""
    return bytes((number * 8 + 2,)) + low_first(len(raw)) + raw


def parts(raw: bytes) -> list[tuple[int, int | bytes]]:
    """Return the fields of a protobuf message."""
    at = 0
    found: list[tuple[int, int | bytes]] = []

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            at += 1
            value |= (raw[at - 1] & 127) << shift
            shift += 7
            if raw[at - 1] < 128:
                return value

    while at < len(raw):
        tag = number()
        if tag & 7 == 0:
            found.append((tag >> 3, number()))
        else:
            assert tag & 7 == 2
            size = number()
            found.append((tag >> 3, raw[at : at + size]))
            at += size
    return found


def peer_name(secret: bytes) -> bytes:
    """Return the raw peer ID of a private key."""
    public = PrivateKey(secret).public_key.format()
    return b"\x00\x25\x08\x02\x12\x21" + public


def signed_message(secret: bytes, topic: str, data: bytes, seqno: int) -> bytes:
    """Return a message: field 2 of an RPC, without its tag."""
    unsigned = part(1, peer_name(secret)) + part(2, data)
    unsigned += part(3, seqno.to_bytes(8, "big")) + part(4, topic.encode())
    signature = PrivateKey(secret).sign(b"libp2p-pubsub:" + unsigned)
    return unsigned + part(5, signature)


def subscribing(topic: str) -> bytes:
    """Return an RPC that joins a topic and its mesh, without the length before it."""
    graft = part(3, part(3, part(1, topic.encode())))
    return part(1, b"\x08\x01" + part(2, topic.encode())) + graft
