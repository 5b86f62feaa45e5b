"""Prebuilt statements for many rows."""

from __future__ import annotations

import sqlalchemy as sa

from fondaco.store import metadata
from fondaco.store.batch import Batch
from fondaco.store.metadata import NODE_METADATA

INSERT = Batch(sa.insert(NODE_METADATA))
UPDATE = Batch(
    sa.update(NODE_METADATA)
    .where(NODE_METADATA.c.key == sa.bindparam("name"))
    .values(value=sa.bindparam("new"))
)


def test_parameters_are_named_in_the_sequence_of_a_row() -> None:
    assert INSERT.parameters == ("key", "value")
    assert UPDATE.parameters == ("new", "name")


def test_it_runs_once_for_each_row_and_counts_what_changed(connection: sa.Connection) -> None:
    assert INSERT.run(connection, [("a", "1"), ("b", "2")]) == 2
    assert UPDATE.run(connection, [("9", "a"), ("9", "nobody")]) == 1
    assert metadata.get(connection, "a") == "9"
    assert metadata.get(connection, "b") == "2"


def test_no_rows_are_no_work(connection: sa.Connection) -> None:
    assert INSERT.run(connection, []) == 0
