"""Settings: all columns go out, no secret among them; what may be changed comes in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fondaco.identity import names
from fondaco.market.fields import Misread
from fondaco.market.settings_words import (
    CHANGES,
    DEFAULT_NICKNAME,
    SECRETS,
    Notary,
    Owner,
    Settings,
    changed,
    distrusting,
    echo,
    spell_notaries,
    spell_settings,
    trusting,
)
from fondaco.market.word_limits import MAX_NOTARIES
from support.contracts import BUYER, NOTARY, SELLER
from support.seed_messages import lacks, seed_message, shape

OWNER = Owner(public_key=SELLER.public_key, certificate="-----BEGIN", fingerprint="AB12")
ADDED_LATER = {"avatar_url", "notaryFee", "notaryDescription", "refundAddress", "homepage"}
SEED = seed_message(84).value["params"]["settings"]


def after(sent: dict[str, Any], settings: Settings | None = None) -> Settings:
    return changed(settings or Settings(), CHANGES.read(sent))


def test_all_columns_of_the_seed_go_out_with_their_types() -> None:
    # Lines 89 to 131: 32 columns, and two that the client adds.
    sent = spell_settings(after(SEED), OWNER)
    assert sent.keys() == (SEED.keys() - {"burnAmount", "burnAddr"}) | ADDED_LATER
    columns = {name: SEED[name] for name in SEED if not name.startswith("burn")}
    assert lacks(shape(columns), shape(sent)) == []


def test_what_the_seeds_client_sends_is_taken() -> None:
    settings = after(SEED)
    assert settings.nickname == "Default"
    assert settings.is_notary
    assert not settings.is_arbiter
    assert settings.welcome == "enable"
    assert settings.obelisk == "obelisk-baltic.airbitz.co:9091"
    (notary,) = settings.notaries
    assert notary.guid.hex() == "7a9112bc8f7f7558d75d31420d8a36a5e5ec965b"


def test_no_secret_goes_out_or_comes_in() -> None:
    sent = SEED | dict.fromkeys(SECRETS, "5" * 64)
    settings = after(sent)
    for shown in (
        spell_settings(settings, OWNER),
        echo(settings, CHANGES.read(sent), OWNER)["settings"],
    ):
        assert {shown[name] for name in SECRETS} == {""}
        assert "5" * 64 not in str(shown)
    assert "5" * 64 not in repr(settings)


@pytest.mark.parametrize(
    "name",
    ["guid", "sin", "pubkey", "id", "market_id", "PGPPubKey", "PGPPubkeyFingerprint", "unheard_of"],
)
def test_who_the_node_is_cannot_be_changed(name: str) -> None:
    before = spell_settings(Settings(), OWNER)
    assert spell_settings(after({name: "x" * 99}), OWNER) == before
    assert before["guid"] == SELLER.guid.hex()
    assert before["sin"] == names.sin(SELLER.guid)
    assert before["pubkey"] == names.uncompressed(SELLER.public_key).hex()
    assert (before["PGPPubKey"], before["PGPPubkeyFingerprint"]) == ("-----BEGIN", "AB12")


def test_what_is_missing_or_null_stays_and_what_is_empty_goes() -> None:
    settings = after({"email": "a@example.org", "city": "Venice", "notary": True})
    assert after({}, settings) == settings
    assert after({"email": None, "notary": None}, settings) == settings
    assert after({"email": ""}, settings).email == ""
    assert after({"nickname": "  "}).nickname == DEFAULT_NICKNAME


@pytest.mark.parametrize("switch", ["True", "true", True, 1, "1"])
def test_a_switch_is_on(switch: object) -> None:
    spelled = spell_settings(after({"notary": switch, "arbiter": switch}), OWNER)
    assert (spelled["notary"], spelled["arbiter"]) == ("True", "True")


@pytest.mark.parametrize("switch", ["False", "false", False, 0, ""])
def test_a_switch_that_is_off_is_never_a_word_that_counts_as_true(switch: object) -> None:
    on = after({"notary": True})
    assert spell_settings(after({"notary": switch}, on), OWNER)["notary"] == ""


@pytest.mark.parametrize(
    ("name", "sent", "kept"),
    [
        ("countryCode", "it", "IT"),
        ("homepage", "example.org", "http://example.org"),
        ("notaryFee", "1.50%", "1.5"),
        ("notaryFee", 2, "2"),
        ("notaryFee", "", "0"),
        ("notaryFee", "100", "100"),
        ("storeDescription", "two\nlines", "two\nlines"),
        ("street1", " Riva 1 ", "Riva 1"),
        ("welcome", "disable", "disable"),
        ("trustedArbiters", [{"guid": SELLER.guid.hex()}, "Anna"], [SELLER.guid.hex(), "Anna"]),
        ("bcAddress", "1AUMCv6Vo6bUJCHWjayECuyUVLent5apRm", "1AUMCv6Vo6bUJCHWjayECuyUVLent5apRm"),
    ],
)
def test_values_are_normalised(name: str, sent: object, kept: object) -> None:
    assert spell_settings(after({name: sent}), OWNER)[name] == kept


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"nickname": "x" * 121}, "nickname"),
        ({"nickname": 7}, "nickname"),
        ({"storeDescription": "x" * 2_049}, "storeDescription"),
        ({"email": "a\nb"}, "email"),
        ({"welcome": "maybe"}, "welcome"),
        ({"avatar_url": "javascript:alert(1)"}, "avatar_url"),
        ({"homepage": "http://127.0.0.1/"}, "homepage"),
        ({"bcAddress": "1 bitcoin"}, "bcAddress"),
        ({"countryCode": "ITA"}, "countryCode"),
        ({"namecoin_id": "Upper Case"}, "namecoin_id"),
        ({"notaryFee": "101"}, "notaryFee"),
        ({"notaryFee": "-1"}, "notaryFee"),
        ({"notaryFee": "1e1"}, "notaryFee"),
        ({"notaryFee": 10**5_000}, "notaryFee"),
        ({"notaries": "x"}, "notaries"),
        ({"notaries": [{}]}, "notaries[0].guid"),
        ({"notaries": [{"guid": "7"}]}, "notaries[0].guid"),
        ({"notaries": [{"guid": "7"}] * 101}, "notaries"),
        ({"trustedArbiters": ["a", 7]}, "trustedArbiters[1]"),
        ({"trustedArbiters": [{"guid": 7}]}, "trustedArbiters[0].guid"),
        ([], ""),
    ],
)
def test_a_complaint_names_the_setting(sent: Any, path: str) -> None:
    with pytest.raises(Misread) as caught:
        CHANGES.read(sent)
    assert caught.value.path == path


def test_the_echo_has_the_names_that_were_sent() -> None:
    change = CHANGES.read(SEED | {"unheard_of": 1})
    told = echo(after(SEED), change, OWNER)
    assert told["type"] == "update_settings"
    assert told["settings"].keys() == SEED.keys()
    assert told["settings"]["guid"] == SELLER.guid.hex()
    assert told["settings"]["burnAddr"] == names.burn_address(SELLER.guid)
    assert lacks(shape(SEED), shape(told["settings"])) == []


def test_notaries_stand_once_and_say_whether_they_are_there() -> None:
    first, again, other = (
        Notary(guid=NOTARY.guid, nickname="N"),
        Notary(guid=NOTARY.guid, nickname="New name"),
        Notary(guid=BUYER.guid),
    )
    settings = trusting(trusting(trusting(Settings(), first), other), again)
    assert settings.notaries == (again, other)
    assert spell_notaries(settings, online={BUYER.guid}) == [
        {"guid": NOTARY.guid.hex(), "nickname": "New name", "online": False},
        {"guid": BUYER.guid.hex(), "nickname": "", "online": True},
    ]
    assert distrusting(settings, NOTARY.guid).notaries == (other,)
    assert distrusting(Settings(), NOTARY.guid) == Settings()
    twice = [{"guid": NOTARY.guid.hex()}, {"guid": NOTARY.guid.hex(), "nickname": "b"}]
    assert [one.nickname for one in after({"notaries": twice}).notaries] == ["b"]


def test_there_are_so_many_notaries_and_no_more() -> None:
    settings = Settings()
    for number in range(MAX_NOTARIES):
        settings = trusting(settings, Notary(guid=names.Guid(number.to_bytes(20))))
    with pytest.raises(Misread):
        trusting(settings, Notary(guid=names.Guid(b"\xff" * 20)))
    assert trusting(settings, Notary(guid=names.Guid(bytes(20)), nickname="x")) != settings


@given(
    st.dictionaries(
        st.sampled_from([*SEED, "x"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text()),
    )
)
def test_whatever_is_sent_is_a_change_or_a_complaint(sent: dict[str, Any]) -> None:
    try:
        settings = after(sent)
    except Misread:
        return
    spelled = spell_settings(settings, OWNER)
    # What went out comes back, and changes nothing.
    assert after(spelled, settings) == settings
