"""The native signature of a contract: who offers it, provably, in one text.

    {"contract": {...}, "network": "main", "signatures": [{role, key, prev_hash, sig}, ...]}

    contract, network, role, key, prev_hash --RFC 8785--> tagged hash --BIP340--> sig
                                       ^
      first: ""      next: hash of the whole entry before

Signatures are detached and chained: each says over what it was put, that is the contract and every
signature before. So none can be taken out, put elsewhere or used on another network. A signature
of BIP340 is also one of the mirrored key; therefore the whole key is part of what is signed.

The text of all this is canonical JSON, there is no other text of it, and its hash by the original's
rule is the contract's key. A contract that is exported as clear-signed text (``clearsign``) has a
second key there, by the same rule.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Protocol

from fondaco.identity import names, schnorr
from fondaco.market import canonical
from fondaco.market.codec import read_contract, spell_contract
from fondaco.market.contract import Contract, SignedContract
from fondaco.market.dht_keys import contract_key
from fondaco.market.errors import (
    BadSignature,
    ContractTooLarge,
    ForeignContract,
    MalformedContract,
    OtherNetwork,
)
from fondaco.market.limits import MAX_SIGNED_SIZE

CONTRACT_TAG = "fondaco/listing/1"
"""BIP340 tag of a signature under a contract."""

CHAIN_TAG = "fondaco/signature/1"
"""Tag of the hash by which a signature names the one before."""

SELLER, BUYER, NOTARY = "seller", "buyer", "notary"
ROLES = (SELLER, BUYER, NOTARY)
"""In the order in which they sign. Source: OpenBazaar, all versions."""

KEY_TEXT = re.compile(r"0[23][0-9a-f]{64}")
"""A compressed key, as a signature names its signer."""

SIGNATURE_TEXT = re.compile(r"[0-9a-f]{128}")

_NETWORK = re.compile(r"[a-z0-9-]{1,32}")
_ENTRY = frozenset({"role", "key", "prev_hash", "sig"})


class Signer(Protocol):
    """What this module asks of a key; ``identity.keys.IdentityKey`` has it."""

    @property
    def public_key(self) -> bytes:
        """33 bytes, compressed."""

    @property
    def guid(self) -> names.Guid:
        """The name that follows from it."""

    def sign_tagged(self, tag: str, text: bytes) -> bytes:
        """Return the BIP340 signature of a tagged hash."""


def sign_contract(contract: Contract, key: Signer, *, network: str) -> SignedContract:
    """Return *contract* signed by its seller.

    Deterministic: the same contract, key and network are the same text, with the same key.

    Args:
        network: 1 to 32 of ``a-z0-9-``; a signature is worth nothing on another.

    Raises:
        ForeignContract: *key* is not the seller's.
        ContractTooLarge: its text would be over MAX_SIGNED_SIZE.
    """
    if contract.seller.guid != key.guid:
        raise ForeignContract
    body = spell_contract(contract)
    text = canonical.encode(
        {
            "contract": body,
            "network": check_network(network),
            "signatures": [sign_next(body, [], role=SELLER, key=key, network=network)],
        }
    )
    if len(text) > MAX_SIGNED_SIZE:
        raise ContractTooLarge(len(text), MAX_SIGNED_SIZE)
    return _signed(contract, text, key.public_key)


def decode_signed(text: bytes, *, network: str) -> SignedContract:
    """Return the contract in *text*, whose only signature its seller has made.

    Raises:
        ContractTooLarge: over MAX_SIGNED_SIZE.
        MalformedContract: not canonical, or a field is not as it has to be.
        OtherNetwork: signed for another network.
        BadSignature: the signature does not hold.
        ForeignContract: it holds, but its key is not that of ``Seller.seller_GUID``.
    """
    whole = canonical.decode(text, limit=MAX_SIGNED_SIZE, refuse=MalformedContract)
    for field in ("contract", "network", "signatures"):
        if field not in whole:
            raise MalformedContract(field, "a member of a signed contract")
    if len(whole) != 3:
        # Nothing would sign it, so whoever passes the text on could add to it.
        raise MalformedContract("", "contract, network, signatures and nothing else")
    if whole["network"] != network:
        raise OtherNetwork("network", network)
    contract = read_contract(whole["contract"])
    (seller_key,) = check_chain(
        whole["contract"], whole["signatures"], roles=(SELLER,), network=network
    )
    if names.guid(seller_key) != contract.seller.guid:
        raise ForeignContract
    return _signed(contract, text, seller_key)


def sign_next(
    body: dict[str, Any],
    signatures: Sequence[dict[str, str]],
    *,
    role: str,
    key: Signer,
    network: str,
) -> dict[str, str]:
    """Return the entry that follows *signatures* under *body*.

    Args:
        body: JSON of what is signed.
        signatures: entries that have been checked.
        role: the one that comes next.
    """
    entry = {
        "role": role,
        "key": key.public_key.hex(),
        "prev_hash": _hash_of(signatures[-1]) if signatures else "",
    }
    signed = key.sign_tagged(CONTRACT_TAG, _signed_text(body, entry, network))
    return {**entry, "sig": signed.hex()}


def check_chain(
    body: object, signatures: object, *, roles: Sequence[str], network: str
) -> tuple[bytes, ...]:
    """Check that *signatures* are of these roles, chained, and hold for *body*.

    Returns:
        The compressed keys that signed, in their order. Whose they are the caller compares.

    Raises:
        BadSignature: names the entry, ``signatures[1].prev_hash``.
    """
    if not isinstance(signatures, list) or len(signatures) != len(roles):
        raise BadSignature("signatures", f"one signature each of: {', '.join(roles)}")
    keys: list[bytes] = []
    previous = ""
    for number, (entry, role) in enumerate(zip(signatures, roles, strict=True)):
        field = f"signatures[{number}]"
        _check_entry(entry, role, previous, field)
        digest = schnorr.tagged_hash(CONTRACT_TAG, _signed_text(body, entry, network))
        key = bytes.fromhex(entry["key"])
        if not schnorr.is_signed_by(key, digest, bytes.fromhex(entry["sig"])):
            raise BadSignature(f"{field}.sig", f"the signature of the {role} with this key")
        keys.append(key)
        previous = _hash_of(entry)
    return tuple(keys)


def _check_entry(entry: object, role: str, previous: str, field: str) -> None:
    if not isinstance(entry, dict) or set(entry) != _ENTRY:
        raise BadSignature(field, f"an object of {', '.join(sorted(_ENTRY))}")
    if entry["role"] != role:
        raise BadSignature(f"{field}.role", role)
    for name, pattern, expected in (
        ("key", KEY_TEXT, "66 hex digits of a compressed key"),
        ("sig", SIGNATURE_TEXT, "128 hex digits"),
    ):
        if not isinstance(entry[name], str) or not pattern.fullmatch(entry[name]):
            raise BadSignature(f"{field}.{name}", expected)
    if entry["prev_hash"] != previous:
        raise BadSignature(f"{field}.prev_hash", "the hash of the signature before")


def _signed_text(body: object, entry: dict[str, str], network: str) -> bytes:
    return canonical.encode(
        {
            "contract": body,
            "network": network,
            "role": entry["role"],
            "key": entry["key"],
            "prev_hash": entry["prev_hash"],
        }
    )


def _hash_of(entry: dict[str, str]) -> str:
    return schnorr.tagged_hash(CHAIN_TAG, canonical.encode(entry)).hex()


def _signed(contract: Contract, text: bytes, seller_key: bytes) -> SignedContract:
    return SignedContract(
        contract=contract,
        text=text,
        key=contract_key(text),
        text_hash=hashlib.sha256(text).digest(),
        seller_key=seller_key,
    )


def check_network(network: str) -> str:
    """Return *network* if it can be the name of one.

    Raises:
        ValueError: it cannot; our own bug, or a setting that was not checked.
    """
    if not _NETWORK.fullmatch(network):
        raise ValueError(f"no network is named {network!r}")
    return network
