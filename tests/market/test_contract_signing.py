"""Who offers a contract is known from its text alone."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.identity import schnorr
from fondaco.identity.names import guid
from fondaco.market import canonical, dht_limits
from fondaco.market.codec import spell_contract
from fondaco.market.contract import SignedContract
from fondaco.market.contract_signing import (
    BUYER,
    CONTRACT_TAG,
    NOTARY,
    ROLES,
    check_chain,
    decode_signed,
    sign_contract,
    sign_next,
)
from fondaco.market.dht_keys import contract_key
from fondaco.market.errors import (
    BadSignature,
    ContractTooLarge,
    ForeignContract,
    MalformedContract,
    MarketRefusal,
    OtherNetwork,
)
from fondaco.market.limits import MAX_KEYWORD, MAX_OFFER_SIZE, MAX_SIGNED_SIZE
from support.contracts import BUYER as BUYER_KEY
from support.contracts import NOTARY as NOTARY_KEY
from support.contracts import PIXEL, SELLER, make_contract, put

SIGNED = sign_contract(make_contract(), SELLER, network="main")
WHOLE: dict[str, Any] = json.loads(SIGNED.text)


def decode(text: bytes) -> SignedContract:
    return decode_signed(text, network="main")


def test_round_trip() -> None:
    assert decode(SIGNED.text) == SIGNED
    assert SIGNED.contract == make_contract()
    assert SIGNED.seller_key == SELLER.public_key


def test_its_names_follow_from_its_text() -> None:
    assert SIGNED.key == contract_key(SIGNED.text)
    assert SIGNED.text_hash == hashlib.sha256(SIGNED.text).digest()
    assert SIGNED.text == canonical.encode(WHOLE)


def test_signing_is_deterministic() -> None:
    assert sign_contract(make_contract(), SELLER, network="main") == SIGNED
    others = {
        sign_contract(make_contract(item_price="0.6"), SELLER, network="main").key,
        sign_contract(make_contract(), SELLER, network="test").key,
        SIGNED.key,
    }
    assert len(others) == 3


def test_what_is_signed_said_slowly() -> None:
    (entry,) = WHOLE["signatures"]
    signed = {
        "contract": WHOLE["contract"],
        "network": "main",
        "role": "seller",
        "key": SELLER.public_key.hex(),
        "prev_hash": "",
    }
    head = hashlib.sha256(b"fondaco/listing/1").digest()
    digest = hashlib.sha256(head + head + canonical.encode(signed)).digest()
    assert schnorr.is_signed_by(SELLER.public_key, digest, bytes.fromhex(entry["sig"]))


def test_only_the_seller_signs() -> None:
    with pytest.raises(ForeignContract):
        sign_contract(make_contract(), BUYER_KEY, network="main")


def test_a_contract_under_another_guid_is_refused() -> None:
    body = spell_contract(make_contract(SELLER))
    entry = sign_next(body, [], role="seller", key=BUYER_KEY, network="main")
    text = canonical.encode({"contract": body, "network": "main", "signatures": [entry]})
    with pytest.raises(ForeignContract) as caught:
        decode(text)
    assert caught.value.field == "Seller.seller_GUID"


def test_the_mirrored_key_is_another_signer() -> None:
    mirrored = bytes([SELLER.public_key[0] ^ 1]) + SELLER.public_key[1:]
    assert guid(mirrored) != SELLER.guid
    spoiled = put(WHOLE, "signatures", [{**WHOLE["signatures"][0], "key": mirrored.hex()}])
    with pytest.raises(BadSignature, match=r"^signatures\[0\]\.sig"):
        decode(canonical.encode(spoiled))


def test_a_signature_is_worth_nothing_on_another_network() -> None:
    with pytest.raises(OtherNetwork):
        decode_signed(SIGNED.text, network="test")
    with pytest.raises(BadSignature):
        decode_signed(canonical.encode(put(WHOLE, "network", "test")), network="test")
    for name in ("", "Main", "a" * 33, "a b"):
        with pytest.raises(ValueError, match="no network"):
            sign_contract(make_contract(), SELLER, network=name)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("contract.Contract.item_price", "0.6"),
        ("contract.Contract.item_title", "Bicycle "),
        ("contract.Contract.item_images", PIXEL),
        ("contract.Contract.item_delivery.region", "x"),
        ("contract.Contract.added", "x"),
        ("contract.Seller.seller_PGP", "x"),
        ("contract.Contract_Metadata.expiration", ""),
        ("contract.Appendix", {}),
    ],
)
def test_a_changed_contract_is_not_signed(path: str, value: Any) -> None:
    with pytest.raises(BadSignature):
        decode(canonical.encode(put(WHOLE, path, value)))


ENTRY: dict[str, Any] = WHOLE["signatures"][0]


@pytest.mark.parametrize(
    ("signatures", "field"),
    [
        ([], "signatures"),
        (None, "signatures"),
        ({"0": ENTRY}, "signatures"),
        ([ENTRY, ENTRY], "signatures"),
        ([None], "signatures[0]"),
        ([[ENTRY]], "signatures[0]"),
        ([{**ENTRY, "note": "x"}], "signatures[0]"),
        ([{name: ENTRY[name] for name in ("role", "key", "sig")}], "signatures[0]"),
        ([{**ENTRY, "role": "buyer"}], "signatures[0].role"),
        ([{**ENTRY, "prev_hash": "00" * 32}], "signatures[0].prev_hash"),
        ([{**ENTRY, "prev_hash": None}], "signatures[0].prev_hash"),
        ([{**ENTRY, "key": ENTRY["key"].upper()}], "signatures[0].key"),
        ([{**ENTRY, "key": ENTRY["key"][2:]}], "signatures[0].key"),
        ([{**ENTRY, "key": "04" + ENTRY["key"][2:]}], "signatures[0].key"),
        ([{**ENTRY, "key": 1}], "signatures[0].key"),
        ([{**ENTRY, "key": "02" + "ff" * 32}], "signatures[0].sig"),
        ([{**ENTRY, "sig": ENTRY["sig"][:-2]}], "signatures[0].sig"),
        ([{**ENTRY, "sig": ENTRY["sig"] + "\n"}], "signatures[0].sig"),
        ([{**ENTRY, "sig": "00" * 64}], "signatures[0].sig"),
        ([{**ENTRY, "sig": []}], "signatures[0].sig"),
    ],
)
def test_a_spoiled_signature_is_named(signatures: Any, field: str) -> None:
    with pytest.raises(BadSignature) as caught:
        decode(canonical.encode(put(WHOLE, "signatures", signatures)))
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["contract", "network", "signatures"])
def test_a_missing_part_is_named(name: str) -> None:
    cut = {key: value for key, value in WHOLE.items() if key != name}
    with pytest.raises(MalformedContract) as caught:
        decode(canonical.encode(cut))
    assert caught.value.field == name


def test_nothing_can_be_added_outside_of_what_is_signed() -> None:
    with pytest.raises(MalformedContract, match="nothing else"):
        decode(canonical.encode({**WHOLE, "note": "x"}))
    for spelling in (SIGNED.text + b"\n", json.dumps(WHOLE).encode()):
        with pytest.raises(MalformedContract, match="canonical"):
            decode(spelling)


def test_unknown_fields_inside_stay_and_are_signed() -> None:
    body = put(spell_contract(make_contract()), "Contract.item_colour", "red")
    entry = sign_next(body, [], role="seller", key=SELLER, network="main")
    text = canonical.encode({"contract": body, "network": "main", "signatures": [entry]})
    assert decode(text).text == text
    assert b"item_colour" in decode(text).text


def test_ten_megabytes_are_not_looked_at() -> None:
    with pytest.raises(ContractTooLarge):
        decode(b"[" * (10 * 1024 * 1024))
    picture = PIXEL.partition(",")[0] + "," + "A" * 160_000
    assert len(sign_contract(make_contract(item_images=picture), SELLER, network="main").text)
    with pytest.raises(ContractTooLarge, match=str(MAX_SIGNED_SIZE)):
        sign_contract(
            make_contract(item_images=picture, item_desc="\u20ac" * 16_000),
            SELLER,
            network="main",
        )


def test_a_signed_contract_fits_into_a_record_of_the_dht() -> None:
    assert MAX_SIGNED_SIZE <= dht_limits.MAX_CONTRACT_SIZE
    assert MAX_KEYWORD <= dht_limits.MAX_KEYWORD_SIZE
    assert MAX_OFFER_SIZE <= dht_limits.MAX_INDEX_SIZE


# --- the chain -----------------------------------------------------------------------

BODY = {"anything": ["that", "is", "JSON"]}


def chain() -> list[dict[str, str]]:
    signatures: list[dict[str, str]] = []
    for role, key in zip(ROLES, (SELLER, BUYER_KEY, NOTARY_KEY), strict=True):
        signatures.append(sign_next(BODY, signatures, role=role, key=key, network="main"))
    return signatures


def check(signatures: object, roles: tuple[str, ...] = ROLES) -> tuple[bytes, ...]:
    return check_chain(BODY, signatures, roles=roles, network="main")


def test_three_sign_one_after_the_other() -> None:
    keys = (SELLER.public_key, BUYER_KEY.public_key, NOTARY_KEY.public_key)
    assert check(chain()) == keys
    assert check(chain()[:1], ROLES[:1]) == keys[:1]


def test_nobody_can_be_left_out_or_moved() -> None:
    seller, buyer, notary = chain()
    with pytest.raises(BadSignature, match=r"signatures\[1\]\.prev_hash"):
        check([seller, notary], (ROLES[0], NOTARY))
    with pytest.raises(BadSignature, match=r"signatures\[0\]\.prev_hash"):
        check([buyer], (BUYER,))
    with pytest.raises(BadSignature, match="role"):
        check([seller, notary, buyer])
    with pytest.raises(BadSignature, match="one signature each of: seller, buyer, notary"):
        check([seller, buyer])


def test_a_signature_names_the_whole_entry_before() -> None:
    seller, buyer, _ = chain()
    other = sign_next(BODY, [], role="seller", key=NOTARY_KEY, network="main")
    with pytest.raises(BadSignature, match=r"signatures\[1\]\.prev_hash"):
        check([other, buyer], ROLES[:2])
    # The link is signed, too.
    moved = {**buyer, "prev_hash": sign_next(BODY, [other], **OTHERS)["prev_hash"]}
    with pytest.raises(BadSignature, match=r"signatures\[1\]\.sig"):
        check([other, moved], ROLES[:2])
    assert seller["prev_hash"] == ""


OTHERS: dict[str, Any] = {"role": BUYER, "key": BUYER_KEY, "network": "main"}


def test_the_tag_is_what_the_protocol_says() -> None:
    assert CONTRACT_TAG == "fondaco/listing/1"


@given(st.data())
def test_one_changed_byte_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SIGNED.text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != SIGNED.text[place]))
    spoiled = SIGNED.text[:place] + bytes([other]) + SIGNED.text[place + 1 :]
    with pytest.raises(MarketRefusal):
        decode(spoiled)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(MarketRefusal):
        decode(raw)
