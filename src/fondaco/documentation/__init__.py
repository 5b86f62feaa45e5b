"""Pages of docs/ that are printed from the code, so that they cannot be wrong.

``fondaco docs --write`` writes them, ``fondaco docs --check`` and a test compare them.
"""

from __future__ import annotations

from fondaco.documentation.asyncapi import asyncapi_page
from fondaco.documentation.configuration import configuration_page
from fondaco.documentation.metrics import metrics_page
from fondaco.documentation.protocol import protocol_page
from fondaco.documentation.protocol_p2p import p2p_page


def pages() -> dict[str, str]:
    """Return the text of every generated page, by its path from the repository's root."""
    return {
        "docs/configuration.md": configuration_page(),
        "docs/metrics.md": metrics_page(),
        "docs/protocol-p2p.md": p2p_page(),
        "docs/protocol-zeroex.md": protocol_page(),
        "docs/ws.asyncapi.json": asyncapi_page(),
    }
