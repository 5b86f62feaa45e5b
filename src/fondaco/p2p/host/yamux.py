"""Yamux of the library with its flow control mended.

The library polls for window updates every 10 ms and gives up after five seconds, sends an
update for every read, believes a peer that sends over its window, and spoils the encryption
of the connection when a write is cancelled half-way (reference: docs/decisions on p2p).
"""

from __future__ import annotations

import logging
import math
import struct

import trio
from libp2p.io.exceptions import ConnectionClosedError, IOException
from libp2p.network.connection.exceptions import RawConnError
from libp2p.stream_muxer.exceptions import MuxedStreamError, MuxedStreamReset
from libp2p.stream_muxer.yamux import yamux as library

from fondaco.p2p import limits
from fondaco.p2p.host.quick import Lock

log = logging.getLogger(__name__)

_DATA_HEADER = struct.Struct(library.YAMUX_HEADER_FORMAT)
_MAX_CHUNK = library.MAX_MESSAGE_SIZE - library.HEADER_SIZE


class Stream(library.YamuxStream):
    """A stream whose writers wait for an event instead of polling."""

    # Attributes of the library that its reader sets; as properties they wake the writer.
    _window = 0
    _is_closed = False
    _is_send_closed = False

    def __init__(self, stream_id: int, conn: library.Yamux, is_initiator: bool) -> None:
        self._writers = trio.lowlevel.ParkingLot()
        self._is_new = True
        super().__init__(stream_id, conn, is_initiator)
        self._is_new = False
        self.window_lock = Lock()  # type: ignore[assignment]

    @property
    def send_window(self) -> int:
        return self._window

    @send_window.setter
    def send_window(self, size: int) -> None:
        if size > self._window and not self._is_new and isinstance(self.conn, Connection):
            self.conn.heard_at = trio.current_time()
        # A window over 32 bits is an attack or a bug; it must not become a bigger number.
        self._window = min(size, 0xFFFF_FFFF)
        if size > 0:
            self._writers.unpark_all()

    @property
    def closed(self) -> bool:
        return self._is_closed

    @closed.setter
    def closed(self, is_closed: bool) -> None:
        self._is_closed = is_closed
        self._writers.unpark_all()

    @property
    def send_closed(self) -> bool:
        return self._is_send_closed

    @send_closed.setter
    def send_closed(self, is_closed: bool) -> None:
        self._is_send_closed = is_closed
        self._writers.unpark_all()

    async def write(self, data: bytes) -> None:
        """Send *data*, as fast as the peer reads. The caller sets the deadline.

        Raises:
            MuxedStreamReset, MuxedStreamError: the stream or its connection has ended.
        """
        sent = 0
        while sent < len(data):
            if self.reset_received:
                raise MuxedStreamReset("stream was reset")
            if self.closed or self.send_closed or self.conn.event_shutting_down.is_set():
                raise MuxedStreamError("stream is closed for sending")
            size = min(self.send_window, _MAX_CHUNK, len(data) - sent)
            if size <= 0:
                await self._writers.park()
                continue
            # No await between the check and this: two writers cannot take the same window.
            self.send_window -= size
            header = _DATA_HEADER.pack(0, library.TYPE_DATA, 0, self.stream_id, size)
            try:
                await self.conn._write_frame(header + data[sent : sent + size])
            except (RawConnError, IOException) as exc:
                raise MuxedStreamError(f"connection has ended: {exc}") from exc
            sent += size

    async def _auto_tune_and_send_window_update(self, *, bytes_read: int = 0) -> None:
        """Tell the peer of room only when half of the window has been read."""
        buffered = len(self.conn.stream_buffers.get(self.stream_id, b""))
        delta = self.target_recv_window - self.recv_window - buffered
        if delta < self.target_recv_window // 2 or self.closed or self.recv_closed:
            return
        self.recv_window += delta
        delta += self._apply_autotune_epoch(buffered)
        await self.send_window_update(delta)

    async def send_window_update(self, increment: int, skip_lock: bool = False) -> None:
        """Give the peer *increment* bytes more; a connection that has ended needs none."""
        header = _DATA_HEADER.pack(0, library.TYPE_WINDOW_UPDATE, 0, self.stream_id, increment)
        try:
            await self.conn._write_frame(header)
        except (RawConnError, ConnectionClosedError, IOException):
            log.debug("window update on a connection that has ended")


