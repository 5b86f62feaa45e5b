"""Every cell of the table of who may use the API."""

from __future__ import annotations

import pytest

from fondaco.api.access import (
    LOCAL_ONLY,
    Access,
    Request,
    check_binding,
    check_request,
    is_allowed_page,
    is_loopback,
)
from fondaco.errors import ConfigurationError

LOOPBACK = "127.0.0.1"
ANYWHERE = "0.0.0.0"
OPEN = Access(
    token="s3cret",
    origins=frozenset({"https://app.example.org"}),
    hosts=frozenset({"node.example.org"}),
)


def outcome(
    access: Access,
    *,
    bound_to: str = LOOPBACK,
    host: str | None = "127.0.0.1:60557",
    origin: str | None = None,
    authorization: str | None = None,
    query_token: str | None = None,
    is_handshake: bool = False,
) -> int:
    """Return 200, or the status of the refusal."""
    request = Request(
        host=host,
        origin=origin,
        authorization=authorization,
        query_token=query_token,
        is_handshake=is_handshake,
    )
    refusal = check_request(access, request, bound_to=bound_to)
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:60557", 200),
        ("127.9.9.9", 200),
        ("[::1]:60557", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("localhost.", 200),
        ("app.localhost:60557", 200),
        ("192.168.1.7:60557", 200),
        ("node.example.org", 200),
        ("Node.Example.Org:443", 200),
        ("evil.example", 403),
        ("evil.example:60557", 403),
        ("localhost.evil.example", 403),
        ("notlocalhost", 403),
        ("127.0.0.1.evil.example", 403),
        ("sub.node.example.org", 403),
        ("127.0.0.1:port", 403),
        ("evil.example@127.0.0.1", 403),
        ("127.0.0.1/evil", 403),
        ("", 403),
        (None, 403),
    ],
)
def test_host(host: str | None, status: int) -> None:
    assert outcome(OPEN, host=host) == status


def test_a_name_is_known_only_when_it_is_set() -> None:
    assert outcome(LOCAL_ONLY, host="node.example.org") == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("https://app.example.org", 200),
        ("HTTPS://APP.EXAMPLE.ORG", 200),
        ("http://127.0.0.1:60557", 200),
        ("http://127.0.0.1:8080", 403),
        ("http://localhost:60557", 403),
        ("https://127.0.0.1:60557", 403),
        ("http://app.example.org", 403),
        ("https://app.example.org:444", 403),
        ("https://app.example.org.evil.example", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_origin(origin: str | None, status: int) -> None:
    assert outcome(OPEN, origin=origin) == status


def test_a_rebound_page_does_not_pass_as_our_own() -> None:
    """Its Origin equals its Host; it is the Host that gives it away."""
    assert outcome(OPEN, host="evil.example", origin="http://evil.example") == 403


@pytest.mark.parametrize(
    ("bound_to", "authorization", "query_token", "is_handshake", "status"),
    [
        pytest.param(LOOPBACK, None, None, False, 200, id="loopback, none"),
        pytest.param("::1", None, None, False, 200, id="IPv6 loopback, none"),
        pytest.param(LOOPBACK, "Bearer s3cret", None, False, 200, id="loopback, right"),
        pytest.param(LOOPBACK, "Bearer wrong", None, False, 401, id="loopback, wrong"),
        pytest.param(LOOPBACK, None, "wrong", True, 401, id="loopback, wrong in the query"),
        pytest.param(ANYWHERE, None, None, False, 401, id="open, none"),
        pytest.param(ANYWHERE, None, None, True, 401, id="open handshake, none"),
        pytest.param("192.168.1.7", None, None, False, 401, id="open on one address, none"),
        pytest.param(ANYWHERE, "Bearer s3cret", None, False, 200, id="open, right"),
        pytest.param(ANYWHERE, "bearer  s3cret ", None, False, 200, id="open, right, spaces"),
        pytest.param(ANYWHERE, "Bearer s3cre", None, False, 401, id="open, too short"),
        pytest.param(ANYWHERE, "Bearer ", None, False, 401, id="open, empty"),
        pytest.param(ANYWHERE, "Bearer s3cret2", None, False, 401, id="open, too long"),
        pytest.param(ANYWHERE, "Bearer \udcff", None, False, 401, id="open, not UTF-8"),
        pytest.param(ANYWHERE, "Basic s3cret", None, False, 401, id="open, another kind"),
        pytest.param(ANYWHERE, "s3cret", None, False, 401, id="open, no kind"),
        pytest.param(ANYWHERE, None, "s3cret", True, 200, id="open handshake, query"),
        pytest.param(ANYWHERE, None, "s3cret", False, 401, id="open POST, query"),
        pytest.param(ANYWHERE, "Bearer x", "s3cret", True, 401, id="header counts before query"),
    ],
)
def test_token(
    bound_to: str,
    authorization: str | None,
    query_token: str | None,
    is_handshake: bool,
    status: int,
) -> None:
    given = {"authorization": authorization, "query_token": query_token}
    assert outcome(OPEN, bound_to=bound_to, is_handshake=is_handshake, **given) == status


def test_without_a_token_set_none_is_right() -> None:
    assert outcome(LOCAL_ONLY, authorization="Bearer ") == 401
    assert outcome(Access(token=""), authorization="Bearer ") == 401


def test_a_token_opens_neither_host_nor_origin() -> None:
    right = "Bearer s3cret"
    assert outcome(OPEN, host="evil.example", authorization=right) == 403
    assert outcome(OPEN, origin="https://evil.example", authorization=right) == 403


@pytest.mark.parametrize(
    ("refused", "setting"),
    [
        (Request(host="evil.example"), "ALLOWED_HOSTS"),
        (Request(host="localhost", origin="https://evil.example"), "ALLOWED_ORIGINS"),
        (Request(host="localhost"), "RPC_TOKEN"),
        (Request(host="localhost", authorization="Bearer x"), "RPC_TOKEN"),
    ],
)
def test_refusals_name_the_setting(refused: Request, setting: str) -> None:
    refusal = check_request(OPEN, refused, bound_to=ANYWHERE)
    assert refusal is not None
    assert setting in refusal.reason
    assert "s3cret" not in refusal.reason


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_bindings(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local
    check_binding(host, OPEN, "RPC_ADDR")
    if is_local:
        check_binding(host, LOCAL_ONLY, "RPC_ADDR")
        return
    with pytest.raises(ConfigurationError, match="set RPC_TOKEN") as caught:
        check_binding(host, LOCAL_ONLY, "HTTP_RPC_ADDR")
    assert caught.value.setting == "HTTP_RPC_ADDR"


def test_the_token_is_not_shown() -> None:
    assert "s3cret" not in repr(OPEN)


def test_invited_pages() -> None:
    assert is_allowed_page(OPEN, "https://app.example.org")
    assert not is_allowed_page(OPEN, "http://127.0.0.1:60557")
