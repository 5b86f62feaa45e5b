"""What a chain says, as a test decides: outcomes of orders, words, blocks one by one.

``FakeAssessor`` stands for ``zeroex.assessor``, ``FakeReader`` for ``chain.reader`` below
it, ``FakeBlocks`` for ``chain.blocks``. For the chain behind a JSON-RPC endpoint see
``testing.ethereum``.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

import msgspec

from fondaco.chain.blocks import BlockBatch
from fondaco.chain.errors import Reverted
from fondaco.chain.headers import Header, HeaderChain, RetainedBlock
from fondaco.chain.logs import Log
from fondaco.chain.multiread import MultiRead, Read
from fondaco.testing.clock import SETTLE_ROUNDS
from fondaco.testing.ethereum import BLOCK_TIME, LogSeed
from fondaco.zeroex.assessor import NOT_ASKED, HashedOrder, MayAsk
from fondaco.zeroex.lifecycle import Outcome, Valid
from fondaco.zeroex.order import OrderHash

FIRST_TIMESTAMP = 1_578_052_800
"""Unix seconds of the first block of ``FakeBlocks``; where ``FakeClock`` begins too."""

_TRANSFER = bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")


def transfer(token: bytes, sender: bytes, receiver: bytes = bytes(20), amount: int = 1) -> LogSeed:
    """Return the log of an ERC20 transfer: it touches the orders of both parties."""
    return LogSeed(
        address=token,
        topics=(_TRANSFER, sender.rjust(32, b"\0"), receiver.rjust(32, b"\0")),
        data=amount.to_bytes(32, "big"),
    )


class Asked(msgspec.Struct, frozen=True):
    """One call of ``FakeAssessor.assess``."""

    hashes: tuple[OrderHash, ...]
    at: Header
    are_stored: bool


class FakeAssessor:
    """Says of each order what the test has set; valid with its whole amount otherwise.

    Attributes:
        outcomes: what to say, by order.
        alone: orders that need a question of their own.
        problem: raised instead of an answer.
        asked: every call so far.
        gate: calls wait here before they answer; set at first.
        waiting: how many do.
    """

    def __init__(self) -> None:
        self.outcomes: dict[OrderHash, Outcome] = {}
        self.alone: set[OrderHash] = set()
        self.problem: Exception | None = None
        self.asked: list[Asked] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0

    async def assess(
        self,
        orders: Sequence[HashedOrder],
        at: Header,
        *,
        are_stored: bool = False,
        may_ask: MayAsk | None = None,
    ) -> list[Outcome]:
        self.asked.append(Asked(tuple(name for name, _ in orders), at, are_stored))
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        if self.problem is not None:
            raise self.problem
        return [
            NOT_ASKED
            if name in self.alone and may_ask is not None and not may_ask()
            else self.outcomes.get(name, Valid(order.taker_asset_amount))
            for name, order in orders
        ]


class FakeReader:
    """Answers words and calls as the test has set (``assessor.ChainView``).

    Attributes:
        words: gives the words of a batched read.
        answers: what a call answers or raises, by target; in their absence it reverts.
        problem: raised instead of the words.
        calls: every call so far: target and data.
        most_at_once: how many calls were under way at the same time at most.
    """

    def __init__(self, words: Callable[[Sequence[Read]], MultiRead]) -> None:
        self.words = words
        self.answers: dict[bytes, bytes | Exception] = {}
        self.problem: Exception | None = None
        self.calls: list[tuple[bytes, bytes]] = []
        self.most_at_once = 0
        self._at_once = 0

    async def read(self, reads: Sequence[Read], at: Header) -> MultiRead:
        if self.problem is not None:
            raise self.problem
        return self.words(reads)

    async def call(self, target: bytes, data: bytes, at: Header) -> bytes:
        self.calls.append((target, data))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(0)
        finally:
            self._at_once -= 1
        answer = self.answers.get(target, Reverted(3, "execution reverted"))
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeBlocks:
    """Gives out the blocks a test makes, one batch for each action (``watcher.Blocks``).

    As with the real one, the head moves when a batch is fetched, which may be while the
    one before it is still being worked on.

    Attributes:
        on_refresh: what happens on the chain just before somebody has it looked at.
        refreshes: how often somebody did.
    """

    def __init__(self, *, retention: int = 20, timestamp: int = FIRST_TIMESTAMP) -> None:
        self._retention = retention
        self._chain = HeaderChain(retention)
        self._made: list[RetainedBlock] = []
        self._salt = 0
        self._batches: asyncio.Queue[Callable[[], BlockBatch]] = asyncio.Queue()
        self.on_refresh: Callable[[], object] | None = None
        self.refreshes = 0
        self._make((), timestamp)

    @property
    def head(self) -> Header | None:
        return self._chain.head

    @property
    def retained(self) -> tuple[RetainedBlock, ...]:
        return self._chain.blocks

    @property
    def tip(self) -> Header:
        """The newest block made, given out or not."""
        return self._made[-1].header

    async def start(self, retained: Sequence[RetainedBlock]) -> BlockBatch:
        """Catch up to the tip: everything made so far is one batch."""
        self._batches = asyncio.Queue()
        self._chain = HeaderChain(self._retention, retained)
        known = [block.header.hash for block in self._made]
        common = [block.header.hash for block in retained if block.header.hash in known]
        if not common:
            self._chain.reset(self._made[-1])
            return BlockBatch(gap_too_large=True)
        missing = self._made[known.index(common[-1]) + 1 :]
        if missing:
            return self._adopt(missing)
        return BlockBatch(events=self._chain.retreat_to(common[-1]))

    async def next_batch(self) -> BlockBatch:
        return (await self._batches.get())()

    async def refresh(self) -> None:
        self.refreshes += 1
        if self.on_refresh is not None:
            self.on_refresh()
        for _ in range(SETTLE_ROUNDS):
            await asyncio.sleep(0)  # the one who watches has his turn

    def mine(self, *logs: LogSeed, seconds: int = BLOCK_TIME) -> Header:
        """Add a block, *seconds* after the last one."""
        block = self._make(logs, self.tip.timestamp + seconds)
        self._batches.put_nowait(lambda: self._adopt([block]))
        return block.header

    def reorganise(self, depth: int, *blocks: Sequence[LogSeed], seconds: int = 1) -> Header:
        """Replace the last *depth* blocks by *blocks*, each *seconds* after its parent."""
        del self._made[len(self._made) - depth :]
        self._salt += 1
        branch = [self._make(logs, self.tip.timestamp + seconds) for logs in blocks]
        self._batches.put_nowait(lambda: self._adopt(branch))
        return self.tip

    def skip(self) -> Header:
        """Fall so far behind that the blocks in between are never seen."""
        block = self._make((), self.tip.timestamp + 200 * BLOCK_TIME)

        def jump() -> BlockBatch:
            self._chain.reset(block)
            return BlockBatch(gap_too_large=True)

        self._batches.put_nowait(jump)
        return block.header

    def _adopt(self, branch: Sequence[RetainedBlock]) -> BlockBatch:
        adopted = self._chain.adopt(branch)
        return BlockBatch(events=adopted.events, gap_too_large=adopted.is_detached)

    def _make(self, seeds: Sequence[LogSeed], timestamp: int) -> RetainedBlock:
        number = self.tip.number + 1 if self._made else 1
        parent_hash = self.tip.hash if self._made else bytes(32)
        block_hash = hashlib.sha256(
            b"%d %d %d %b" % (number, timestamp, self._salt, parent_hash)
        ).digest()
        block = RetainedBlock(
            header=Header(
                number=number, hash=block_hash, parent_hash=parent_hash, timestamp=timestamp
            ),
            logs=tuple([_log(seed, number, block_hash, place) for place, seed in enumerate(seeds)]),
        )
        self._made.append(block)
        return block


def _log(seed: LogSeed, number: int, block_hash: bytes, place: int) -> Log:
    return Log(
        address=seed.address,
        topics=seed.topics,
        data=seed.data,
        block_number=number,
        block_hash=block_hash,
        transaction_hash=hashlib.sha256(block_hash + place.to_bytes(4, "big")).digest(),
        transaction_index=place,
        log_index=place,
    )
