"""How much of an order can still be filled: which words to read, and the arithmetic.

    orders --> plan: filled, cancelled, epoch; balances, allowances --> [one read at one block]
                     each word once, however many orders need it                |
    OrderStates <------------------- compute: the contract's own rules <--------'

Status as ``Exchange.getOrderInfo`` of v2.1 and v3 gives it, amount as DevUtils of v3 does,
for both versions. An asset is a list of leaves (an ERC20 balance, one ERC721 token, one
ERC1155 balance), each with how many of it make one unit; rounding down twice is rounding
down once by the product, so baskets need no tree. A read that fails, or is not one word,
counts as 0: that is DevUtils' rule too, and keeps an order's broken token its own trouble.

Where DevUtils and the Exchange disagree, the Exchange is right, for it does the filling
(``tests/zeroex/test_fillable_chain.py`` tries each case on the real contracts):

* a token needed twice in one order must be there twice, not once;
* a basket in a basket cannot be moved;
* a v3 fee in the maker's own asset can be paid out of what exceeds ``makerAssetAmount``;
* a basket lacks a component whichever place it has in the list (v2).

Not told by words: a StaticCall or a bridge (``needs_dev_utils``: DevUtils is asked, one
order a call) and whether a signature is valid (``signatures``).

Source: 0x v3 ``OrderValidationUtils``, ``AssetBalance``, v2.1 and v3 ``MixinExchangeCore``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.chain.multiread import MultiRead, Read
from fondaco.zeroex import asset_data
from fondaco.zeroex.asset_data import (
    AssetDataError,
    Erc20,
    Erc721,
    Erc1155,
    MemberAsset,
    MultiAsset,
)
from fondaco.zeroex.order import Address, OrderHash, ProtocolVersion, SignedOrder

INVALID_MAKER_ASSET_AMOUNT = 1
INVALID_TAKER_ASSET_AMOUNT = 2
FILLABLE = 3
EXPIRED = 4
FULLY_FILLED = 5
CANCELLED = 6
# The contract's names; the same numbers in v2 and v3 (LibOrder.OrderStatus).

_UINT256_MAX = 2**256 - 1
_ADDRESS_MASK = 2**160 - 1
_PAD = bytes(12)

# Selectors of the view functions read.
_FILLED = bytes.fromhex("288cdc91")  # filled(bytes32)
_CANCELLED = bytes.fromhex("2ac12622")  # cancelled(bytes32)
_ORDER_EPOCH = bytes.fromhex("d9bfa73e")  # orderEpoch(address,address)
_BALANCE_OF = bytes.fromhex("70a08231")  # balanceOf(address)
_ALLOWANCE = bytes.fromhex("dd62ed3e")  # allowance(address,address)
_OWNER_OF = bytes.fromhex("6352211e")  # ownerOf(uint256)
_GET_APPROVED = bytes.fromhex("081812fc")  # getApproved(uint256)
_IS_APPROVED_FOR_ALL = bytes.fromhex("e985e9c5")  # isApprovedForAll(address,address)
_BALANCE_OF_ID = bytes.fromhex("00fdd58e")  # balanceOf(address,uint256)


class OrderState(msgspec.Struct, frozen=True, gc=False):
    """What the chain says of one order at one block, its signature aside."""

    status: int
    """``LibOrder.OrderStatus``: 1 to 6."""
    filled: int
    """Taker base units already exchanged."""
    fillable: int
    """Taker base units that can still be exchanged; 0 unless the status is FILLABLE."""
    needs_dev_utils: bool
    """The amount depends on more than words: ask DevUtils. ``fillable`` is 0 until then."""


class _Leaf(NamedTuple):
    """One thing a maker can hold. Which words say how much of it can be moved."""

    kind: type[Erc20] | type[Erc721] | type[Erc1155]
    maker: int
    proxy: int
    reads: tuple[int, ...]
    """Places in the plan's reads: Erc20 balance, allowance; Erc721 owner, approved for
    all, approved; Erc1155 balance, approved for all."""


class _Part(NamedTuple):
    """Leaf number and how many of it make one unit of the asset."""

    leaf: int
    per_unit: int


class _Holding(msgspec.Struct, gc=False):
    """One maker's stock of one asset."""

    parts: tuple[_Part, ...] = ()
    """Empty: nothing of it can be moved."""
    is_exotic: bool = False
    leaves: frozenset[int] = frozenset()
    repeats_leaf: bool = False
    """A leaf stands in more than one part, so the parts compete for it."""


