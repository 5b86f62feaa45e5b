"""Contracts as the original signs them: PGP clear-signed, seller in buyer in notary.

    export:  SignedContract --folded JSON, signed by the seller's PGP key--> signed_contract_body
    import:  text --> layer by layer, from outside: verified, then split --> ClearSigned

**What a layer proves.** Each layer carries the certificate of its signer inside the text that it
signs. The certificate is taken from there to verify, and counts only if the text that the signature
was found to cover names the same one. So a layer proves that the owner of that PGP key wrote it.

**What it does not prove** is that this owner has the GUID which the layer names: the original ties
the two together nowhere. A contract that this node exports says it: beside the original's sections
stands ``Fondaco``, with the network and the native signature, which covers the certificate.
``seller_key`` of what was read is set for such a contract; for another, only a fingerprint that is
known from elsewhere (``known``) ties a GUID to it.

SHA-1 is refused, as a signature of text or of a certificate: ``LegacySignature``.

Armor headers, line ends and trailing blanks are outside of what PGP signs: whoever passes such a
text on can change them, and with them its key. Native contracts have one text.

The library keeps its own time (when a signature was made, whether a certificate has run out), so
this module is a shell. It costs 0.4 ms to verify and some to sign; run it in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, final

import msgspec
from pysequoia import Cert, SignatureMode, Tsk, sign, verify
from pysequoia.packet import HashAlgorithm, PacketPile, Tag

from fondaco.identity import names
from fondaco.identity.keys import MalformedKey, Opaque
from fondaco.market.codec import read_contract, read_old_contract
from fondaco.market.contract import Contract, SignedContract
from fondaco.market.contract_signing import BUYER, NOTARY, ROLES, SELLER, check_chain
from fondaco.market.dht_keys import DhtKey, contract_key
from fondaco.market.errors import (
    BadClearSignature,
    ContractTooLarge,
    ForeignContract,
    LegacySignature,
    MalformedClearSign,
    OtherNetwork,
)
from fondaco.market.limits import MAX_CERTIFICATE, MAX_NESTED_SIZE
from fondaco.market.pgp_layout import fold, split_appendix, take_apart, unfold

NATIVE_SECTION = "Fondaco"
"""Our own section of an exported contract. The original reads the sections that it knows."""

_SECTIONS = {SELLER: "Seller", BUYER: "Buyer", NOTARY: "Notary"}
_CERTIFICATES = {SELLER: "seller_PGP", BUYER: "buyer_pgp", NOTARY: "notary_pgp"}
_GUIDS = {SELLER: "seller_GUID", BUYER: "buyer_GUID", NOTARY: "notary_GUID"}

# Where a folded line ends in a blank, the blanks of these marks are lost with it.
_ARMOR = re.compile(
    r"-----BEGIN ?PGP ?PUBLIC ?KEY ?BLOCK-----\r?\n(?:[A-Za-z-]+: ?[ -~]*\r?\n)*\r?\n"
    r"([A-Za-z0-9+/=\r\n]+?)\r?\n-----END ?PGP ?PUBLIC ?KEY ?BLOCK-----\s*"
)

_SECRET = (Tag.SecretKey, Tag.SecretSubkey)
_WEAK = (HashAlgorithm.MD5, HashAlgorithm.SHA1, HashAlgorithm.RipeMD)


class Layer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one of the parties has signed."""

    role: str
    fields: dict[str, Any]
    """The JSON that it added; fractions are Decimals."""

    guid: str
    """The GUID that it names for itself, as text. Whose it is: see the module."""

    fingerprint: str
    """Of the certificate that signed; lower-case hex."""


class ClearSigned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A clear-signed contract, each of whose layers is signed by the certificate it names."""

    text: bytes
    key: DhtKey
    """The original's: of all of *text*."""

    layers: tuple[Layer, ...]
    """Seller, then buyer, then notary; one to three of them."""

    contract: Contract
    seller_key: bytes | None
    """The identity key that signed the contract natively, too; None where nothing ties the
    seller's PGP key to the GUID."""


