"""Who may use the API: Host, Origin and token, before a request is looked at any further.

    request --Host--> --Origin--> --token--> served
                |         |          |
               403       403        401

* **Host** keeps out DNS rebinding: a foreign page whose name was made to point at this
  machine still says its own name here. Loopback names, IP addresses (a page cannot be
  rebound under those) and ``ALLOWED_HOSTS`` pass.
* **Origin** is sent by browsers. A request without one does not come from a page. Pages of
  this very listener and of ``ALLOWED_ORIGINS`` pass.
* **The token** is asked for where a listener is bound to anything but loopback. On loopback
  it may be left out; one that is sent and wrong is refused everywhere. It is sent as
  ``Authorization: Bearer TOKEN``; a WebSocket handshake may carry ``?token=TOKEN`` instead,
  because a browser cannot set headers on it. Nowhere else: addresses end up in logs.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

import msgspec

from fondaco.errors import ConfigurationError

ORIGINS_SETTING = "ALLOWED_ORIGINS"
HOSTS_SETTING = "ALLOWED_HOSTS"
TOKEN_SETTING = "RPC_TOKEN"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed besides the defaults. ``repr`` does not show the token."""

    token: str | None = None
    origins: frozenset[str] = frozenset()
    """Scheme, host and port as browsers send them: ``https://app.example.org``."""
    hosts: frozenset[str] = frozenset()
    """Names without port."""

    def __repr__(self) -> str:
        token = "None" if self.token is None else "'***'"
        return f"Access(token={token}, origins={set(self.origins)}, hosts={set(self.hosts)})"


LOCAL_ONLY = Access()
"""Programs on this machine, and nobody else."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of where it comes from. None: the header is not there."""

    host: str | None
    origin: str | None = None
    authorization: str | None = None
    query_token: str | None = None
    is_handshake: bool = False
    """Whether it asks for a WebSocket."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request is not served."""

    status: int
    """403, or 401 where a token would help."""
    reason: str
    """One sentence for whoever runs the client, naming the setting to change."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a listener bound to the address *host*."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_binding(host: str, access: Access, setting: str) -> None:
    """Check that a listener bound to *host* is guarded.

    Raises:
        ConfigurationError: others could reach it and no token is set.
    """
    if not access.token and not is_loopback(host):
        raise ConfigurationError(
            setting,
            f"{host} can be reached from other machines and no token guards it",
            f"set {TOKEN_SETTING}, or listen on 127.0.0.1",
        )


def check_request(access: Access, request: Request, *, bound_to: str) -> Refusal | None:
    """Return why *request* is refused; None: it may be served.

    Args:
        bound_to: IP address the listener was bound to, which may be ``0.0.0.0``.
    """
    return (
        _check_host(access, request.host)
        or _check_origin(access, request)
        or _check_token(access, request, bound_to)
    )


def is_allowed_page(access: Access, origin: str) -> bool:
    """Return whether pages of another origin are invited (for CORS headers)."""
    return origin.lower() in {allowed.lower().rstrip("/") for allowed in access.origins}


def _check_host(access: Access, host: str | None) -> Refusal | None:
    if host is None:
        return Refusal(status=403, reason="a Host header is required")
    name = _host_name(host)
    if name is None:
        return Refusal(status=403, reason="the Host header cannot be read")
    if name == "localhost" or name.endswith(".localhost") or _is_address(name):
        return None
    if name in {allowed.lower().rstrip(".") for allowed in access.hosts}:
        return None
    return Refusal(
        status=403,
        reason=f"this node is not known as {name!r}; if it should be, add the name to "
        f"{HOSTS_SETTING}",
    )


def _check_origin(access: Access, request: Request) -> Refusal | None:
    origin = request.origin
    if origin is None or is_allowed_page(access, origin):
        return None
    if request.host is not None and origin.lower() == f"http://{request.host.lower()}":
        return None  # our own page; whether we are called that, the Host check has said
    return Refusal(
        status=403,
        reason=f"pages of {origin!r} may not use this node; if they should, add the origin to "
        f"{ORIGINS_SETTING}",
    )


def _check_token(access: Access, request: Request, bound_to: str) -> Refusal | None:
    sent = _sent_token(request)
    if sent is None:
        if is_loopback(bound_to):
            return None
        return Refusal(
            status=401,
            reason=f"a token is required: Authorization: Bearer TOKEN (see {TOKEN_SETTING})",
        )
    # Headers are bytes; what is not UTF-8 in them has become surrogates.
    guess = sent.encode(errors="surrogateescape")
    if access.token and hmac.compare_digest(guess, access.token.encode()):
        return None
    return Refusal(status=401, reason=f"the token is wrong (see {TOKEN_SETTING})")


def _sent_token(request: Request) -> str | None:
    """Return the token a request carries; an Authorization of another kind is a wrong one."""
    if request.authorization is not None:
        scheme, _, value = request.authorization.strip().partition(" ")
        return value.strip() if scheme.lower() == "bearer" else ""
    return request.query_token if request.is_handshake else None


def _host_name(host: str) -> str | None:
    """Return the name in a Host header: lower case, without port, brackets and last dot."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises where the port is no number
    except ValueError:
        return None
    if parts.hostname is None or parts.path or parts.query or parts.username is not None:
        return None
    return parts.hostname.rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
