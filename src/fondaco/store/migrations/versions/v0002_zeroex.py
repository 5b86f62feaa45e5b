"""Token orders: kept, forgotten, refused (``zeroex.repository``, ``zeroex.refusals``)."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    """
    CREATE TABLE zeroex_orders (
        id INTEGER NOT NULL,
        order_hash BLOB NOT NULL CHECK (length(order_hash) = 32),
        version INTEGER NOT NULL,
        exchange_address BLOB NOT NULL CHECK (length(exchange_address) = 20),
        maker_address BLOB NOT NULL CHECK (length(maker_address) = 20),
        taker_address BLOB NOT NULL CHECK (length(taker_address) = 20),
        sender_address BLOB NOT NULL CHECK (length(sender_address) = 20),
        fee_recipient_address BLOB NOT NULL CHECK (length(fee_recipient_address) = 20),
        maker_asset_key BLOB NOT NULL CHECK (length(maker_asset_key) = 16),
        taker_asset_key BLOB NOT NULL CHECK (length(taker_asset_key) = 16),
        expires_at INTEGER NOT NULL,
        price BLOB NOT NULL CHECK (length(price) = 64),
        fillable BLOB NOT NULL CHECK (length(fillable) = 32),
        is_removed INTEGER NOT NULL,
        is_pinned INTEGER NOT NULL,
        last_updated_ns INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (id)
    ) STRICT
    """,
    "CREATE UNIQUE INDEX zeroex_orders_by_hash ON zeroex_orders (order_hash)",
    "CREATE INDEX zeroex_orders_by_expiration ON zeroex_orders"
    " (expires_at, order_hash, is_removed, is_pinned)",
    "CREATE INDEX zeroex_orders_by_maker ON zeroex_orders (maker_address, order_hash)",
    "CREATE INDEX zeroex_orders_by_price ON zeroex_orders"
    " (maker_asset_key, taker_asset_key, price, order_hash)",
    "CREATE INDEX zeroex_orders_by_update ON zeroex_orders (last_updated_ns)",
    "CREATE INDEX zeroex_orders_removed ON zeroex_orders (last_updated_ns) WHERE is_removed = 1",
    """
    CREATE TABLE zeroex_forgotten (
        id INTEGER NOT NULL,
        order_hash BLOB NOT NULL CHECK (length(order_hash) = 32),
        last_sequence INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (id)
    ) STRICT
    """,
    "CREATE UNIQUE INDEX zeroex_forgotten_by_hash ON zeroex_forgotten (order_hash)",
    "CREATE INDEX zeroex_forgotten_by_sequence ON zeroex_forgotten (last_sequence)",
    """
    CREATE TABLE zeroex_refusals (
        id INTEGER NOT NULL,
        order_hash BLOB NOT NULL CHECK (length(order_hash) = 32),
        code TEXT NOT NULL,
        detail TEXT NOT NULL,
        origin TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        PRIMARY KEY (id)
    ) STRICT
    """,
    "CREATE INDEX zeroex_refusals_by_hash ON zeroex_refusals (order_hash)",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
