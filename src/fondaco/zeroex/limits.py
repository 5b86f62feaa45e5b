"""What a stranger can run into, in one table: in an order's bytes, and by sending many."""

from __future__ import annotations

from fondaco.zeroex.order import ProtocolVersion

MAX_CHAIN_ID = 2**63 - 1
"""Largest ``chainId`` read: a signed 64-bit integer, as in Mesh and in the database."""

MAX_SCHEMA_ERRORS = 32
"""Faults listed in one InvalidSchema. An order has at most 17 fields, and the answer
must not grow with what was sent."""

MAX_QUOTED = 64
"""Characters of a name a stranger chose that an error text repeats."""

MAX_ORDER_SIZE = {ProtocolVersion.V2: 8192, ProtocolVersion.V3: 16_000}
"""Bytes of one encoded order (see ``codec.encoded_size`` for what is counted).
Source: Mesh v5 to v7, and v8.1 on; peers refuse more."""

MAX_ASSET_NESTING = 4
"""MultiAsset levels inside one another that are looked into. The MultiAsset proxy
settles one, DevUtils looks into any number; 16 kB of bomb could hold hundreds."""

MAX_EXPIRATION = 2**63 - 1
"""Unix seconds. Later expirations do not fit the signed 64-bit integer Mesh stores."""

MAX_ASSET_COMPONENTS = 128
"""Tokens in one asset, over all its levels. Honest data cannot hold more in 16 kB of
order; offsets that point to the same bytes twice could, and each costs chain reads."""

ASSETS_CACHED = 4096
"""Short asset data kept, as bytes and decoded (under 2 MB each): a book trades few
tokens, many times."""

EXCHANGES_CACHED = 64
"""Exchange addresses kept. A node serves two; others are refused a step later."""

MAX_FILTER_SIZE = 16_000
"""Bytes of a custom order schema. It is part of topic names and of sync requests, so
strangers choose it; an order has few fields to say anything about."""

STRANGERS_QUESTIONS_PER_HOUR = 1_000
"""Requests an hour that orders of other nodes may cost one by one (a signature only a
contract can judge, an asset only DevUtils can). 24,000 a day: half of the 50,000 requests
that the daily budget reserves for orders, whatever strangers send. Orders that this
node's own clients send are bounded by that budget alone."""

STRANGERS_QUESTIONS_AT_ONCE = 100
"""Such requests without a pause before them; 20 s at five at a time."""

# --- gossip --------------------------------------------------------------------------

BATCH_SIZE = 16_000
"""Bytes of orders in one message of ours: about 16 orders, so that routing a message costs
little per order and one order is never too large for a message."""

BATCH_SECONDS = 0.05
"""Seconds an order of ours waits for others to share its message."""

MAX_GOSSIP_MESSAGE = 64 * 1024
"""Bytes of a message that is read: four batches of ours."""

MAX_GOSSIP_ORDERS = 100
"""Orders in one message. The smallest order has some 900 bytes, so a full message has 70."""

MAX_UNSENT_BYTES = 8 * 1024 * 1024
"""Bytes of our own orders that wait to be sent: 8,000 orders, four seconds of the promised
burst. What has no room is dropped here and travels by reconciliation."""

MAX_UNJUDGED_MESSAGES = 256
"""Messages taken from the network and not yet judged, 4 MB of batches. More wait in the p2p
process, which drops the greediest peers' first."""

GATHER_SECONDS = 0.02
"""Seconds a received message waits for others to share one read of the chain with."""

GATHER_INTERVAL = 0.1
"""Seconds from one read of the chain for few orders to the next. A read and its transaction
cost 2 to 4 ms of a core whatever is in them: of 50 orders a second that come one by one,
one in ten is that dear and not each."""

GATHER_ENOUGH = 16
"""Orders that do not wait for that: a full batch of ours."""

GATHER_ORDERS = 500
"""Orders of messages that are judged together: ``service.CHUNK``."""

# --- order sync: what is remembered --------------------------------------------------

MAX_FILTERS = 8
"""Filters a node may have joined: each is a topic, and each pair of filters of two nodes a
reconciliation."""

MAX_SCOPE_FILTERS = 4
"""Schemas that one reconciliation may name; our own name two, one of each side."""

MAX_ORDER_SETS = 24
"""Sets of hashes kept at once, 35 bytes an order each: 84 MB at 100,000 orders in all of them,
if strangers asked for that many different filters that let everything through."""

NEW_SETS_PER_HOUR = 120
"""Sets that strangers' filters may have us make; one costs a walk through the book."""

NEW_SETS_AT_ONCE = 12
"""Sets without a pause before them."""

MAX_FILL_SECONDS = 10.0
"""Seconds one set may take to be made: five times what a filter of usual size takes with
100,000 orders. A filter over it is refused."""

REFUSED_FILTERS_KEPT = 64
"""Filters that were too costly and are not tried again for an hour."""

MAX_REFUSED_ORDERS = 200_000
"""Orders remembered as refused, 250 bytes each: more than two full dialogues of junk."""

MAX_WITHHELD = 50_000
"""Ids remembered of all peers as claimed and not delivered."""

# --- order sync: what travels --------------------------------------------------------

FRAME_SIZE = 256 * 1024
"""Bytes of orders in one frame before it is compressed: 280 orders of 900 bytes. The first
order of a frame always fits."""

MAX_ASKED_IDS = 500
"""Ids asked for at once: ``service.CHUNK``; one frame seldom has room for all."""

MAX_OFFERED_IDS = 2_000
"""Ids in one offer: 64 KB, which the other side looks through in 8 ms."""

IDS_AT_ONCE = 1_000
"""Ids of ours that are looked through before the event loop may do something else: 4 ms."""

MAX_PENDING_OFFERS = 100_000
"""Ids one peer has offered that wait to be fetched: ``p2p.limits.MAX_DIALOGUE_IDS``."""

REQUEST_SECONDS = 30.0
"""Seconds a peer has to answer (0x Mesh)."""

SESSIONS_AT_ONCE = 4
"""Peers that are reconciled with at the same time: more would share the same two cores."""

SLOW_SESSION_SECONDS = 40.0
"""Seconds after which a session no longer counts among those: a first sync of 100,000 orders
takes 30 from a peer that answers at once."""

WITHHELD_TOLERATED = 500
"""Ids of one session a peer may claim and not deliver: orders end meanwhile, a block can
take hundreds with it."""

CLAIMS_TOLERATED = 8
"""Ids of one session a peer may claim though it did not deliver them a while ago."""

# --- order sync of 0x Mesh -----------------------------------------------------------

MESH_PAGE = 500
"""Orders on a page (0x Mesh)."""

MESH_REQUESTS_PER_SECOND = 30
"""Pages served a second over all peers (0x Mesh)."""

MESH_REQUESTS_AT_ONCE = 10
"""Pages without a pause before them (0x Mesh)."""

MAX_MESH_LINE = 4 * 1024 * 1024
"""Bytes of one line that is read: a page of 500 orders of 8 KB."""

MAX_MESH_PAGES = 400
"""Pages read from one peer in a row: 200,000 orders, twice the usual capacity."""

MESH_SNAPSHOTS = 32
"""Lists of hashes held for peers that page, 35 bytes an order and shared while equal."""

MESH_SNAPSHOT_SECONDS = 600.0
"""Seconds after which such a list ends."""

CLEANUP_QUESTIONS = 1_000
"""Stored orders that cost a request each which one hourly cleanup looks at, those first
that were not looked at for longest; 24,000 a day. Plain orders cost one request for two
thousand and are all looked at. Without it strangers could fill the book with orders
whose cleanup alone uses up the day's budget."""