@final
class PgpKey(Opaque):
    """A PGP key that signs contracts. Its secret is not shown, as that of an identity is not."""

    __slots__ = ("_tsk", "certificate", "fingerprint")

    certificate: str
    """Armored: what ``seller_PGP`` and ``PGPPubKey`` hold."""

    fingerprint: str
    """Lower-case hex: ``PGPPubkeyFingerprint``."""

    def __init__(self, armored: str) -> None:
        """Take a secret key without a passphrase.

        Raises:
            MalformedKey: it is none, or its certificate is longer than contracts take.
        """
        try:
            self._tsk = Tsk.from_bytes(armored.encode())
            self._tsk.signer()
            certificate = self._tsk.extract_certificate()
        except (RuntimeError, ValueError):
            raise MalformedKey("not a PGP secret key that signs without a passphrase") from None
        self.certificate = str(certificate)
        self.fingerprint = certificate.fingerprint
        if len(self.certificate) > MAX_CERTIFICATE:
            raise MalformedKey(f"a PGP certificate of over {MAX_CERTIFICATE} characters")

    @classmethod
    def generate(cls, name: str) -> PgpKey:
        """Return a new key (Ed25519), which does not expire.

        Args:
            name: its user ID; everybody sees it.
        """
        return cls(str(Tsk.generate(name)))

    def sign(self, text: str) -> bytes:
        """Return *text* clear-signed."""
        return sign(self._tsk.signer(), text.encode(), mode=SignatureMode.CLEAR)

    def export_secret(self) -> str:
        """Return the armored secret key: for the file it is kept in."""
        return str(self._tsk)

    def __repr__(self) -> str:
        return f"<PgpKey {self.fingerprint}>"


def export_contract(signed: SignedContract, key: PgpKey) -> bytes:
    """Return *signed* as the original's ``signed_contract_body``.

    Its key is ``contract_key`` of these bytes; the signature contains the time, so a second export
    has another.

    Raises:
        BadClearSignature: *key* is not that of the contract's ``seller_PGP``.
    """
    if signed.contract.seller.certificate != key.certificate:
        raise BadClearSignature("the key of Seller.seller_PGP")
    whole = msgspec.json.decode(signed.text)
    native = {"network": whole["network"], "signatures": whole["signatures"]}
    return key.sign(fold({**whole["contract"], NATIVE_SECTION: native}))


def add_layer(inner: bytes, fields: dict[str, Any], key: PgpKey) -> bytes:
    """Return *inner*, clear-signed text, with *fields* added and all of it signed by *key*."""
    return key.sign(inner.decode().rstrip("\n") + "\n" + fold(fields))


def read_clearsigned(
    text: bytes, *, network: str, known: Mapping[names.Guid, str] | None = None
) -> ClearSigned:
    """Return the contract in *text*, all of whose layers hold.

    Args:
        network: that for which a native signature inside has to be.
        known: fingerprints that are known of GUIDs, from their signed pages.

    Raises:
        ContractTooLarge: over MAX_NESTED_SIZE.
        MalformedClearSign: not laid out as the original does, or a section is missing.
        LegacySignature: a layer, or its certificate, is signed with SHA-1.
        BadClearSignature: a layer is not signed by the certificate that it names, or that is
            not the one known of its GUID.
        MalformedContract: a field of the contract itself; named.
        BadSignature, OtherNetwork, ForeignContract: of the native signature inside.
    """
    if len(text) > MAX_NESTED_SIZE:
        raise ContractTooLarge(len(text), MAX_NESTED_SIZE)
    try:
        inner: str | None = text.decode()
    except UnicodeDecodeError:
        raise MalformedClearSign("UTF-8") from None
    layers: list[Layer] = []
    while inner is not None:
        if len(layers) == len(ROLES):
            raise MalformedClearSign("at most three layers: seller, buyer, notary")
        inner, layer = _open(inner)
        layers.insert(0, layer)
    if tuple(layer.role for layer in layers) != ROLES[: len(layers)]:
        raise MalformedClearSign("seller inside buyer inside notary")
    for layer in layers:
        _check_known(layer, known or {})
    contract, seller_key = _read_seller(layers[0].fields, network)
    return ClearSigned(
        text=text,
        key=contract_key(text),
        layers=tuple(layers),
        contract=contract,
        seller_key=seller_key,
    )


def _open(text: str) -> tuple[str | None, Layer]:
    """Verify the outermost layer of *text*; return what is inside of it, and what it adds."""
    block = take_apart(text)
    role, claimed = _claims(unfold(split_appendix(block.body)[1]))
    certificate = _certificate(role, claimed)
    verified = _verify(text, block.signature, certificate)
    # From here on only what the signature covers.
    inner, appendix = split_appendix(verified)
    fields = unfold(appendix)
    if (role, claimed) != _claims(fields):
        raise BadClearSignature("the certificate inside of what it signs")
    guid = fields[_SECTIONS[role]].get(_GUIDS[role])
    if not isinstance(guid, str):
        raise MalformedClearSign(f"{_SECTIONS[role]}.{_GUIDS[role]}")
    return inner, Layer(role=role, fields=fields, guid=guid, fingerprint=certificate.fingerprint)


