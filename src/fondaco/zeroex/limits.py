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
