"""Accounts against those that anvil unlocks for the same mnemonic."""

from __future__ import annotations

import pytest

from fondaco.devnet.accounts import derive_accounts
from fondaco.devnet.anvil import MNEMONIC, Anvil


@pytest.mark.chain
async def test_they_are_those_of_anvil(anvil: Anvil) -> None:
    ours = [account.hex_address for account in derive_accounts(MNEMONIC, 10)]
    assert ours == await anvil.rpc.call("eth_accounts")


def test_a_key_known_from_another_wallet() -> None:
    first = derive_accounts(MNEMONIC, 1)[0]
    assert first.private_key.hex() == (
        "f2f48ee19680706196e2e339e5da3491186e0c4c5030670656b0e0164837257d"
    )
    assert first.private_key.hex() not in repr(first)
