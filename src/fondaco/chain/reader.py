"""Contract state at a given block: many words at once, or one call.

    reads --> chunks that fit --> eth_call --> words
                 ^                  |  |
                 |  too large, gas  |  | busy, rate limit, block unknown
                 '---- ask less ----'  '---- wait, ask again (4 times) --> give up

Every answer is pinned by block hash (EIP-1898), so that what is read belongs to the
block that the watcher has shown, or is refused. What the endpoint can do is found out
by reading a known word in each form, best first, the first time something is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from fondaco.chain import multiread, providers, wire
from fondaco.chain.errors import (
    BlockGone,
    BudgetExhausted,
    EndpointError,
    EndpointUnavailable,
    MalformedAnswer,
    Reverted,
)
from fondaco.chain.headers import Header
from fondaco.chain.limits import (
    BLOCK_GONE_RETRIES,
    CALL_GAS,
    CALL_RETRY_DELAYS,
    CONCURRENT_CALLS,
    MAX_DEPLOYLESS_READS,
    MAX_INIT_CODE_SIZE,
    MAX_OVERRIDE_READS,
)
from fondaco.chain.multiread import MultiRead, Read
from fondaco.chain.parallel import in_parallel
from fondaco.chain.providers import Trouble
from fondaco.clock import Clock

__all__ = ["BlockGone", "ChainReader", "MultiRead", "Read", "Reverted"]

DEFAULT_CONTENT_LENGTH = 524_288
"""Bytes of a request's body that endpoints take (ETHEREUM_RPC_MAX_CONTENT_LENGTH)."""

REQUEST_OVERHEAD = 1_024
"""Bytes of a request beside the hex of its reads: method, block, program, gas."""

LONGEST_WAIT = 4.0
"""Seconds. An endpoint that wants more patience is given up (0x-mesh, section 3.6)."""

_TOO_MUCH = frozenset({Trouble.REQUEST_TOO_LARGE, Trouble.TOO_MANY_RESULTS, Trouble.REVERTED})
"""What a smaller batch may cure. The program itself never reverts: only gas can end it."""

_PROBE = Read(target=bytes(19) + b"\x04", data=b"fondaco reads the chain in bulk.")
"""The identity precompile, on every EVM, answers with what it is given: one word."""

Result = TypeVar("Result")

_text_decoder = msgspec.json.Decoder(str)


class Caller(Protocol):
    """What this module asks of a client; ``rpc.EthereumClient`` satisfies it."""

    async def call_raw(self, method: str, params: Sequence[object] = ()) -> msgspec.Raw:
        """Raises: EndpointError, EndpointUnavailable."""


class Form(NamedTuple):
    """One way to put a batch of reads to an endpoint."""

    encode: Callable[[Sequence[Read]], tuple[dict[str, str], Any]]
    is_pinned_by_hash: bool
    max_reads: int
    max_size: int
    """Bytes of encoded reads."""


_ENDLESS = 1 << 62
_DEPLOYLESS_ROOM = MAX_INIT_CODE_SIZE - multiread.PROGRAM_SIZE
FORMS = (
    Form(multiread.encode_override, True, MAX_OVERRIDE_READS, _ENDLESS),
    Form(multiread.encode_override, False, MAX_OVERRIDE_READS, _ENDLESS),
    Form(multiread.encode_deployless, True, MAX_DEPLOYLESS_READS, _DEPLOYLESS_ROOM),
    Form(multiread.encode_deployless, False, MAX_DEPLOYLESS_READS, _DEPLOYLESS_ROOM),
)
"""From best to most widely understood."""


