"""DevUtils as the judge of our arithmetic, on the real chain, and what it gets wrong.

Its weaknesses are imitated here and nowhere else:

* v2 forgets a basket's component of which the maker has none, when a later one is there;
* v3 counts no more of the maker asset than the order gives, so that a fee in the same
  asset can never be paid in full (the Exchange takes it);
* both count what is needed twice as if it were there twice, and a basket in a basket as
  if it could be moved (the Exchange refuses).
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

from fondaco.chain.budget import RpcBudget
from fondaco.chain.contracts import ChainContracts, Deployment, parse_custom
from fondaco.chain.headers import Header, decode_header
from fondaco.chain.multiread import Read
from fondaco.chain.reader import ChainReader, Reverted
from fondaco.chain.rpc import open_ethereum
from fondaco.clock import SystemClock
from fondaco.devnet.chain import Devnet
from fondaco.zeroex.asset_data import (
    Erc20,
    Erc721,
    Erc1155,
    MemberAsset,
    MultiAsset,
    decode,
)
from fondaco.zeroex.dev_utils import NOT_CHECKED, RelevantState, decode_answer, encode_call
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder

UINT256_MAX = 2**256 - 1
ORDERS_A_CALL = 60
"""A plain order costs 40,000 gas, and one call has 50 million."""


class ChainUnderTest:
    """A reader of the local chain, and its contracts."""

    def __init__(self, reader: ChainReader, contracts: ChainContracts, newest: Newest) -> None:
        self.reader = reader
        self.contracts = contracts
        self.newest = newest

    def deployment(self, version: ProtocolVersion) -> Deployment:
        found = self.contracts.v2 if version is ProtocolVersion.V2 else self.contracts.v3
        assert found is not None
        return found

    async def relevant_states(
        self, orders: Sequence[SignedOrder], at: Header
    ) -> list[RelevantState | None]:
        """Ask DevUtils about *orders* of one version; None where it cannot answer.

        A call that reverts is halved until the culprit is alone.
        """
        states: list[RelevantState | None] = []
        for start in range(0, len(orders), ORDERS_A_CALL):
            states += await self._halving(orders[start : start + ORDERS_A_CALL], at)
        return states

    async def _halving(
        self, orders: Sequence[SignedOrder], at: Header
    ) -> list[RelevantState | None]:
        target = self.deployment(orders[0].version).dev_utils
        data = encode_call(orders, [NOT_CHECKED] * len(orders))
        try:
            return list(decode_answer(await self.reader.call(target, data, at), len(orders)))
        except Reverted:
            if len(orders) == 1:
                return [None]
        half = len(orders) // 2
        return await self._halving(orders[:half], at) + await self._halving(orders[half:], at)


Newest = Callable[[], Awaitable[Header]]


@contextlib.asynccontextmanager
async def open_chain(devnet: Devnet) -> AsyncIterator[ChainUnderTest]:
    """Open a reader of *devnet* like the node's own."""
    clock = SystemClock()
    budget = RpcBudget(per_day=10**9, per_second=10.0**9, now_ns=clock.now_ns(), is_enabled=False)
    contracts = parse_custom(json.dumps(dict(devnet.contracts)), devnet.chain_id, frozenset({2, 3}))
    async with open_ethereum(devnet.http_url, budget=budget, clock=clock) as client:

        async def newest() -> Header:
            raw = await client.call_raw("eth_getBlockByNumber", ["latest", False])
            header = decode_header(raw)
            assert header is not None
            return header

        yield ChainUnderTest(ChainReader(client, clock), contracts, newest)