def _claims(fields: dict[str, Any]) -> tuple[str, str]:
    """Return the role and the armored certificate that a layer claims for its signer."""
    roles = [role for role, section in _SECTIONS.items() if section in fields]
    if len(roles) != 1 or not isinstance(fields[_SECTIONS[roles[0]]], dict):
        raise MalformedClearSign("one section in a layer: Seller, Buyer or Notary")
    (role,) = roles
    certificate = fields[_SECTIONS[role]].get(_CERTIFICATES[role])
    if not isinstance(certificate, str) or not 0 < len(certificate) <= MAX_CERTIFICATE:
        raise MalformedClearSign(f"a certificate in {_SECTIONS[role]}.{_CERTIFICATES[role]}")
    return role, certificate


def _certificate(role: str, armored: str) -> Cert:
    found = _ARMOR.fullmatch(armored)
    try:
        if found is not None:
            begin, end = (f"-----{word} PGP PUBLIC KEY BLOCK-----" for word in ("BEGIN", "END"))
            raw = f"{begin}\n\n{found[1]}\n{end}\n".encode()
            # A secret key that is called a certificate would be shown to everybody.
            if not any(packet.tag in _SECRET for packet in PacketPile.from_bytes(raw)):
                return Cert.from_bytes(raw)
    except (RuntimeError, ValueError):
        pass
    raise MalformedClearSign(f"a PGP certificate in {_SECTIONS[role]}.{_CERTIFICATES[role]}")


def _verify(text: str, signature: str, certificate: Cert) -> str:
    """Return what *certificate* has signed of *text*."""
    _refuse_weak(signature.encode(), "signed with SHA-1 or older: legacy, weak")
    try:
        found = verify(text.encode(), lambda _ids: [certificate])
        covered = (found.bytes or b"").decode()
        signers = [valid.certificate for valid in found.valid_sigs]
    except (RuntimeError, ValueError):
        _refuse_weak(bytes(certificate), "certified with SHA-1 or older: legacy, weak")
        raise BadClearSignature("a valid signature by the certificate inside") from None
    if signers != [certificate.fingerprint]:
        raise BadClearSignature("a valid signature by the certificate inside")
    return covered


def _refuse_weak(packets: bytes, problem: str) -> None:
    try:
        hashes = [
            packet.hash_algorithm
            for packet in PacketPile.from_bytes(packets)
            if packet.tag == Tag.Signature
        ]
    except (RuntimeError, ValueError):
        raise BadClearSignature("a PGP signature") from None
    if not hashes:
        raise BadClearSignature("a PGP signature")
    if any(used in _WEAK for used in hashes):
        raise LegacySignature(f"a signature that proves something; this one is {problem}")


def _check_known(layer: Layer, known: Mapping[names.Guid, str]) -> None:
    try:
        expected = known.get(names.read_guid(layer.guid))
    except names.InvalidGuid:
        section = _SECTIONS[layer.role]
        raise MalformedClearSign(
            f"40 lower-case hex digits in {section}.{_GUIDS[layer.role]}"
        ) from None
    if expected is not None and expected != layer.fingerprint:
        raise BadClearSignature(f"the certificate that is known of the {layer.role}'s GUID")


def _read_seller(fields: dict[str, Any], network: str) -> tuple[Contract, bytes | None]:
    """Return the contract of the innermost layer, and who signed it natively, if anybody did."""
    if NATIVE_SECTION not in fields:
        return read_old_contract(fields), None
    body = {name: value for name, value in fields.items() if name != NATIVE_SECTION}
    native = fields[NATIVE_SECTION]
    if not isinstance(native, dict) or set(native) != {"network", "signatures"}:
        raise MalformedClearSign(f"network and signatures in {NATIVE_SECTION}")
    if native["network"] != network:
        raise OtherNetwork(f"{NATIVE_SECTION}.network", network)
    contract = read_contract(body)
    try:
        (key,) = check_chain(
            _as_signed(body), native["signatures"], roles=(SELLER,), network=network
        )
    except ValueError:  # of rfc8785; what is refused on purpose is none
        raise MalformedClearSign("numbers that RFC 8785 can spell") from None
    if names.guid(key) != contract.seller.guid:
        raise ForeignContract
    return contract, key


def _as_signed(value: Any) -> Any:
    """Return decoded JSON with the floats that the native text was made of."""
    if isinstance(value, dict):
        return {name: _as_signed(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_signed(member) for member in value]
    return float(value) if isinstance(value, Decimal) else value
