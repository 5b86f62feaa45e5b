"""Amounts on thousands of random orders, against the rule said slowly."""

from __future__ import annotations

import random

from fondaco.testing.orders import make_order
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
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder
from support.chain_words import MAX, PROXIES, ZRX_ASSET, World

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3


def naive_units(world: World, version: ProtocolVersion, maker: Address, data: bytes) -> int:
    """The rule of DevUtils v3, said by recursion over the asset."""
    proxies = PROXIES[version]
    assert proxies

    def ask(target: bytes, selector: str, *arguments: bytes | int) -> int:
        probe = World()
        probe.put(target, selector, *arguments, word=0)
        return world.words.get(next(iter(probe.words)), 0)

    match decode(data):
        case Erc20(token):
            return min(
                ask(token, "70a08231", maker), ask(token, "dd62ed3e", maker, proxies.erc20_proxy)
            )
        case Erc721(token, token_id):
            is_owner = ask(token, "6352211e", token_id) == int.from_bytes(maker, "big")
            for_all = ask(token, "e985e9c5", maker, proxies.erc721_proxy) == 1
            approved = ask(token, "081812fc", token_id)
            is_approved = approved == int.from_bytes(proxies.erc721_proxy, "big")
            return int(is_owner and (for_all or is_approved))
        case Erc1155(token, ids, values):
            if ask(token, "e985e9c5", maker, proxies.erc1155_proxy) != 1:
                return 0
            return min(
                ask(token, "00fdd58e", maker, token_id) // value
                for token_id, value in zip(ids, values, strict=True)
            )
        case MultiAsset(amounts, nested):
            return min(
                naive_units(world, version, maker, part) // amount
                for amount, part in zip(amounts, nested, strict=True)
            )
    raise AssertionError("not in this test")


def naive_fillable(world: World, order: SignedOrder) -> int:
    fee_data = order.maker_fee_asset_data if order.version is V3 else ZRX_ASSET
    maker, taker_amount = order.maker_address, order.taker_asset_amount
    stock = naive_units(world, order.version, maker, order.maker_asset_data)
    if order.maker_fee and fee_data == order.maker_asset_data:
        amount = stock * taker_amount // (order.maker_asset_amount + order.maker_fee)
    else:
        amount = stock * taker_amount // order.maker_asset_amount
        if order.maker_fee:
            fee = naive_units(world, order.version, maker, fee_data)
            amount = min(amount, fee * taker_amount // order.maker_fee)
    return min(amount, taker_amount)


MAKERS = [Address(bytes([n]) * 20) for n in (1, 2, 3)]


def random_world(rng: random.Random) -> World:
    world = World()
    for maker in MAKERS:
        for token in range(0x60, 0x6C):
            address = bytes([token]) * 20
            balance = rng.choice((0, rng.randint(1, 10**9), 10**9, 10**9, MAX))
            world.erc20(address, maker, balance, rng.choice((0, 10**3, MAX, MAX, MAX, MAX)))
            for proxies in PROXIES.values():
                assert proxies
                for proxy in (proxies.erc721_proxy, proxies.erc1155_proxy):
                    world.approve_for_all(address, maker, proxy, rng.choice((0, 1, 1, 1, 1, 1)))
            for token_id in range(4):
                world.erc1155(address, maker, token_id, rng.randint(0, 10**6))
                world.erc721(address, token_id, rng.choice(MAKERS))
    return world


def single(rng: random.Random, token: int, kind: int) -> MemberAsset:
    address = Address(bytes([token]) * 20)
    if kind == 0:
        return Erc20(address)
    if kind == 1:
        return Erc721(address, rng.randrange(4))
    ids = tuple(rng.sample(range(4), rng.randint(1, 4)))
    return Erc1155(address, ids, tuple(rng.randint(1, 4) for _ in ids), b"")


def any_asset(rng: random.Random, tokens: list[int]) -> MemberAsset:
    if rng.random() < 0.5:
        return single(rng, tokens.pop(), rng.randrange(3))
    parts = [(rng.randint(1, 5), single(rng, tokens.pop(), rng.randrange(3))) for _ in range(3)]
    return basket(*parts)


def test_agrees_with_the_rule_said_slowly() -> None:
    """Every token is used once per order, so that nothing competes."""
    rng = random.Random(2021)
    world = random_world(rng)
    orders = []
    for salt in range(3_000):
        tokens = list(range(0x60, 0x6C))
        rng.shuffle(tokens)
        stock = encode(any_asset(rng, tokens))
        fee = rng.choice((encode(any_asset(rng, tokens)), stock))
        version = rng.choice((V2, V3))
        orders.append(
            make_order(
                version=version,
                maker_address=rng.choice(MAKERS),
                maker_asset_amount=rng.choice((1, 1, 2, 10**3, 10**5, 10**8, 10**9, MAX)),
                taker_asset_amount=rng.choice((1, 3, 42, 10**18, MAX)),
                maker_fee=rng.choice((0, 0, 1, 5, 10**4)),
                maker_asset_data=stock,
                maker_fee_asset_data=fee if version is V3 else b"",
                signature=b"\x01",
                salt=salt,
            )
        )
    states = world.states(orders)
    assert [state.fillable for state in states] == [
        naive_fillable(world, order) for order in orders
    ]
    whole = sum(
        state.fillable == order.taker_asset_amount
        for state, order in zip(states, orders, strict=True)
    )
    some = sum(state.fillable > 0 for state in states) - whole
    assert whole > 150
    assert some > 100
