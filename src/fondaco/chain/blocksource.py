"""Headers and logs of an endpoint, checked for being what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from fondaco.chain import providers, wire
from fondaco.chain.errors import BlockGone, EndpointError, EndpointUnavailable, MalformedAnswer
from fondaco.chain.headers import Header, RetainedBlock, decode_header, halves, sub_block_ranges
from fondaco.chain.limits import (
    BLOCK_REQUEST_TIMEOUT,
    LOG_RANGE_CONCURRENCY,
    LOG_RANGE_SIZE,
    REQUEST_TIMEOUT,
)
from fondaco.chain.logs import Log, decode_logs
from fondaco.chain.parallel import in_parallel
from fondaco.chain.providers import Trouble


class Caller(Protocol):
    """What this module asks of a client; ``rpc.EthereumClient`` satisfies it."""

    async def call_raw(
        self,
        method: str,
        params: Sequence[object] = (),
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> msgspec.Raw:
        """Raises: EndpointError, EndpointUnavailable."""


class LogsInRange(msgspec.Struct, frozen=True, kw_only=True):
    """The logs of a range of blocks, as far as they could be had."""

    logs: tuple[Log, ...]
    furthest: int
    """Number of the last block whose logs are here; first - 1 where none is."""
    failure: EndpointError | EndpointUnavailable | None
    """Why it ends before the range does; None where it does not."""


class BlockSource:
    """Asks an endpoint for blocks.

    Args:
        topics: first topics of the logs wanted; any of them.
    """

    def __init__(self, client: Caller, topics: Sequence[bytes]) -> None:
        self._client = client
        self._topics = [[wire.encode_data(topic) for topic in topics]]

    async def latest(self) -> Header:
        """Return the newest header. Raises: EndpointError, EndpointUnavailable."""
        header = await self._header("eth_getBlockByNumber", "latest")
        if header is None:
            raise MalformedAnswer("the endpoint has no latest block")
        return header

    async def by_number(self, number: int) -> Header:
        """Return the header with *number* on the endpoint's chain.

        Raises:
            BlockGone: there is none (yet).
            EndpointError, EndpointUnavailable: it could not be asked.
        """
        header = await self._header("eth_getBlockByNumber", wire.encode_quantity(number))
        if header is None:
            raise BlockGone(f"block {number} not found")
        if header.number != number:
            raise MalformedAnswer(f"block {header.number} came for block {number}")
        return header

    async def by_hash(self, block_hash: bytes) -> Header:
        """Return the header with that hash, whether or not it is on the chain.

        Raises:
            BlockGone: the endpoint does not know it.
            EndpointError, EndpointUnavailable: it could not be asked.
        """
        text = wire.encode_data(block_hash)
        header = await self._header("eth_getBlockByHash", text)
        if header is None:
            raise BlockGone(f"block {text} not found")
        if header.hash != block_hash:
            raise MalformedAnswer(f"another block came for block {text}")
        return header

    async def with_logs(self, header: Header) -> RetainedBlock:
        """Return the block of *header* with its logs.

        Raises:
            EndpointError, EndpointUnavailable: also when the block is unknown.
        """
        query = {"blockHash": wire.encode_data(header.hash), "topics": self._topics}
        raw = await self._client.call_raw("eth_getLogs", [query], timeout=BLOCK_REQUEST_TIMEOUT)
        logs = decode_logs(raw)
        for log in logs:
            if log.block_hash != header.hash or log.block_number != header.number:
                raise MalformedAnswer("logs came with those of another block")
        return RetainedBlock(header=header, logs=tuple(logs))

    async def logs_between(self, first: int, last: int) -> LogsInRange:
        """Return the logs of the blocks *first* to *last*, both included.

        Asked for in ranges, three at once; what lies behind a failed range is dropped,
        so that the result has no hole. Never raises an endpoint's failure.
        """
        ranges = sub_block_ranges(first, last, LOG_RANGE_SIZE)
        logs: list[Log] = []
        furthest = first - 1
        # Waves rather than a moving window: after a failure not one more is asked.
        for start in range(0, len(ranges), LOG_RANGE_CONCURRENCY):
            wave = ranges[start : start + LOG_RANGE_CONCURRENCY]
            for (_, end), outcome in zip(
                wave,
                await in_parallel(self._try_range, wave, limit=LOG_RANGE_CONCURRENCY),
                strict=True,
            ):
                if isinstance(outcome, EndpointError | EndpointUnavailable):
                    return LogsInRange(logs=tuple(logs), furthest=furthest, failure=outcome)
                logs += outcome
                furthest = end
        return LogsInRange(logs=tuple(logs), furthest=furthest, failure=None)

    async def _try_range(
        self, bounds: tuple[int, int]
    ) -> list[Log] | EndpointError | EndpointUnavailable:
        try:
            return await self.logs_in_range(*bounds)
        except (EndpointError, EndpointUnavailable) as exc:
            return exc

    async def logs_in_range(self, first: int, last: int) -> list[Log]:
        """Return the logs of a range, halving it as long as the endpoint finds it too big.

        Raises:
            EndpointError, EndpointUnavailable: another failure, or one block is too big.
        """
        query = {
            "fromBlock": wire.encode_quantity(first),
            "toBlock": wire.encode_quantity(last),
            "topics": self._topics,
        }
        try:
            raw = await self._client.call_raw("eth_getLogs", [query], timeout=REQUEST_TIMEOUT)
        except (EndpointError, EndpointUnavailable) as exc:
            if first == last or providers.classify(exc) is not Trouble.TOO_MANY_RESULTS:
                raise
            lower, upper = halves(first, last)
            return [*await self.logs_in_range(*lower), *await self.logs_in_range(*upper)]
        logs = decode_logs(raw)
        for log in logs:
            if not first <= log.block_number <= last:
                raise MalformedAnswer("logs came from outside the range asked for")
        return logs

    async def _header(self, method: str, which: str) -> Header | None:
        raw = await self._client.call_raw(method, [which, False], timeout=BLOCK_REQUEST_TIMEOUT)
        return decode_header(raw)