class ChainReader:
    """Reads contract state through one endpoint; safe for concurrent use.

    Args:
        client: asks the endpoint.
        clock: for the pauses between tries.
        max_content_length: bytes a request's body may have.
    """

    def __init__(
        self, client: Caller, clock: Clock, *, max_content_length: int = DEFAULT_CONTENT_LENGTH
    ) -> None:
        self._client = client
        self._clock = clock
        self._room = (max_content_length - REQUEST_OVERHEAD) // 2 - multiread.PROGRAM_SIZE
        self._form: Form | None = None
        self._probing = asyncio.Lock()

    async def read(self, reads: Sequence[Read], at: Header) -> MultiRead:
        """Return the words that *reads* give at the block *at*.

        A read that fails, loops or does not answer with one word counts as 0.

        Raises:
            BlockGone: the endpoint does not know the block.
            EndpointUnavailable: it could not be asked, after several tries.
        """
        if not reads:
            return MultiRead(block_number=at.number, timestamp=at.timestamp, words=[])
        form = await self._known_form(at)
        chunks = list(self._chunks(reads, form))
        try:
            answers = await in_parallel(
                lambda chunk: self._read_chunk(chunk, at, form), chunks, limit=CONCURRENT_CALLS
            )
        except (EndpointError, MalformedAnswer) as exc:
            # Perhaps another machine answers now, which can do less: find out anew.
            self._form = None
            raise EndpointUnavailable(str(exc)) from exc
        return MultiRead(
            block_number=answers[0].block_number,
            timestamp=at.timestamp,
            words=[word for answer in answers for word in answer.words],
        )

    async def call(
        self, target: bytes, data: bytes, at: Header, *, sender: bytes = multiread.CALLER
    ) -> bytes:
        """Return what the contract *target* answers to the calldata *data* at *at*.

        Nothing, where no contract is there.

        Raises:
            Reverted: the call ran and failed; the bytes it gave are in ``output``.
            BlockGone: the endpoint does not know the block.
            EndpointUnavailable: it could not be asked, after several tries.
        """
        form = await self._known_form(at)
        transaction = {
            "from": wire.encode_data(sender),
            "to": wire.encode_data(target),
            "gas": hex(CALL_GAS),
            "data": wire.encode_data(data),
        }
        try:
            return await self._patiently([transaction, _block(at, form)], _hex_result)
        except EndpointError as exc:
            if providers.classify(exc) is Trouble.REVERTED:
                raise Reverted(
                    exc.rpc_code, exc.message, exc.data, output=providers.revert_data(exc)
                ) from exc
            raise EndpointUnavailable(str(exc)) from exc

    def _chunks(self, reads: Sequence[Read], form: Form) -> Iterator[Sequence[Read]]:
        """Cut *reads* so that each chunk fits into a request and its answer."""
        room = min(self._room, form.max_size)
        start = size = 0
        for place, read in enumerate(reads):
            cost = multiread.READ_OVERHEAD + len(read.data)
            if place > start and (size + cost > room or place - start == form.max_reads):
                yield reads[start:place]
                start, size = place, 0
            size += cost
        if start < len(reads):
            yield reads[start:]

    async def _read_chunk(self, reads: Sequence[Read], at: Header, form: Form) -> MultiRead:
        """Return the words of *reads*, asked for in as many calls as it takes."""
        words: list[int] = []
        size = len(reads)
        while True:
            part = reads[len(words) : len(words) + size]
            try:
                answer = await self._ask(part, at, form)
            except (EndpointError, EndpointUnavailable) as exc:
                if len(part) == 1 or providers.classify(exc) not in _TOO_MUCH:
                    raise
                size = len(part) // 2
                continue
            if not answer.words:
                raise EndpointUnavailable("the endpoint gives eth_call too little gas")
            words += answer.words
            if len(words) == len(reads):
                return msgspec.structs.replace(answer, words=words)

    async def _ask(self, reads: Sequence[Read], at: Header, form: Form) -> MultiRead:
        transaction, override = form.encode(reads)
        params: list[object] = [transaction, _block(at, form)]
        if override is not None:
            params.append(override)

        def decode(raw: msgspec.Raw) -> MultiRead:
            answer = multiread.decode(_hex_result(raw), len(reads))
            if answer.timestamp == at.timestamp:
                return answer
            if form.is_pinned_by_hash:
                raise MalformedAnswer("the endpoint answered for another block")
            raise BlockGone("the block with that number is another one now")

        return await self._patiently(params, decode)

    async def _known_form(self, at: Header) -> Form:
        """Return the best form the endpoint understands."""
        async with self._probing:
            problem = "it understands no form of it"
            for form in FORMS if self._form is None else ():
                try:
                    answer = await self._ask([_PROBE], at, form)
                except (EndpointError, MalformedAnswer) as exc:
                    if providers.classify(exc) is Trouble.RATE_LIMITED:
                        raise EndpointUnavailable(str(exc)) from exc
                    problem = str(exc)
                    continue
                except BlockGone as exc:
                    if form.is_pinned_by_hash:
                        raise
                    problem = str(exc)  # or the program was not run at all
                    continue
                if answer.words == [int.from_bytes(_PROBE.data, "big")]:
                    self._form = form
                    break
            if self._form is None:
                raise EndpointUnavailable(f"the endpoint cannot read in bulk: {problem}")
            return self._form

    async def _patiently(
        self, params: Sequence[object], decode: Callable[[msgspec.Raw], Result]
    ) -> Result:
        """Make an ``eth_call``; try again while the failure is a passing one.

        Raises:
            EndpointError, EndpointUnavailable: the last failure.
            MalformedAnswer: by *decode*; a well-formed answer to another question.
            BlockGone: the block stayed unknown.
        """
        attempt = 0
        while True:
            try:
                raw = await self._client.call_raw("eth_call", params)
            except BudgetExhausted:
                raise  # it has waited long enough for its turn
            except (EndpointError, EndpointUnavailable) as exc:
                await self._pause_or_raise(exc, attempt)
            else:
                return decode(raw)
            attempt += 1

    async def _pause_or_raise(
        self, failure: EndpointError | EndpointUnavailable, attempt: int
    ) -> None:
        """Wait before the next try; raise *failure* where there shall be none."""
        trouble = providers.classify(failure)
        if trouble is Trouble.BLOCK_UNKNOWN and attempt >= BLOCK_GONE_RETRIES:
            raise BlockGone(str(failure)) from failure
        retry_after = failure.retry_after if isinstance(failure, EndpointUnavailable) else None
        is_last = attempt == len(CALL_RETRY_DELAYS) or (retry_after or 0.0) > LONGEST_WAIT
        if isinstance(failure, MalformedAnswer) and is_last:
            # Not JSON-RPC at all: nothing a different form of the question would cure.
            raise EndpointUnavailable(str(failure)) from failure
        if is_last or trouble not in providers.TRANSIENT:
            raise failure
        await self._clock.sleep(max(CALL_RETRY_DELAYS[attempt], retry_after or 0.0))


def _block(at: Header, form: Form) -> object:
    if form.is_pinned_by_hash:
        return {"blockHash": wire.encode_data(at.hash)}
    return wire.encode_quantity(at.number)


def _hex_result(raw: msgspec.Raw) -> bytes:
    try:
        return wire.data(_text_decoder.decode(raw), "the answer of eth_call")
    except msgspec.MsgspecError as exc:
        raise MalformedAnswer("the answer of eth_call is not text") from exc
