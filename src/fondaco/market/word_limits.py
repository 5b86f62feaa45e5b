"""What may be said at once: by a client on ``/ws``, and by a peer. Each with its reason.

What a contract may measure is in ``limits``, the DHT's own table is ``dht_limits``.
"""

from __future__ import annotations

from fondaco.market.limits import MAX_DRAFT_SIZE, MAX_NESTED_SIZE, MAX_SIGNED_SIZE

# --- /ws: a request ------------------------------------------------------------------

MAX_FRAME = MAX_DRAFT_SIZE + 64 * 1024
"""Bytes of a message of a client: a contract with one photograph, and the words around it."""

MAX_REQUEST = 128 * 1024
"""Bytes of every other command. The longest is ``update_settings``: a certificate, three
descriptions, and MAX_NOTARIES."""

MAX_RAW_REQUEST = 2 * MAX_NESTED_SIZE
"""Bytes of a command that carries clear-signed text: JSON spells a line end as two letters."""

MAX_DEPTH = 16
"""Objects and lists inside each other, in requests and in messages of peers. The deepest of the
original, a contract inside ``update_contract``, has five."""

MAX_FRAME_ID = 1_000_000
"""Of a message to a client, the highest. Source: OpenBazaar, all versions."""

# --- /ws: parameters -----------------------------------------------------------------

MAX_QUERY = 256
"""Characters to search for: a dozen words."""

MAX_PAGE = 1_000_000
"""Of a list of ten a page."""

MAX_ORDER_ID = 2**53 - 1
"""The largest whole number that every JSON reader keeps. The original's end at 1,000,000."""

MAX_SUBJECT = 256
"""Characters of an inbox message's subject: one line."""

MAX_BODY = 16_384
"""Characters of an inbox message: six pages, what a description may have."""

MAX_SHOUT = 1_024
"""Characters of a shout, which is carried to every peer."""

MAX_ADDRESS = 512
"""Characters of an address to dial: a multiaddress through a relay has 200."""

# --- settings ------------------------------------------------------------------------

MAX_NICKNAME = 120
"""Characters. Source: OpenBazaar cut peers' names there, and its web client's own field."""

MAX_STORE_TEXT = 2_048
"""Characters of a description of a store, an arbiter or a notary. Source: the web client."""

MAX_NOTARIES = 100
"""Notaries that one owner trusts, and arbiters. A buyer chooses one of them from a list."""

# --- messages of peers ---------------------------------------------------------------

MAX_PEER_MESSAGE = 4 * MAX_SIGNED_SIZE
"""Bytes. The longest is ``query_listing_result``, which holds a contract as text, once more as the
text that was signed, and its picture a third time; text inside text has marks before its marks."""

MAX_SMALL_MESSAGE = 48 * 1024
"""Bytes of a message without contract or record: ``page`` has two descriptions and a certificate,
``findNodeResponse`` MAX_FOUND nodes of up to 2 KB."""

MAX_FOUND = 20
"""Nodes in one answer, the k of the DHT."""

MAX_VALUE = 64 * 1024
"""Characters of a value of the DHT, as text."""

MAX_VERSION = 32
"""Characters of ``v``: "0.3.1"."""

MAX_HOST = 255
"""Characters of a host name or an address. Source: RFC 1035."""

MAX_AGE = 366 * 86_400
"""Seconds since a value was first stored."""
