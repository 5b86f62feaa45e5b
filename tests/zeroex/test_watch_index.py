"""Who is touched by what, rule by rule; and orders that are only being stored."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fondaco.chain.contracts import ChainContracts
from fondaco.zeroex.asset_data import (
    Erc20,
    Erc20Bridge,
    Erc721,
    Erc1155,
    MultiAsset,
    StaticCall,
    basket,
    decode,
    encode,
    token_pairs,
)
from fondaco.zeroex.contract_events import ContractEvent, ContractRole, EventKind
from fondaco.zeroex.order import Address, OrderHash, ProtocolVersion
from fondaco.zeroex.watch_index import WatchIndex
from support.watched import (
    ALICE,
    BOB,
    CAROL,
    CHAI,
    CHAI_BRIDGE,
    CONTRACTS,
    ERC20_V2,
    ERC20_V3,
    ERC721_V3,
    ERC1155_V2,
    ERC1155_V3,
    EXCHANGE_V2,
    EXCHANGE_V3,
    MULTI,
    OTHER_TOKEN,
    TOKEN,
    UNIQUES,
    ZRX,
    at,
    deployment,
    event,
    name,
    order,
)

MESH = json.loads((Path(__file__).parent.parent / "vectors" / "mesh_vectors.json").read_text())
V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3

BOOK = {
    "plain": order(ALICE, Erc20(TOKEN), salt=10),
    "fee": order(
        ALICE, Erc20(OTHER_TOKEN), maker_fee=1, maker_fee_asset_data=encode(Erc20(TOKEN)), salt=20
    ),
    "no fee": order(ALICE, Erc20(OTHER_TOKEN), maker_fee_asset_data=encode(Erc20(TOKEN)), salt=30),
    "v2": order(ALICE, Erc20(TOKEN), version=V2, salt=10),
    "v2 fee": order(ALICE, Erc20(OTHER_TOKEN), version=V2, maker_fee=1, salt=20),
    "unique 7": order(ALICE, Erc721(UNIQUES, 7), salt=40),
    "unique 8": order(ALICE, Erc721(UNIQUES, 8), salt=40),
    "multi": order(ALICE, Erc1155(MULTI, (1, 2), (1, 1), b""), salt=50),
    "basket": order(
        ALICE,
        basket((1, Erc20(TOKEN)), (2, Erc721(UNIQUES, 7)), (3, Erc1155(MULTI, (5,), (1,), b""))),
        salt=60,
    ),
    "bridge": order(ALICE, Erc20Bridge(TOKEN, CHAI_BRIDGE, b""), salt=70),
    "static": order(ALICE, StaticCall(at(9), b"", bytes(32)), salt=80),
    "bob": order(BOB, Erc20(TOKEN), salt=10),
    "wallet": replace(order(ALICE, Erc20(OTHER_TOKEN), salt=90), signature=b"\x04"),
    "wallet v2": replace(order(ALICE, Erc20(OTHER_TOKEN), version=V2, salt=90), signature=b"\x06"),
    "sender": order(ALICE, Erc20(OTHER_TOKEN), sender_address=CAROL, salt=5),
}


def book() -> WatchIndex:
    index = WatchIndex(CONTRACTS, encode(Erc20(ZRX)))
    for text, signed in BOOK.items():
        index.add(name(text), signed)
    return index


def touched(index: WatchIndex, *events: ContractEvent) -> set[str]:
    return {found.lstrip(b"\0").decode() for found in index.affected(events)}


K = EventKind
FILLED = (ALICE, BOB, BOB, BOB, 1, 1, 0, 0)
ON_TOKEN = {"plain", "fee", "v2", "basket"}
RULES: list[Any] = [
    pytest.param(event(K.ERC20_TRANSFER, TOKEN, ALICE, CAROL, 1), ON_TOKEN, id="from"),
    pytest.param(event(K.ERC20_TRANSFER, TOKEN, CAROL, ALICE, 1), ON_TOKEN, id="to"),
    pytest.param(
        event(K.ERC20_TRANSFER, TOKEN, ALICE, BOB, 1), ON_TOKEN | {"bob"}, id="from and to"
    ),
    pytest.param(event(K.ERC20_TRANSFER, TOKEN, CAROL, CAROL, 1), set(), id="strangers"),
    pytest.param(event(K.ERC20_TRANSFER, ZRX, ALICE, CAROL, 1), {"v2 fee"}, id="ZRX of v2 fees"),
    pytest.param(event(K.WETH_DEPOSIT, TOKEN, ALICE, 1), ON_TOKEN, id="deposit"),
    pytest.param(event(K.WETH_WITHDRAWAL, TOKEN, BOB, 1), {"bob"}, id="withdrawal"),
    pytest.param(
        event(K.ERC20_APPROVAL, TOKEN, ALICE, ERC20_V3, 1),
        {"plain", "fee", "basket"},
        id="v3 proxy",
    ),
    pytest.param(event(K.ERC20_APPROVAL, TOKEN, ALICE, ERC20_V2, 1), {"v2"}, id="v2 proxy"),
    pytest.param(event(K.ERC20_APPROVAL, TOKEN, ALICE, ERC721_V3, 1), set(), id="other spender"),
    pytest.param(
        event(K.ERC721_TRANSFER, UNIQUES, ALICE, CAROL, 7), {"unique 7", "basket"}, id="token 7"
    ),
    pytest.param(event(K.ERC721_TRANSFER, UNIQUES, CAROL, ALICE, 8), {"unique 8"}, id="token 8"),
    pytest.param(
        event(K.ERC721_APPROVAL, UNIQUES, ALICE, CAROL, 7),
        {"unique 7", "basket"},
        id="approval of anybody (v9.3)",
    ),
    pytest.param(
        event(K.ERC721_APPROVAL_FOR_ALL, UNIQUES, ALICE, ERC721_V3, True),
        {"unique 7", "unique 8", "basket"},
        id="ERC721 proxy for all",
    ),
    pytest.param(
        event(K.ERC721_APPROVAL_FOR_ALL, UNIQUES, ALICE, CAROL, True), set(), id="ERC721 other"
    ),
    pytest.param(
        event(K.ERC1155_TRANSFER_SINGLE, MULTI, CAROL, CAROL, ALICE, 99, 1),
        {"multi", "basket"},
        id="ERC1155, any ID",
    ),
    pytest.param(
        event(K.ERC1155_TRANSFER_BATCH, MULTI, ALICE, CAROL, CAROL, (1,), (1,)),
        set(),
        id="ERC1155 operator is no party",
    ),
    pytest.param(
        event(K.ERC1155_APPROVAL_FOR_ALL, MULTI, ALICE, ERC1155_V3, False),
        {"multi", "basket"},
        id="ERC1155 proxy for all",
    ),
    pytest.param(
        event(K.ERC1155_APPROVAL_FOR_ALL, MULTI, ALICE, ERC1155_V2, False), set(), id="v2's proxy"
    ),
    pytest.param(
        event(K.EXCHANGE_FILL, EXCHANGE_V2, *FILLED, name("v2"), b"", b"", version=V2),
        {"v2"},
        id="v2 fill",
    ),
    pytest.param(
        event(
            K.EXCHANGE_FILL, EXCHANGE_V3, *FILLED, 0, name("plain"), b"", b"", b"", b"", version=V3
        ),
        {"plain"},
        id="v3 fill",
    ),
    pytest.param(
        event(K.EXCHANGE_CANCEL, EXCHANGE_V3, ALICE, ALICE, BOB, name("fee"), b"", b"", version=V3),
        {"fee"},
        id="cancel",
    ),
    pytest.param(
        event(K.EXCHANGE_CANCEL, EXCHANGE_V3, ALICE, ALICE, BOB, bytes(32), b"", b"", version=V3),
        set(),
        id="cancel of a stranger's order",
    ),
    pytest.param(
        event(K.EXCHANGE_CANCEL_UP_TO, EXCHANGE_V3, ALICE, bytes(20), 20, version=V3),
        {"plain", "fee"},
        id="up to, inclusive",
    ),
    pytest.param(
        event(K.EXCHANGE_CANCEL_UP_TO, EXCHANGE_V3, ALICE, bytes(20), 19, version=V3),
        {"plain"},
        id="up to, one less",
    ),
    pytest.param(
        event(K.EXCHANGE_CANCEL_UP_TO, EXCHANGE_V2, ALICE, bytes(20), 20, version=V2),
        {"v2", "v2 fee"},
        id="up to in v2",
    ),
    pytest.param(
        event(K.EXCHANGE_CANCEL_UP_TO, EXCHANGE_V3, ALICE, CAROL, 100, version=V3),
        {"sender"},
        id="up to of a sender",
    ),
    pytest.param(event(K.ERC20_TRANSFER, CHAI, ALICE, CAROL, 1), {"bridge"}, id="Chai"),
    pytest.param(
        event(K.ERC20_APPROVAL, CHAI, ALICE, CHAI_BRIDGE, 1), {"bridge"}, id="Chai for the bridge"
    ),
]


@pytest.mark.parametrize(("happened", "expected"), RULES)
def test_rule(happened: ContractEvent, expected: set[str]) -> None:
    index = book()
    assert touched(index, happened) == expected
    for events in index.affected([happened]).values():
        assert events == [happened]


def test_signature_validator_approval_wakes_up_without_being_shown() -> None:
    index = book()
    approval = event(K.SIGNATURE_VALIDATOR_APPROVAL, EXCHANGE_V3, ALICE, CAROL, True, version=V3)
    assert index.affected([approval]) == {name("wallet"): []}
    approval = event(K.SIGNATURE_VALIDATOR_APPROVAL, EXCHANGE_V2, ALICE, CAROL, True, version=V2)
    assert index.affected([approval]) == {name("wallet v2"): []}
    transfer = event(K.ERC20_TRANSFER, OTHER_TOKEN, ALICE, CAROL, 1)
    assert index.affected([approval, transfer])[name("wallet v2")] == [transfer]


def test_an_order_lists_every_event_that_touched_it_in_sequence() -> None:
    index = book()
    cancel = event(
        K.EXCHANGE_CANCEL, EXCHANGE_V3, ALICE, ALICE, BOB, name("plain"), b"", b"", version=V3
    )
    fill = event(
        K.EXCHANGE_FILL, EXCHANGE_V3, *FILLED, 0, name("plain"), b"", b"", b"", b"", version=V3
    )
    own = event(K.ERC20_TRANSFER, TOKEN, ALICE, ALICE, 1)
    assert index.affected([fill, cancel, own])[name("plain")] == [fill, cancel, own]


def test_versions_may_share_their_proxies() -> None:
    shared = ChainContracts(
        chain_id=1, v2=replace(deployment(0x20), erc20_proxy=ERC20_V3), v3=deployment(0x30)
    )
    index = WatchIndex(shared)
    for text in ("plain", "v2"):
        index.add(name(text), BOOK[text])
    approval = event(K.ERC20_APPROVAL, TOKEN, ALICE, ERC20_V3, 1)
    assert touched(index, approval) == {"plain", "v2"}


def test_contract_known_as_both_kinds_of_token_wakes_both() -> None:
    index = WatchIndex(CONTRACTS)
    index.add(name("fungible"), order(ALICE, Erc20(TOKEN)))
    index.add(name("unique"), order(ALICE, Erc721(TOKEN, 7)))
    assert index.role(TOKEN) == ContractRole.ERC20 | ContractRole.ERC721
    for happened in (
        event(K.ERC20_TRANSFER, TOKEN, ALICE, CAROL, 7),
        event(K.ERC20_APPROVAL, TOKEN, ALICE, CAROL, 7),
    ):
        assert touched(index, happened) == {"fungible", "unique"}


def test_contract_known_as_erc721_and_erc1155_wakes_both() -> None:
    index = WatchIndex(CONTRACTS)
    index.add(name("unique"), order(ALICE, Erc721(MULTI, 7)))
    index.add(name("multi"), order(ALICE, Erc1155(MULTI, (1,), (1,), b"")))
    for operator, expected in ((ERC721_V3, "unique"), (ERC1155_V3, "multi")):
        # The decoder can name only one of the kinds.
        approval = event(K.ERC721_APPROVAL_FOR_ALL, MULTI, ALICE, operator, True)
        assert expected in touched(index, approval)


def test_contracts_are_known_as_long_as_an_order_names_them() -> None:
    index = WatchIndex(CONTRACTS, encode(Erc20(ZRX)))
    assert index.role(EXCHANGE_V2) is ContractRole.EXCHANGE_V2
    assert index.role(EXCHANGE_V3) is ContractRole.EXCHANGE_V3
    index.add(name("plain"), BOOK["plain"])
    index.add(name("basket"), BOOK["basket"])
    index.add(name("basket"), BOOK["basket"])
    index.add(name("v2 fee"), BOOK["v2 fee"])
    assert [index.role(c) for c in (TOKEN, UNIQUES, MULTI, ZRX, CAROL)] == [
        ContractRole.ERC20,
        ContractRole.ERC721,
        ContractRole.ERC1155,
        ContractRole.ERC20,
        ContractRole.NONE,
    ]
    index.discard(name("basket"))
    assert [index.role(c) for c in (TOKEN, UNIQUES, MULTI)] == [ContractRole.ERC20, 0, 0]
    index.discard(name("plain"))
    index.discard(name("plain"))
    assert index.role(TOKEN) is ContractRole.NONE
    assert index.role(EXCHANGE_V3) is ContractRole.EXCHANGE_V3


def test_an_exchange_traded_as_a_token_stays_an_exchange() -> None:
    index = WatchIndex(CONTRACTS)
    index.add(name("odd"), order(ALICE, Erc20(EXCHANGE_V3)))
    assert index.role(EXCHANGE_V3) == ContractRole.EXCHANGE_V3 | ContractRole.ERC20
    index.discard(name("odd"))
    assert index.role(EXCHANGE_V3) is ContractRole.EXCHANGE_V3


def test_indexed_pairs_of_the_original() -> None:
    """Each pair (contract, token ID) the original indexes leads to the order here too."""
    vectors = [v for v in MESH["asset_data"] if "indexedPairs" in v]
    assert len(vectors) == 3
    for vector in vectors:
        asset = decode(bytes.fromhex(vector["assetData"][2:]))
        pairs = [
            (
                bytes.fromhex(pair["address"][2:]),
                None if pair["tokenId"] is None else int(pair["tokenId"]),
            )
            for pair in vector["indexedPairs"]
        ]
        assert token_pairs(asset) == pairs
        index = WatchIndex(CONTRACTS)
        index.add(name("x"), order(ALICE, asset))
        for contract, token_id in pairs:
            for kind, values in (
                (K.ERC20_TRANSFER, (ALICE, BOB, 1)),
                (K.ERC721_TRANSFER, (ALICE, BOB, token_id or 0)),
                (K.ERC1155_TRANSFER_SINGLE, (BOB, ALICE, BOB, token_id or 0, 1)),
            ):
                is_named = any(
                    isinstance(member, wanted)
                    for member in (asset.members if isinstance(asset, MultiAsset) else (asset,))
                    for wanted in (Erc20, Erc721, Erc1155)
                    if kind.value.startswith(wanted.__name__.upper())
                    and not (isinstance(member, Erc721) and member.token_id != token_id)
                )
                if is_named:
                    assert touched(index, event(kind, contract, *values)) == {"x"}


def test_asset_data_that_does_not_decode_is_watched_by_its_hash_alone() -> None:
    index = WatchIndex(CONTRACTS)
    index.add(name("broken"), replace(BOOK["plain"], maker_asset_data=b"\xf4\x72"))
    cancel = event(
        K.EXCHANGE_CANCEL, EXCHANGE_V3, ALICE, ALICE, BOB, name("broken"), b"", b"", version=V3
    )
    assert touched(index, cancel) == {"broken"}


# ---------------------------------------------------------------- pending orders

TRANSFER = event(K.ERC20_TRANSFER, TOKEN, ALICE, CAROL, 1)


def test_an_event_between_reading_and_storing_is_not_missed() -> None:
    index = WatchIndex(CONTRACTS)
    index.add_pending(name("plain"), BOOK["plain"])
    assert index.role(TOKEN) is ContractRole.ERC20
    assert index.affected([TRANSFER]) == {}
    index.add(name("plain"), BOOK["plain"])
    assert index.affected([TRANSFER, TRANSFER]) == {name("plain"): [TRANSFER, TRANSFER]}
    assert index.drop_pending(name("plain")) == [TRANSFER]
    assert index.drop_pending(name("plain")) is None
    assert touched(index, TRANSFER) == {"plain"}


def test_a_pending_order_that_is_refused_leaves_no_trace() -> None:
    index = WatchIndex(CONTRACTS)
    index.add_pending(name("plain"), BOOK["plain"])
    assert index.drop_pending(name("plain")) is None
    assert index.role(TOKEN) is ContractRole.NONE
    assert (index.count, index.hashes()) == (0, [])


def test_a_pending_order_is_held_by_each_who_asked() -> None:
    index = WatchIndex(CONTRACTS)
    index.add_pending(name("plain"), BOOK["plain"])
    index.add_pending(name("plain"), BOOK["plain"])
    assert index.drop_pending(name("plain")) is None
    index.mark_pending_dirty()
    assert index.drop_pending(name("plain")) == []
    assert index.role(TOKEN) is ContractRole.NONE
    index.add_pending(name("plain"), BOOK["plain"])
    assert index.drop_pending(name("plain")) is None


def test_an_event_clients_do_not_know_touches_a_pending_order_too() -> None:
    index = WatchIndex(CONTRACTS)
    index.add_pending(name("wallet"), BOOK["wallet"])
    approval = event(K.SIGNATURE_VALIDATOR_APPROVAL, EXCHANGE_V3, ALICE, CAROL, True, version=V3)
    assert index.affected([approval]) == {}
    assert index.drop_pending(name("wallet")) == []


def test_a_stored_order_may_be_discarded_while_pending() -> None:
    index = WatchIndex(CONTRACTS)
    index.add(name("plain"), BOOK["plain"])
    index.add_pending(name("plain"), BOOK["plain"])
    index.discard(name("plain"))
    assert name("plain") not in index
    assert index.affected([TRANSFER]) == {}
    assert index.drop_pending(name("plain")) == [TRANSFER]
    assert index.role(TOKEN) is ContractRole.NONE


# ---------------------------------------------------------------- time


def test_only_orders_on_offer_expire_and_only_removed_ones_are_revived() -> None:
    index = WatchIndex(CONTRACTS)
    for number, text in enumerate(("c", "b", "a")):
        index.add(name(text), replace(BOOK["plain"], expiration_time_seconds=100 + number))
    index.add_pending(name("d"), replace(BOOK["plain"], expiration_time_seconds=100))
    index.set_removed(name("b"), True)
    assert index.expired(99) == []
    assert index.expired(102) == [name("c"), name("a")]
    assert index.expired(102) == []
    index.set_removed(name("c"), True)
    # The expiry of "a" was not stored yet, so it never left.
    assert index.revived(99) == [name("c"), name("b")]
    index.set_removed(name("c"), False)
    assert index.expired(200) == [name("c"), name("a")]
    index.discard(name("c"))
    assert index.revived(0) == [name("b")]
    index.set_removed(name("gone"), True)
    assert name("gone") not in index


def test_flags_given_at_rebuilding_count() -> None:
    index = WatchIndex(CONTRACTS)
    index.add(name("a"), replace(BOOK["plain"], expiration_time_seconds=5), is_removed=True)
    index.add(name("b"), replace(BOOK["plain"], expiration_time_seconds=5))
    assert index.count == 2
    assert set(index.hashes()) == {name("a"), name("b")}
    assert index.expired(5) == [name("b")]
    assert index.revived(4) == [name("a")]


def test_memory_of_an_order() -> None:
    """At most 1 KB an order, the hash and all keys included: 100 MB for 100,000."""
    count = 4_000
    rng = random.Random(100)
    base = BOOK["plain"]
    datas = [encode(Erc721(UNIQUES, number)) for number in range(count)]
    for data in datas:
        decode(data)  # keeps a few in its own cache
    tracemalloc.start()
    try:
        index = WatchIndex(CONTRACTS)
        for number in range(count):
            index.add(
                OrderHash(rng.randbytes(32)),
                replace(
                    base,
                    maker_address=Address(rng.randbytes(20)),
                    maker_asset_data=datas[number],
                    salt=rng.getrandbits(256),
                    expiration_time_seconds=1_600_000_000 + number,
                ),
            )
        size = tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()
    assert index.count == count
    assert size < 1_024


@pytest.mark.parametrize(
    ("asset", "signature", "asks"),
    [
        (Erc20(TOKEN), b"\x02", False),
        (Erc20(TOKEN), b"\x04", True),
        (StaticCall(TOKEN, b"", bytes(32)), b"\x02", True),
    ],
)
def test_who_costs_a_question_of_its_own(asset: Any, signature: bytes, asks: bool) -> None:
    index = WatchIndex(CONTRACTS)
    index.add(name("x"), replace(order(ALICE, asset), signature=signature))
    assert index.asks_alone(name("x")) is asks
    assert not index.asks_alone(name("unknown"))
