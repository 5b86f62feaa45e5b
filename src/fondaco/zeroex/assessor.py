"""Ask the chain what can become of orders: one batched read, and few single questions.

    orders --> plan the words --> ONE read at one block --> amounts in Python --> Outcome
                                        |
               exotic assets  ----------+--> DevUtils, one order a call
               contract signatures -----'--> Exchange, one order a call

An order that makes a call fail is alone in that call, so it harms only itself. Who the
words alone refuse (filled, cancelled, expired, unfunded) costs no call at all.
Used both for orders that arrive and for orders that are looked at again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from fondaco.chain.contracts import ChainContracts
from fondaco.chain.errors import AbiError, Reverted
from fondaco.chain.headers import Header
from fondaco.chain.multiread import MultiRead, Read
from fondaco.errors import Unavailable
from fondaco.zeroex import dev_utils, signatures
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.fillable import OrderState, compute, plan
from fondaco.zeroex.lifecycle import ContractState, Outcome, Rejected, Valid, outcome_of
from fondaco.zeroex.order import OrderHash, ProtocolVersion, SignedOrder

SINGLE_CALLS_IN_FLIGHT = 5
"""Calls for one order each that may be under way at once (0x Mesh asked with the same
concurrency). Strangers can send orders that need such a call; this is how fast they
may make us ask."""

ORDERS_PER_READ = 2_000
"""Orders in one batched read: about 4,100 words, 460 KB of request, 16 million gas,
inside the usual limit of 512 KiB a request."""

NOT_ASKED = Rejected(
    RejectionCode.ETH_RPC_REQUEST_FAILED,
    "too many orders of other nodes need a request of their own; this one was not made, "
    "try again later",
)
"""What becomes of an order that ``may_ask`` did not allow."""

INLINE_LIMIT = 64
"""Orders up to which planning and arithmetic stay on the event loop (under 1 ms)."""

log = logging.getLogger(__name__)

MayAsk = Callable[[], bool]
"""Says whether one more order may be asked about alone, and counts it."""

HashedOrder = tuple[OrderHash, SignedOrder]


class ChainView(Protocol):
    """What this module asks of the chain. ``chain.reader.ChainReader`` satisfies it."""

    async def read(self, reads: Sequence[Read], at: Header) -> MultiRead:
        """Raises: Unavailable."""

    async def call(self, target: bytes, data: bytes, at: Header) -> bytes:
        """Raises: Reverted, Unavailable."""


class Assessor:
    """Turns orders into outcomes at a block."""

    def __init__(
        self,
        chain: ChainView,
        contracts: ChainContracts,
        *,
        zrx_asset_data: bytes,
        accept_partially_funded: bool,
    ) -> None:
        self._chain = chain
        self._contracts = contracts
        self._zrx_asset_data = zrx_asset_data
        self._accept_partially_funded = accept_partially_funded
        self._single_calls = asyncio.Semaphore(SINGLE_CALLS_IN_FLIGHT)

    async def assess(
        self,
        orders: Sequence[HashedOrder],
        at: Header,
        *,
        are_stored: bool = False,
        may_ask: MayAsk | None = None,
    ) -> list[Outcome]:
        """Return the outcome of each order at block *at*, in their sequence.

        An order whose own question could not be asked, or got no answer, is
        ``EthRPCRequestFailed``.

        Args:
            orders: their signatures are of good form, and recovered where that tells.
            at: the block.
            are_stored: their signatures were accepted before. The v2 Exchange judges one
                at the first fill only: what it is later makes no difference any more.
            may_ask: asked before each order's own question; None: always.

        Raises:
            Unavailable: the batched read could not be made; no outcome is known.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(orders), ORDERS_PER_READ):
            part = orders[start : start + ORDERS_PER_READ]
            states = await self._read(part, at)
            outcomes += await self._judge(part, states, at, are_stored, may_ask or _always)
        return outcomes

    async def _read(self, orders: Sequence[HashedOrder], at: Header) -> list[OrderState]:
        in_thread = len(orders) > INLINE_LIMIT
        arguments = (orders, self._contracts, self._zrx_asset_data)
        reads = await asyncio.to_thread(plan, *arguments) if in_thread else plan(*arguments)
        words = await self._chain.read(reads.reads, at)
        return (
            await asyncio.to_thread(compute, reads, words) if in_thread else compute(reads, words)
        )

    async def _judge(
        self,
        orders: Sequence[HashedOrder],
        states: Sequence[OrderState],
        at: Header,
        are_stored: bool,
        may_ask: MayAsk,
    ) -> list[Outcome]:
        outcomes = [
            self._outcome(order, state) for (_, order), state in zip(orders, states, strict=True)
        ]
        alone: dict[int, bool] = {}
        for position, ((_, order), state) in enumerate(zip(orders, states, strict=True)):
            asks_signature = signatures.needs_chain(order) and not (
                are_stored and state.filled and order.version is ProtocolVersion.V2
            )
            is_open = state.needs_dev_utils or isinstance(outcomes[position], Valid)
            if is_open and (asks_signature or state.needs_dev_utils):
                alone[position] = asks_signature
        answers = await asyncio.gather(
            *(
                self._ask(*orders[position], states[position], at, asks_signature, may_ask)
                for position, asks_signature in alone.items()
            )
        )
        for position, answer in zip(alone, answers, strict=True):
            outcomes[position] = answer
        if not_asked := sum(answer is NOT_ASKED for answer in answers):
            log.warning("orders of other nodes not asked about", extra={"orders": not_asked})
        return outcomes

    async def _ask(
        self,
        order_hash: OrderHash,
        order: SignedOrder,
        state: OrderState,
        at: Header,
        asks_signature: bool,
        may_ask: MayAsk,
    ) -> Outcome:
        """Ask what the batched read cannot tell about one order."""
        async with self._single_calls:
            if not may_ask():
                return NOT_ASKED
            try:
                if asks_signature and not await self._is_signed(order_hash, order, at):
                    return Rejected(
                        RejectionCode.INVALID_SIGNATURE, "the Exchange does not accept it"
                    )
                if not state.needs_dev_utils:
                    return self._outcome(order, state)
                return await self._ask_dev_utils(order, at)
            except Unavailable as problem:
                return Rejected(RejectionCode.ETH_RPC_REQUEST_FAILED, str(problem))

    async def _is_signed(self, order_hash: OrderHash, order: SignedOrder, at: Header) -> bool:
        data = signatures.encode_signature_call(order, order_hash)
        try:
            answer = await self._chain.call(order.exchange_address, data, at)
            return signatures.decode_signature_answer(answer)
        except (Reverted, AbiError):
            return False

    async def _ask_dev_utils(self, order: SignedOrder, at: Header) -> Outcome:
        """The contract's own word on assets that cannot be read as plain words."""
        deployment = (
            self._contracts.v2 if order.version is ProtocolVersion.V2 else self._contracts.v3
        )
        if deployment is None:
            return Rejected(RejectionCode.INCORRECT_CHAIN)
        # The signature was judged above; one that makes the call fail must not speak here.
        data = dev_utils.encode_call([order], [dev_utils.NOT_CHECKED])
        try:
            answer = await self._chain.call(deployment.dev_utils, data, at)
            [state] = dev_utils.decode_answer(answer, 1)
        except (Reverted, AbiError) as problem:
            # Alone in its call, so nobody else is harmed; asking again gives the same.
            return Rejected(RejectionCode.UNFUNDED, f"DevUtils cannot evaluate it: {problem}")
        return self._outcome(order, state)

    def _outcome(self, order: SignedOrder, state: ContractState) -> Outcome:
        return outcome_of(state, order, accept_partially_funded=self._accept_partially_funded)


def _always() -> bool:
    return True
