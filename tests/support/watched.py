"""Addresses, orders and events for tests of the watch index."""

from __future__ import annotations

from typing import Any

from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.chain.logs import Log
from fondaco.testing.orders import make_order
from fondaco.zeroex.asset_data import MemberAsset, encode
from fondaco.zeroex.contract_events import ContractEvent, EventKind, Value
from fondaco.zeroex.order import Address, OrderHash, ProtocolVersion, SignedOrder


def at(number: int) -> Address:
    return Address(bytes([number]) * 20)


def deployment(first: int, chai: bool = False) -> Deployment:
    return Deployment(
        exchange=at(first),
        dev_utils=at(first + 1),
        erc20_proxy=at(first + 2),
        erc721_proxy=at(first + 3),
        erc1155_proxy=at(first + 4),
        chai_bridge=at(first + 5) if chai else None,
        chai_token=at(first + 6) if chai else None,
    )


CONTRACTS = ChainContracts(chain_id=1337, v2=deployment(0x20), v3=deployment(0x30, chai=True))
EXCHANGE_V2, ERC20_V2, ERC721_V2, ERC1155_V2 = at(0x20), at(0x22), at(0x23), at(0x24)
EXCHANGE_V3, ERC20_V3, ERC721_V3, ERC1155_V3 = at(0x30), at(0x32), at(0x33), at(0x34)
CHAI_BRIDGE, CHAI = at(0x35), at(0x36)
ZRX, TOKEN, OTHER_TOKEN, UNIQUES, MULTI = at(0x60), at(0x61), at(0x62), at(0x63), at(0x64)
ALICE, BOB, CAROL = at(1), at(2), at(3)


def order(maker: Address, asset: MemberAsset, **changes: Any) -> SignedOrder:
    return make_order(
        maker_address=maker,
        maker_asset_data=encode(asset),
        signature=b"\x1b" * 65 + b"\x02",
        **changes,
    )


def name(text: str) -> OrderHash:
    return OrderHash(text.encode().rjust(32, b"\0"))


def event(
    kind: EventKind, contract: bytes, *values: Value, version: ProtocolVersion | None = None
) -> ContractEvent:
    log = Log(
        address=contract,
        topics=(),
        data=b"",
        block_number=1,
        block_hash=bytes(32),
        transaction_hash=bytes(32),
        transaction_index=0,
        log_index=0,
    )
    return ContractEvent(kind=kind, version=version, values=values, log=log)