class V2DevUtils:
    """Amounts as DevUtils of v2 computes them.

    ``reads`` fills up while amounts are asked for with no words known; once ``words``
    has the answers, the amounts are right.

    Args:
        is_forgetful: with its bug, or as it was meant.
    """

    def __init__(self, deployment: Deployment, zrx_asset: bytes, *, is_forgetful: bool) -> None:
        self._deployment = deployment
        self._zrx_asset = zrx_asset
        self._minimum = _forgetful_minimum if is_forgetful else _minimum
        self.reads: dict[Read, None] = {}
        self.words: dict[Read, int] = {}

    def fillable(self, order: SignedOrder, filled: int) -> int:
        """Return the taker amount; meaningless until the words are known."""
        taker_amount, maker = order.taker_asset_amount, order.maker_address
        stock = self._transferable(maker, order.maker_asset_data)
        if order.maker_asset_data == self._zrx_asset:
            amount = stock * taker_amount // (order.maker_asset_amount + order.maker_fee)
        else:
            amount = stock * taker_amount // order.maker_asset_amount
            if order.maker_fee:
                fee = self._transferable(maker, self._zrx_asset)
                amount = min(amount, fee * taker_amount // order.maker_fee)
        return min(amount, taker_amount - filled)

    def _transferable(self, maker: Address, data: bytes) -> int:
        asset = decode(data)
        return min(self._balance(maker, asset), self._allowance(maker, asset))

    def _ask(self, token: bytes, selector: str, *arguments: bytes | int) -> int:
        padded = [
            value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")
            for value in arguments
        ]
        read = Read(token, bytes.fromhex(selector) + b"".join(padded))
        self.reads[read] = None
        return self.words.get(read, 0)

    def _balance(self, maker: Address, asset: MemberAsset) -> int:
        match asset:
            case Erc20(token):
                return self._ask(token, "70a08231", maker)
            case Erc721(token, token_id):
                owner = self._ask(token, "6352211e", token_id)
                return int(owner == int.from_bytes(maker, "big"))
            case Erc1155(token, ids, values):
                return self._minimum(
                    self._ask(token, "00fdd58e", maker, token_id) // value
                    for token_id, value in zip(ids, values, strict=True)
                )
            case MultiAsset(amounts, _, members):
                return self._minimum(
                    self._balance(maker, member) // amount
                    for amount, member in zip(amounts, members, strict=True)
                )
            case _:
                return 0

    def _allowance(self, maker: Address, asset: MemberAsset) -> int:
        at = self._deployment
        match asset:
            case Erc20(token):
                return self._ask(token, "dd62ed3e", maker, at.erc20_proxy)
            case Erc721(token, token_id):
                approved = self._ask(token, "081812fc", token_id)
                if self._ask(token, "e985e9c5", maker, at.erc721_proxy) == 1:
                    return UINT256_MAX
                return int(approved == int.from_bytes(at.erc721_proxy, "big"))
            case Erc1155(token):
                for_all = self._ask(token, "e985e9c5", maker, at.erc1155_proxy) == 1
                return UINT256_MAX if for_all else 0
            case MultiAsset(amounts, _, members):
                return self._minimum(
                    self._allowance(maker, member) // amount
                    for amount, member in zip(amounts, members, strict=True)
                )
            case _:
                return 0


def _minimum(counts: Iterable[int]) -> int:
    return min(counts, default=0)


def _forgetful_minimum(counts: Iterable[int]) -> int:
    """The bug: a minimum that starts anew after each zero."""
    lowest = 0
    for count in counts:
        if count < lowest or lowest == 0:
            lowest = count
    return lowest


def competes(order: SignedOrder, zrx_asset: bytes) -> bool:
    """Return whether something must be delivered twice for one order, said slowly."""
    fee = order.maker_fee_asset_data if order.version is ProtocolVersion.V3 else zrx_asset
    datas = [order.maker_asset_data]
    if order.maker_fee and fee != order.maker_asset_data:
        datas.append(fee)
    needed: Counter[object] = Counter()
    todo: list[MemberAsset] = [decode(data) for data in datas]
    while todo:
        asset = todo.pop()
        if isinstance(asset, MultiAsset):
            todo += asset.members
        elif isinstance(asset, Erc1155):
            needed.update((asset.token, token_id) for token_id in asset.ids)
        else:
            needed[asset] += 1
    return any(count > 1 for count in needed.values())


def has_inner_basket(order: SignedOrder) -> bool:
    """Return whether the maker gives or pays a basket in a basket."""
    datas = [order.maker_asset_data]
    if order.maker_fee and order.version is ProtocolVersion.V3:
        datas.append(order.maker_fee_asset_data)
    return any(
        isinstance(member, MultiAsset)
        for data in datas
        if isinstance(asset := decode(data), MultiAsset)
        for member in asset.members
    )
