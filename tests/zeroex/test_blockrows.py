"""Retained blocks survive the way through the store, and say what came after them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from fondaco.chain.headers import Header, RetainedBlock
from fondaco.chain.logs import Log
from fondaco.store.blocks import load_retained
from fondaco.testing.orders import make_order
from fondaco.zeroex import blockrows, codec, repository
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.order import OrderHash
from support.books import empty_store


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with empty_store() as opened:
        yield opened


def block(number: int, *logs: Log) -> RetainedBlock:
    header = Header(
        number=number,
        hash=bytes([number]) * 32,
        parent_hash=bytes([number - 1]) * 32,
        timestamp=1_600_000_000 + number,
    )
    return RetainedBlock(header=header, logs=logs)


def log_of(number: int, data: bytes) -> Log:
    return Log(
        address=b"\x0a" * 20,
        topics=(b"\x01" * 32, b"\x02" * 32),
        data=data,
        block_number=number,
        block_hash=bytes([number]) * 32,
        transaction_hash=b"\x0c" * 32,
        transaction_index=3,
        log_index=7,
        removed=False,
    )


def keep(connection: sa.Connection, salt: int, *, at_ns: int) -> OrderHash:
    order = make_order(salt=salt)
    repository.insert(
        connection,
        [
            repository.NewOrder(
                order_hash=order_hash(order),
                order=order,
                body=codec.encode_order(order),
                fillable=1,
                is_pinned=False,
                last_updated_ns=at_ns,
            )
        ],
    )
    return order_hash(order)


def test_blocks_come_back_with_their_logs(connection: sa.Connection) -> None:
    blocks = [block(5), block(6, log_of(6, b""), log_of(6, bytes(64))), block(7, log_of(7, b"x"))]
    blockrows.store(connection, blockrows.to_rows(blocks), now_ns=1)
    assert blockrows.from_rows(load_retained(connection)) == blocks


def test_later_blocks_replace_earlier_ones(connection: sa.Connection) -> None:
    blockrows.store(connection, blockrows.to_rows([block(5), block(6)]), now_ns=1)
    blockrows.store(connection, blockrows.to_rows([block(6), block(7)]), now_ns=2)
    assert [b.header.number for b in blockrows.from_rows(load_retained(connection))] == [6, 7]


def test_before_any_block_was_stored_nothing_is_ahead(connection: sa.Connection) -> None:
    keep(connection, 1, at_ns=10)
    assert blockrows.ahead_of_blocks(connection) == []


def test_orders_changed_after_the_stored_blocks_are_ahead_of_them(
    connection: sa.Connection,
) -> None:
    before = keep(connection, 1, at_ns=10)
    blockrows.store(connection, [], now_ns=20)
    after = keep(connection, 2, at_ns=30)
    assert blockrows.ahead_of_blocks(connection) == [after]
    repository.apply(
        connection,
        [
            repository.OrderChange(
                order_hash=before, fillable=0, is_removed=True, last_updated_ns=40
            )
        ],
    )
    assert set(blockrows.ahead_of_blocks(connection)) == {before, after}
    blockrows.store(connection, [], now_ns=50)
    assert blockrows.ahead_of_blocks(connection) == []
