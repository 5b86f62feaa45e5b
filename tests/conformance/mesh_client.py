"""The published ``@0x/mesh-rpc-client``, unmodified, in a Node.js process of its own.

    install(CLIENTS["9.4.2"])            npm ci from the committed lock, once a user
    async with open_client(installation, url) as client:
        await client.call("getStatsAsync")
        subscription = await client.subscribe()
        await client.orders(subscription)

``driver.js`` beside this file does what a user's program does and says what it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from fondaco.devnet.fetch import cache_folder

HERE = Path(__file__).parent

CLIENTS = {version: HERE / f"client-{version}" for version in ("6.0.1-beta", "9.4.2")}
"""Version of the client to the npm project that pins it and all it needs."""

CACHE = cache_folder() / "conformance"
"""Installed projects, by digest of their lock."""

INSTALL_SECONDS = 300
ANSWER_SECONDS = 60.0
"""Twice the client's own request timeout: its error must come before ours."""

BIG_FIELDS = (
    "makerAssetAmount",
    "takerAssetAmount",
    "makerFee",
    "takerFee",
    "expirationTimeSeconds",
    "salt",
)
"""What the client holds as BigNumber and the node spells as decimal text."""

NOTE_LIMIT = 2**26
"""Bytes a line. A page of all orders is one line."""


class ClientError(Exception):
    """The client threw. The text is the client's own."""


class BigNumber(int):
    """An integer that the client made a BigNumber of; plain numbers stay ``int``."""


def _program(name: str) -> str:
    """Return the path of *name* from the system, else from this environment."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}{os.pathsep}{beside}")
    assert found is not None, f"no {name} on this machine: `make parts` brings one"
    return found


def install(project: Path, cache: Path = CACHE) -> Path:
    """Return the directory where the packages of *project* are installed, installing once.

    What npm takes is fixed by the integrity hashes of the committed lock; scripts of
    packages do not run. The name of the directory is the digest of that lock, so a
    changed lock is another directory.
    """
    digest = hashlib.sha256()
    for name in ("package.json", "package-lock.json"):
        digest.update((project / name).read_bytes())
    target = cache / digest.hexdigest()[:32]
    cache.mkdir(parents=True, exist_ok=True)
    # Workers of one test run share the cache: the first installs, the others wait for it.
    with (cache / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            unfinished = cache / f"{target.name}.part"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(project / name, unfinished)
            npm = _program("npm")
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=unfinished,
                env={**os.environ, "PATH": f"{os.environ['PATH']}{os.pathsep}{Path(npm).parent}"},
                timeout=INSTALL_SECONDS,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"npm ci in {project.name} failed:\n{done.stderr}"
            unfinished.rename(target)
    return target


def as_user(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return *order* as a user of the client holds it: its numbers are BigNumbers."""
    return {name: {"big": value} if name in BIG_FIELDS else value for name, value in order.items()}


def as_wire(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return *order*, as the client gave it, in the node's spelling.

    Raises:
        AssertionError: a field that should be a BigNumber is none.
    """
    for name in BIG_FIELDS:
        assert isinstance(order[name], BigNumber), f"{name} is {order[name]!r}"
    return {name: str(value) if name in BIG_FIELDS else value for name, value in order.items()}


def _unmark(fields: dict[str, Any]) -> Any:
    match fields:
        case {"big": str(digits)}:
            return BigNumber(digits) if digits.isdigit() else float(digits)
        case {"undefined": True}:
            return None
        case {"nan": True}:
            return float("nan")
    return fields


class MeshClient:
    """One ``WSClient``. Made by ``open_client``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.seen: list[dict[str, Any]] = []
        """All observations that are no answers, in order."""

        self._process = process
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._taken = 0
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def connect(self, url: str, options: Mapping[str, object] | None = None) -> None:
        """Make the client. It connects on its own; its first call waits for that."""
        if options is None:
            await self._ask("connect", url=url)
        else:
            await self._ask("connect", url=url, options=options)

    async def call(self, method: str, *arguments: object) -> Any:
        """Return what the client's *method* resolves to.

        Raises:
            ClientError: it was rejected.
        """
        return await self._ask("call", method=method, args=arguments)

    async def subscribe(self) -> str:
        """Subscribe to orders; return the client's own name of the subscription."""
        subscription = await self._ask("subscribe")
        assert isinstance(subscription, str)
        return subscription

    async def destroy(self) -> None:
        """Call ``destroy()`` and wait for the clean close that it promises."""
        await self._ask("destroy")
        await self.wait_for({"event": "socket", "state": "closed", "code": 1000})

    async def orders(self, subscription: str) -> list[dict[str, Any]]:
        """Return the next list that the subscriber's callback got; each only once."""

        def ours(note: dict[str, Any]) -> bool:
            return note["event"] == "orders" and bool(note["subscription"] == subscription)

        note = await self._next(ours, after=self._taken, what="a call of the subscriber")
        self._taken = self.seen.index(note, self._taken) + 1
        orders = note["orders"]
        assert isinstance(orders, list)
        return orders

    async def order_events(self, subscription: str, count: int) -> list[dict[str, Any]]:
        """Return events until there are *count*, however the node grouped them."""
        events: list[dict[str, Any]] = []
        while len(events) < count:
            events += await self.orders(subscription)
        return events

    async def wait_for(self, expected: Mapping[str, object], *, after: int = 0) -> int:
        """Return once something like *expected* was seen: how much was seen by then.

        Args:
            after: what an earlier call returned; only what came later counts.
        """
        note = await self._next(
            lambda note: expected.items() <= note.items(), after=after, what=str(expected)
        )
        return self.seen.index(note, after) + 1

    async def end(self) -> None:
        """End the process by ending its commands."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                code = await self._process.wait()
                await self._reader
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise
        assert code == 0, f"the client's process ended with {code}"

    async def _ask(self, do: str, **fields: object) -> Any:
        self._next_id += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[self._next_id] = answer
        line = json.dumps({"id": self._next_id, "do": do, **fields})
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer

    async def _next(
        self, wanted: Callable[[dict[str, Any]], bool], *, after: int, what: str
    ) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((note for note in self.seen[after:] if wanted(note)), None)

        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._news:
                await self._news.wait_for(lambda: found() is not None)
        except TimeoutError:
            raise AssertionError(f"the client never saw {what}, only {self.seen}") from None
        note = found()
        assert note is not None
        return note

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            note = json.loads(line, object_hook=_unmark)
            if "event" in note:
                async with self._news:
                    self.seen.append(note)
                    self._news.notify_all()
            elif "error" in note:
                self._answers.pop(note["id"]).set_exception(ClientError(note["error"]))
            else:
                self._answers.pop(note["id"]).set_result(note["result"])
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ClientError("the client's process ended"))


@contextlib.asynccontextmanager
async def open_client(
    installation: Path, url: str, options: Mapping[str, object] | None = None
) -> AsyncIterator[MeshClient]:
    """Start the client of *installation* against the node at *url*, with its default options.

    Args:
        options: of ``WSClient``; they replace all its defaults, as the client has it.
    """
    process = await asyncio.create_subprocess_exec(
        _program("node"),
        str(HERE / "driver.js"),
        str(installation),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=NOTE_LIMIT,
    )
    client = MeshClient(process)
    try:
        await client.connect(url, options)
        yield client
    finally:
        await client.end()
