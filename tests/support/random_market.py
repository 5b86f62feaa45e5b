"""Makers with random means on the local chain, and random orders of theirs."""

from __future__ import annotations

import random

from fondaco.devnet import actions
from fondaco.devnet.actions import Action
from fondaco.devnet.deploy import FUNGIBLE_IDS
from fondaco.devnet.offers import offer
from fondaco.devnet.traders import Traders
from fondaco.zeroex.asset_data import (
    Erc20,
    Erc721,
    Erc1155,
    MemberAsset,
    UnknownAsset,
    basket,
    encode,
)
from fondaco.zeroex.order import Address, ProtocolVersion, SignedOrder

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
TOKEN_IDS = range(1, 41)
FAR = 4_102_444_800
"""Unix seconds: the year 2100."""

MAX = 2**256 - 1


class RandomMarket:
    """Makers with random means, and random orders of theirs."""

    def __init__(self, traders: Traders, rng: random.Random) -> None:
        self._traders = traders
        self._rng = rng
        self._at = traders.devnet.addresses
        self.taker = traders.devnet.accounts[9]
        self.makers = traders.devnet.accounts[1:7]
        self._fungible = [
            Address(address) for key, address in self._at.items() if key.startswith("erc20 ")
        ]
        self._salt = 1_000

    async def open(self) -> list[SignedOrder]:
        """Fill and cancel some orders, then make the makers' means random.

        Returns:
            The orders that were filled or cancelled.
        """
        await self._traders.equip(self.taker.address)
        for maker in self.makers:
            await self._traders.equip(maker.address)
        moved = [self._plain(version) for version in (V2, V3) for _ in range(60)]
        todo = []
        for number, order in enumerate(moved):
            if number % 3 == 0:
                todo.append(actions.cancel(order))
            else:
                amount = order.taker_asset_amount if number % 3 == 1 else self._rng.randint(1, 900)
                todo.append(actions.fill(order, self.taker.address, amount))
        await self._traders.do(*todo)
        await self._traders.do(*self._means())
        for suffix in ("", "V2"):
            for maker in self.makers[:3]:
                exchange = self._at["exchange" + suffix]
                await self._traders.do(actions.cancel_up_to(exchange, maker.address, 1_700))
        return moved

    def _plain(self, version: ProtocolVersion) -> SignedOrder:
        give, want = self._rng.sample(self._fungible, 2)
        return self._offer(version, (encode(Erc20(give)), 1_000), (encode(Erc20(want)), 1_000), 0)

    def _offer(
        self,
        version: ProtocolVersion,
        give: tuple[bytes, int],
        want: tuple[bytes, int],
        fee: int,
        fee_asset: bytes = b"",
        expires_at: int = FAR,
        **changes: object,
    ) -> SignedOrder:
        self._salt += 1
        return offer(
            self._at,
            self._rng.choice(self.makers),
            give=give,
            want=want,
            salt=self._salt,
            expires_at=expires_at,
            version=version,
            maker_fee=fee,
            maker_fee_asset_data=fee_asset if version is V3 else b"",
            **changes,  # type: ignore[arg-type]
        )

    def _means(self) -> list[Action]:
        """Balances and permissions, in every combination of none, some and plenty."""
        rng, at = self._rng, self._at
        todo = []
        for maker in self.makers:
            owner = maker.address
            for token in self._fungible:
                balance = rng.choice((0, rng.randint(1, 3_000), 10**6, 10**24))
                todo.append(actions.set_balance(token, owner, balance))
                for suffix in ("", "V2"):
                    allowance = rng.choice((0, rng.randint(1, 3_000), MAX, MAX, MAX))
                    proxy = at["erc20Proxy" + suffix]
                    todo.append(actions.approve(token, owner, proxy, allowance))
            for suffix in ("", "V2"):
                for kind, contract in (("erc721", at["erc721 VOY"]), ("erc1155", at["erc1155"])):
                    is_approved = rng.random() < 0.7
                    proxy = at[f"{kind}Proxy{suffix}"]
                    todo.append(actions.approve_all(contract, owner, proxy, is_approved))
            if rng.random() < 0.4:
                todo.append(actions.approve(at["zrxToken"], owner, at["erc20ProxyV2"], 500))
        for token_id in TOKEN_IDS:
            owner = rng.choice(self.makers).address
            if token_id % 8:
                todo.append(actions.mint_erc721(at["erc721 VOY"], owner, token_id))
                approved = at[rng.choice(("erc721Proxy", "erc721ProxyV2", "erc20Proxy"))]
                todo.append(actions.approve_erc721(at["erc721 VOY"], owner, approved, token_id))
        return todo

    # -- random orders -------------------------------------------------------------

    def orders(self, version: ProtocolVersion, count: int, now: int) -> list[SignedOrder]:
        """Return random orders, some of which expire around *now* (unix seconds)."""
        return [self._random(version, now) for _ in range(count)]

    def _random(self, version: ProtocolVersion, now: int) -> SignedOrder:
        rng = self._rng
        give = self._asset(version)
        kind = type(give)
        most = 1 if kind is Erc721 else rng.choice((3, 50, 3_000, 10**6))
        maker_amount = rng.randint(1, most)
        fee = rng.choice((0, 0, 0, 1, 10, 2_000))
        fee_asset = rng.choice((encode(give), encode(self._asset(version))))
        taker_amount = maker_amount * rng.choice((1, 10, 10**9, 10**18)) + rng.choice((0, 0, 7))
        want = encode(self._asset(version))
        if rng.random() < 0.02:
            want += b"\0"
        data = encode(give) + (b"\0" if rng.random() < 0.02 else b"")
        return self._offer(
            version,
            (data, maker_amount),
            (want, taker_amount),
            fee,
            fee_asset,
            expires_at=rng.choice((FAR, FAR, FAR, FAR, now, now + 1, now - 1)),
            taker_fee=rng.choice((0, 1)),
            taker_fee_asset_data=want if version is V3 else b"",
            signature=b"\x01",
        )

    def _asset(self, version: ProtocolVersion) -> MemberAsset:
        if self._rng.random() < 0.65:
            return self._single()
        size = self._rng.choice((1, 2, 2, 3))
        parts: list[tuple[int, MemberAsset]] = [
            (1 if isinstance(member, Erc721) else self._rng.randint(1, 4), member)
            for member in (self._single() for _ in range(size))
        ]
        chance = self._rng.random()
        if chance < 0.08:
            parts.append((1, UnknownAsset(b"\x12\x34\x56\x78" + bytes(32))))
        elif chance < 0.16:
            parts.append((1, basket((1, self._single()))))
        elif chance < 0.20 and version is V3:
            parts.append((0, self._single()))
        self._rng.shuffle(parts)
        return basket(*parts)

    def _single(self) -> MemberAsset:
        rng = self._rng
        chance = rng.random()
        if chance < 0.6:
            return Erc20(rng.choice(self._fungible))
        if chance < 0.8:
            return Erc721(Address(self._at["erc721 VOY"]), rng.choice(TOKEN_IDS))
        ids = tuple(rng.choice((FUNGIBLE_IDS, FUNGIBLE_IDS[:1], FUNGIBLE_IDS[1:])))
        values = tuple(rng.choice((1, 2, 1_000)) for _ in ids)
        return Erc1155(Address(self._at["erc1155"]), ids, values, b"")
