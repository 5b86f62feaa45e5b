"""The accounts of a mnemonic, as Ethereum wallets and anvil derive them. Pure.

Keys here belong to a public test mnemonic; the node's own keys live in ``identity``.

Source: BIP-39 (words to seed), BIP-32 (private child keys), BIP-44 with coin type 60.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac

from coincurve import PrivateKey, PublicKey
from tiny_keccak import keccak256

from fondaco.chain import wire

_HARDENED = 1 << 31
_PATH = (44 | _HARDENED, 60 | _HARDENED, _HARDENED, 0)
"""m/44'/60'/0'/0; the account's index follows."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account that the local chain has unlocked and funded."""

    index: int
    address: bytes
    """20 bytes."""
    private_key: bytes = dataclasses.field(repr=False)
    """32 bytes."""

    @property
    def hex_address(self) -> str:
        """The address as JSON-RPC spells it: 0x and lower case."""
        return wire.encode_data(self.address)


def derive_accounts(mnemonic: str, count: int) -> tuple[Account, ...]:
    """Return the first *count* accounts of *mnemonic* (English words, no passphrase)."""
    seed = hashlib.pbkdf2_hmac("sha512", mnemonic.encode(), b"mnemonic", 2048)
    node = _split(hmac.digest(b"Bitcoin seed", seed, "sha512"))
    for index in _PATH:
        node = _child(*node, index)
    keys = [_child(*node, index)[0] for index in range(count)]
    return tuple(
        Account(index=index, address=address_of(key), private_key=key)
        for index, key in enumerate(keys)
    )


def address_of(private_key: bytes) -> bytes:
    """Return the Ethereum address of a 32-byte secp256k1 private key."""
    public = PublicKey.from_secret(private_key).format(compressed=False)
    return keccak256(public[1:])[12:]


def _child(key: bytes, chain_code: bytes, index: int) -> tuple[bytes, bytes]:
    # The case of a key out of range (1 in 2**127) ends in coincurve's ValueError.
    is_hardened = index >= _HARDENED
    parent = b"\0" + key if is_hardened else PublicKey.from_secret(key).format()
    tweak, code = _split(hmac.digest(chain_code, parent + index.to_bytes(4, "big"), "sha512"))
    return PrivateKey(key).add(tweak).secret, code


def _split(digest: bytes) -> tuple[bytes, bytes]:
    return digest[:32], digest[32:]
