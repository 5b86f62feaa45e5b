"""Small requests that wait for the same thing are dealt with together.

    request --> a place is free? --> led by the first: all that wait now, in one piece of work
                     | no                 '--> each gets its own answer
                     '--> waits

While nothing else goes on a request goes alone and at once; the more there are, the more
share what a piece of work costs whatever is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class _Waiting(Generic[Request, Answer]):
    """A request, and what becomes of it."""

    def __init__(self, request: Request, size: int) -> None:
        self.request = request
        self.size = size
        self.answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        """None: whoever dealt with it is gone; it has to lead itself."""

    def tell(self, answer: Answer | None) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, problem: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(problem)


class Together(Generic[Request, Answer]):
    """Puts requests together.

    Args:
        places: as many pieces of work go on at once; others may take places as well.
        work: returns the answers of some requests, in sequence. What it raises is raised
            to all of them.
        most: size of the requests in one piece of work, together. A larger one goes alone.
    """

    def __init__(
        self,
        places: asyncio.Semaphore,
        work: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]],
        *,
        most: int,
    ) -> None:
        self._places = places
        self._work = work
        self._most = most
        self._waiting: dict[_Waiting[Request, Answer], None] = {}
        self._has_leader = False

    async def answer(self, request: Request, size: int) -> Answer:
        """Return what ``work`` has to say of *request*."""
        while True:
            mine: _Waiting[Request, Answer] = _Waiting(request, size)
            self._waiting[mine] = None
            leads = not self._has_leader
            self._has_leader = True
            try:
                if not leads and (answer := await mine.answer) is not None:
                    return answer
                if mine in self._waiting:
                    return await self._lead(mine)
            finally:
                if mine in self._waiting:
                    self._give_up(mine, leads=leads)

    async def _lead(self, mine: _Waiting[Request, Answer]) -> Answer:
        """Wait for a place, then deal with *mine* and with all that wait by then."""
        async with self._places:
            group = self._take(mine)
            self._pass_on()
            return await self._deal_with(group)

    def _take(self, mine: _Waiting[Request, Answer]) -> list[_Waiting[Request, Answer]]:
        del self._waiting[mine]
        group, size = [mine], mine.size
        for one in list(self._waiting):
            if size + one.size > self._most:
                break
            size += one.size
            group.append(one)
            del self._waiting[one]
        return group

    def _pass_on(self) -> None:
        """Let the first that still waits lead the next."""
        self._has_leader = bool(self._waiting)
        if self._waiting:
            next(iter(self._waiting)).tell(None)

    def _give_up(self, mine: _Waiting[Request, Answer], *, leads: bool) -> None:
        """Whoever made the request has gone, before any work began."""
        del self._waiting[mine]
        # Told to lead means done, with no answer.
        if leads or (mine.answer.done() and not mine.answer.cancelled()):
            self._pass_on()

    async def _deal_with(self, group: Sequence[_Waiting[Request, Answer]]) -> Answer:
        try:
            answers = await self._work([one.request for one in group])
        except asyncio.CancelledError:
            # Only the leader has given up.
            for one in group[1:]:
                one.tell(None)
            raise
        except Exception as problem:
            for one in group[1:]:
                one.fail(problem)
            raise
        for one, answer in zip(group[1:], answers[1:], strict=True):
            one.tell(answer)
        return answers[0]
