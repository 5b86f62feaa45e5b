"""Named facts."""

from __future__ import annotations

import sqlalchemy as sa

from fondaco.store import metadata


def test_what_was_never_put_is_none(connection: sa.Connection) -> None:
    assert metadata.get(connection, "chain id") is None


def test_the_last_value_counts(connection: sa.Connection) -> None:
    metadata.put(connection, "chain id", "1")
    metadata.put(connection, "budget", "")
    metadata.put(connection, "chain id", str(2**256))
    assert metadata.get(connection, "chain id") == str(2**256)
    assert metadata.get(connection, "budget") == ""
