"""Bounds, characters and addresses; the field is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.identity.names import uncompressed
from fondaco.market import limits
from fondaco.market.codec import read_draft, read_old_contract
from fondaco.market.errors import MalformedContract
from fondaco.market.validator import check_data_uri, normal_keywords
from support.contracts import PIXEL, SELLER, contract_json, put

LONG = "https://pictures.example/" + "a" * limits.MAX_URL


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("Contract_Metadata.OBCv", "0\n4", id="two lines"),
        pytest.param("Contract_Metadata.category", "a" * 257, id="long category"),
        pytest.param("Contract_Metadata.expiration", "\0", id="NUL"),
        pytest.param("Seller.seller_PGP", "a" * 16_385, id="long certificate"),
        pytest.param("Seller.seller_PGP", "\x1b[2J", id="terminal control"),
        pytest.param("Seller.seller_Bitmessage", "BM\r", id="carriage return"),
        pytest.param("Seller.seller_refund_addr", "a" * 257, id="long address"),
        pytest.param("Seller.seller_BTC_uncompressed_pubkey", "04", id="short key"),
        pytest.param("Seller.seller_BTC_uncompressed_pubkey", "04" + "00" * 64, id="no point"),
        pytest.param("Contract.item_title", "", id="no title"),
        pytest.param("Contract.item_title", " \u3000", id="blank title"),
        pytest.param("Contract.item_title", "a" * 201, id="long title"),
        pytest.param("Contract.item_title", "a\u2028b", id="line separator"),
        pytest.param("Contract.item_title", "a\x85b", id="C1 control"),
        pytest.param("Contract.item_desc", "a" * 16_385, id="long description"),
        pytest.param("Contract.item_desc", "a\0", id="NUL in description"),
        pytest.param("Contract.item_keywords", [str(n) for n in range(21)], id="21 keywords"),
        pytest.param("Contract.item_keywords[1]", ["a", "b" * 65], id="long keyword"),
        pytest.param("Contract.item_keywords[0]", ["\u00fc" * 33], id="66 bytes"),
        pytest.param("Contract.item_keywords[0]", ["\u0390" * 30], id="180 bytes in upper case"),
        pytest.param("Contract.item_keywords[0]", ["a\tb"], id="tab"),
        pytest.param("Contract.item_images", "http://a.example/a.png", id="not a data URI"),
        pytest.param("Contract.item_images", "data:image/svg+xml;base64,AAAA", id="SVG"),
        pytest.param("Contract.item_images", "data:image/png;base64,", id="empty"),
        pytest.param("Contract.item_images", PIXEL + "!", id="not base64"),
        pytest.param("Contract.item_images", PIXEL[:-1], id="cut base64"),
        pytest.param("Contract.item_images", PIXEL + "\n", id="newline"),
        pytest.param("Contract.item_images", PIXEL + "\u00e9", id="not ASCII"),
        pytest.param("Contract.item_images", PIXEL + '" onerror="x', id="an attribute"),
        pytest.param("Contract.item_images", PIXEL[:-4] + "A" * 163_840, id="160 KB"),
        pytest.param("Contract.item_remote_images", ["http://a.example/"] * 4, id="four"),
        pytest.param("Contract.item_remote_images[0]", [LONG], id="long address of a picture"),
        pytest.param("Contract.item_delivery.countries", "a" * 2_049, id="many countries"),
        pytest.param("Contract.item_delivery.region", "a\nb", id="region"),
        pytest.param("Contract.item_delivery.est_delivery", "\x7f", id="delete"),
    ],
)
def test_a_field_out_of_bounds_is_named(path: str, value: Any) -> None:
    place = path.partition("[")[0]
    with pytest.raises(MalformedContract) as caught:
        read_old_contract(put(contract_json(), place, value))
    assert caught.value.field == path
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Contract.item_title", "a" * 200),
        ("Contract.item_title", "<script>alert(1)</script>"),
        ("Contract.item_title", "\U0001f6b2 \u81ea\u8ee2\u8eca"),
        ("Contract.item_desc", "one\r\n\ttwo\u2028three"),
        ("Contract.item_keywords", [f"{'k' * 62}{n:02}" for n in range(20)]),
        ("Contract.item_images", PIXEL),
        ("Contract.item_delivery.countries", "DE, AT"),
        ("Seller.seller_BTC_uncompressed_pubkey", uncompressed(SELLER.public_key).hex()),
        ("Seller.seller_contract_id", 379_843),
    ],
)
def test_what_is_within_bounds(path: str, value: Any) -> None:
    read_old_contract(put(contract_json(), path, value))


@pytest.mark.parametrize(
    "address",
    [
        "http://i00.i.aliimg.com/wsphoto/v0/1991723914_1/Free-Shipping.jpg",  # seed, line 211
        "https://pictures.example:8443/a.png?b=c&d=%20#e",
        "http://93.184.215.14/a.png",
        "http://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/a.png",
        "http://abcdefghijklmnop.onion/a.jpg",
        "HTTPS://Pictures.Example/",
    ],
)
def test_pictures_elsewhere(address: str) -> None:
    read_draft(contract_json(item_remote_images=[address] * 3))


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "ftp://pictures.example/a.png",
        "//pictures.example/a.png",
        "a.png",
        "http://",
        "http:///a.png",
        "http://pictures.example/a b.png",
        'http://pictures.example/" onerror="alert(1)',
        "http://pictures.example/<script>",
        "http://pictures.example:port/",
        "http://pictures.example:99999/",
        "http://user:secret@pictures.example/",
        "http://pictures.example\\@127.0.0.1/",
        "http://pictures.example/\n",
        "http://pictures.example/\u00e9",
        "http://[::1/",
        "http://localhost/a.png",
        "http://LocalHost./a.png",
        "http://a.localhost/",
        "http://printer.local/",
        "http://router/reboot",
        "http://fritz.internal/",
        "http://127.0.0.1:60557/ws",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://192.168.1.1/reboot",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://[::ffff:127.0.0.1]/",
    ],
)
def test_what_a_readers_browser_shall_not_fetch(address: str) -> None:
    with pytest.raises(MalformedContract) as caught:
        read_draft(contract_json(item_remote_images=["http://a.example/", address]))
    assert caught.value.field == "Contract.item_remote_images[1]"


def test_keywords_are_one_each() -> None:
    assert normal_keywords([" bike", "", "BIKE", "  ", "Red "]) == ("bike", "Red")


@given(st.lists(st.text(max_size=10), max_size=10))
def test_keywords_become_what_they_stay(words: list[str]) -> None:
    once = normal_keywords(words)
    assert normal_keywords(once) == once
    assert len({word.upper() for word in once}) == len(once)


@given(st.text(max_size=80))
def test_any_text_is_a_data_uri_or_named(text: str) -> None:
    try:
        check_data_uri("f", text, 60)
    except MalformedContract as exc:
        field = exc.field
    else:
        field = ""
    assert field == ("" if text.startswith("data:image/") else "f")
