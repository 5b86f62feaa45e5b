"""What must not be read in a log line or an error, and how it is blotted out.

The address of an Ethereum endpoint is often a secret: providers put the API key into
its path, its query or its user part. So only scheme, host and port are ever shown.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable

MASK = "***"
"""Stands where a secret was."""

SHORTEST_SECRET = 8
"""Characters. Shorter pieces of a URL (``v3``, ``mainnet``) occur in innocent text, and
blotting them out would spoil lines without hiding anything."""

SHORTEST_PASSWORD = 4
"""Characters. A password is blotted out earlier than a piece of a path; below this it is
hidden only as a part of its URL, for it would be found in every other word."""


def mask_url(url: str) -> str:
    """Return *url* with everything but scheme, host and port masked.

    A URL that has nothing else comes back unchanged; text that is no URL comes back
    wholly masked.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return MASK
    if not parts.scheme or not host:
        return MASK
    shown = f"[{host}]" if ":" in host else host
    address = f"{shown}:{port}" if port is not None else shown
    user = f"{MASK}@" if parts.username is not None or parts.password is not None else ""
    rest = f"/{MASK}" if parts.path.strip("/") or parts.query or parts.fragment else parts.path
    return f"{parts.scheme}://{user}{address}{rest}"


def secrets_of_url(url: str) -> tuple[str, ...]:
    """Return the pieces of *url* that may be credentials, longest first."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return (url,)
    pieces = {parts.username, parts.password, parts.path.strip("/"), parts.query, parts.fragment}
    pieces |= set(parts.path.split("/"))
    pieces |= {value for _, value in urllib.parse.parse_qsl(parts.query)}
    kept = {piece for piece in pieces if piece and len(piece) >= SHORTEST_SECRET}
    if parts.password and len(parts.password) >= SHORTEST_PASSWORD:
        kept.add(parts.password)
    if mask_url(url) != url:
        kept.add(url)
    return tuple(sorted(kept, key=lambda piece: (-len(piece), piece)))


class Redactor:
    """Blot known secrets out of finished text."""

    def __init__(self, *, urls: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        replacements: dict[str, str] = {}
        for url in urls:
            for piece in secrets_of_url(url):
                replacements[piece] = mask_url(url) if piece == url else MASK
        replacements.update((secret, MASK) for secret in secrets if secret)
        spelled = {
            spelling: shown
            for piece, shown in replacements.items()
            for spelling in _spellings(piece)
        }
        # Longest first: a whole URL must go before a piece of it.
        self._replacements = sorted(spelled.items(), key=lambda item: -len(item[0]))

    def __call__(self, text: str) -> str:
        """Return *text* without any known secret."""
        for secret, shown in self._replacements:
            if secret in text:
                text = text.replace(secret, shown)
        return text

    def __repr__(self) -> str:
        return f"Redactor(of {len(self._replacements)} spellings)"


def _spellings(secret: str) -> set[str]:
    """The secret as is, percent-decoded and percent-encoded, each also as JSON prints it."""
    plain = {secret, urllib.parse.unquote(secret), urllib.parse.quote(secret, safe="/:@?&=")}
    return plain | {json.dumps(text)[1:-1] for text in plain}
