"""The watch index on random books, against a search through all orders."""

from __future__ import annotations

import random

from fondaco.zeroex.asset_data import (
    Erc20,
    Erc721,
    Erc1155,
    MemberAsset,
    MultiAsset,
    basket,
    decode,
    encode,
)
from fondaco.zeroex.contract_events import ContractEvent, ContractRole, EventKind, Value
from fondaco.zeroex.order import Address, OrderHash, ProtocolVersion, SignedOrder
from fondaco.zeroex.watch_index import WatchIndex
from support.watched import (
    ALICE,
    BOB,
    CAROL,
    CONTRACTS,
    ERC20_V2,
    ERC20_V3,
    ERC721_V2,
    ERC721_V3,
    ERC1155_V2,
    ERC1155_V3,
    EXCHANGE_V3,
    MULTI,
    OTHER_TOKEN,
    TOKEN,
    UNIQUES,
    ZRX,
    event,
    name,
    order,
)

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
K = EventKind
FILLED = (ALICE, BOB, BOB, BOB, 1, 1, 0, 0)


def naive(signed: SignedOrder, hashed: OrderHash, happened: ContractEvent) -> bool:
    """Section 4.2 of the reference, asked of one order."""
    kind, values, contract = happened.kind, happened.values, happened.log.address
    maker = signed.maker_address
    if kind is K.EXCHANGE_FILL:
        return values[-3 if happened.version is V2 else -5] == hashed
    if kind is K.EXCHANGE_CANCEL:
        return values[3] == hashed
    if kind is K.EXCHANGE_CANCEL_UP_TO:
        return (signed.version, maker, signed.sender_address) == (
            happened.version,
            *values[:2],
        ) and signed.salt <= values[2]  # type: ignore[operator]
    fee = encode(Erc20(ZRX)) if signed.version is V2 else signed.maker_fee_asset_data
    members: list[MemberAsset] = []
    todo: list[MemberAsset] = [decode(signed.maker_asset_data)]
    todo += [decode(fee)] if signed.maker_fee else []
    while todo:
        member = todo.pop()
        if isinstance(member, MultiAsset):
            todo += member.members
        else:
            members.append(member)
    proxies = CONTRACTS.v2 if signed.version is V2 else CONTRACTS.v3
    assert proxies
    for member in members:
        if isinstance(member, Erc20) and member.token == contract:
            if kind is K.ERC20_TRANSFER and maker in values[:2]:
                return True
            if kind in (K.WETH_DEPOSIT, K.WETH_WITHDRAWAL) and maker == values[0]:
                return True
            if kind is K.ERC20_APPROVAL and values[:2] == (maker, proxies.erc20_proxy):
                return True
        if isinstance(member, Erc721) and member.token == contract:
            if kind is K.ERC721_TRANSFER and maker in values[:2] and values[2] == member.token_id:
                return True
            if kind is K.ERC721_APPROVAL and (values[0], values[2]) == (maker, member.token_id):
                return True
            if kind is K.ERC721_APPROVAL_FOR_ALL and values[:2] == (maker, proxies.erc721_proxy):
                return True
        if isinstance(member, Erc1155) and member.token == contract:
            if "Transfer" in kind.value and maker in values[1:3]:
                return True
            if kind is K.ERC1155_APPROVAL_FOR_ALL and values[:2] == (maker, proxies.erc1155_proxy):
                return True
    return False


def random_order(rng: random.Random, salt: int) -> SignedOrder:
    def single() -> MemberAsset:
        return rng.choice(
            (
                Erc20(rng.choice((ZRX, TOKEN, OTHER_TOKEN))),
                Erc721(UNIQUES, rng.randrange(4)),
                Erc1155(MULTI, (rng.randrange(4),), (1,), b""),
            )
        )

    def asset() -> MemberAsset:
        return single() if rng.random() < 0.7 else basket((1, single()), (1, single()))

    version = rng.choice((V2, V3))
    return order(
        rng.choice((ALICE, BOB, CAROL)),
        asset(),
        version=version,
        salt=rng.randrange(50),
        maker_fee=rng.choice((0, 1)),
        maker_fee_asset_data=encode(asset()) if version is V3 else b"",
        expiration_time_seconds=salt,
    )


def random_event(rng: random.Random, names: list[OrderHash]) -> ContractEvent:
    def who() -> Address:
        return rng.choice((ALICE, BOB, CAROL))

    proxy = rng.choice((ERC20_V2, ERC20_V3, ERC721_V2, ERC721_V3, ERC1155_V2, ERC1155_V3, ALICE))
    fungible = rng.choice((ZRX, TOKEN, OTHER_TOKEN))
    version = rng.choice((V2, V3))
    hashed = rng.choice([*names, name("stranger")])
    fill = (
        (*FILLED, hashed, b"", b"") if version is V2 else (*FILLED, 0, hashed, b"", b"", b"", b"")
    )
    choices: list[tuple[EventKind, bytes, tuple[Value, ...]]] = [
        (K.ERC20_TRANSFER, fungible, (who(), who(), 1)),
        (K.ERC20_APPROVAL, fungible, (who(), proxy, 1)),
        (K.ERC721_TRANSFER, UNIQUES, (who(), who(), rng.randrange(4))),
        (K.ERC721_APPROVAL, UNIQUES, (who(), proxy, rng.randrange(4))),
        (K.ERC721_APPROVAL_FOR_ALL, UNIQUES, (who(), proxy, True)),
        (K.ERC1155_TRANSFER_SINGLE, MULTI, (who(), who(), who(), 1, 1)),
        (K.ERC1155_TRANSFER_BATCH, MULTI, (who(), who(), who(), (1,), (1,))),
        (K.ERC1155_APPROVAL_FOR_ALL, MULTI, (who(), proxy, True)),
        (K.WETH_DEPOSIT, fungible, (who(), 1)),
        (K.WETH_WITHDRAWAL, fungible, (who(), 1)),
        (K.EXCHANGE_FILL, EXCHANGE_V3, fill),
        (K.EXCHANGE_CANCEL, EXCHANGE_V3, (who(), who(), who(), hashed, b"", b"")),
        (K.EXCHANGE_CANCEL_UP_TO, EXCHANGE_V3, (who(), bytes(20), rng.randrange(50))),
    ]
    kind, contract, values = rng.choice(choices)
    is_exchange = kind.value.startswith("Exchange")
    return event(kind, contract, *values, version=version if is_exchange else None)


def test_agrees_with_a_search_through_all_orders() -> None:
    rng = random.Random(42)
    index = WatchIndex(CONTRACTS, encode(Erc20(ZRX)))
    orders: dict[OrderHash, SignedOrder] = {}
    hits = 0
    for step in range(3_000):
        if rng.random() < 0.3:
            fresh = name(f"order {step}")
            orders[fresh] = random_order(rng, step)
            index.add(fresh, orders[fresh])
        elif rng.random() < 0.15 and orders:
            gone = rng.choice(list(orders))
            del orders[gone]
            index.discard(gone)
        else:
            happened = random_event(rng, list(orders)[:20])
            expected = {h for h, signed in orders.items() if naive(signed, h, happened)}
            assert set(index.affected([happened])) == expected
            hits += len(expected)
    assert hits > 10_000
    for left in list(orders):
        index.discard(left)
    assert index.count == 0
    assert all(index.role(c) is ContractRole.NONE for c in (ZRX, TOKEN, UNIQUES, MULTI))
