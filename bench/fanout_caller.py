"""A client that has nothing to do with the feed: how long does it wait for its answers?

    python -m bench.fanout_caller PORT SECONDS

A process of its own with a blocking socket, so that what it measures is the server and not
its own event loop. Calls ``mesh_getStats`` a hundred times a second over a WebSocket and
prints the waits, in milliseconds, as a JSON array.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from bench.fanout_readers import HANDSHAKE, masked_frame

CALL = masked_frame(b'{"id":1,"method":"mesh_getStats","params":[]}')
PAUSE = 0.01
"""Seconds between calls."""


def main() -> None:
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(HANDSHAKE)
        read_to(connection, b"\r\n\r\n")
        waits: list[float] = []
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            connection.sendall(CALL)
            read_to(connection, b"\n")
            waits.append((time.perf_counter() - start) * 1000)
            time.sleep(PAUSE)
    print(json.dumps(waits), flush=True)


def read_to(connection: socket.socket, mark: bytes) -> None:
    received = b""
    while not received.endswith(mark):
        received += connection.recv(65_536)


if __name__ == "__main__":
    main()
