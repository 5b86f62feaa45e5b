"""The demo's market: makers offer, takers take, and things happen to orders.

    open_market -> equip makers and takers, first offers
    trade_forever -> pause, then one of: offer, fill, cancel, cancel up to, move tokens
                     away, bring them back, refill the takers; again

Everything is real: signed orders through the node's own API, transactions on the real
contracts. What happens next is drawn from a seeded generator, so a run can be
repeated up to the wall clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import msgspec

from fondaco.clock import Clock, seconds
from fondaco.devnet import actions
from fondaco.devnet.accounts import Account
from fondaco.devnet.chain import Devnet
from fondaco.devnet.offers import offer
from fondaco.devnet.rpc import Reverted
from fondaco.devnet.traders import ETHER, Traders
from fondaco.devnet.wares import KINDS, Wares
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.order import ProtocolVersion, SignedOrder
from fondaco.zeroex.signatures import SignatureType

MAKERS = slice(1, 5)
TAKERS = slice(5, 7)
VAULT = 9
"""Indices of accounts: who offers, who takes, and where tokens go when moved away."""

FIRST_ROUNDS = 4
"""Orders of each kind in the book when the demo opens."""

FEWEST, MOST = 20, 48
"""Orders between which the book is kept; a table of them fits a screen."""

PAUSE = (0.4, 1.6)
"""Seconds between two things that happen: slow enough to read along."""

LIFETIMES = (30, 90, 3_600, 86_400)
"""Seconds until an offer expires; the short ones do so before a newcomer's eyes."""

REFILL_EVERY = 40
"""Steps between two refills of the takers' purses."""

LONGEST_REASON = 60
"""Characters of a revert's reason; v3 puts whole orders into its own."""

Submit = Callable[[list[dict[str, object]]], Awaitable[object]]
"""Sends orders, as JSON objects, to a node (``mesh_addOrders``)."""

Report = Callable[[str], None]
"""Takes one line about what happened."""


@dataclasses.dataclass(slots=True)
class Listing:
    """An order that the demo has offered, and what is left of it."""

    order: SignedOrder
    kind: str
    step: int
    """Taker base units; fills are multiples of it, so that nothing is rounded."""
    left: int
    """Steps not filled yet."""


