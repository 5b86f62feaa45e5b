"""The library made fit for strangers: each defect and its cure, applied by name.

Everything in here replaces something inside of libp2p 0.8.1 and of no other version: the
cures reach into its private parts. Where a subclass does, one is used instead: see
``yamux``, ``swarm`` and ``identify``.

    defect                                            cure
    an exception in a stream handler ends the process contained, the stream is reset
    streams without number, handlers that outlive
      their connection                                counted; ended with it
    250 inbound connections over a lifetime           swarm.py waits for the connection's end
    every dial waits for 250 ms                       a delay of 5 ms, and swarm.py dials itself
    window polling, window updates for every read,
      no cap, half-written frames                     yamux.py
    two processes may listen on one port              no SO_REUSEPORT
    IPv6 peers have no address, hence no limits       get_remote_address takes 4-tuples
    an exception in a connection's task ends the
      process                                         contained, the connection is closed
    after a silence TCP waits as long again           it looks every 3 s, where Linux can
    thirty locks a message, each a turn of all tasks  quick.py
    a line of multistream may have any length, and is
      taken in for as long as a handshake lasts       MAX_NEGOTIATION_LINE
"""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
from importlib.metadata import version
from typing import Any

import trio
from libp2p.exceptions import ParseError
from libp2p.identity.identify import identify
from libp2p.io.exceptions import IOException
from libp2p.io.trio import TrioTCPStream
from libp2p.network import swarm
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.stream.net_stream import NetStream
from libp2p.protocol_muxer.exceptions import MultiselectCommunicatorError
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.stream_muxer import muxer_multistream
from libp2p.stream_muxer.yamux import yamux as library_yamux
from libp2p.transport.tcp import tcp
from libp2p.utils.varint import read_varint_prefixed_bytes_limited

from fondaco.errors import NodeError
from fondaco.p2p import limits
from fondaco.p2p.host import quick, yamux

log = logging.getLogger(__name__)

VERSION = "0.8.1"
"""Of libp2p: the only one that the cures were written for and tested with."""

LONGEST_RETRANSMISSION = 3_000
"""Milliseconds between two attempts of TCP to get something across. It doubles them, so that
a network that was away for 15 s would be used again up to 15 s after its return; a ping
takes up to 25 to find a connection dead. More than any honest way there and back takes."""

TCP_RTO_MAX_MS = 44
"""Source: linux/tcp.h since Linux 6.15; Python has no name for it yet."""

_library_start = SwarmConn.start
_library_open = TrioTCPStream.__init__
_library_open_stream = NetStream.__init__


class UnknownLibrary(NodeError):
    """Another version of libp2p is installed. It may need other cures."""

    code = "UnknownLibrary"


def harden(*, agent: str, installed: str | None = None) -> None:
    """Apply every cure; once per process, before anything else of the library is used.

    Args:
        agent: how this software calls itself to peers.
        installed: the version found; None asks the installed package.

    Raises:
        UnknownLibrary: it is not VERSION.
    """
    found = version("libp2p") if installed is None else installed
    if found != VERSION:
        raise UnknownLibrary(f"libp2p {found} is installed; the cures are for {VERSION}")
    for owner, name, cure in (
        (swarm, "_HAPPY_EYEBALLS_DELAY", 0.005),
        (library_yamux, "MAX_WINDOW_SIZE", limits.MAX_WINDOW),
        (library_yamux, "YamuxStream", yamux.Stream),
        (muxer_multistream, "Yamux", yamux.Connection),
        (identify, "AGENT_VERSION", agent),
        (SwarmConn, "_handle_muxed_stream", _take_stream),
        (SwarmConn, "start", _contained_start),
        (MultiselectCommunicator, "read", _read_line),
        (TrioTCPStream, "__init__", _open_socket),
        (TrioTCPStream, "read", quick.read),
        (NetStream, "__init__", _open_stream),
        (TrioTCPStream, "get_remote_address", _remote_address),
        (tcp, "_set_reuse_flags", _reuse_address_only),
    ):
        # A name that is gone would make the cure a placebo.
        if not hasattr(owner, name):
            raise UnknownLibrary(f"libp2p has no {name} where the cures look for it")
        setattr(owner, name, cure)


async def _take_stream(connection: SwarmConn, muxed_stream: Any) -> None:
    """Leave a peer's new stream to our swarm, which counts and contains it."""
    await connection.swarm.take_stream(connection, muxed_stream)  # type: ignore[attr-defined]


async def _contained_start(connection: SwarmConn) -> None:
    try:
        await _library_start(connection)
    # Whatever escapes here would end the whole process.
    except Exception:
        log.warning("connection ended by an error", exc_info=True)
        await connection.close()
    finally:
        connection.event_started.set()


async def _read_line(communicator: MultiselectCommunicator) -> str:
    """Read a line of multistream.

    Raises:
        MultiselectCommunicatorError: it is none, or did not come.
    """
    try:
        line = await read_varint_prefixed_bytes_limited(
            communicator.read_writer, limits.MAX_NEGOTIATION_LINE
        )
        text = line.decode()
    except (ParseError, IOException, UnicodeDecodeError) as exc:
        raise MultiselectCommunicatorError(str(exc)) from exc
    if not text.endswith("\n"):
        raise MultiselectCommunicatorError("a line without its end")
    return text[:-1]


def _open_socket(stream: TrioTCPStream, below: trio.SocketStream) -> None:
    _library_open(stream, below)
    quick.quicken_socket(stream)
    retransmit_often(below.socket)


def _open_stream(stream: NetStream, *args: Any, **kwargs: Any) -> None:
    _library_open_stream(stream, *args, **kwargs)
    quick.quicken_stream(stream)


def retransmit_often(connection: socket.socket | trio.socket.SocketType) -> None:
    """Let a connection resume soon after the network was away."""
    # An older kernel refuses, and the peer is found again by pings and dialling.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, TCP_RTO_MAX_MS, LONGEST_RETRANSMISSION)


def _remote_address(stream: TrioTCPStream) -> tuple[str, int] | None:
    """Return host and port of the other end; also of an IPv6 one, and after it has gone."""
    if stream._cached_remote_address is None:
        try:
            host, port = stream.stream.socket.getpeername()[:2]
        except OSError:
            return None
        # An IPv4 peer of an IPv6 listener is still an IPv4 peer.
        stream._cached_remote_address = (host.removeprefix("::ffff:"), port)
    return stream._cached_remote_address


def _reuse_address_only(listener: trio.socket.SocketType) -> None:
    """Let a restarted node have its port at once, but never a port that is in use."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
