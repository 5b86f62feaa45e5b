"""The page of the protocol between nodes: its tables are whole and its examples true.

Every fenced block with a name is compared with what the node writes and reads. The second
implementation (``support.plain_peer``), which knows the page and not the code, reads them too,
and talks to a node.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from fondaco.documentation.protocol_p2p import NOT_BETWEEN_NODES, NOT_FOR_PEERS, p2p_page
from fondaco.documentation.tables import constants, sections
from fondaco.errors import Verdict
from fondaco.identity.keys import IdentityKey
from fondaco.identity.names import raw_peer_id
from fondaco.p2p import limits, negentropy, relay_messages, rendezvous_messages, scores
from fondaco.p2p.framing import LengthFraming
from fondaco.p2p.host import discovery
from fondaco.p2p.host import gossip as host_gossip
from fondaco.p2p.idset import IdSet
from fondaco.p2p.negentropy_wire import NOTHING_LEFT, fingerprint, read_ranges
from fondaco.p2p.pubsub import rpc, signing
from fondaco.p2p.pubsub.framing import FrameDecoder, encode_frame
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.scores import PENALTIES, Offence
from fondaco.testing.orders import EXCHANGE, make_order
from fondaco.zeroex import agreement, meshsync_wire, ordersync, refused_orders, sync_schedule
from fondaco.zeroex import limits as zeroex_limits
from fondaco.zeroex.codec import decode_order, encode_order
from fondaco.zeroex.eip712 import order_hash
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.gossip import Fate
from fondaco.zeroex.gossip_wire import encode_message, read_message
from fondaco.zeroex.offences import Fault
from fondaco.zeroex.order import ProtocolVersion
from fondaco.zeroex.order_filter import CustomSchema, pubsub_topic, rendezvous_points
from fondaco.zeroex.sync_wire import (
    ORDERS_PROTOCOL,
    RECONCILE_PROTOCOL,
    AskOrders,
    Compare,
    Compared,
    Declined,
    Greet,
    Greeted,
    Offer,
    Taken,
    decode_answer,
    decode_ask,
    decode_frame,
    decode_request,
    encode,
    marks,
)
from support import plain_peer
from support.gossip_bench import delivered, subscribed_bench
from support.order_bench import orders
from support.peer_nodes import open_town

PAGE = p2p_page()
PROSE = " ".join(PAGE.split())
SOURCE = Path(__file__).parents[2] / "src" / "fondaco"

V2, V3 = ProtocolVersion.V2, ProtocolVersion.V3

BLOCKS: dict[str, str] = dict(
    re.findall(r"^```\w+ ([\w-]+)\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
)
"""The examples by name."""


def raw(name: str) -> bytes:
    """Return the bytes of an example in hexadecimal; two blanks begin a comment."""
    return b"".join(
        bytes.fromhex(line.strip().partition("  ")[0]) for line in BLOCKS[name].splitlines()
    )


def order_text(name: str) -> bytes:
    """Return an order of the page in its one spelling: it is printed with line breaks."""
    return json.dumps(json.loads(BLOCKS[name]), separators=(",", ":")).encode()


def line(name: str) -> bytes:
    """Return an example in JSON as it goes over the wire, with its orders in it."""
    text: bytes = BLOCKS[name].encode()
    for version in ("V2", "V3"):
        text = text.replace(f"ORDER-{version}".encode(), order_text(f"order-{version.lower()}"))
    return text


# --- what the examples are made of -------------------------------------------------------

ANN = IdentityKey(b"\x01" * 32)
BOB = IdentityKey(b"\x02" * 32)
EXCHANGE_BYTES = bytes(EXCHANGE)
FILTER = BLOCKS["filter"]
ORDERS = [make_order(salt=salt) for salt in (1, 2, 3, 4)]
NAMES = [bytes(order_hash(order)) for order in ORDERS]
TOPIC_V2 = pubsub_topic(V2, 1337, CustomSchema())
TOPIC_V3 = pubsub_topic(V3, 1337, CustomSchema())
MESSAGE = signing.Author(ANN).write(TOPIC_V2, b"{}", 1_600_000_000_000_000_000)


def numbered(*numbers: int) -> IdSet:
    return IdSet([hashlib.sha256(number.to_bytes(4, "big")).digest() for number in numbers])


def asker(ids: IdSet) -> negentropy.Initiator:
    """An initiator as ``dialogue.Dialogue`` makes it."""
    return negentropy.Initiator(ids, tells_ids=False)


FIRST = asker(IdSet(NAMES[:2])).start()
ANSWER = negentropy.Responder(IdSet(NAMES[1:3])).receive(FIRST)
FIRST_OF_MANY = asker(numbered(*range(100))).start()
ANSWER_TO_MANY = negentropy.Responder(numbered(*range(99))).receive(FIRST_OF_MANY)

HEADER: dict[str, Any] = {
    "chain": 1337,
    "exchange": EXCHANGE_BYTES,
    "version": 3,
    "filters": [],
}
TERMS: dict[str, Any] = {"chain": 1337, "deployments": {3: EXCHANGE_BYTES}}

_framed = LengthFraming().encode

# fmt: off
HEX = {
    "multistream-dialer": _framed(b"/multistream/1.0.0\n") + _framed(b"/fondaco/reconcile/1\n"),
    "multistream-refusal": _framed(b"/multistream/1.0.0\n") + _framed(b"na\n"),
    "ann-peer-id": raw_peer_id(ANN.public_key),
    "framed": _framed(FIRST),
    "rpc-join": encode_frame(rpc.encode_rpc(rpc.Rpc(
        subscriptions=[rpc.Subscription(TOPIC_V2, True)], graft=[TOPIC_V2]))),
    "rpc-control": encode_frame(rpc.encode_rpc(rpc.Rpc(
        ihave=[rpc.IHave(TOPIC_V2, (MESSAGE.message_id,))], iwant=[MESSAGE.message_id],
        prune=[rpc.Prune(TOPIC_V2, (), 60)]))),
    "rpc-message": encode_frame(rpc.encode_rpc(rpc.Rpc(publish=[MESSAGE]))),
    "signed-text": signing.PREFIX + rpc.encode_unsigned(MESSAGE),
    "message-id": MESSAGE.message_id,
    "order-names": NAMES[0] + order_hash(make_order(version=V2, salt=1)),
    "greet": encode(Greet(filters=["{}"], **TERMS)),
    "greeted": encode(Greeted(filters=[FILTER], **TERMS)),
    "compare": encode(Compare(message=FIRST, **HEADER)),
    "compared": encode(Compared(message=ANSWER)),
    "offer": encode(Offer(ids=NAMES[0], **HEADER)),
    "taken": encode(Taken(refused=marks([True]))),
    "declined": encode(Declined(reason="OtherChain", detail="chain 1337")),
    "fingerprint-of-nothing": fingerprint(0, 0),
    "negentropy-first": FIRST_OF_MANY,
    "negentropy-answer": ANSWER_TO_MANY,
    "nothing-left": NOTHING_LEFT,
    "ask": encode(AskOrders(ids=NAMES[2] + NAMES[3])),
    "exchange-request": _framed(b""),
    "rendezvous-discover": _framed(rendezvous_messages.encode_message(
        rendezvous_messages.Discover(rendezvous_points(V2, 1337, CustomSchema())[0], 32))),
    "rendezvous-registered": _framed(rendezvous_messages.encode_message(
        rendezvous_messages.Registered(0, seconds=limits.REGISTRATION_SECONDS))),
}
# fmt: on
"""What the node writes where an example stands."""

READ_ONLY = {"orders"}
"""Examples in hexadecimal that may be written otherwise: zlib leaves a choice."""

TEXTS = {
    *("filter", "topic", "order-v3", "order-v2", "gossip-v2", "gossip-v3", "gossip-batch"),
    *("mesh-first", "mesh-next", "mesh-answer", "exchange-answer"),
}


def test_every_example_is_looked_at() -> None:
    assert {*HEX, *READ_ONLY, *TEXTS} == set(BLOCKS)


@pytest.mark.parametrize("name", HEX)
def test_the_node_writes_what_the_page_shows(name: str) -> None:
    assert raw(name).hex(" ") == HEX[name].hex(" ")


# --- gossip ------------------------------------------------------------------------------


def test_names_of_peers() -> None:
    for key in (ANN, BOB):
        assert key.peer_id in PAGE
    assert plain_peer.peer_name(b"\x01" * 32) == raw("ann-peer-id")


def test_messages_are_read_and_their_signature_holds() -> None:
    (payload,) = FrameDecoder().feed(raw("rpc-message"))
    (message,) = rpc.decode_rpc(payload).publish
    assert signing.verify(message) == MESSAGE == message
    assert message.message_id == raw("message-id")


def test_the_other_implementation_writes_the_same_message_and_reads_the_control() -> None:
    message = plain_peer.signed_message(b"\x01" * 32, TOPIC_V2, b"{}", 1_600_000_000_000_000_000)
    written = plain_peer.part(2, message)
    assert plain_peer.low_first(len(written)) + written == raw("rpc-message")
    joining = plain_peer.subscribing(TOPIC_V2)
    assert plain_peer.low_first(len(joining)) + joining == raw("rpc-join")
    ((number, control),) = plain_peer.parts(raw("rpc-control")[2:])
    assert number == 3
    assert isinstance(control, bytes)
    kinds = [kind for kind, _ in plain_peer.parts(control)]
    assert kinds == [1, 2, 4]
    (ihave, iwant, _) = [part for _, part in plain_peer.parts(control) if isinstance(part, bytes)]
    assert plain_peer.parts(ihave) == [(1, TOPIC_V2.encode()), (2, raw("message-id"))]
    assert plain_peer.parts(iwant) == [(1, raw("message-id"))]


def test_topics() -> None:
    schema = CustomSchema(FILTER)
    assert schema.text == FILTER
    assert pubsub_topic(V3, 1337, schema) == BLOCKS["topic"]
    for version in (V2, V3):
        pattern = pubsub_topic(version, 1337, CustomSchema()).replace("1337", "<chain>")
        assert f"`{pattern.replace('e30=', '<filter>')}`" in PAGE
        for point in rendezvous_points(version, 1337, schema):
            shown = point.replace("1337", "<chain>").replace(BLOCKS["topic"].rpartition("/")[2], "")
            assert f"`{shown}" in PAGE


@pytest.mark.parametrize(
    ("name", "version", "topic"),
    [
        ("gossip-v2", V2, TOPIC_V2),
        ("gossip-v3", V3, TOPIC_V3),
        ("gossip-batch", V3, TOPIC_V3),
    ],
)
def test_messages_of_orders(name: str, version: ProtocolVersion, topic: str) -> None:
    body = order_text(f"order-v{version}")
    assert [bytes(order) for order in read_message(line(name), topic, version)] == [body]
    if name == "gossip-batch":
        twice = line(name).replace(b"]", b",%s]" % body, 1)
        assert encode_message([body, body], (topic,), version) == twice
    else:
        assert encode_message([body], (topic,), version) == line(name)


def test_orders_and_their_names() -> None:
    for version, name in ((V2, raw("order-names")[32:]), (V3, raw("order-names")[:32])):
        text = order_text(f"order-v{version}")
        assert encode_order(decode_order(text)) == text
        assert order_hash(decode_order(text)) == name
        assert plain_peer.name_of(json.loads(text)) == name


def test_the_other_implementation_gossips_with_a_router() -> None:
    bench = subscribed_bench()
    stranger = plain_peer.peer_name(b"\x07" * 32)
    bench.router.peer_joined(stranger, bench.now)
    bench.router.received_frame(stranger, plain_peer.subscribing("topic"), bench.now)
    assert bench.router.mesh("topic") == [stranger]
    message = plain_peer.signed_message(b"\x07" * 32, "topic", b"data", 5)
    events = bench.router.received_frame(stranger, plain_peer.part(2, message), bench.now)
    (event,) = delivered(events)
    assert (event.data, event.author) == (b"data", stranger)

    bench.router.verdict(event.message_id, Verdict.ACCEPT, bench.now)
    bench.router.publish("topic", b"ours", bench.now, 1)
    frame = bench.router.take(stranger, bench.now)
    assert frame is not None
    (payload,) = FrameDecoder().feed(frame)
    (own,) = [part for number, part in plain_peer.parts(payload) if number == 2]
    assert isinstance(own, bytes)
    assert dict(plain_peer.parts(own))[2] == b"ours"


# --- order sync --------------------------------------------------------------------------


def test_requests_and_answers_are_read() -> None:
    assert decode_request(raw("greet")) == Greet(filters=["{}"], **TERMS)
    assert decode_answer(raw("greeted")) == Greeted(filters=[FILTER], **TERMS)
    assert decode_request(raw("compare")) == Compare(message=FIRST, **HEADER)
    assert decode_answer(raw("compared")) == Compared(message=ANSWER)
    assert decode_request(raw("offer")) == Offer(ids=NAMES[0], **HEADER)
    assert decode_answer(raw("taken")) == Taken(refused=b"\x01")
    assert decode_ask(raw("ask")) == NAMES[2:4]
    assert decode_frame(raw("orders"), 2) == (2, [encode_order(ORDERS[2])])


@pytest.mark.parametrize(
    "name",
    ["greet", "greeted", "compare", "compared", "offer", "taken", "declined", "ask", "orders"],
)
def test_the_other_implementation_reads_them_and_is_read(name: str) -> None:
    said = plain_peer.unpack(raw(name))
    again = plain_peer.pack(said)
    assert again != raw(name)  # it writes all lengths with four bytes
    if name == "ask":
        assert decode_ask(again) == NAMES[2:4]
    elif name == "orders":
        assert decode_frame(again, 2) == decode_frame(raw(name), 2)
    elif name in {"greet", "compare", "offer"}:
        assert decode_request(again) == decode_request(raw(name))
    else:
        assert decode_answer(again) == decode_answer(raw(name))


def test_reconciliation_as_the_page_tells_it() -> None:
    step = asker(IdSet(NAMES[:2])).receive(ANSWER)
    assert (step.have, step.need, step.done) == ([NAMES[0]], [NAMES[2]], True)
    assert plain_peer.differences(sorted(NAMES[:2]), ANSWER) == ({NAMES[0]}, {NAMES[2]}, [])
    many = list(numbered(*range(100)))
    assert plain_peer.write_ranges(plain_peer.split(many, None)) == FIRST_OF_MANY
    lacked = hashlib.sha256((99).to_bytes(4, "big")).digest()
    assert plain_peer.differences(many, ANSWER_TO_MANY) == ({lacked}, set(), [])
    for name in (lacked, *NAMES[:3]):
        assert f"`{name.hex()[:4]}" in PROSE
    assert plain_peer.fingerprint([]) == raw("fingerprint-of-nothing") == raw("nothing-left")[3:]
    (tolerated,) = read_ranges(b"\x61\x00\x00\x02\x00" + raw("nothing-left"))
    assert tolerated.payload == b""


@pytest.mark.parametrize(("ours", "theirs"), [(3, 20), (20, 3), (600, 640), (700, 0), (0, 700)])
async def test_the_other_implementation_and_a_node_find_what_differs(
    tmp_path: Path, ours: int, theirs: int
) -> None:
    async with open_town(tmp_path) as town:
        node = await town.node("node", gossips=False, syncs=False)
        every = orders(max(ours, theirs))
        await node.bench.add(*every[:theirs])
        peer = plain_peer.PlainPeer(
            lambda payload: node.server.reconcile("plain", payload),
            lambda payload: node.server.orders("plain", payload),
        )
        terms = await peer.greet(1337, {3: EXCHANGE_BYTES}, ["{}"])
        assert terms["type"] == "greeted"
        header = {
            "chain": terms["chain"],
            "exchange": terms["deployments"][3],
            "version": 3,
            "filters": [],
        }
        # Ours are the youngest, the node's the oldest.
        mine = {bytes(order_hash(order)) for order in every[-ours:]} if ours else set()
        held = {bytes(order_hash(order)) for order in every[:theirs]}
        have, need = await peer.compare(header, mine)
        assert (have, need) == (mine - held, held - mine)
        assert 1 <= peer.rounds < 8

        fetched = await peer.fetch(need)
        assert set(fetched) == need
        if have:
            assert await peer.offer(header, sorted(have)[:2_000]) == []


# --- pages and peers ---------------------------------------------------------------------


def test_pages_of_mesh() -> None:
    wanted = meshsync_wire.WireFilter(chainID=1337, exchangeAddress=f"0x{EXCHANGE.hex()}")
    first = meshsync_wire.PageRequest(orderfilter=wanted)
    second = meshsync_wire.PageRequest(page=1, snapshotID="5e57…", orderfilter=wanted)
    for name, request in (("mesh-first", first), ("mesh-next", second)):
        assert meshsync_wire.read_request(line(name)) == request
        written = meshsync_wire.encode_request(request, is_first=request is first)
        assert json.loads(written) == json.loads(line(name))
    body = order_text("order-v3")
    answer = meshsync_wire.encode_response([body], is_last=True, page=0, snapshot_id="5e57…")
    assert answer == line("mesh-answer")
    page = meshsync_wire.read_response(line("mesh-answer"))
    assert [bytes(order) for order in page.orders] == [body]


def test_exchange_of_peers() -> None:
    (named,) = discovery.parse_exchange(line("exchange-answer"))
    assert (named.peer, named.addresses) == (BOB.peer_id, ("/ip4/192.0.2.7/tcp/60558",))
    assert f"{discovery.EXCHANGED_PEERS} peers" in PROSE


# --- tables and numbers ------------------------------------------------------------------


def test_nothing_is_left_to_fill_in() -> None:
    assert "{{" not in PAGE


def test_the_protocols_are_named() -> None:
    for protocol in (
        *(RECONCILE_PROTOCOL, ORDERS_PROTOCOL, meshsync_wire.MESH_PROTOCOL, discovery.EXCHANGE),
        *(*host_gossip.PROTOCOLS, relay_messages.HOP, relay_messages.STOP),
        rendezvous_messages.PROTOCOL,
    ):
        assert f"`{protocol}`" in PAGE


def test_every_limit_of_a_peer_is_there() -> None:
    for module, left_out in ((limits, NOT_FOR_PEERS), (zeroex_limits, NOT_BETWEEN_NODES)):
        found = sections(module)
        assert left_out <= set(found)
        for title, listed in found.items():
            for constant in listed:
                assert (f"| `{constant.name}` | " in PAGE) == (title not in left_out), constant


def test_names_of_limits_in_the_text_are_those_of_limits() -> None:
    known = {one.name for one in constants(limits) + constants(zeroex_limits)}
    words = set(re.findall(r"\b(?:MAX|MIN)_[A-Z_]+|\b[A-Z]+(?:_[A-Z]+)+\b", PAGE))
    tabled = {one.name for one in constants(sync_schedule)}
    assert words - known - tabled == set()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([offence.value for offence in PENALTIES], id="offences"),
        pytest.param([fate.value for fate in Fate], id="fates"),
        pytest.param([code.code for code in RejectionCode], id="codes"),
        pytest.param([one.name for one in constants(Parameters)], id="parameters"),
        pytest.param([one.name for one in constants(sync_schedule)], id="schedule"),
    ],
)
def test_what_is_declared_is_there(names: list[str]) -> None:
    assert names
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    assert all(f"| {fault.value} |" in PAGE for fault in Fault)


def test_offences_that_nobody_counts_are_said_to_be_such() -> None:
    """The sentence goes, or the test fails, when they are counted."""
    uncounted = [
        offence
        for offence in Offence
        if not any(
            f"Offence.{offence.name}" in module.read_text()
            for module in SOURCE.rglob("*.py")
            if module.name != "scores.py"
        )
    ]
    assert uncounted == [Offence.TIMEOUT, Offence.UNEXPECTED_CLOSE]
    first, second = (offence.value for offence in uncounted)
    assert f"Nothing is counted as `{first}` or `{second}` yet." in PROSE


@pytest.mark.parametrize(
    "sentence",
    [
        f"Every {limits.PING_INTERVAL:g} s each side sends 32 random bytes",
        f"do not come back within {limits.PING_TIMEOUT:g} s",
        f"does not come within {Parameters().promise_seconds:g} s (`broken-promise`)",
        f"names up to {Parameters().exchanged_peers} peers",
        f"ids of {signing.MESSAGE_ID_SIZE} bytes",
        f"for {limits.REGISTRATION_SECONDS:,} s at most",
        f"replaced by `{rendezvous_messages.HASHED}`",
        f"its status is {rendezvous_messages.Answer.INVALID_COOKIE}",
        f"fewer than {negentropy.LIST_THRESHOLD} names is a list",
        f"of more {negentropy.BUCKETS} fingerprints",
        f"less {negentropy.CLOSING_ROOM} bytes",
        f"more than {ordersync.BARREN_ROUNDS} messages that brings nothing",
        f"Points fade by half every {scores.HALF_LIFE:g} s",
        f"its merit, {scores.MAX_MERIT:g} at most ({scores.MERIT_PER_MESSAGE:g} for",
        f"Below {scores.SUSPECT_BELOW:g} it is in no mesh",
        f"below {scores.BANNED_BELOW:g} it is disconnected and banned: {limits.FIRST_BAN:g} s",
        f"costs {PENALTIES[Offence.INVALID_ORDER].points:g} points (`invalid-order`)",
        f"against the peer for {('ten' if refused_orders.WITHHELD_SECONDS == 600 else '')} minutes",
        f"after {('ten' if ordersync.NOTHING_SHARED_SECONDS == 600 else '')} minutes",
        f"the other after {' to '.join(f'{s:g}' for s in sync_schedule.FIRST_INBOUND)} s",
        f"in {('five' if agreement.STAYS_DIFFERENT == 5 else '')} comparisons in a row, over "
        f"{('three' if agreement.STAYS_SECONDS == 180 else '')} minutes at least",
        f"lasts {refused_orders.BY_CHAIN:g} s and a block",
    ],
)
def test_numbers_within_sentences_are_those_of_the_code(sentence: str) -> None:
    assert sentence in PROSE
