"""Identities of OpenBazaar, taken over as they stand in its ``settings``.

    bip32_seed=1234567...        0.3 on:  the digits' ASCII --BIP32--> m/0/0/0   the identity
                                                               '----> m/1/0/n   an escrow key
    secret=64 or 66 hex digits   0.1 on:  the private key, 66 with a last byte 01

None of these indices is hardened: whoever learns one child key and the extended public key
above it knows them all. So such a seed names a node and opens old escrows; no new key is
made from it.
"""

from __future__ import annotations

import hmac
import re
from typing import final

from fondaco.identity.keys import SECRET_SIZE, IdentityKey, MalformedKey, Opaque
from fondaco.identity.libwally import wallycore

SEED_LABEL = "bip32_seed="
SECRET_LABEL = "secret="

LONGEST_OLD_SEED = 78
"""Digits of the largest 256-bit number, which is what the original drew."""

OLD_IDENTITY_PATH = (0, 0, 0)
"""``m/0/0/0``. Source: OpenBazaar 0.3 and 0.4."""

LARGEST_ESCROW_INDEX = 2**31 - 1
"""The n of ``m/1/0/n`` is a row number of the original's ``keystore``; hardened it never was."""

_OLD_SEED = re.compile(rf"[0-9]{{1,{LONGEST_OLD_SEED}}}")
_OLD_SECRET = re.compile(r"([0-9a-fA-F]{64})(?:01)?")


@final
class OldSeed(Opaque):
    """The decimal text that every key of an OpenBazaar 0.3 or 0.4 node comes from."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        """Take ``bip32_seed`` as the original stored it.

        Raises:
            MalformedKey: it is not 1 to 78 decimal digits. It is never repeated.
        """
        if not _OLD_SEED.fullmatch(digits):
            raise MalformedKey("not the decimal text of an OpenBazaar seed")
        self._digits = digits

    def identity_key(self) -> IdentityKey:
        """Return the key at ``m/0/0/0``."""
        return IdentityKey(self._derive(OLD_IDENTITY_PATH))

    def escrow_key(self, index: int) -> IdentityKey:
        """Return the key at ``m/1/0/index``: that of one contract or order of the original.

        Raises:
            ValueError: *index* is not in 1 .. 2**31 - 1.
        """
        if not 1 <= index <= LARGEST_ESCROW_INDEX:
            raise ValueError(f"no escrow key has the number {index}")
        return IdentityKey(self._derive((1, 0, index)))

    def __repr__(self) -> str:
        return "<OldSeed>"

    def _derive(self, path: tuple[int, ...]) -> bytes:
        # The library takes seeds of 16, 32 or 64 bytes; these have as many as the number digits.
        master = hmac.digest(b"Bitcoin seed", self._digits.encode(), "sha512")
        root = wallycore.bip32_key_init(
            wallycore.BIP32_VER_MAIN_PRIVATE,
            0,
            0,
            master[SECRET_SIZE:],
            None,
            master[:SECRET_SIZE],
            None,
            None,
        )
        flags = wallycore.BIP32_FLAG_KEY_PRIVATE | wallycore.BIP32_FLAG_SKIP_HASH
        child = wallycore.bip32_key_from_parent_path(root, list(path), flags)
        return bytes(wallycore.bip32_key_get_priv_key(child))


def is_labelled(text: str) -> bool:
    """Say whether *text* claims to be an identity of OpenBazaar."""
    return text.strip().startswith((SEED_LABEL, SECRET_LABEL))


def import_old_identity(text: str) -> IdentityKey:
    """Return the identity in one line ``bip32_seed=...`` or ``secret=...``.

    The label is asked for because 64 digits could be either.

    Raises:
        MalformedKey: no label, or not what the label says. The text is never repeated.
    """
    line = text.strip()
    if line.startswith(SEED_LABEL):
        return OldSeed(line.removeprefix(SEED_LABEL)).identity_key()
    found = _OLD_SECRET.fullmatch(line.removeprefix(SECRET_LABEL))
    if not line.startswith(SECRET_LABEL) or found is None:
        raise MalformedKey("not an OpenBazaar identity: bip32_seed=DIGITS or secret=HEX")
    return IdentityKey(bytes.fromhex(found[1]))
