"""The DHT's table of limits: whatever a stranger can run into, with its reason."""

from __future__ import annotations

# --- Kademlia ------------------------------------------------------------------------

BUCKET_SIZE = 20
"""Contacts in a bucket, contacts in an answer, and nodes that keep a record (Kademlia's k)."""

PARALLEL_REQUESTS = 3
"""Requests of one lookup that nobody is late with (Kademlia's alpha)."""

REFRESH_SECONDS = 3_600.0
"""A bucket in which nothing was looked up for so long is refreshed (the original: 1 h)."""

REPUBLISH_SECONDS = 3_600.0
"""Between two rounds in which a record is brought to the nodes that are closest by now
(the original: 1 h)."""

JITTER = 0.1
"""Share of an interval by which each wait is shortened at random, so that nodes that started
together do not work together."""

RECORD_LIFETIME = 86_400
"""Seconds a record is valid after it was signed (the original: 24 h). Its owner signs anew
when half of it has gone."""

CLOCK_TOLERANCE = 600
"""Seconds by which the clocks of honest nodes differ: a lifetime may be longer by so much."""

# --- contacts ------------------------------------------------------------------------

MAX_ADDRESSES = 8
"""Addresses of a contact. A node has a few of its own, and two relays."""

MAX_ADDRESS_SIZE = 256
"""Characters of an address; one through a relay has 150."""

MAX_GROUP_PER_BUCKET = 2
"""Contacts of one network (an IPv4 /24, an IPv6 /48, a relay) in a bucket. Kademlia gives a
stranger one place per key he makes up; keys cost nothing, networks do. go-libp2p's number."""

MAX_GROUP_PER_TABLE = 10
"""Contacts of one network in all buckets."""

STALE_SECONDS = 600.0
"""A contact that was heard of less than so long ago is not asked whether it lives, however
many newcomers want its place."""

# --- requests ------------------------------------------------------------------------

REQUEST_SECONDS = 10.0
"""Patience with a request; a contact that has to be dialled through a relay needs five."""

LATE_SECONDS = 1.5
"""After so long a lookup no longer counts on an answer and asks one node more."""

MAX_QUERIES = 120
"""Requests of one lookup: six times k. What is reached by then is the result; only nodes that
invent contacts without end bring a lookup that far."""

MAX_CANDIDATES = 200
"""Contacts one lookup remembers, the closest: ten times k."""

MAX_PAGES = 16
"""Answers with entries that one node may give to one lookup: MAX_KEY_RECORDS in pages of
MAX_ANSWER_RECORDS are eleven, MAX_KEY_WEIGHT in pages of MAX_ANSWER_SIZE nine."""

PARALLEL_STORES = 6
"""Requests to store that one round of bringing records has under way: 2 alpha."""

MAX_LOOKUPS = 64
"""Searches under way that somebody waits for; more are queued."""

MAX_QUEUED_LOOKUPS = 1_000
"""Searches that wait; more are refused."""

MAX_PUTS = 16
"""Own records being brought to others."""

MAX_QUEUED_PUTS = 50_000
"""Own records that wait, 300 bytes each: a store of 5,000 items with seven keywords each."""

MAX_MAINTENANCE_LOOKUPS = 8
"""Lookups under way that nobody waits for: republishing and refreshing."""

MAX_QUEUED_MAINTENANCE = 10_000
"""Of these that wait; the rest comes again in a few minutes."""

BRINGS_PER_SECOND = 40.0
"""Puts and republishings that are begun. In a small network each asks every node twice, and
brings it a record: four fifths of what it puts up with."""

BRINGS_BURST = 200.0
"""Of these at once."""

REQUESTS_PER_SECOND = 100.0
"""Requests of one peer that are answered, at 0.1 ms each a hundredth of a core."""

REQUESTS_BURST = 1_000.0
"""Requests at once: who starts, joins, searches and republishes."""

RECORDS_PER_SECOND = 50.0
"""New records of one peer that are verified, at 0.2 ms each a hundredth of a core."""

RECORDS_BURST = 2_000.0
"""New records at once: what one peer has collected and brings to a newcomer."""

MAX_COUNTED_PEERS = 4_096
"""Peers whose requests are counted; the longest silent are forgotten first."""

# --- records -------------------------------------------------------------------------

MAX_CONTRACT_SIZE = 192 * 1024
"""Bytes of a contract's text. The original puts a picture of 200 x 200 pixels into it as a
data URI: 160 KB where it cannot be compressed at all."""

MAX_INDEX_SIZE = 4 * 1024
"""Bytes of a keyword, store-index or notary record: names and digests, no content."""

MAX_KEYWORD_SIZE = 64
"""Bytes of a keyword in UTF-8; longer ones cannot be found."""

MAX_KEYWORD_LISTINGS = 128
"""Listings of one owner under one keyword, 20 bytes each; the whole store is in its index."""

MAX_ANSWER_SIZE = 256 * 1024
"""Bytes of records in an answer or a request to store: one of the longest, with room."""

MAX_ANSWER_RECORDS = 48
"""Records in an answer or a request to store. To verify as many takes 10 ms, for which the
event loop may be held."""

MAX_KEY_RECORDS = 512
"""Owners under one key. A keyword that more shops share is found by its companions."""

RECORD_COST = 1_024
"""Bytes of objects and indexes per record kept, on top of its own. All *weights* include it."""

MAX_KEY_WEIGHT = 2 * 1024 * 1024
"""Bytes of all records under one key: MAX_KEY_RECORDS of 3 KiB, or ten of the longest contracts."""

MAX_OWNER_WEIGHT = 48 * 1024 * 1024
"""Bytes of all records of one owner: a store of 5,000 items with a contract of 4 KiB and three
keywords each, all kept by every node of a small network."""

MAX_TABLE_WEIGHT = 192 * 1024 * 1024
"""Bytes of all records kept for others."""

RESPONSIBLE_NODES = 2 * BUCKET_SIZE
"""A record is taken where fewer known contacts are closer to its key: twice k, because the
tables of two nodes differ."""
