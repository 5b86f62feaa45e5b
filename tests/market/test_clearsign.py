"""Clear-signed contracts: GnuPG's are read, ours go out and come back, every layer has to hold."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fondaco.identity.keys import MalformedKey
from fondaco.identity.names import Guid
from fondaco.market.clearsign import (
    ClearSigned,
    PgpKey,
    add_layer,
    export_contract,
    read_clearsigned,
)
from fondaco.market.codec import read_old_contract, spell_contract
from fondaco.market.contract_signing import sign_contract, sign_next
from fondaco.market.dht_keys import contract_key
from fondaco.market.errors import (
    BadClearSignature,
    BadSignature,
    ClearSignRefused,
    ContractTooLarge,
    ForeignContract,
    LegacySignature,
    MalformedClearSign,
    MalformedContract,
    MarketRefusal,
    OtherNetwork,
)
from fondaco.market.pgp_layout import fold
from support.contracts import BUYER, NOTARY, PIXEL, SELLER, contract_json, put

VECTORS = Path(__file__).parents[1] / "vectors" / "gpg_contract_vectors.json"
GPG: dict[str, Any] = json.loads(VECTORS.read_text())
NESTED: list[dict[str, Any]] = GPG["nested"]["cases"]
FINGERPRINTS: dict[str, str] = GPG["fingerprints"]

SELLERS_PGP = PgpKey.generate("seller")
BUYERS_PGP = PgpKey.generate("buyer")
NOTARYS_PGP = PgpKey.generate("notary")

SIGNED = sign_contract(
    read_old_contract(
        put(
            contract_json(
                item_title="- dashes  and   blanks \u00fc\u20ac\U0001f6b2" + " " * 60 + "!",
                item_desc="From here\n-- on\n-----END PGP SIGNATURE-----\n \n" + "a " * 200,
                item_images=PIXEL,
            ),
            "Seller.seller_PGP",
            SELLERS_PGP.certificate,
        )
    ),
    SELLER,
    network="main",
)
EXPORTED = export_contract(SIGNED, SELLERS_PGP)
BID = {"Buyer": {"buyer_GUID": BUYER.guid.hex(), "buyer_pgp": BUYERS_PGP.certificate}}
MISNAMED = BUYERS_PGP.export_secret().replace("PRIVATE", "PUBLIC")
DECISION = {
    "Notary": {"notary_GUID": NOTARY.guid.hex(), "notary_pgp": NOTARYS_PGP.certificate},
    "Escrow": {"multisig_address": "35MgRri9sk2d8xB7PF75D2icF9cm4R2ddd"},
}


def read(text: bytes | str, known: dict[Guid, str] | None = None) -> ClearSigned:
    raw = text.encode() if isinstance(text, str) else text
    return read_clearsigned(raw, network="main", known=known)


def without_blanks(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode().replace(" ", "")


# --- what GnuPG made -----------------------------------------------------------------


@pytest.mark.parametrize("case", NESTED, ids=lambda case: case["note"])
def test_layers_made_by_gnupg(case: dict[str, Any]) -> None:
    found = read(case["text"])
    roles = ["seller", "buyer", "notary"][: len(case["sections"])]
    assert [layer.role for layer in found.layers] == roles
    assert [layer.fingerprint for layer in found.layers] == [FINGERPRINTS[r] for r in roles]
    guids = [key.guid.hex() for key in (SELLER, BUYER, NOTARY)][: len(roles)]
    assert [layer.guid for layer in found.layers] == guids
    assert found.key == contract_key(case["text"].encode())
    assert found.seller_key is None
    for layer, section in zip(found.layers, case["sections"], strict=True):
        sent = put(section, "Contract.item_price", "0.5") if layer.role == "seller" else section
        fields = copy.deepcopy(layer.fields)
        if layer.role == "seller":
            fields["Contract"]["item_price"] = "0.5"
        # The original's folding cuts where blanks are; see lost_blank.
        assert without_blanks(fields) == without_blanks(sent)
    assert found.contract.item.price == 50_000_000
    assert found.contract.item.title == case["sections"][0]["Contract"]["item_title"]


def test_a_blank_that_the_original_lost() -> None:
    case = GPG["lost_blank"]
    lines = case["text"].split("\n")
    (cut,) = [line for line in lines if line.endswith("three ")]
    description = read(case["text"]).contract.item.description
    assert description == case["description"].replace("three blanks", "threeblanks")
    # On the way somebody strips line ends, or adds blanks to one: it says the same.
    for line in (cut.rstrip(), cut + " \t"):
        found = read(case["text"].replace(cut, line))
        assert found.contract.item.description == description


@pytest.mark.parametrize("case", GPG["refused"]["cases"], ids=lambda case: case["note"])
def test_what_gnupg_made_and_nobody_shall_believe(case: dict[str, str]) -> None:
    with pytest.raises(ClearSignRefused) as caught:
        read(case["text"])
    assert type(caught.value).__name__ == caught.value.code == case["error"]
    assert ("legacy, weak" in str(caught.value)) is (case["error"] == "LegacySignature")


def test_a_fingerprint_that_is_known_of_a_guid() -> None:
    text = NESTED[2]["text"]
    ours = {SELLER.guid: FINGERPRINTS["seller"], NOTARY.guid: FINGERPRINTS["notary"]}
    assert len(read(text, ours).layers) == 3
    for key, role in ((SELLER, "seller"), (BUYER, "buyer"), (NOTARY, "notary")):
        with pytest.raises(BadClearSignature, match=f"known of the {role}'s GUID"):
            read(text, {**ours, key.guid: "00" * 20})


# --- ours ----------------------------------------------------------------------------


def test_an_exported_contract_comes_back() -> None:
    found = read(EXPORTED)
    assert found.contract == SIGNED.contract
    assert found.seller_key == SELLER.public_key
    assert found.key == contract_key(EXPORTED) != SIGNED.key
    (layer,) = found.layers
    assert layer.fingerprint == SELLERS_PGP.fingerprint


def test_three_layers_of_ours() -> None:
    bid = add_layer(EXPORTED, BID, BUYERS_PGP)
    notarized = add_layer(bid, DECISION, NOTARYS_PGP)
    found = read(notarized)
    assert [layer.role for layer in found.layers] == ["seller", "buyer", "notary"]
    assert [layer.fields for layer in found.layers[1:]] == [BID, DECISION]
    assert found.contract == SIGNED.contract
    assert found.seller_key == SELLER.public_key
    assert read(bid).layers == found.layers[:2]


def test_a_layer_around_gnupgs() -> None:
    found = read(add_layer(NESTED[0]["text"].encode(), BID, BUYERS_PGP))
    assert [layer.fingerprint for layer in found.layers] == [
        FINGERPRINTS["seller"],
        BUYERS_PGP.fingerprint,
    ]


def test_only_the_key_in_the_contract_exports_it() -> None:
    with pytest.raises(BadClearSignature, match=r"Seller\.seller_PGP"):
        export_contract(SIGNED, BUYERS_PGP)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([(DECISION, NOTARYS_PGP)], "seller inside buyer"),
        ([(BID, BUYERS_PGP), (BID, BUYERS_PGP)], "seller inside buyer"),
        ([(BID, BUYERS_PGP), (DECISION, NOTARYS_PGP), (DECISION, NOTARYS_PGP)], "three layers"),
        ([({**BID, **DECISION}, BUYERS_PGP)], "one section"),
        ([({"Escrow": {}}, BUYERS_PGP)], "one section"),
        ([({"Buyer": []}, BUYERS_PGP)], "one section"),
        ([({"Buyer": {}}, BUYERS_PGP)], r"certificate in Buyer\.buyer_pgp"),
        ([(put(BID, "Buyer.buyer_pgp", "x"), BUYERS_PGP)], "PGP certificate in Buyer"),
        ([(put(BID, "Buyer.buyer_pgp", "x" * 20_000), BUYERS_PGP)], "certificate in Buyer"),
        ([(put(BID, "Buyer.buyer_pgp", BUYERS_PGP.export_secret()), BUYERS_PGP)], "certificate"),
        ([(put(BID, "Buyer.buyer_pgp", MISNAMED), BUYERS_PGP)], "PGP certificate in Buyer"),
        ([(put(BID, "Buyer.buyer_GUID", None), BUYERS_PGP)], r"Buyer\.buyer_GUID"),
        ([(put(BID, "Buyer.buyer_GUID", "me"), BUYERS_PGP)], r"Buyer\.buyer_GUID"),
    ],
)
def test_layers_out_of_order(layers: list[tuple[dict[str, Any], PgpKey]], expected: str) -> None:
    text = EXPORTED
    for fields, key in layers:
        text = add_layer(text, fields, key)
    with pytest.raises(MalformedClearSign, match=expected):
        read(text)


def test_a_bid_without_a_contract() -> None:
    with pytest.raises(MalformedClearSign, match="seller inside buyer"):
        read(BUYERS_PGP.sign(fold(BID)))


def test_another_key_than_the_one_inside() -> None:
    for text in (
        add_layer(EXPORTED, BID, SELLERS_PGP),
        BUYERS_PGP.sign(fold(spell_contract(SIGNED.contract))),
    ):
        with pytest.raises(BadClearSignature, match="the certificate inside"):
            read(text)


def test_an_inner_layer_has_to_hold_too() -> None:
    # The original checked the outermost only.
    forged = EXPORTED.replace(b"blanks", b"planks")
    for text in (forged, add_layer(forged, BID, BUYERS_PGP)):
        with pytest.raises(BadClearSignature):
            read(text)


@pytest.mark.parametrize(
    "junk", [b"junk\n", b"\n", EXPORTED, b"-----BEGIN PGP SIGNED MESSAGE-----\n"]
)
def test_nothing_stands_around_the_text(junk: bytes) -> None:
    with pytest.raises(MalformedClearSign):
        read(junk + EXPORTED)
    if junk.strip():
        with pytest.raises(MalformedClearSign):
            read(EXPORTED + junk)


# --- the native signature inside -----------------------------------------------------

BODY = spell_contract(SIGNED.contract)
NATIVE = {"network": "main", "signatures": json.loads(SIGNED.text)["signatures"]}


def exported(body: dict[str, Any], native: Any) -> bytes:
    return SELLERS_PGP.sign(fold({**body, "Fondaco": native}))


def test_the_native_signature_is_checked() -> None:
    assert read(exported(BODY, NATIVE)).seller_key == SELLER.public_key
    assert read(SELLERS_PGP.sign(fold(BODY))).seller_key is None
    with pytest.raises(BadSignature):
        read(exported(put(BODY, "Contract.item_price", "0.6"), NATIVE))
    with pytest.raises(BadSignature):
        read(exported(BODY, {**NATIVE, "signatures": []}))
    with pytest.raises(OtherNetwork):
        read(exported(BODY, {**NATIVE, "network": "test"}))
    with pytest.raises(MalformedContract, match="item_price"):
        read(exported(put(BODY, "Contract.item_price", 0.5), NATIVE))
    with pytest.raises(MalformedClearSign, match="Fondaco"):
        read(exported(BODY, {**NATIVE, "note": ""}))


def test_anothers_guid_with_ones_own_signature() -> None:
    entry = sign_next(BODY, [], role="seller", key=BUYER, network="main")
    with pytest.raises(ForeignContract):
        read(exported(BODY, {"network": "main", "signatures": [entry]}))


def test_numbers_of_a_later_client_come_through() -> None:
    body = put(BODY, "Contract.item_weight", 0.1)
    entry = sign_next(body, [], role="seller", key=SELLER, network="main")
    assert read(exported(body, {"network": "main", "signatures": [entry]})).seller_key
    with pytest.raises(MalformedClearSign, match="RFC 8785"):
        read(exported(put(body, "Contract.item_weight", 2**70), NATIVE))


def test_a_field_of_an_old_contract_is_named() -> None:
    body = put(BODY, "Contract.item_condition", "Stolen")
    with pytest.raises(MalformedContract) as caught:
        read(SELLERS_PGP.sign(fold(body)))
    assert caught.value.field == "Contract.item_condition"


# --- keys ----------------------------------------------------------------------------


def test_a_key_survives_its_file() -> None:
    again = PgpKey(SELLERS_PGP.export_secret())
    assert again.fingerprint == SELLERS_PGP.fingerprint
    assert again.certificate == SELLERS_PGP.certificate
    assert read(export_contract(SIGNED, again)).contract == SIGNED.contract


@pytest.mark.parametrize("text", ["", "junk", SELLERS_PGP.certificate])
def test_what_is_no_secret_key(text: str) -> None:
    with pytest.raises(MalformedKey) as caught:
        PgpKey(text)
    assert not text or text not in str(caught.value)


def test_a_secret_is_not_shown() -> None:
    secret = SELLERS_PGP.export_secret().split("\n")[5]
    for show in (repr, str, lambda key: f"{key} {key!r}"):
        assert secret not in show(SELLERS_PGP)
        assert SELLERS_PGP.fingerprint in show(SELLERS_PGP)
    for encode in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode):
        with pytest.raises(TypeError):
            encode(SELLERS_PGP)


# --- strangers -----------------------------------------------------------------------


def test_a_long_text_is_not_looked_at() -> None:
    with pytest.raises(ContractTooLarge):
        read(b"-" * 10_000_000)
    with pytest.raises(MalformedClearSign, match="UTF-8"):
        read(b"\xff")


GPG_TEXT: bytes = NESTED[1]["text"].encode()


@settings(max_examples=200)
@given(st.data())
def test_a_changed_text_says_the_same_or_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(GPG_TEXT) - 1))
    other = data.draw(st.binary(max_size=3))
    length = data.draw(st.integers(0, 3))
    spoiled = GPG_TEXT[:place] + other + GPG_TEXT[place + length :]
    try:
        found = read(spoiled)
    except MarketRefusal:
        return
    assert found.layers == read(GPG_TEXT).layers


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes) -> None:
    for text in (raw, b"-----BEGIN PGP SIGNED MESSAGE-----\n\n" + raw):
        with pytest.raises(ClearSignRefused):
            read(text)


def test_the_error_for_weak_signatures_does_not_blame_who_passes_them_on() -> None:
    assert LegacySignature.verdict.value == "ignore"
    assert BadClearSignature.verdict.value == "reject"