class _Buffer(bytearray):
    """What a stream has received and nobody has read; ends the connection over the window."""

    def __init__(self, connection: Connection, stream_id: int) -> None:
        super().__init__()
        self._connection = connection
        self._stream_id = stream_id

    def extend(self, data: bytes) -> None:  # type: ignore[override]
        super().extend(data)
        self._connection.check_flow(self._stream_id, len(self))


class _Buffers(dict[int, bytearray]):
    """The library's table of buffers, with ours put in for its own."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def __setitem__(self, stream_id: int, buffer: bytearray) -> None:
        super().__setitem__(stream_id, _Buffer(self._connection, stream_id))


class _Events(dict[int, trio.Event]):
    """The library's table of events; it would put those of ended streams back for ever."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def __setitem__(self, stream_id: int, event: trio.Event) -> None:
        if stream_id in self._connection.streams:
            super().__setitem__(stream_id, event)


class Connection(library.Yamux):
    """A connection that ends when its peer ignores flow control or stops reading."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.streams_lock = Lock()  # type: ignore[assignment]
        self._write_lock = Lock()  # type: ignore[assignment]
        self.stream_buffers = _Buffers(self)
        self.stream_events = _Events(self)
        self.violation = ""
        """Why it was ended for its peer's fault; empty while there is none."""
        self.heard_at = -math.inf
        """When data, or room for more, has come last (``trio.current_time``)."""

    def check_flow(self, stream_id: int, unread: int) -> None:
        """End the connection if more waits on a stream, or on all, than was allowed."""
        self.heard_at = trio.current_time()
        stream = self.streams.get(stream_id)
        window = limits.MAX_WINDOW if stream is None else stream.target_recv_window
        if unread > window + limits.WINDOW_SLACK:
            self._end(f"{unread} bytes unread on one stream")
        elif unread > limits.WINDOW_SLACK:
            total = sum(map(len, self.stream_buffers.values()))
            if total > limits.MAX_UNREAD_BYTES:
                self._end(f"{total} bytes unread")

    def _end(self, violation: str) -> None:
        self.violation = violation
        log.info("peer ignores flow control", extra={"peer": str(self.peer_id), "what": violation})
        # The library's reading loop ends on this flag, and handle_incoming cleans up.
        self.event_shutting_down.set()
        raise RawConnError(violation)

    async def start(self) -> None:
        try:
            await super().start()
        # Whatever escapes here would end the whole process.
        except Exception:
            log.warning("connection ended by an error", exc_info=True)
            await self._cleanup_on_error()
        finally:
            # Whoever opened it waits for this, also where it did not get that far.
            self.event_started.set()

    async def handle_incoming(self) -> None:
        await super().handle_incoming()
        if not self.event_closed.is_set():
            await self._cleanup_on_error()

    async def _write_frame(self, data: bytes) -> None:
        """Write a whole frame or end the connection; never a part of one.

        Raises:
            RawConnError: the connection has ended.
        """
        async with self._write_lock:
            if self.event_closed.is_set():
                raise RawConnError("connection is closed")
            deadline = trio.current_time() + limits.WRITE_PATIENCE
            with trio.CancelScope(deadline=deadline, shield=True) as scope:
                await self.secured_conn.write(data)
            if scope.cancelled_caught:
                self.event_shutting_down.set()
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                    await self.secured_conn.close()
                raise RawConnError("peer does not read")
        await trio.lowlevel.checkpoint_if_cancelled()  # the shield is gone
