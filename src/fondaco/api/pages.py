"""What is served by GET beside JSON-RPC: a path and what stands there at this moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, whole."""

    body: bytes
    content_type: str
    """With its parameters, as the header has it."""
    status: int = 200


MakePage = Callable[[str], Page]
"""Takes the ``Accept`` header (empty where there is none). It must not wait."""

Pages = Mapping[str, MakePage]
"""By path: ``/metrics``."""

NO_PAGES: Pages = {}
