"""A chain's words as a dictionary, for arithmetic that is fed with answers."""

from __future__ import annotations

from collections.abc import Sequence

from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.chain.multiread import MultiRead, Read
from fondaco.testing.orders import EXCHANGE, ZRX
from fondaco.zeroex.asset_data import Erc20, encode
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.fillable import OrderState, compute, plan
from fondaco.zeroex.order import OrderHash, ProtocolVersion, SignedOrder

MAX = 2**256 - 1
NOW = 1_577_836_800


def deployment(first: int) -> Deployment:
    names = ("dev_utils", "erc20_proxy", "erc721_proxy", "erc1155_proxy")
    return Deployment(
        exchange=EXCHANGE, **{name: bytes([first + n]) * 20 for n, name in enumerate(names)}
    )


CONTRACTS = ChainContracts(chain_id=1337, v2=deployment(0x20), v3=deployment(0x30))
PROXIES = {ProtocolVersion.V2: CONTRACTS.v2, ProtocolVersion.V3: CONTRACTS.v3}
ZRX_ASSET = encode(Erc20(ZRX))


class World:
    """Words a chain would answer. Whatever was not set is 0, as for a failing read."""

    def __init__(self) -> None:
        self.words: dict[Read, int] = {}
        self.timestamp = NOW

    def put(self, target: bytes, selector: str, *arguments: bytes | int, word: int) -> None:
        padded = [
            value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")
            for value in arguments
        ]
        self.words[Read(target, bytes.fromhex(selector) + b"".join(padded))] = word

    def fill(self, name: OrderHash, amount: int) -> None:
        self.put(EXCHANGE, "288cdc91", name, word=amount)

    def cancel(self, name: OrderHash) -> None:
        self.put(EXCHANGE, "2ac12622", name, word=1)

    def epoch(self, maker: bytes, sender: bytes, epoch: int) -> None:
        self.put(EXCHANGE, "d9bfa73e", maker, sender, word=epoch)

    def erc20(self, token: bytes, maker: bytes, balance: int, allowance: int) -> None:
        self.put(token, "70a08231", maker, word=balance)
        for proxies in PROXIES.values():
            assert proxies
            self.put(token, "dd62ed3e", maker, proxies.erc20_proxy, word=allowance)

    def erc721(self, token: bytes, token_id: int, owner: bytes, approved: bytes = b"") -> None:
        self.put(token, "6352211e", token_id, word=int.from_bytes(owner, "big"))
        self.put(token, "081812fc", token_id, word=int.from_bytes(approved, "big"))

    def erc1155(self, token: bytes, maker: bytes, token_id: int, balance: int) -> None:
        self.put(token, "00fdd58e", maker, token_id, word=balance)

    def approve_for_all(self, token: bytes, maker: bytes, operator: bytes, word: int = 1) -> None:
        self.put(token, "e985e9c5", maker, operator, word=word)

    def answer(self, reads: Sequence[Read]) -> MultiRead:
        assert all(len(read.data) <= 255 for read in reads)
        assert len(set(reads)) == len(reads)
        return MultiRead(
            block_number=7,
            timestamp=self.timestamp,
            words=[self.words.get(read, 0) for read in reads],
        )

    def states(self, orders: Sequence[SignedOrder]) -> list[OrderState]:
        named = [(order_hash(order), order) for order in orders]
        read_plan = plan(named, CONTRACTS, ZRX_ASSET)
        return compute(read_plan, self.answer(read_plan.reads))

    def state(self, order: SignedOrder) -> OrderState:
        (state,) = self.states([order])
        return state
