"""Contracts in JSON: the seed's as printed, both doors, every spoiled field named."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.identity.names import uncompressed
from fondaco.market import limits
from fondaco.market.codec import (
    decode_draft,
    read_contract,
    read_draft,
    read_old_contract,
    spell_contract,
)
from fondaco.market.contract import Condition, Contract, Currency, Delivery, Item, Metadata, Seller
from fondaco.market.errors import ContractTooLarge, MalformedContract
from fondaco.market.money import MAX_MONEY, Satoshi
from support.contracts import (
    PIXEL,
    SEED_CREATE_CONTRACT,
    SELLER,
    contract_json,
    drop,
    make_contract,
    put,
    seed_params,
)


class Frame(msgspec.Struct):
    """What a client sends, its ``params`` untouched."""

    params: msgspec.Raw


def test_the_seeds_own_example_as_printed() -> None:
    # Lines 30 to 67 of the API document.
    frame = msgspec.json.decode(SEED_CREATE_CONTRACT, type=Frame)
    draft = decode_draft(frame.params)
    assert draft.metadata == Metadata(
        version="0.4",
        category="physical_goods",
        subcategory="fixed_price",
        contract_nonce="01",
        expiration="2014-01-01 00:00:00",
    )
    assert draft.item == Item(
        title="asfd",
        description="asfddasf",
        keywords=(),
        currency=Currency.BITCOIN,
        price=Satoshi(50_000_000),
        condition=Condition.NEW,
        quantity=1,
        delivery=Delivery(),
    )
    assert draft.claimed_guid == ""


@pytest.mark.parametrize(
    "price",
    ["0.5", "0.50", ".5", "5e-1", b"0.5", b"0.50", b"5e-1", b"0.500000000000000000000"],
)
def test_a_price_is_a_number_or_text(price: str | bytes) -> None:
    spelled = price.decode() if isinstance(price, bytes) else json.dumps(price)
    text = SEED_CREATE_CONTRACT.replace('"item_price": 0.5', f'"item_price": {spelled}')
    draft = decode_draft(msgspec.json.decode(text, type=Frame).params)
    assert draft.item.price == 50_000_000


def test_a_price_is_never_a_float_on_its_way() -> None:
    # As a float it would be 20999999.999999996 or 21000000.
    text = json.dumps(seed_params()).replace("0.5", "20999999.99999999")
    assert decode_draft(text.encode()).item.price == MAX_MONEY - 1


@pytest.mark.parametrize(
    ("path", "value", "same_as"),
    [
        ("Contract.item_images", None, {}),
        ("Contract.item_images", "", {}),
        ("Contract.item_images", {"image1": ""}, {}),
        ("Contract.item_images", {"image1": None}, {}),
        ("Contract.item_images", {"image1": PIXEL}, PIXEL),
        ("Contract.item_quantity", "1", 1),
        ("Contract.item_keywords", None, []),
        ("Contract.item_keywords", ["", " "], []),
        ("Contract.item_remote_images", None, []),
        ("Contract.item_remote_images", ["", ""], []),
        ("Contract.item_delivery", None, {}),
        ("Contract.item_delivery.shipping_price", "", 0),
        ("Contract.item_delivery.shipping_price", None, "0.0"),
        ("Contract.item_delivery.countries", ["DE", "AT"], "DE, AT"),
        ("Contract.$$hashKey", "00G", None),
        ("Contract.item_delivery.$$hashKey", "00G", None),
        ("Contract.item_colour_of_a_later_client", "red", None),
        ("avatar_url", "http://a.example/", None),
        ("Seller", None, {}),
    ],
)
def test_habits_of_clients(path: str, value: Any, same_as: Any) -> None:
    sent = json.dumps(put(seed_params(), path, value)).encode()
    plain = json.dumps(put(seed_params(), path, same_as)).encode()
    assert decode_draft(sent) == decode_draft(plain)


@pytest.mark.parametrize(
    "path",
    [
        "Contract.item_desc",
        "Contract.item_keywords",
        "Contract.item_images",
        "Contract.item_remote_images",  # not known before 0.3.1
        "Contract.item_delivery",
        "Contract.item_delivery.shipping_price",
        "Contract_Metadata.expiration",
        "Seller",
    ],
)
def test_a_member_that_may_be_missing(path: str) -> None:
    read_draft(drop(seed_params(), path))


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        (path, "a string")
        for path in (
            "Contract_Metadata.OBCv",
            "Contract_Metadata.category",
            "Contract_Metadata.subcategory",
            "Contract.item_title",
        )
    ]
    + [
        ("Contract_Metadata", "an object"),
        ("Contract", "an object"),
        ("Contract.currency", "one of: XBT"),
        ("Contract.item_price", "a number of bitcoin from 0"),
        ("Contract.item_condition", "one of: New, New with Defects"),
        ("Contract.item_quantity", "a whole number from 0 to 1000000"),
    ],
)
def test_a_member_that_may_not_is_named(path: str, missing: str) -> None:
    with pytest.raises(MalformedContract, match=f"^{path}: expected {missing}") as caught:
        read_draft(drop(seed_params(), path))
    assert caught.value.field == path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Contract.item_price", -0.5),
        ("Contract.item_price", "half"),
        ("Contract.item_price", True),
        ("Contract.item_price", 0.000000001),
        ("Contract.item_price", 1e300),
        ("Contract.currency", "USD"),
        ("Contract.item_condition", "new"),
        ("Contract.item_condition", ["New"]),
        ("Contract.item_quantity", 1.5),
        ("Contract.item_quantity", -1),
        ("Contract.item_quantity", 1_000_001),
        ("Contract.item_title", 7),
        ("Contract.item_title", ["a"]),
        ("Contract.item_desc", {}),
        ("Contract.item_keywords", "bike, red"),
        ("Contract.item_keywords", [1]),
        ("Contract.item_images", [PIXEL]),
        ("Contract.item_images", {"image1": PIXEL, "image2": PIXEL}),
        ("Contract.item_images", {"image2": PIXEL}),
        ("Contract.item_images", {"image1": {}}),
        ("Contract.item_remote_images", "http://a.example/"),
        ("Contract.item_delivery", "DE"),
        ("Contract.item_delivery.shipping_price", "free"),
        ("Contract.item_delivery.countries", [1]),
        ("Seller", "me"),
        ("Seller.seller_GUID", 1),
        ("Contract_Metadata", []),
        ("Contract_Metadata.expiration", 0),
        ("", []),
        ("", None),
        ("", "create_contract"),
    ],
)
def test_a_spoiled_field_is_named(path: str, value: Any) -> None:
    spoiled = put(seed_params(), path, value) if path else value
    with pytest.raises(MalformedContract) as caught:
        decode_draft(json.dumps(spoiled).encode())
    assert caught.value.field == path


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="100,000 levels"),
        pytest.param(b'{"Contract":' * 5_000, id="5,000 objects"),
        pytest.param(b'{"a":"\\ud800"}', id="surrogate"),
        pytest.param(b"nul", id="word"),
        pytest.param(b'{"a":1e99999999999999999999}', id="exponent beyond decimal's"),
    ],
)
def test_what_is_no_json(raw: bytes) -> None:
    with pytest.raises(MalformedContract, match="expected a JSON object"):
        decode_draft(raw)


def test_ten_megabytes_are_read_and_more_are_not_looked_at() -> None:
    photograph = "data:image/jpeg;base64," + "A" * (10 * 1024 * 1024)
    draft = decode_draft(json.dumps(contract_json(item_images=photograph)).encode())
    assert draft.item.image == photograph
    with pytest.raises(ContractTooLarge):
        decode_draft(b"[" * (limits.MAX_DRAFT_SIZE + 1))
    # In a contract, which others keep, it has no place.
    with pytest.raises(MalformedContract, match="item_images"):
        read_old_contract(contract_json(item_images=photograph))


@pytest.mark.parametrize("guid", ["", "AA" * 20, "aa" * 19, "zz" * 20, "aa" * 19 + " a"])
def test_the_seller_of_a_contract_is_a_guid(guid: str) -> None:
    with pytest.raises(MalformedContract) as caught:
        read_old_contract(put(contract_json(), "Seller.seller_GUID", guid))
    assert caught.value.field == "Seller.seller_GUID"


@pytest.mark.parametrize("key", ["0", "zz", "04 ", "AB", "\u0660" * 2])
def test_the_key_of_a_seller_is_lower_case_hex(key: str) -> None:
    with pytest.raises(MalformedContract) as caught:
        read_old_contract(put(contract_json(), "Seller.seller_BTC_uncompressed_pubkey", key))
    assert caught.value.field == "Seller.seller_BTC_uncompressed_pubkey"


# --- peers ---------------------------------------------------------------------------


def test_a_contract_goes_out_in_the_names_of_the_original() -> None:
    spelled = spell_contract(make_contract(item_price=0.5, item_images=PIXEL))
    printed = seed_params()
    assert set(spelled) == set(printed)
    for section in printed:
        assert set(printed[section]) <= set(spelled[section])
    assert spelled["Contract"]["item_price"] == "0.5"
    assert spelled["Contract"]["item_images"] == PIXEL
    assert spelled["Contract"]["item_delivery"]["shipping_price"] == "0"
    assert spelled["Contract_Metadata"] == printed["Contract_Metadata"]
    assert spell_contract(make_contract())["Contract"]["item_images"] == {}


WORDS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
AMOUNTS = st.integers(0, MAX_MONEY).map(Satoshi)
CONTRACTS = st.builds(
    Contract,
    metadata=st.builds(
        Metadata,
        version=WORDS,
        category=WORDS,
        subcategory=WORDS,
        contract_nonce=WORDS,
        expiration=WORDS,
    ),
    seller=st.builds(
        Seller,
        guid=st.just(SELLER.guid),
        bitcoin_key=st.sampled_from([b"", uncompressed(SELLER.public_key)]),
        certificate=WORDS,
        bitmessage=WORDS,
        contract_id=st.none() | st.integers(0, limits.MAX_CONTRACT_ID),
        refund_address=WORDS,
    ),
    item=st.builds(
        Item,
        title=WORDS.filter(str.strip),
        description=WORDS,
        keywords=st.just(()) | st.just(("bike", "Red")),
        currency=st.just(Currency.BITCOIN),
        price=AMOUNTS,
        condition=st.sampled_from(Condition),
        quantity=st.integers(0, limits.MAX_QUANTITY),
        image=st.sampled_from(["", PIXEL]),
        remote_images=st.just(()) | st.just(("https://a.example/b.png",)),
        delivery=st.builds(Delivery, countries=WORDS, region=WORDS, estimate=WORDS, price=AMOUNTS),
    ),
)


@given(CONTRACTS)
def test_round_trip(contract: Contract) -> None:
    spelled = json.loads(json.dumps(spell_contract(contract)))
    assert read_contract(spelled) == contract
    assert read_old_contract(spelled) == contract


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Contract.item_price", 0.5),
        ("Contract.item_price", "0.50"),
        ("Contract.item_quantity", "1"),
        ("Contract.item_images", ""),
        ("Contract.item_images", {"image1": PIXEL}),
        ("Contract.item_images", {"image1": ""}),
        ("Contract.item_keywords", ["bike", "BIKE", "red"]),
        ("Contract.item_keywords", ["bike", "red "]),
        ("Contract.item_keywords", None),
        ("Contract.item_delivery.shipping_price", 0),
        ("Contract.item_delivery.countries", ["DE"]),
        ("Contract.item_delivery.region", None),
        ("Seller.seller_Bitmessage", None),
        ("Seller.seller_PGP", None),
    ],
)
def test_peers_have_one_spelling(path: str, value: Any) -> None:
    spelled = put(spell_contract(make_contract()), path, value)
    read_old_contract(spelled)
    with pytest.raises(MalformedContract) as caught:
        read_contract(spelled)
    assert caught.value.field == path


@pytest.mark.parametrize(
    "path",
    ["Seller.seller_refund_addr", "Contract.item_desc", "Contract.item_delivery.est_delivery"],
)
def test_peers_leave_nothing_out(path: str) -> None:
    with pytest.raises(MalformedContract) as caught:
        read_contract(drop(spell_contract(make_contract()), path))
    assert caught.value.field == path


def test_what_a_later_client_adds_does_no_harm() -> None:
    spelled = spell_contract(make_contract())
    for path in ("Seller.seller_star_sign", "Contract.item_delivery.drone", "Appendix"):
        assert read_contract(put(spelled, path, {"a": 1})) == make_contract()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=6)
    | st.sampled_from([PIXEL, "New", "XBT", SELLER.guid.hex()]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=10,
)
PATHS = [
    f"{section}.{name}" for section, members in contract_json().items() for name in members
] + [f"Contract.item_delivery.{name}" for name in contract_json()["Contract"]["item_delivery"]]


@given(st.sampled_from(PATHS), JSON)
def test_any_value_anywhere_is_taken_or_named(path: str, value: Any) -> None:
    spoiled = put(contract_json(), path, value)
    for read in (read_draft, read_old_contract, read_contract):
        try:
            read(spoiled)
        except MalformedContract as exc:
            complaint = exc
        else:
            continue
        assert complaint.expected
        assert len(str(complaint)) < 400


@given(JSON)
def test_any_json_is_a_contract_or_refused(value: Any) -> None:
    for read in (read_draft, read_old_contract, read_contract):
        with pytest.raises(MalformedContract):
            read(value)


@given(st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedContract):
        decode_draft(raw)


def test_decimals_are_read_as_they_are() -> None:
    spelled = put(contract_json(), "Contract.item_price", Decimal("0.10000000"))
    assert read_old_contract(spelled).item.price == 10_000_000
