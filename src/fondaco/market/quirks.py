"""What the original's web client adds to what it sends, taken off again.

AngularJS marks the members of lists with a key of its own, and the client sends them back. Its
switches hold the words that Python 2 printed for a truth value.
"""

from __future__ import annotations

from typing import Any

ANGULAR_KEY = "$$hashKey"

_TRUE = ("true", "1", "yes", "on")


def strip_angular(value: Any) -> Any:
    """Return JSON *value* without AngularJS' marks, at any depth.

    The depth is bounded by whoever decoded it: msgspec stops before Python's own limit.
    """
    if isinstance(value, dict):
        return {key: strip_angular(member) for key, member in value.items() if key != ANGULAR_KEY}
    if isinstance(value, list):
        return [strip_angular(member) for member in value]
    return value


def read_switch(value: object) -> bool:
    """Return what a switch of the client means: ``"True"``, ``true`` and 1 are on.

    ``"False"``, ``""``, null, 0 and whatever else are off: nobody becomes a notary by a word
    that this node does not know.
    """
    if isinstance(value, str):
        return value.strip().lower() in _TRUE
    return value is True or (isinstance(value, int) and value == 1)
