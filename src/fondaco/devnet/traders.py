"""Sending actions to the local chain, and looking at what came of them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fondaco.chain import wire
from fondaco.chain.logs import Log, decode_logs
from fondaco.devnet import abi, actions
from fondaco.devnet.actions import Action
from fondaco.devnet.chain import Devnet
from fondaco.devnet.control import ChainControl
from fondaco.devnet.deploy import DEPLOYER, FUNGIBLE_IDS
from fondaco.devnet.rpc import DevnetRefused, Reverted

GAS = 10_000_000
"""Gas of each transaction and call. Fixed: an estimate would not know of the transactions before
it in the same block."""

ETHER = 10**18
"""Wei."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a transaction that did not revert."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    logs: tuple[Log, ...]
    contract: bytes | None
    """Address of the contract it created."""


class Traders:
    """The accounts of a local chain at work."""

    def __init__(self, devnet: Devnet) -> None:
        self.devnet = devnet
        self.control = ChainControl(devnet.rpc)
        self._rpc = devnet.rpc
        self._unlocked = {account.address for account in devnet.accounts}

    async def do(self, *todo: Action) -> list[Receipt]:
        """Send transactions and return their receipts once they are in a block.

        They come into one block, in this sequence (on a chain with a block time: into
        one or more).

        Raises:
            Reverted: one of them reverted; those around it are in the chain.
        """
        await self._unlock(action.sender for action in todo)
        is_timed = self.devnet.anvil.options.block_time is not None
        is_automining = not is_timed and await self.control.is_automining()
        if len(todo) == 1 and is_automining:
            return [await self._send_and_wait(todo[0])]
        if is_timed:
            sent = [await self._send(action) for action in todo[:-1]]
            # The pool is first in, first out: with the last one all are in blocks.
            last = [await self._send_and_wait(action) for action in todo[-1:]]
            return [await self._receipt(*pair) for pair in zip(todo, sent, strict=False)] + last
        if is_automining:
            await self.control.set_automine(False)
        try:
            sent = [await self._send(action) for action in todo]
            await self.control.mine()
        finally:
            if is_automining:
                await self.control.set_automine(True)
        return [await self._receipt(*pair) for pair in zip(todo, sent, strict=True)]

    async def create(self, creation_code: bytes) -> bytes:
        """Create a contract; return its address."""
        (receipt,) = await self.do(actions.create(creation_code))
        assert receipt.contract is not None
        return receipt.contract

    async def call(self, target: bytes, signature: str, *arguments: object) -> bytes:
        """Return what a function answers at the newest block.

        Raises:
            Reverted: it reverts.
        """
        data = wire.encode_data(abi.encode_call(signature, *arguments))
        question = {"to": wire.encode_data(target), "data": data, "gas": hex(GAS)}
        return wire.data(await self._rpc.call("eth_call", question, "latest"))

    async def balance_of(self, token: bytes, owner: bytes) -> int:
        """Return base units of an ERC20 token, or how many ERC721 tokens."""
        return int.from_bytes(await self.call(token, "balanceOf(address)", owner), "big")

    async def equip(self, owner: bytes) -> None:
        """Give *owner* some of every fungible token, and approve every proxy for them.

        In one block: 10**24 of each dummy ERC20, 10**21 ZRX, 10 WETH, 10**6 of each
        ERC1155 type.
        """
        at = self.devnet.addresses
        dummies = [address for name, address in at.items() if name.startswith("erc20 ")]
        todo = [actions.set_balance(token, owner, 10**24) for token in dummies]
        todo.append(actions.transfer(at["zrxToken"], DEPLOYER, owner, 10**21))
        # From account 0's ether: a contract that is a maker may have none.
        todo.append(actions.deposit(at["weth9"], DEPLOYER, 10 * ETHER))
        todo.append(actions.transfer(at["weth9"], DEPLOYER, owner, 10 * ETHER))
        todo += [actions.mint_erc1155(at["erc1155"], i, owner, 10**6) for i in FUNGIBLE_IDS]
        for suffix in ("", "V2"):
            proxy = at["erc20Proxy" + suffix]
            fungible = (*dummies, at["zrxToken"], at["weth9"])
            todo += [actions.approve(token, owner, proxy) for token in fungible]
            for kind, token in (("erc721", at["erc721 VOY"]), ("erc1155", at["erc1155"])):
                todo.append(actions.approve_all(token, owner, at[f"{kind}Proxy{suffix}"]))
        await self.do(*todo)

    async def _unlock(self, senders: Iterable[bytes]) -> None:
        for sender in set(senders) - self._unlocked:
            await self._rpc.call("anvil_impersonateAccount", wire.encode_data(sender))
            self._unlocked.add(sender)

    async def _send(self, action: Action) -> str:
        return str(await self._rpc.call("eth_sendTransaction", _fields(action)))

    async def _send_and_wait(self, action: Action) -> Receipt:
        raw = await self._rpc.call("eth_sendTransactionSync", _fields(action))
        return await self._read(action, raw)

    async def _receipt(self, action: Action, transaction_hash: str) -> Receipt:
        raw = await self._rpc.call("eth_getTransactionReceipt", transaction_hash)
        return await self._read(action, raw)

    async def _read(self, action: Action, raw: dict[str, object]) -> Receipt:
        if wire.quantity(raw["status"]) == 0:
            raise await self._reason(action)
        contract = raw["contractAddress"]
        logs = raw["logs"]
        assert isinstance(logs, list)
        return Receipt(
            transaction_hash=wire.data(raw["transactionHash"]),
            block_number=wire.quantity(raw["blockNumber"]),
            block_hash=wire.data(raw["blockHash"]),
            logs=tuple(decode_logs(logs)),
            contract=None if contract is None else wire.data(contract),
        )

    async def _reason(self, action: Action) -> Reverted:
        # Run once more as a call: it usually fails again, and then says why.
        what = f"transaction with selector 0x{action.data[:4].hex()}"
        try:
            await self._rpc.call("eth_call", _fields(action), "latest")
        except DevnetRefused as exc:
            return Reverted(what, exc.message, exc.data)
        return Reverted(what, "reverted in its block, not on the one after it")


def _fields(action: Action) -> dict[str, str]:
    fields = {
        "from": wire.encode_data(action.sender),
        "data": wire.encode_data(action.data),
        "value": hex(action.value),
        "gas": hex(GAS),
        "gasPrice": "0x0",
    }
    if action.target is not None:
        fields["to"] = wire.encode_data(action.target)
    return fields
