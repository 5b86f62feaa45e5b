"""The store floor's own tables: event log, named facts, retained blocks."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE event_log (
        sequence INTEGER NOT NULL,
        recorded_at_ns INTEGER NOT NULL,
        topic TEXT NOT NULL,
        subject BLOB NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (sequence)
    ) STRICT
    """,
    "CREATE INDEX event_log_by_topic ON event_log (topic, sequence)",
    "CREATE INDEX event_log_by_subject ON event_log (subject, sequence)",
    """
    CREATE TABLE event_log_counter (
        id INTEGER NOT NULL CHECK (id = 1),
        last INTEGER NOT NULL,
        PRIMARY KEY (id)
    ) STRICT
    """,
    "INSERT INTO event_log_counter (id, last) VALUES (1, 0)",
    """
    CREATE TABLE node_metadata (
        "key" TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY ("key")
    ) STRICT
    """,
    """
    CREATE TABLE retained_blocks (
        number INTEGER NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        parent_hash BLOB NOT NULL CHECK (length(parent_hash) = 32),
        timestamp INTEGER NOT NULL,
        logs BLOB NOT NULL,
        PRIMARY KEY (number)
    ) STRICT
    """,
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
