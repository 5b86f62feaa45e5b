"""The link between the two processes: frames of MessagePack behind a length of four bytes.

    main process                    socket pair                    p2p process
    Start, Subscribe, Publish, Verdict, Request, Answer, ...  -->
                   <--  Listening, Delivered, Response, Inbound, PeerJoined, Counters, ...

Both ends are ours, and still nothing is believed before it is checked: a child that was
taken over must not be able to do more than close the link. Peers are base58 text in here.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from fondaco.errors import NodeError
from fondaco.p2p import limits

HEADER_SIZE = 4
"""Bytes of the length, big endian."""


class BrokenLink(NodeError):
    """Bytes on the link that are no frame of it. The child has to be restarted."""

    code = "BrokenLink"


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and counts that tests shorten; the node runs with the defaults."""

    ping_interval: float = limits.PING_INTERVAL
    ping_timeout: float = limits.PING_TIMEOUT
    handshake_timeout: float = limits.HANDSHAKE_TIMEOUT
    handler_seconds: float = limits.HANDLER_SECONDS
    stream_idle: float = limits.STREAM_IDLE
    first_dial_backoff: float = limits.FIRST_DIAL_BACKOFF
    longest_dial_backoff: float = limits.LONGEST_DIAL_BACKOFF
    longest_wanted_backoff: float = limits.LONGEST_WANTED_BACKOFF
    direct_patience: float = limits.DIRECT_PATIENCE
    exchange_interval: float = limits.EXCHANGE_INTERVAL
    stats_interval: float = limits.STATS_INTERVAL
    frame_interval: float = limits.FRAME_INTERVAL
    max_connections: int = limits.MAX_CONNECTIONS
    wanted_connections: int = limits.WANTED_CONNECTIONS
    first_ban: float = limits.FIRST_BAN
    circuit_seconds: float = limits.CIRCUIT_SECONDS
    circuit_bytes: int = limits.CIRCUIT_BYTES
    upnp_lease: float = limits.UPNP_LEASE


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What is done, beyond listening, so that peers can reach each other."""

    relays: tuple[str, ...] = ()
    """Multiaddresses of the relays through which we want to be reached."""
    serves_relay: bool = False
    """Whether others may be reached through us."""
    mdns: bool = False
    """Whether peers are looked for on the local network."""
    upnp: bool = False
    """Whether the router is asked to let peers in."""


class KnownPeer(msgspec.Struct, frozen=True, kw_only=True):
    """Where a peer was reached, for after a restart. Opaque to whoever stores it."""

    peer: str
    addresses: tuple[str, ...]
    seen_at: int
    """Unix seconds of the last connection; 0 where another peer told of it."""


class _Frame(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of all frames; a frame's tag is the name of its class."""


# --- main process to child ------------------------------------------------------------


class Start(_Frame, frozen=True, tag=True, array_like=True):
    """The first frame. Nothing else is read before it."""

    private_key: str
    """Base64 of the libp2p private key."""
    agent: str
    host: str
    port: int
    verbosity: int
    log_json: bool
    seed: int
    """Of the child's generator: which peers it chooses, how much it waits."""
    deny: tuple[str, ...] = ()
    """Networks, such as ``192.0.2.0/24``, whose addresses are neither dialled nor accepted."""
    reach: Reach = Reach()
    tuning: Tuning = Tuning()

    def __repr__(self) -> str:
        return f"<Start of {self.agent} at {self.host}:{self.port}>"


class Subscribe(_Frame, frozen=True, tag=True, array_like=True):
    """Join a topic."""

    topic: str


class Unsubscribe(_Frame, frozen=True, tag=True, array_like=True):
    """Leave a topic."""

    topic: str


class Publish(_Frame, frozen=True, tag=True, array_like=True):
    """Send a message of ours; the child answers with Published when it wants the next."""

    topic: str
    data: bytes


class Judge(_Frame, frozen=True, tag=True, array_like=True):
    """What to do with a delivered message; *verdict* is the value of an errors.Verdict."""

    message_id: bytes
    verdict: str


class Request(_Frame, frozen=True, tag=True, array_like=True):
    """Ask a peer; answered by Response or Failure with the same number."""

    number: int
    peer: str
    protocol: str
    is_lines: bool
    payload: bytes
    timeout: float


class Cancel(_Frame, frozen=True, tag=True, array_like=True):
    """Nobody waits for a request any more."""

    number: int


class Serve(_Frame, frozen=True, tag=True, array_like=True):
    """Take requests of peers on a protocol."""

    protocol: str
    is_lines: bool


class Answer(_Frame, frozen=True, tag=True, array_like=True):
    """The answer to an Inbound; None closes the stream instead."""

    number: int
    payload: bytes | None
    is_offence: bool = False
    """Whether the request broke its protocol."""


class AddPeer(_Frame, frozen=True, tag=True, array_like=True):
    """Connect to a peer and keep it; answered by Response (empty) or Failure."""

    number: int
    peer: str
    addresses: tuple[str, ...]
    timeout: float


class Want(_Frame, frozen=True, tag=True, array_like=True):
    """Peers to stay connected to, and the bootstrap list: dialled for ever."""

    addresses: tuple[str, ...]
    """Multiaddresses that end in ``/p2p/<peer>``."""


class Remember(_Frame, frozen=True, tag=True, array_like=True):
    """Peers known from before."""

    peers: tuple[KnownPeer, ...]


