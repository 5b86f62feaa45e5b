"""The limits of this floor in one table: what one client may take from the others."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit a client can run into. The defaults are what a node runs with."""

    message_bytes: int = 5 * MIB
    """Bytes of one WebSocket message or HTTP body (0x Mesh, from go-ethereum). Longer: the
    connection is closed with 1009, or HTTP 413."""

    batch_calls: int = 1_000
    """Calls of one batch. They run one after the other, so a longer one would hold its
    place for minutes; ten thousand orders fit into one ``mesh_addOrders`` call."""

    batch_answer_bytes: int = 32 * MIB
    """Bytes of the answers to one batch, kept until the last is there. The calls after the
    one that reaches it are refused, not run."""

    calls_per_connection: int = 32
    """Messages of one connection worked on at once. The next is not read until one of them
    is answered; TCP then slows the client down."""

    calls_at_once: int = 1_024
    """Messages worked on at once, all connections together. A client that disconnects
    leaves its calls running, so the limit per connection alone would bound nothing."""

    connections: int = 4_096
    """TCP connections per listener. The next one is answered 503. A thousand subscribers
    with their other calls need a quarter of it; each costs about 30 KB."""

    subscriptions_per_connection: int = 64
    """Real clients hold two, three after a reconnect that raced."""

    write_seconds: float = 10.0
    """A client must take what is sent within this time (0x Mesh). One that does not is cut
    off, and nobody else notices."""

    body_seconds: float = 30.0
    """For an HTTP body to arrive, however slowly it trickles. Five megabytes in that time
    is a line of 1.4 Mbit/s."""

    idle_seconds: float = 75.0
    """An HTTP connection may stay without a complete request header; slow headers end here.
    A little over the 60 s that proxies and browsers keep idle connections for."""

    start_wait_seconds: float = 60.0
    """Calls made while the node is starting wait at most this long. A start that needs
    longer (no chain endpoint, say) is answered with an error that says so."""

    close_seconds: float = 3.0
    """For clients to answer our close frame, and calls to end, when the server stops."""

    write_buffer_bytes: int = 64 * 1024
    """Bytes waiting in a connection's buffer before it counts as not reading. With
    ``frame_bytes`` it bounds what a thousand stalled readers cost: 128 MB."""

    frame_bytes: int = 64 * 1024
    """Payload of one WebSocket frame; a longer message is fragmented, with a pause after
    each frame until the client has read. Clients of the original refuse frames over 1 MiB
    (and messages over 8 MiB): go-ethereum fragments too."""

    notification_bytes: int = 4 * MIB
    """Bytes of events in one notification, half of what those clients take. A larger batch
    of events becomes several notifications."""

    ring_rows: int = 20_000
    """Events kept in memory for subscribers that are a little behind; further back the log
    is read. About two blocks that touch ten thousand orders each."""

    ring_bytes: int = 32 * MIB
    """Bytes of those events, encoded; once for all subscribers."""

    page_rows: int = 500
    """Events read from the log at a time for one subscriber that is catching up."""

    deliveries_per_turn: int = 64
    """Notifications written before other clients get their turn; about a millisecond."""


DEFAULT_LIMITS = Limits()
"""What a node runs with."""