class Demo:
    """The market and its memory: the open offers, and tokens that are away."""

    def __init__(
        self, devnet: Devnet, submit: Submit, *, random: Random, clock: Clock, report: Report
    ) -> None:
        self.listings: list[Listing] = []
        self._traders = Traders(devnet)
        self._at = devnet.addresses
        self._makers = devnet.accounts[MAKERS]
        self._takers = devnet.accounts[TAKERS]
        self._vault = devnet.accounts[VAULT].address
        self._submit = submit
        self._random = random
        self._clock = clock
        self._report = report
        self._wares = Wares(self._at, random)
        self._away: list[tuple[bytes, bytes, int]] = []
        self._steps = 0
        # Counts up, so that an offer made after a cancel-up-to lies above its mark.
        self._salt = clock.now_ns()

    async def open(self) -> None:
        """Fund everybody and put the first offers into the book."""
        for account in (*self._makers, *self._takers):
            await self._traders.equip(account.address)
        await self._list([*KINDS] * FIRST_ROUNDS)

    async def step(self) -> None:
        """Let one thing happen. A transaction that reverts is told and forgotten."""
        self._steps += 1
        if self._steps % REFILL_EVERY == 0:
            await self.refill()
        try:
            await self._choose()()
        except Reverted as exc:
            self._report(f"refused by the chain: {exc.message[:LONGEST_REASON]}")

    def _choose(self) -> Callable[[], Awaitable[None]]:
        self._forget_expired()
        if len(self.listings) < FEWEST:
            return self.offer
        deeds: dict[Callable[[], Awaitable[None]], int] = {
            self.offer: 30 if len(self.listings) < MOST else 0,
            self.fill: 40,
            self.cancel: 10,
            self.cancel_up_to: 3,
            self.move_away: 8 if not self._away else 0,
            self.bring_back: 25 if self._away else 0,
        }
        return self._random.choices(list(deeds), weights=list(deeds.values()))[0]

    async def offer(self) -> None:
        """Make one new order."""
        await self._list([self._random.choice(KINDS)])

    async def _list(self, kinds: Sequence[str]) -> None:
        """Make an order of each kind and submit them together."""
        fresh = [item for kind in kinds if (item := await self._make(kind)) is not None]
        if not fresh:
            return
        self.listings += fresh
        await self._submit([_as_json(item.order) for item in fresh])
        self._report("offered: " + ", ".join(sorted({item.kind for item in fresh})))

    async def _make(self, kind: str) -> Listing | None:
        maker: Account = self._random.choice(self._makers)
        version = self._random.choice(list(ProtocolVersion))
        ware = self._wares.draw(kind, version)
        if any((maker.address, token) == away[:2] for token in ware.tokens for away in self._away):
            # A maker without the goods; the node would refuse the order as unfunded.
            return None
        if ware.minted is not None:
            await self._traders.do(actions.mint_erc721(*ware.minted_by(maker.address)))
        self._salt += 1
        order = offer(
            self._at,
            maker,
            give=ware.give,
            want=ware.want,
            salt=self._salt,
            expires_at=seconds(self._clock.now_ns()) + self._random.choice(LIFETIMES),
            version=version,
            signature_type=self._random.choice((SignatureType.EIP712, SignatureType.ETH_SIGN)),
            **ware.fees,
        )
        step = ware.want[1] // ware.steps
        return Listing(order=order, kind=kind, step=step, left=ware.steps)

    async def fill(self) -> None:
        """Take all or part of an order."""
        item = self._random.choice(self.listings)
        count = item.left if self._random.random() < 0.4 else self._random.randint(1, item.left)
        taker = self._random.choice(self._takers)
        try:
            await self._traders.do(actions.fill(item.order, taker.address, count * item.step))
        except Reverted:
            if not self._away:
                self.listings.remove(item)
            raise
        item.left -= count
        if item.left == 0:
            self.listings.remove(item)
        self._report(f"{'part of ' if item.left else ''}{item.kind} filled")

    async def cancel(self) -> None:
        """Take one order back."""
        item = self._random.choice(self.listings)
        self.listings.remove(item)
        await self._traders.do(actions.cancel(item.order))
        self._report(f"{item.kind} cancelled")

    async def cancel_up_to(self) -> None:
        """Take back a maker's older orders of one protocol version, all at once."""
        mark = self._random.choice(self.listings).order
        swept = [item for item in self.listings if _is_swept(item.order, mark)]
        self.listings = [item for item in self.listings if item not in swept]
        await self._traders.do(
            actions.cancel_up_to(mark.exchange_address, mark.maker_address, mark.salt)
        )
        self._report(f"{len(swept)} orders of one maker cancelled up to a salt")

    async def move_away(self) -> None:
        """Move one of a maker's tokens out of reach: the orders lose their cover."""
        maker = self._random.choice(self._makers).address
        token = self._random.choice(self._wares.fungible)
        amount = await self._traders.balance_of(token, maker)
        await self._traders.do(actions.transfer(token, maker, self._vault, amount))
        self._away.append((maker, token, amount))
        self._report("a maker moved tokens away: orders without cover")

    async def bring_back(self) -> None:
        """Bring tokens back: the orders are covered again."""
        maker, token, amount = self._away.pop()
        await self._traders.do(actions.transfer(token, self._vault, maker, amount))
        self._report("tokens came back: orders with cover again")

    async def refill(self) -> None:
        """Fill the takers' purses, so that they can trade for ever."""
        todo = []
        for taker in self._takers:
            dummies = [self._at[name] for name in self._at if name.startswith("erc20 ")]
            todo += [actions.set_balance(token, taker.address, 10**24) for token in dummies]
            todo.append(actions.deposit(self._at["weth9"], taker.address, ETHER))
        await self._traders.do(*todo)

    def _forget_expired(self) -> None:
        now = seconds(self._clock.now_ns())
        self.listings = [item for item in self.listings if item.order.expiration_time_seconds > now]


async def trade_forever(
    devnet: Devnet, submit: Submit, *, random: Random, clock: Clock, report: Report
) -> None:
    """Run the demo's market on *devnet* until cancelled.

    Args:
        submit: sends orders to the node; its answer is not looked at.
        random: decides what happens.
        report: told what happened, one line each time.

    Raises:
        DevnetError: the chain is gone or refuses; what *submit* raises.
    """
    demo = Demo(devnet, submit, random=random, clock=clock, report=report)
    await demo.open()
    while True:
        await clock.sleep(random.uniform(*PAUSE))
        await demo.step()


def _is_swept(order: SignedOrder, mark: SignedOrder) -> bool:
    is_same = (order.maker_address, order.version) == (mark.maker_address, mark.version)
    return is_same and order.salt <= mark.salt


def _as_json(order: SignedOrder) -> dict[str, object]:
    return msgspec.json.decode(encode_order(order), type=dict[str, object])
