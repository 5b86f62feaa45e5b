"""Random books of orders for tests of what is stored, listed and searched."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from fondaco.store.migrate import migrate
from fondaco.testing.orders import erc20, make_order
from fondaco.zeroex import codec
from fondaco.zeroex.order import Address, Amount, OrderHash, ProtocolVersion
from fondaco.zeroex.repository import NewOrder

ADDRESSES = [Address(bytes([number]) * 20) for number in range(1, 4)]
ASSETS = [erc20(address) for address in ADDRESSES] + [b""]
EXPIRATIONS = (0, 1_700_000_000, 1_700_000_001, 2**63 - 1, 2**63, 2**256 - 1)
AMOUNTS = (1, 2, 3, 7, 10**18, 10**18 + 1, 2**255, 2**256 - 1)


@contextmanager
def empty_store() -> Iterator[sa.Connection]:
    """A transaction on a migrated database in memory."""
    with sa.create_engine("sqlite://").begin() as connection:
        migrate(connection)
        yield connection


def random_order(chance: random.Random) -> NewOrder:
    """Return an order that shares each of its values with many others."""
    order = make_order(
        version=chance.choice(list(ProtocolVersion)),
        exchange_address=chance.choice(ADDRESSES),
        maker_address=chance.choice(ADDRESSES),
        taker_address=chance.choice(ADDRESSES),
        sender_address=chance.choice(ADDRESSES),
        fee_recipient_address=chance.choice(ADDRESSES),
        maker_asset_data=chance.choice(ASSETS),
        taker_asset_data=chance.choice(ASSETS),
        maker_asset_amount=Amount(chance.choice(AMOUNTS)),
        taker_asset_amount=Amount(chance.choice(AMOUNTS)),
        expiration_time_seconds=chance.choice(EXPIRATIONS),
        salt=chance.getrandbits(256),
        signature=b"\x02",
    )
    return NewOrder(
        # Not the real hash: here only its bytes and their order count.
        order_hash=OrderHash(chance.randbytes(32)),
        order=order,
        body=codec.encode_order(order),
        fillable=chance.randrange(1, order.taker_asset_amount + 1),
        is_pinned=chance.random() < 0.3,
        last_updated_ns=chance.randrange(1_000),
    )
