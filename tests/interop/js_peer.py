"""js-libp2p in a Node.js process of its own: another implementation, unmodified.

    async with open_js(installation, folder) as js:
        host = await js.open("js", key="secp256k1")
        await host.dial(network.addresses[0])
        await host.publish("topic", [b"message"])
        await host.messages("topic", 1)

``js-peer/main.mjs`` beside this file drives the hosts; they are js-libp2p's own, with its own
defaults. What it says of orders is spoken by ``orders.mjs`` and ``negentropy.mjs`` there,
which were written from the description of the protocols and share no code with ours.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from support.driven import Driven, driven
from support.npm import program
from support.peers import PATIENCE

PROJECT = Path(__file__).parent / "js-peer"

KIND = "interop"
"""Where its packages are kept in the user's cache."""


class JsHost:
    """One js-libp2p host. Made by ``JsProcess.open``."""

    def __init__(self, process: Driven, name: str, about: Mapping[str, Any]) -> None:
        self._process = process
        self._name = name
        self.peer_id: str = about["peer"]
        self.addresses: Sequence[str] = about["addresses"]

    async def do(self, method: str, **fields: object) -> Any:
        """Call a method of ``host.mjs``.

        Raises:
            ProgramError: it threw.
        """
        return await self._process.ask(method, host=self._name, **fields)

    async def dial(self, address: str) -> None:
        assert await self.do("dial", address=address) == address.rpartition("/")[2]

    async def identified(self, peer_id: str) -> dict[str, Any]:
        """Return what the host has learned of *peer_id* by the identify protocol."""
        return await self._first("identified", peer=peer_id)

    async def left(self, peer_id: str) -> None:
        """Return when the host has noticed that the last connection to *peer_id* ended."""
        await self._first("left", peer=peer_id)

    async def subscribe(self, topic: str, verdict: str = "accept") -> None:
        """Subscribe, and judge every message the same."""
        await self.do("subscribe", topic=topic, verdict=verdict)

    async def sees_subscriber(self, topic: str, peer_id: str) -> None:
        """Return when the host knows that *peer_id* listens to *topic*."""
        async with asyncio.timeout(PATIENCE):
            while peer_id not in await self.do("subscribers", topic=topic):
                pass

    async def has_in_mesh(self, topic: str, peer_id: str) -> None:
        """Return when the host passes messages on to *peer_id*, not only its own."""
        async with asyncio.timeout(PATIENCE):
            while peer_id not in await self.do("meshOf", topic=topic):
                pass

    async def publish(self, topic: str, messages: Iterable[bytes]) -> list[int]:
        """Return to how many peers each message was sent."""
        texts = [base64.b64encode(one).decode() for one in messages]
        counts = await self.do("publish", topic=topic, messages=texts)
        assert isinstance(counts, list)
        return counts

    async def messages(self, topic: str, count: int) -> list[tuple[str, bytes]]:
        """Return author and content of the first *count* messages that came on *topic*."""
        notes = await self._process.collect(
            lambda note: self._is_ours(note, "message") and note["topic"] == topic,
            count,
            what=f"messages on {topic}",
        )
        return [(note["from"], base64.b64decode(note["data"])) for note in notes]

    async def message_with(self, topic: str, content: bytes) -> tuple[str, bytes]:
        """Return author and whole of the first message on *topic* that has *content* in it."""
        note = await self._process.next(
            lambda note: (
                self._is_ours(note, "message")
                and note["topic"] == topic
                and content in base64.b64decode(note["data"])
            ),
            what=f"a message on {topic} with {content!r}",
        )
        return note["from"], base64.b64decode(note["data"])

    def received(self, topic: str) -> list[bytes]:
        """Return the content of the messages that have come on *topic* by now."""
        return [
            base64.b64decode(note["data"])
            for note in self._process.seen
            if self._is_ours(note, "message") and note["topic"] == topic
        ]

    async def close(self) -> None:
        await self.do("close")

    async def _first(self, event: str, **expected: object) -> dict[str, Any]:
        return await self._process.next(
            lambda note: self._is_ours(note, event) and expected.items() <= note.items(),
            what=f"{event} {expected}",
        )

    def _is_ours(self, note: Mapping[str, Any], event: str) -> bool:
        return bool(note["host"] == self._name and note["event"] == event)


class JsProcess(Driven):
    """The process with the hosts. Made by ``open_js``."""

    async def open(self, name: str, key: str = "secp256k1") -> JsHost:
        """Return a new host that listens on loopback.

        Args:
            name: of no other host before; its identity follows from it.
            key: ``secp256k1`` or ``ed25519``.
        """
        secret = hashlib.sha256(f"{key} {name}".encode()).hexdigest()
        about = await self.ask("open", host=name, key=key, secret=secret)
        return JsHost(self, name, about)

    @contextlib.asynccontextmanager
    async def host(self, name: str, key: str = "secp256k1") -> AsyncIterator[JsHost]:
        """Open a host and close it afterwards."""
        host = await self.open(name, key)
        try:
            yield host
        finally:
            await host.close()


@contextlib.asynccontextmanager
async def open_js(installation: Path, folder: Path) -> AsyncIterator[JsProcess]:
    """Start the process, without any host.

    Args:
        installation: of ``PROJECT``, see ``support.npm.install``.
        folder: an empty one. Node.js looks for packages beside the importing file, so the
            programs are put beside the installed packages there.
    """
    for source in PROJECT.glob("*.mjs"):
        shutil.copy(source, folder)
    (folder / "node_modules").symlink_to(installation / "node_modules")
    async with driven((program("node"), str(folder / "main.mjs")), JsProcess) as js:
        yield js