class _Entry(NamedTuple):
    """One order, with places in the plan."""

    order: SignedOrder
    filled: int
    """Place of ``filled``; ``cancelled`` is the next."""
    epoch: int
    stock: int
    """Holding of the maker asset."""
    fee: int
    """Holding of the maker fee asset: -1 no fee, -2 the same asset data as the maker asset."""
    can_be_taken: bool


_NO_FEE = -1
_SAME_ASSET = -2


class ReadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to read for a batch of orders, and how to use the answers."""

    reads: list[Read]
    """Each word once."""
    entries: list[_Entry]
    leaves: list[_Leaf]
    holdings: list[_Holding]


def plan(
    orders: Sequence[tuple[OrderHash, SignedOrder]],
    contracts: ChainContracts,
    zrx_asset_data: bytes = b"",
) -> ReadPlan:
    """Return what must be read to know the state of *orders*.

    Args:
        orders: of either version; ``contracts`` must have a deployment for each.
        contracts: the protocol's addresses on this chain.
        zrx_asset_data: fee asset of v2 orders, as ``Exchange.ZRX_ASSET_DATA()`` returns it.

    Raises:
        ValueError: an order of a version without a deployment; our own bug.
    """
    planner = _Planner()
    sides = {
        version: _Side(planner, version, deployment)
        for version, deployment in (
            (ProtocolVersion.V2, contracts.v2),
            (ProtocolVersion.V3, contracts.v3),
        )
        if deployment is not None
    }
    entries = []
    for order_hash, order in orders:
        side = sides.get(order.version)
        if side is None:
            raise ValueError(f"no deployment of v{order.version} to read from")
        is_v3 = order.version is ProtocolVersion.V3
        fee_data = order.maker_fee_asset_data if is_v3 else zrx_asset_data
        entries.append(side.entry(order_hash, order, fee_data))
    return ReadPlan(
        reads=planner.reads,
        entries=entries,
        leaves=planner.leaves,
        holdings=planner.holdings,
    )


class _Planner:
    """The lists a plan is made of; nothing stands in one twice."""

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.leaves: list[_Leaf] = []
        self.holdings: list[_Holding] = []
        self._read_places: dict[Read, int] = {}
        self._leaf_numbers: dict[_Leaf, int] = {}

    def read(self, target: bytes, data: bytes) -> int:
        """Return the place of a word that several orders may need."""
        wanted = Read(target, data)
        place = self._read_places.get(wanted)
        if place is None:
            place = self._read_places[wanted] = len(self.reads)
            self.reads.append(wanted)
        return place

    def leaf(self, leaf: _Leaf) -> int:
        number = self._leaf_numbers.get(leaf)
        if number is None:
            number = self._leaf_numbers[leaf] = len(self.leaves)
            self.leaves.append(leaf)
        return number


class _Side:
    """Planning for the orders of one protocol version."""

    def __init__(self, planner: _Planner, version: ProtocolVersion, deployment: Deployment) -> None:
        self._planner = planner
        self._reads = planner.reads
        self._deployment = deployment
        self._is_v3 = version is ProtocolVersion.V3
        self._epochs: dict[bytes, int] = {}
        self._holdings: dict[bytes, int] = {}
        self._takeable: dict[bytes, bool] = {}

    def entry(self, order_hash: OrderHash, order: SignedOrder, fee_data: bytes) -> _Entry:
        """Plan one order. *fee_data* is the asset its maker fee is paid in."""
        exchange = self._deployment.exchange
        reads = self._reads
        filled = len(reads)
        reads.append(Read(exchange, _FILLED + order_hash))
        reads.append(Read(exchange, _CANCELLED + order_hash))
        maker = order.maker_address
        pair = maker + order.sender_address
        epoch = self._epochs.get(pair)
        if epoch is None:
            data = b"".join((_ORDER_EPOCH, _PAD, maker, _PAD, order.sender_address))
            epoch = self._epochs[pair] = self._planner.read(exchange, data)
        stock_data = order.maker_asset_data
        stock = self._holdings.get(maker + stock_data)
        if stock is None:
            stock = self._plan_holding(maker, stock_data)
        if not order.maker_fee:
            fee = _NO_FEE
        elif fee_data == stock_data:
            fee = _SAME_ASSET
        else:
            known = self._holdings.get(maker + fee_data)
            fee = self._plan_holding(maker, fee_data) if known is None else known
        can_be_taken = self._can_be_taken(order.taker_asset_data) and (
            not (order.taker_fee and self._is_v3) or self._can_be_taken(order.taker_fee_asset_data)
        )
        return _Entry(order, filled, epoch, stock, fee, can_be_taken)

    def _plan_holding(self, maker: Address, data: bytes) -> int:
        holdings = self._planner.holdings
        place = self._holdings[maker + data] = len(holdings)
        holdings.append(self._holding(maker, data))
        return place

    def _holding(self, maker: Address, data: bytes) -> _Holding:
        # Exchange v3 refuses to dispatch data that is not whole words after the selector.
        if self._is_v3 and len(data) % 32 != 4:
            return _Holding()
        try:
            asset = asset_data.decode(data)
        except AssetDataError:
            return _Holding()
        if asset_data.is_exotic(asset):
            return _Holding(is_exotic=True)
        parts = self._parts(maker, asset)
        if parts is None:
            return _Holding()
        leaves = frozenset(part.leaf for part in parts)
        return _Holding(parts=tuple(parts), leaves=leaves, repeats_leaf=len(leaves) < len(parts))

    def _parts(self, maker: Address, asset: MemberAsset) -> list[_Part] | None:
        """Return the parts of one unit of *asset*; None when no contract can move it."""
        match asset:
            case Erc20(token):
                return [_Part(self._erc20(maker, token), 1)]
            case Erc721(token, token_id):
                return [_Part(self._erc721(maker, token, token_id), 1)]
            case Erc1155(token, ids, values):
                return [
                    _Part(self._erc1155(maker, token, token_id), value)
                    for token_id, value in zip(ids, values, strict=True)
                    if value
                ]
            case MultiAsset(amounts, _, members):
                parts = []
                for amount, member in zip(amounts, members, strict=True):
                    if not amount:
                        continue  # not moved, so not looked at
                    # A basket's proxy is not registered with itself, in no deployment.
                    inner = None if isinstance(member, MultiAsset) else self._parts(maker, member)
                    if not inner:
                        return None
                    parts += [_Part(leaf, per_unit * amount) for leaf, per_unit in inner]
                return parts
            case _:
                return None

    def _erc20(self, maker: Address, token: Address) -> int:
        proxy = self._deployment.erc20_proxy
        read = self._planner.read
        places = (
            read(token, b"".join((_BALANCE_OF, _PAD, maker))),
            read(token, b"".join((_ALLOWANCE, _PAD, maker, _PAD, proxy))),
        )
        return self._planner.leaf(_Leaf(Erc20, 0, 0, places))

    def _erc721(self, maker: Address, token: Address, token_id: int) -> int:
        proxy = self._deployment.erc721_proxy
        read = self._planner.read
        wanted = token_id.to_bytes(32, "big")
        places = (
            read(token, _OWNER_OF + wanted),
            read(token, b"".join((_IS_APPROVED_FOR_ALL, _PAD, maker, _PAD, proxy))),
            read(token, _GET_APPROVED + wanted),
        )
        return self._planner.leaf(
            _Leaf(Erc721, int.from_bytes(maker, "big"), int.from_bytes(proxy, "big"), places)
        )

    def _erc1155(self, maker: Address, token: Address, token_id: int) -> int:
        proxy = self._deployment.erc1155_proxy
        read = self._planner.read
        places = (
            read(token, b"".join((_BALANCE_OF_ID, _PAD, maker, token_id.to_bytes(32, "big")))),
            read(token, b"".join((_IS_APPROVED_FOR_ALL, _PAD, maker, _PAD, proxy))),
        )
        return self._planner.leaf(_Leaf(Erc1155, 0, 0, places))

    def _can_be_taken(self, data: bytes) -> bool:
        known = self._takeable.get(data)
        if known is None:
            known = self._takeable[data] = _can_be_taken(data, self._is_v3)
        return known


def _can_be_taken(data: bytes, is_v3: bool) -> bool:
    """Return whether anybody could ever pay in this asset.

    Source: v3 ``OrderValidationUtils._isAssetDataValid``: whole words after the selector
    (v2 does not mind), and no ERC721 token twice in one basket.
    """
    if is_v3 and len(data) % 32 != 4:
        return False
    if data[:4] != asset_data.MULTI_ASSET_ID:
        return True
    try:
        basket = asset_data.decode(data)
    except AssetDataError:
        return False
    if not isinstance(basket, MultiAsset):
        return True
    unique = [nested for nested in basket.nested if nested[:4] == asset_data.ERC721_ID]
    return len(set(unique)) == len(unique)


def compute(read_plan: ReadPlan, answers: MultiRead) -> list[OrderState]:
    """Return the state of each order of *read_plan*, in their sequence.

    Args:
        read_plan: what was asked.
        answers: one word per read, all at one block. Its timestamp decides expiry.
    """
    words = answers.words
    timestamp = answers.timestamp
    stocks = [_movable(leaf, words) for leaf in read_plan.leaves]
    holdings = read_plan.holdings
    units = [_units(holding, stocks) for holding in holdings]
    states = []
    for entry in read_plan.entries:
        order, at, epoch, stock, fee, can_be_taken = entry
        taker_amount = order.taker_asset_amount
        filled = words[at]
        # The sequence of the checks is the contract's.
        if not order.maker_asset_amount:
            status = INVALID_MAKER_ASSET_AMOUNT
        elif not taker_amount:
            status = INVALID_TAKER_ASSET_AMOUNT
        elif filled >= taker_amount:
            status = FULLY_FILLED
        elif timestamp >= order.expiration_time_seconds:
            status = EXPIRED
        elif words[at + 1] or words[epoch] > order.salt:
            status = CANCELLED
        elif holdings[stock].is_exotic or (fee >= 0 and holdings[fee].is_exotic):
            states.append(OrderState(FILLABLE, filled, 0, True))
            continue
        else:
            amount = _deliverable(entry, units, holdings, stocks) if can_be_taken else 0
            states.append(OrderState(FILLABLE, filled, min(amount, taker_amount - filled), False))
            continue
        states.append(OrderState(status, filled, 0, False))
    return states


def _deliverable(
    entry: _Entry, units: list[int], holdings: list[_Holding], stocks: list[int]
) -> int:
    """Return the taker amount for which the maker can deliver asset and fee, rounded down."""
    order, _, _, stock, fee, _ = entry
    taker_amount = order.taker_asset_amount
    if fee == _SAME_ASSET:
        needed = order.maker_asset_amount + order.maker_fee
        amount = units[stock] * taker_amount // needed
    else:
        amount = units[stock] * taker_amount // order.maker_asset_amount
        if fee != _NO_FEE:
            amount = min(amount, units[fee] * taker_amount // order.maker_fee)
    if amount and _competes(holdings, stock, fee):
        return min(amount, _shared_amount(order, holdings, stock, fee, stocks))
    return amount


def _movable(leaf: _Leaf, words: list[int]) -> int:
    """Return how much of a leaf its maker holds and lets the proxy move."""
    places = leaf.reads
    if leaf.kind is Erc20:
        return min(words[places[0]], words[places[1]])
    if leaf.kind is Erc1155:
        return words[places[0]] if words[places[1]] == 1 else 0
    is_approved = words[places[1]] == 1 or words[places[2]] & _ADDRESS_MASK == leaf.proxy
    return 1 if is_approved and words[places[0]] & _ADDRESS_MASK == leaf.maker else 0


def _units(holding: _Holding, stocks: list[int]) -> int:
    """Return how many units of the asset can be moved, as if no other asset needed them."""
    parts = holding.parts
    if not parts:
        return 0
    return min([stocks[leaf] // per_unit for leaf, per_unit in parts])


def _competes(holdings: list[_Holding], stock: int, fee: int) -> bool:
    """Return whether something is needed in more than one place of the order.

    DevUtils finds that out by trying the transfers (v3), or not at all (v2).
    """
    held = holdings[stock]
    if fee < 0:
        return held.repeats_leaf
    paid = holdings[fee]
    return held.repeats_leaf or paid.repeats_leaf or not held.leaves.isdisjoint(paid.leaves)


def _shared_amount(
    order: SignedOrder, holdings: list[_Holding], stock: int, fee: int, stocks: list[int]
) -> int:
    """Return the amount at which the sum of all needs still fits each leaf."""
    units = order.maker_asset_amount + (order.maker_fee if fee == _SAME_ASSET else 0)
    needs: Counter[int] = Counter()
    _add_needs(needs, holdings[stock].parts, units)
    if fee >= 0:
        _add_needs(needs, holdings[fee].parts, order.maker_fee)
    return min(stocks[leaf] * order.taker_asset_amount // need for leaf, need in needs.items())


def _add_needs(needs: Counter[int], parts: Iterable[_Part], units: int) -> None:
    for leaf, per_unit in parts:
        needs[leaf] += per_unit * units
