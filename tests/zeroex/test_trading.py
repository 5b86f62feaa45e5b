"""Which topics and sets follow from the filters a node has joined."""

from __future__ import annotations

import msgspec
import pytest

from fondaco.errors import InvalidParameter
from fondaco.testing.orders import make_order
from fondaco.zeroex.codec import encode_order
from fondaco.zeroex.limits import MAX_FILTERS
from fondaco.zeroex.order import Amount, ProtocolVersion
from fondaco.zeroex.order_filter import OrderFilter
from fondaco.zeroex.scopes import Scope, compiled
from fondaco.zeroex.sync_wire import Compare
from fondaco.zeroex.trading import Trading
from support.chain_words import CONTRACTS

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3
V2_TOPIC = "/0x-orders/network/1337/version/1"
DEFAULT_TOPIC = "/0x-orders/version/3/chain/1337/schema/e30="
SMALL, LARGE = (
    f'{{"properties":{{"makerAssetAmount":{{"pattern":"{p}"}}}}}}' for p in ("^.$", "^...$")
)


def topic(text: str) -> str:
    return OrderFilter(1337, make_order().exchange_address, compiled(text)).topic


def body(amount: int, version: ProtocolVersion = V3) -> bytes:
    return encode_order(make_order(version=version, maker_asset_amount=Amount(amount)))


def test_without_a_filter_there_is_one_topic_a_version() -> None:
    trading = Trading(CONTRACTS, "{}")
    channels = trading.channels()
    assert {t: (c.version, c.schema) for t, c in channels.items()} == {
        V2_TOPIC: (V2, None),
        DEFAULT_TOPIC: (V3, None),
    }
    assert trading.schema is None
    assert trading.topics_of(body(1), V3) == (DEFAULT_TOPIC,)
    assert trading.topics_of(body(1, V2), V2) == (V2_TOPIC,)
    assert trading.own_scopes() == [Scope(V3), Scope(V2)]


def test_with_a_filter_it_listens_to_that_and_speaks_on_the_default_as_well() -> None:
    trading = Trading(CONTRACTS, SMALL)
    channels = trading.channels()
    assert set(channels) == {V2_TOPIC, topic(SMALL)}
    assert channels[topic(SMALL)].schema is compiled(SMALL)
    assert channels[V2_TOPIC].schema is None, "a v2 topic does not name a filter"
    assert set(trading.topics_of(body(7), V3)) == {DEFAULT_TOPIC, topic(SMALL)}
    assert trading.topics_of(body(777), V3) == (DEFAULT_TOPIC,)


def test_filters_are_joined_and_left() -> None:
    trading = Trading(CONTRACTS, SMALL)
    assert trading.join(LARGE)
    assert not trading.join(LARGE.replace(":", " : ")), "the same in another spelling"
    assert trading.joined == (LARGE,)
    assert set(trading.channels()) == {V2_TOPIC, topic(SMALL), topic(LARGE)}
    assert trading.schema is not None
    accepted = [
        trading.schema.accepts(msgspec.json.decode(body(amount))) for amount in (7, 77, 777)
    ]
    assert accepted == [True, False, True]
    assert trading.join("{}")
    assert trading.schema is None
    assert trading.leave("{}")
    assert trading.leave(SMALL)
    assert not trading.leave(SMALL)
    assert trading.filters == (LARGE,)
    with pytest.raises(InvalidParameter, match="the last"):
        trading.leave(LARGE)
    assert Trading(CONTRACTS, SMALL, joined=[LARGE, SMALL]).filters == (SMALL, LARGE)


def test_what_cannot_be_joined_changes_nothing() -> None:
    trading = Trading(CONTRACTS, SMALL)
    for text in ("nonsense", '{"title":"%s"}' % ("x" * 15_950)):
        with pytest.raises(InvalidParameter):
            trading.join(text)
    assert trading.filters == (SMALL,)
    assert trading.schema is compiled(SMALL)
    for number in range(MAX_FILTERS - 1):
        trading.join(f'{{"maxProperties":{number}}}')
    with pytest.raises(InvalidParameter, match="at most"):
        trading.join(LARGE)


def test_what_is_shared_with_others_depends_on_chain_and_exchange() -> None:
    trading = Trading(CONTRACTS, "{}")
    terms = trading.terms()
    assert trading.versions_shared(terms) == [V3, V2]
    other_chain = msgspec.structs.replace(terms, chain=1)
    assert trading.versions_shared(other_chain) == []
    one_differs = msgspec.structs.replace(terms, deployments={**terms.deployments, 2: bytes(20)})
    assert trading.versions_shared(one_differs) == [V3]
    request = Compare(chain=1337, exchange=terms.deployments[3], version=3, filters=[], message=b"")
    assert trading.serves(request)
    for changes in ({"chain": 1}, {"version": 9}, {"exchange": b""}):
        assert not trading.serves(msgspec.structs.replace(request, **changes))
