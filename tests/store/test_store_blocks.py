"""The retained stack of blocks."""

from __future__ import annotations

import sqlalchemy as sa

from fondaco.store.blocks import StoredBlock, load_retained, save_retained


def block(number: int) -> StoredBlock:
    return StoredBlock(
        number=number,
        hash=number.to_bytes(32),
        parent_hash=(number - 1).to_bytes(32),
        timestamp=1_700_000_000 + number,
        logs=b"[]" * number,
    )


def test_the_stack_is_replaced_as_a_whole(connection: sa.Connection) -> None:
    assert load_retained(connection) == []
    save_retained(connection, [block(number) for number in range(5, 25)])
    save_retained(connection, [block(number) for number in (12, 10, 11)])
    assert load_retained(connection) == [block(10), block(11), block(12)]
    save_retained(connection, [])
    assert load_retained(connection) == []


def test_a_block_is_written_once(connection: sa.Connection) -> None:
    save_retained(connection, [block(number) for number in range(5, 25)])
    changes = sa.text("SELECT total_changes()")
    before = connection.execute(changes).scalar_one()
    save_retained(connection, [block(number) for number in range(6, 26)])
    assert connection.execute(changes).scalar_one() - before == 2  # one out, one in
    assert load_retained(connection) == [block(number) for number in range(6, 26)]


def test_another_block_of_the_same_number_takes_its_place(connection: sa.Connection) -> None:
    save_retained(connection, [block(5), block(6)])
    other = StoredBlock(
        number=6, hash=b"\xaa" * 32, parent_hash=block(5).hash, timestamp=1, logs=b"[7]"
    )
    save_retained(connection, [block(5), other])
    assert load_retained(connection) == [block(5), other]
