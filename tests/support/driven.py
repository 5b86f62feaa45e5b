"""A program in another language that a test drives: a command a line in, JSON a line out.

    {id, do, ...}  -->  {id, result} or {id, error}
                   <--  {event, ...} whenever it has seen something

The program ends when its commands do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

ANSWER_SECONDS = 60.0
"""How long a program may take for anything; only a failing test waits so long."""

NOTE_LIMIT = 2**26
"""Bytes a line. A page of all orders is one line."""


class ProgramError(Exception):
    """What was asked has failed in there. The text is the program's own."""


class Driven:
    """One running program. Made by ``driven``.

    Args:
        process: its standard input and output are pipes.
        read_object: makes something else of a JSON object.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        read_object: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self.seen: list[dict[str, Any]] = []
        """All observations that are no answers, in order."""

        self._process = process
        self._read_object = read_object
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def ask(self, do: str, **fields: object) -> Any:
        """Return what the program answers.

        Raises:
            ProgramError: it could not do it, or has ended.
        """
        self._next_id += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[self._next_id] = answer
        line = json.dumps({"id": self._next_id, "do": do, **fields})
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer

    async def next(
        self, wanted: Callable[[dict[str, Any]], bool], *, after: int = 0, what: str
    ) -> dict[str, Any]:
        """Return the first observation from the one with number *after* on that is *wanted*.

        Raises:
            AssertionError: it never came; *what* names it.
        """
        (note,) = await self.collect(wanted, 1, after=after, what=what)
        return note

    async def collect(
        self, wanted: Callable[[dict[str, Any]], bool], count: int, *, after: int = 0, what: str
    ) -> list[dict[str, Any]]:
        """Return the first *count* observations that are *wanted*; see ``next``."""

        def found() -> list[dict[str, Any]]:
            return [note for note in self.seen[after:] if wanted(note)]

        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._news:
                await self._news.wait_for(lambda: len(found()) >= count)
        except TimeoutError:
            raise AssertionError(
                f"of {what} only {len(found())} of {count} came; the last things seen are "
                f"{self.seen[-10:]}"
            ) from None
        return found()[:count]

    async def wait_for(self, expected: Mapping[str, object], *, after: int = 0) -> int:
        """Return once something like *expected* was seen: how much was seen by then.

        Args:
            after: what an earlier call returned; only what came later counts.
        """
        note = await self.next(
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
        assert code == 0, f"the program ended with {code}"

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            note = json.loads(line, object_hook=self._read_object)
            if "event" in note:
                async with self._news:
                    self.seen.append(note)
                    self._news.notify_all()
            elif "error" in note:
                self._answers.pop(note["id"]).set_exception(ProgramError(note["error"]))
            else:
                self._answers.pop(note["id"]).set_result(note["result"])
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ProgramError("the program ended"))


_Program = TypeVar("_Program", bound=Driven)


@contextlib.asynccontextmanager
async def driven(
    command: Sequence[str], kind: Callable[[asyncio.subprocess.Process], _Program]
) -> AsyncIterator[_Program]:
    """Start *command*, to be driven as *kind*, and end it afterwards."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=NOTE_LIMIT,
    )
    program = kind(process)
    try:
        yield program
    finally:
        await program.end()
