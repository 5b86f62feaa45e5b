"""The local chain as its users see it: real contracts, funded accounts, one address."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping

from fondaco.devnet import deploy
from fondaco.devnet.accounts import Account, derive_accounts
from fondaco.devnet.anvil import MNEMONIC, Anvil, AnvilOptions, open_anvil
from fondaco.devnet.build import state_file
from fondaco.devnet.fetch import PartsStore
from fondaco.devnet.rpc import DevnetRpc


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Devnet:
    """A running chain with 0x v3 at its known addresses and v2.1 beside it."""

    anvil: Anvil
    http_url: str
    ws_url: str
    chain_id: int
    mnemonic: str
    accounts: tuple[Account, ...]
    """Each has 10,000 ether; account 0 owns the contracts and mints the tokens."""
    addresses: Mapping[str, bytes]
    """Every contract by its name in ``deploy``; 20 bytes each."""
    contracts: Mapping[str, object]
    """The keys of CUSTOM_CONTRACT_ADDRESSES, as JSON: 0x and lower case."""

    @property
    def rpc(self) -> DevnetRpc:
        """A client of the chain."""
        return self.anvil.rpc

    def describe(self) -> dict[str, object]:
        """Return what ``fondaco devnet --json`` prints about the chain."""
        return {
            "ethereum": self.http_url,
            "chainId": self.chain_id,
            "mnemonic": self.mnemonic,
            "contracts": dict(self.contracts),
        }


@contextlib.asynccontextmanager
async def open_devnet(
    parts: PartsStore | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    block_time: float | None = None,
    no_mining: bool = False,
    accounts: int = 10,
) -> AsyncIterator[Devnet]:
    """Run the local chain until the block ends.

    Its newest block is made at the start, so that chain time is the present.

    Args:
        parts: where anvil and the contracts are; the user's cache when None.
        host: where the chain listens.
        port: 0 for any free one.
        block_time: seconds between blocks; None mines one with each transaction.
        no_mining: mine only when told to.
        accounts: how many to derive and fund.

    Raises:
        PartsError: anvil or the contracts could not be had.
        AnvilError, DevnetError: the chain did not start.
    """
    parts = PartsStore() if parts is None else parts
    state = await state_file(parts)
    program = await asyncio.to_thread(parts.anvil)
    options = AnvilOptions(
        load_state=state,
        host=host,
        port=port,
        block_time=block_time,
        no_mining=no_mining,
        accounts=accounts,
    )
    async with open_anvil(program, options) as anvil:
        await anvil.rpc.call("anvil_mine", "0x1")
        yield Devnet(
            anvil=anvil,
            http_url=anvil.http_url,
            ws_url=anvil.ws_url,
            chain_id=options.chain_id,
            mnemonic=MNEMONIC,
            accounts=derive_accounts(MNEMONIC, accounts),
            addresses=deploy.ADDRESSES,
            contracts=deploy.contracts(),
        )
