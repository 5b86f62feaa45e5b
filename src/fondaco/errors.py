"""The root of the error tree: what went wrong, and who could have known.

    NodeError                     anything this package raises on purpose
    |- ConfigurationError         a setting that cannot be used; says which and what to do
    |- Unavailable                something outside the node did not answer just now
    |- StorageError               the disk refused; nothing was stored
    |- PeerError                  a remote peer broke the protocol
    '- InvalidParameter           a client's request names a bad value

Each half hangs its own branch below ``NodeError``. A door (JSON-RPC, gossip) has
one handler for the tree and never looks at the text of an error.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Verdict(enum.Enum):
    """What to do with a message a peer sent us.

    Source: GossipSub v1.1, extended validators.
    """

    ACCEPT = "accept"
    """Deliver it and pass it on."""

    IGNORE = "ignore"
    """Drop it; the sender could not have known better."""

    REJECT = "reject"
    """Drop it and lower the sender's score."""


class NodeError(Exception):
    """Base of every error this package raises on purpose."""

    code: ClassVar[str] = "InternalError"
    """Stable identifier a client may switch on."""

    verdict: ClassVar[Verdict] = Verdict.IGNORE
    """What the sender of a message that ends in this error deserves."""


class ConfigurationError(NodeError):
    """A setting cannot be used. The text names it, the problem and the remedy."""

    code = "ConfigurationError"

    def __init__(self, setting: str, problem: str, remedy: str = "") -> None:
        text = f"{setting}: {problem}"
        super().__init__(f"{text}; {remedy}" if remedy else text)
        self.setting = setting
        self.problem = problem
        self.remedy = remedy


class Unavailable(NodeError):
    """Something outside the node did not answer just now; trying again may help."""

    code = "Unavailable"


class StorageError(NodeError):
    """The database refused a write (full or failing disk). Nothing was stored."""

    code = "StorageError"


class PeerError(NodeError):
    """A remote peer sent something it should have known not to send."""

    code = "PeerError"
    verdict = Verdict.REJECT


class InvalidParameter(NodeError):
    """A request carries a value that cannot be used.

    Args:
        field: path of the value inside the request, as its sender would write it.
        expected: what would have been accepted.
    """

    code = "InvalidParameter"

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected
