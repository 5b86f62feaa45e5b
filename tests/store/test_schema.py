"""The tables in the code are those the migrations make."""

from __future__ import annotations

import sqlalchemy as sa

from fondaco.store import blocks, eventlog
from fondaco.store import metadata as node_metadata
from fondaco.store.schema import METADATA
from fondaco.zeroex import refusals, repository

DECLARED = {
    eventlog.EVENT_LOG,
    eventlog.EVENT_LOG_COUNTER,
    node_metadata.NODE_METADATA,
    blocks.RETAINED_BLOCKS,
    repository.ORDERS,
    repository.FORGOTTEN,
    refusals.REFUSALS,
}


def made_of(connection: sa.Connection) -> dict[str, str]:
    """Name of each table and index, and the DDL it was made with, on one line."""
    rows = connection.execute(
        sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != :skipped"),
        {"skipped": "alembic_version"},
    )
    return {name: " ".join(sql.split()).replace("( ", "(").replace(" )", ")") for name, sql in rows}


def test_metadata_and_migrations_agree(connection: sa.Connection) -> None:
    with sa.create_engine("sqlite://").begin() as other:
        METADATA.create_all(other)
        declared = made_of(other)
    migrated = made_of(connection)
    assert migrated == declared
    assert set(METADATA.tables.values()) == DECLARED


def test_values_of_another_type_are_refused(connection: sa.Connection) -> None:
    listed = connection.exec_driver_sql("PRAGMA table_list").mappings()
    strict = {row["name"] for row in listed if row["strict"]}
    assert strict == set(METADATA.tables)


def test_amounts_never_lie_in_integer_columns() -> None:
    """SQLite keeps an integer over 2**63 as a float, which is another number."""
    allowed = {
        *("id", "sequence", "recorded_at_ns", "last", "number", "timestamp", "version"),
        *("expires_at", "is_removed", "is_pinned", "last_updated_ns", "last_sequence", "at_ns"),
    }
    integers = {
        column.name
        for table in METADATA.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.Integer)
    }
    assert integers == allowed