class Meet(_Frame, frozen=True, tag=True, array_like=True):
    """The names under which we want to meet peers; those of before are forgotten."""

    names: tuple[str, ...]


class KeepBan(_Frame, frozen=True, tag=True, array_like=True):
    """A ban of before the restart goes on."""

    peer: str
    seconds: float


class Report(_Frame, frozen=True, tag=True, array_like=True):
    """A peer did something; *offence* is the value of a scores.Offence."""

    peer: str
    offence: str
    weight: float


class Reward(_Frame, frozen=True, tag=True, array_like=True):
    """A peer did something good."""

    peer: str


class Disconnect(_Frame, frozen=True, tag=True, array_like=True):
    """Close the connections to a peer."""

    peer: str


# --- child to main process ------------------------------------------------------------


class Listening(_Frame, frozen=True, tag=True, array_like=True):
    """The child is up, or can be reached elsewhere than before."""

    peer: str
    addresses: tuple[str, ...]


class CannotListen(_Frame, frozen=True, tag=True, array_like=True):
    """The address is taken or not ours; the child ends."""

    problem: str


class Published(_Frame, frozen=True, tag=True, array_like=True):
    """One Publish has been taken in; *peers* is how many it was queued for."""

    peers: int


class Delivered(_Frame, frozen=True, tag=True, array_like=True):
    """A message that waits for a verdict."""

    topic: str
    message_id: bytes
    peer: str
    """Who passed it on."""
    data: bytes


class Response(_Frame, frozen=True, tag=True, array_like=True):
    """What a peer answered."""

    number: int
    payload: bytes


class Failure(_Frame, frozen=True, tag=True, array_like=True):
    """Why there is no answer."""

    number: int
    problem: str


class Inbound(_Frame, frozen=True, tag=True, array_like=True):
    """A peer asks."""

    number: int
    peer: str
    protocol: str
    payload: bytes


class Forgotten(_Frame, frozen=True, tag=True, array_like=True):
    """Whoever asked has gone; the answer is not wanted any more."""

    number: int


class PeerState(_Frame, frozen=True, tag=True, array_like=True):
    """A peer has connected, or what is known of it has changed."""

    peer: str
    addresses: tuple[str, ...]
    direction: str
    """``inbound`` or ``outbound``: who dialled."""
    score: float
    topics: tuple[str, ...]
    agent: str
    protocols: tuple[str, ...]
    relay: str = ""
    """The relay between us; empty where there is none."""


class PeerGone(_Frame, frozen=True, tag=True, array_like=True):
    """The last connection to a peer has ended."""

    peer: str


class Banned(_Frame, frozen=True, tag=True, array_like=True):
    """A peer was disconnected and will be refused."""

    peer: str
    seconds: float


class Seen(_Frame, frozen=True, tag=True, array_like=True):
    """Peers worth remembering."""

    peers: tuple[KnownPeer, ...]


class Counters(_Frame, frozen=True, tag=True, array_like=True):
    """What the child has counted since it started, and how full it is."""

    values: dict[str, int]


# fmt: off
ToChild = (
    Start | Subscribe | Unsubscribe | Publish | Judge | Request | Cancel | Serve | Answer
    | AddPeer | Want | Remember | Meet | KeepBan | Report | Reward | Disconnect
)
ToMain = (
    Listening | CannotListen | Published | Delivered | Response | Failure | Inbound | Forgotten
    | PeerState | PeerGone | Banned | Seen | Counters
)
# fmt: on

_encoder = msgspec.msgpack.Encoder()
_Kind = TypeVar("_Kind")


def encode(frame: ToChild | ToMain) -> bytes:
    """Return *frame* with its length before it.

    Raises:
        ValueError: it is over MAX_LINK_FRAME; our own bug.
    """
    payload = _encoder.encode(frame)
    if len(payload) > limits.MAX_LINK_FRAME:
        raise ValueError(f"frame of {len(payload)} bytes")
    return len(payload).to_bytes(HEADER_SIZE, "big") + payload


class LinkDecoder(Generic[_Kind]):
    """Cuts the bytes of one direction into frames. Make one by ``in_child`` or ``in_main``."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[_Kind]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[_Kind]:
        """Take bytes as they arrive; return the frames they complete.

        Raises:
            BrokenLink: they are none. Frames before them, fed at once with them, are lost
                with the link.
        """
        buffer = self._buffer
        buffer += data
        frames: list[_Kind] = []
        at = 0
        while len(buffer) - at >= HEADER_SIZE:
            size = int.from_bytes(buffer[at : at + HEADER_SIZE], "big")
            if size > limits.MAX_LINK_FRAME:
                raise BrokenLink(f"frame of {size} bytes")
            end = at + HEADER_SIZE + size
            if len(buffer) < end:
                break
            try:
                frames.append(self._decoder.decode(memoryview(buffer)[at + HEADER_SIZE : end]))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
                raise BrokenLink(str(exc)) from None
            at = end
        del buffer[:at]
        return frames


def in_child() -> LinkDecoder[ToChild]:
    """Return the decoder of what the main process sends."""
    return LinkDecoder(msgspec.msgpack.Decoder(ToChild))


def in_main() -> LinkDecoder[ToMain]:
    """Return the decoder of what the child sends."""
    return LinkDecoder(msgspec.msgpack.Decoder(ToMain))
