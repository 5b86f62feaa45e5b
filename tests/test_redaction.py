"""Secrets of a configuration are not in what is printed."""

from __future__ import annotations

import json

import pytest

from fondaco.redaction import Redactor, mask_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://127.0.0.1:8545/", "http://127.0.0.1:8545/"),
        ("https://eth.example/v3/0123", "https://eth.example/***"),
        ("https://eth.example?key=1", "https://eth.example/***"),
        ("wss://me:pass@eth.example:443/", "wss://***@eth.example:443/"),
        ("ws://[::1]:8546/x", "ws://[::1]:8546/***"),
        ("no url", "***"),
        ("http://host:port/", "***"),
    ],
)
def test_masked_urls(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_whole_urls_and_pieces_go() -> None:
    redact = Redactor(urls=["https://me:pa%20ss@eth.example/v3/0123456789?key=abcdefgh"])
    line = redact(
        "a https://me:pa%20ss@eth.example/v3/0123456789?key=abcdefgh b 0123456789 "
        "c key=abcdefgh d abcdefgh e pa%20ss f pa ss g /v3/0123456789"
    )
    for secret in ("0123456789", "abcdefgh", "pa%20ss", "pa ss"):
        assert secret not in line
    assert "https://***@eth.example/***" in line


def test_innocent_words_of_a_url_stay() -> None:
    redact = Redactor(urls=["https://eth.example/v3/mainnet"])
    assert redact("v3 orders on mainnet") == "v3 orders on mainnet"


def test_a_secret_inside_json_goes_too() -> None:
    secret = 'quote"and\\slash-0123'
    line = json.dumps({"event": f"token {secret} refused"})
    redacted = Redactor(secrets=[secret])(line)
    assert json.loads(redacted) == {"event": "token *** refused"}


def test_a_redactor_does_not_show_what_it_knows() -> None:
    assert "0123456789abcdef" not in repr(Redactor(secrets=["0123456789abcdef"]))
