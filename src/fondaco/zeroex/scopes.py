"""Which orders two nodes compare: a protocol version and the filters of both sides.

    our filters      A  B          scopes      A&C  A&D  B&C  B&D
    their filters    C  D          minus those inside another:  C = A  ->  A, B&D

A scope's set is made of the stored orders, not flagged removed, that satisfy all of its
filters. The union of all scopes is exactly what both nodes want, whatever else either
of them stores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from fondaco.errors import InvalidParameter
from fondaco.zeroex.limits import MAX_FILTERS, MAX_SCOPE_FILTERS
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.order_filter import DEFAULT_SCHEMA, CustomSchema

SCHEMAS_CACHED = 64
"""Compiled filters kept: those of twice as many nodes as there are sets."""


@lru_cache(maxsize=SCHEMAS_CACHED)
def compiled(text: str) -> CustomSchema:
    """Return the filter that *text* spells.

    Raises:
        InvalidParameter: as ``CustomSchema``.
    """
    return CustomSchema(text)


class Scope(msgspec.Struct, frozen=True, gc=False):
    """A set of orders that can be compared."""

    version: ProtocolVersion
    filters: tuple[str, ...] = ()
    """Canonical texts of the schemas, ascending; none: every order of the version."""

    @property
    def name(self) -> str:
        """A short name for logs and tables: ``v3`` or ``v3/1f9a0c22``."""
        if not self.filters:
            return f"v{self.version}"
        return (
            f"v{self.version}/{hashlib.sha256(chr(0).join(self.filters).encode()).hexdigest()[:8]}"
        )

    def schemas(self) -> list[CustomSchema]:
        """Return the compiled filters."""
        return [compiled(text) for text in self.filters]


def scope_of(version: ProtocolVersion, texts: Iterable[str]) -> Scope:
    """Return the scope of orders that satisfy all of *texts*, in any spelling.

    Raises:
        InvalidParameter: more than MAX_SCOPE_FILTERS, or one that is no filter.
    """
    listed = list(texts)
    if len(listed) > MAX_SCOPE_FILTERS:
        raise InvalidParameter("filters", f"at most {MAX_SCOPE_FILTERS}")
    names = {compiled(text).text for text in listed}
    return Scope(version, tuple(sorted(names - {DEFAULT_SCHEMA})))


def shared_scopes(
    version: ProtocolVersion, ours: Sequence[str], theirs: Sequence[str]
) -> list[Scope]:
    """Return scopes that together hold what both sides want, none inside another.

    Args:
        ours: filters joined here; an order is wanted when it satisfies any.
        theirs: the same of the peer; only MAX_FILTERS of them are looked at.

    Raises:
        InvalidParameter: one of *theirs* is no filter.
    """
    every = {scope_of(version, (mine, yours)) for mine in ours for yours in theirs[:MAX_FILTERS]}
    return sorted(
        (
            scope
            for scope in every
            if not any(set(other.filters) < set(scope.filters) for other in every)
        ),
        key=lambda scope: scope.filters,
    )
