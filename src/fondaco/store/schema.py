"""What all tables share: the metadata they register in and the column types.

A half declares its tables on ``METADATA`` beside the queries that use them; the
migrations repeat them as plain DDL, and a test compares the two.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

METADATA = sa.MetaData()
"""Every table of the database."""

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Signed 64 bits: sequences, seconds, nanoseconds, flags. Never a uint256."""


def blob(name: str, size: int | None = None, *, nullable: bool = False) -> sa.Column[bytes]:
    """Return a column of bytes; of exactly *size* of them when given."""
    checks = [sa.CheckConstraint(f"length({name}) = {size}")] if size is not None else []
    return sa.Column(name, sa.LargeBinary(), *checks, nullable=nullable)


def table(name: str, *items: Any, **options: Any) -> sa.Table:
    """Return a table that refuses values of another type (STRICT in SQLite)."""
    return sa.Table(name, METADATA, *items, sqlite_strict=True, **options)
