"""Secrets as values that cannot be seen: the seed's words and the identity key.

    words --BIP39--> 64-byte seed --BIP32, IDENTITY_PATH--> IdentityKey
    keys/privkey of 0x Mesh --------------------------------'

Neither type shows its content in ``repr``, ``str``, a format, a pickle or an encoder.
What has to take a secret out says so by the name of the one method that does.
"""

from __future__ import annotations

import base64
import binascii
from typing import NoReturn, final

from fondaco.errors import NodeError
from fondaco.identity import names, schnorr, signatures
from fondaco.identity.libwally import wallycore

HARDENED = 2**31
"""Added to an index whose child cannot be computed from the public key. Source: BIP32."""

IDENTITY_PATH = (61658 + HARDENED, 0 + HARDENED, 0 + HARDENED)
"""``m/61658'/0'/0'``: the identity key. Recorded in docs/decisions/0001-identity-paths.md;
a change would give every node another name."""

ENTROPY_SIZE = 32
"""Bytes behind a new seed: 24 words."""

SECRET_SIZE = 32
"""Bytes of a secp256k1 private key."""

_LIBP2P_HEADER = bytes.fromhex("08021220")
"""Field 1 (key type) = 2, secp256k1; field 2 (key) of 32 bytes. Source: libp2p crypto.proto."""


class MalformedKey(NodeError):
    """Text that should hold a secret and does not. The text itself is never repeated."""

    code = "MalformedKey"


class Opaque:
    """Refuses to be copied out of memory by accident."""

    __slots__ = ()

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled or copied")

    def __format__(self, _spec: str) -> str:
        return repr(self)


@final
class IdentityKey(Opaque):
    """The secp256k1 key that a node is known by."""

    __slots__ = ("_secret", "public_key")

    public_key: bytes
    """33 bytes, compressed."""

    def __init__(self, secret: bytes) -> None:
        """Take a private key of 32 bytes.

        Raises:
            MalformedKey: it is not in 1 .. order of the group - 1.
        """
        try:
            self.public_key = bytes(wallycore.ec_public_key_from_private_key(secret))
        except ValueError:
            raise MalformedKey("not a secp256k1 private key") from None
        self._secret = secret

    @property
    def peer_id(self) -> str:
        """The libp2p name of the node."""
        return names.peer_id(self.public_key)

    @property
    def guid(self) -> names.Guid:
        """The market's name of the node."""
        return names.guid(self.public_key)

    def sign(self, text: bytes) -> bytes:
        """Return a DER signature of SHA-256(*text*): what libp2p calls signing."""
        return signatures.sign(self._secret, text)

    def sign_tagged(self, tag: str, text: bytes) -> bytes:
        """Return a BIP340 signature of the tagged hash of *text*: what the market calls signing."""
        return schnorr.sign(self._secret, schnorr.tagged_hash(tag, text))

    def export_for_libp2p(self) -> str:
        """Return the private key in the form of 0x Mesh's ``keys/privkey``: base64."""
        return base64.b64encode(_LIBP2P_HEADER + self._secret).decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdentityKey) and other.public_key == self.public_key

    def __hash__(self) -> int:
        return hash(self.public_key)

    def __repr__(self) -> str:
        return f"<IdentityKey of {self.peer_id}>"


@final
class Seed(Opaque):
    """The BIP39 words that every key of a node comes from."""

    __slots__ = ("_words",)

    def __init__(self, words: str) -> None:
        """Take English words, separated by any white space.

        Raises:
            MalformedKey: a word is unknown, their number is wrong, or the checksum is.
        """
        normal = " ".join(words.split())
        try:
            wallycore.bip39_mnemonic_validate(None, normal)
        except ValueError:
            raise MalformedKey("not the words of a BIP39 seed") from None
        self._words = normal

    @classmethod
    def from_entropy(cls, entropy: bytes) -> Seed:
        """Return the seed that 32 random bytes spell."""
        if len(entropy) != ENTROPY_SIZE:
            raise ValueError(f"{len(entropy)} bytes of entropy, not {ENTROPY_SIZE}")
        return cls(wallycore.bip39_mnemonic_from_bytes(None, entropy))

    def identity_key(self) -> IdentityKey:
        """Return the key at IDENTITY_PATH. The BIP39 passphrase is empty."""
        return IdentityKey(self._derive(IDENTITY_PATH))

    def export_words(self) -> str:
        """Return the words with single blanks: for the file they are kept in."""
        return self._words

    def __repr__(self) -> str:
        return "<Seed>"

    def _derive(self, path: tuple[int, ...]) -> bytes:
        seed = wallycore.bip39_mnemonic_to_seed512(self._words, None)
        flags = wallycore.BIP32_FLAG_KEY_PRIVATE | wallycore.BIP32_FLAG_SKIP_HASH
        master = wallycore.bip32_key_from_seed(
            seed, wallycore.BIP32_VER_MAIN_PRIVATE, wallycore.BIP32_FLAG_SKIP_HASH
        )
        key = wallycore.bip32_key_from_parent_path(master, list(path), flags)
        return bytes(wallycore.bip32_key_get_priv_key(key))


def import_from_libp2p(text: str) -> IdentityKey:
    """Return the key in 0x Mesh's ``keys/privkey``: base64 of a libp2p private key.

    Raises:
        MalformedKey: it is not base64, or holds another kind of key.
    """
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedKey("not base64") from None
    if raw[:4] != _LIBP2P_HEADER or len(raw) != len(_LIBP2P_HEADER) + SECRET_SIZE:
        raise MalformedKey("not a secp256k1 key in libp2p's form")
    return IdentityKey(raw[4:])
