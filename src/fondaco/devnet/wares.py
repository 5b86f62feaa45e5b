"""What the demo's makers sell, and for how much: several kinds of assets and fees.

All amounts divide by the number of steps an order can be filled in, so that no fill
is rounded (the Exchange refuses a fill that is off by more than a thousandth).
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import msgspec

from fondaco.devnet.deploy import FUNGIBLE_IDS
from fondaco.zeroex.asset_data import Erc20, Erc721, Erc1155, basket, encode
from fondaco.zeroex.order import Address, Amount, ProtocolVersion

KINDS = ("tokens", "tokens with a fee", "wrapped ether", "a voyage", "shares", "a basket")
"""ERC20, ERC20 with maker and taker fees, WETH sold, ERC721, ERC1155, MultiAsset."""

STEPS = 8
"""Parts in which a divisible order can be taken."""

MILLI = 10**15
"""Base units: a thousandth of a token with 18 decimals."""

FEE_RECIPIENT = Address(b"\xfe" * 20)
"""Collects the demo's fees; nobody has its key."""

Asset = tuple[bytes, int]
"""Asset data and base units."""


class Ware(msgspec.Struct, frozen=True, kw_only=True):
    """One thing for sale."""

    give: Asset
    want: Asset
    steps: int
    tokens: tuple[bytes, ...]
    """Fungible tokens the maker needs for it."""
    minted: tuple[bytes, int] | None = None
    """ERC721 token that has to be made first: contract and id."""
    fees: dict[str, object] = {}
    """Fields of SignedOrder."""

    def minted_by(self, owner: bytes) -> tuple[bytes, bytes, int]:
        """Return the arguments of ``actions.mint_erc721``."""
        assert self.minted is not None
        token, identifier = self.minted
        return token, owner, identifier


class Wares:
    """Draws wares; counts the ERC721 tokens it has named."""

    def __init__(self, addresses: Mapping[str, bytes], random: Random) -> None:
        self._at = {name: Address(address) for name, address in addresses.items()}
        self._random = random
        self._dummies = [at for name, at in self._at.items() if name.startswith("erc20 ")]
        self._last_id = random.getrandbits(64)
        self.fungible = (*self._dummies, self._at["weth9"])
        """Tokens that makers sell by weight."""

    def draw(self, kind: str, version: ProtocolVersion) -> Ware:
        """Return a ware of *kind* (one of KINDS) at a price of the day."""
        match kind:
            case "a voyage":
                return self._voyage()
            case "shares":
                return self._shares()
            case "a basket":
                return self._basket()
            case "wrapped ether":
                return self._sale(self._at["weth9"], self._random.choice(self._dummies), ounces=1)
            case "tokens with a fee":
                return self._with_fees(version)
        return self._sale(self._random.choice(self._dummies), self._at["weth9"], ounces=40)

    def _sale(self, sold: Address, wanted: Address, *, ounces: int) -> Ware:
        """Sell some of one token for some of another.

        Args:
            ounces: thousandths of a token given per step, at least.
        """
        give = STEPS * MILLI * self._random.randint(ounces, 3 * ounces)
        # A WETH is dear: up to 100 dummy tokens. What is wanted follows from that.
        thousandths = self._random.randint(1, 4) if ounces > 1 else self._random.randint(60, 100)
        want = STEPS * MILLI * thousandths
        return Ware(
            give=(encode(Erc20(sold)), give),
            want=(encode(Erc20(wanted)), want),
            steps=STEPS,
            tokens=(sold,),
        )

    def _with_fees(self, version: ProtocolVersion) -> Ware:
        sold, wanted, paid = self._random.sample(self._dummies, 3)
        plain = self._sale(sold, wanted, ounces=40)
        fees: dict[str, object] = {
            "fee_recipient_address": FEE_RECIPIENT,
            "maker_fee": Amount(STEPS * MILLI * self._random.randint(1, 9)),
            "taker_fee": Amount(STEPS * MILLI * self._random.randint(1, 9)),
        }
        tokens: tuple[bytes, ...] = (sold,)
        if version is ProtocolVersion.V3:  # v2 takes its fees in ZRX, always
            fees["maker_fee_asset_data"] = encode(Erc20(paid))
            fees["taker_fee_asset_data"] = encode(Erc20(self._at["zrxToken"]))
            tokens = (sold, paid)
        return msgspec.structs.replace(plain, fees=fees, tokens=tokens)

    def _voyage(self) -> Ware:
        self._last_id += 1
        token = self._at["erc721 VOY"]
        return Ware(
            give=(encode(Erc721(token, self._last_id)), 1),
            want=self._price_in_weth(steps=1),
            steps=1,
            tokens=(),
            minted=(token, self._last_id),
        )

    def _shares(self) -> Ware:
        asset = Erc1155(self._at["erc1155"], FUNGIBLE_IDS, self._some(2), b"")
        return Ware(
            give=(encode(asset), STEPS),
            want=self._price_in_weth(steps=STEPS),
            steps=STEPS,
            tokens=(),
        )

    def _basket(self) -> Ware:
        tokens = self._random.sample(self._dummies, 2)
        shares = Erc1155(self._at["erc1155"], FUNGIBLE_IDS[:1], self._some(1), b"")
        parts = [(MILLI * self._random.randint(1, 50), Erc20(token)) for token in tokens]
        return Ware(
            give=(encode(basket(*parts, (1, shares))), STEPS),
            want=self._price_in_weth(steps=STEPS),
            steps=STEPS,
            tokens=tuple(tokens),
        )

    def _price_in_weth(self, *, steps: int) -> Asset:
        return encode(Erc20(self._at["weth9"])), steps * MILLI * self._random.randint(1, 5)

    def _some(self, count: int) -> tuple[int, ...]:
        return tuple(self._random.randint(1, 20) for _ in range(count))
