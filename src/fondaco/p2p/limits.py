"""The table of budgets of the p2p floor: whatever a stranger can run into, with its reason."""

from __future__ import annotations

# --- gossip: one RPC -----------------------------------------------------------------

MAX_RPC_SIZE = 1024 * 1024
"""Bytes of one RPC. go-libp2p closes the stream over more (``DefaultMaxMessageSize``)."""

MAX_DATA_SIZE = 512 * 1024
"""Bytes of payload in one message; our own batches have 16 KiB, one order of the original
at most 16,000 bytes. Half of an RPC, so that a message always fits into one with its control."""

MAX_COALESCED_SIZE = 512 * 1024
"""Bytes of messages put into one RPC; the other half of MAX_RPC_SIZE is for control."""

MAX_COALESCED_IDS = 8_000
"""Message ids put into one RPC, 49 bytes each: 390 KiB of the half for control."""

MAX_TOPIC_SIZE = 8 * 1024
"""Bytes. The original's topics contain a JSON schema in base64; the longest seen has 3 KiB."""

MAX_NAME_SIZE = 256
"""Bytes of a peer ID, sequence number, message id, signature or key."""

MAX_PEER_RECORD_SIZE = 8 * 1024
"""Bytes of a signed peer record; one with ten addresses has 600."""

MAX_EXCHANGED_PEERS = 64
"""Peers in one PRUNE that are read; go-libp2p sends 16, and so do we."""

MAX_RPC_SUBSCRIPTIONS = 1_000
"""Changes of subscription in one RPC."""

MAX_RPC_MESSAGES = 5_000
"""Messages in one RPC: the smallest signed one has 130 bytes, a full RPC of them 8,000."""

MAX_RPC_MESH_CHANGES = 1_000
"""GRAFTs, PRUNEs and IHAVEs each in one RPC: a topic has one of each."""

MAX_RPC_IDS = 20_000
"""Message ids in one RPC; go-libp2p names up to 5,000 of a topic."""

# --- gossip: one peer ----------------------------------------------------------------

MAX_PEER_TOPICS = 256
"""Topics of one peer that are remembered; it is as if it had not told us of the rest."""

MAX_IHAVE_RPCS = 10
"""IHAVEs of one peer that are read between two heartbeats (``GossipSubMaxIHaveMessages``)."""

MAX_IHAVE_IDS = 5_000
"""Ids asked of one peer between two heartbeats (``GossipSubMaxIHaveLength``)."""

MAX_IWANT_REPEATS = 3
"""Times one message is sent to one peer on request (``GossipSubGossipRetransmission``)."""

MAX_PEER_VALIDATIONS = 1_000
"""Messages of one peer that wait for a verdict; more are dropped and may come again."""

MESSAGES_PER_SECOND = 1_000.0
"""Messages of one peer that are looked at; 16 orders each is eight times the promised burst."""

MESSAGES_BURST = 5_000.0
"""Messages at once: five seconds' worth, what a node sends after its writer was held up."""

FLOOD_SIZE = 1_000
"""Messages over that rate, between two heartbeats, that count as flooding. Our own nodes
never exceed the rate, because they send at most SENT_PER_SECOND."""

# --- gossip: the queue to one peer ---------------------------------------------------

MAX_QUEUED_BYTES = 4 * 1024 * 1024
"""Bytes of messages that wait for a slow peer; a hundred such peers hold 400 MiB at most,
and less in practice because all queues share the same bytes."""

MAX_QUEUED_MESSAGES = 8_192
"""Messages that wait for a slow peer (``p2p.md`` measured 32 as far too few)."""

MAX_QUEUED_IDS = 20_000
"""Message ids of IHAVE and IWANT that wait for a slow peer; MAX_RPC_IDS of the receiver."""

# --- gossip: all peers ---------------------------------------------------------------

MAX_VALIDATIONS = 10_000
"""Messages that wait for a verdict; more are dropped unseen and may come again."""

MAX_VALIDATION_BYTES = 64 * 1024 * 1024
"""Bytes of the messages that wait for a verdict."""

VERDICT_PATIENCE = 60.0
"""Seconds after which a verdict that did not come counts as IGNORE: the main process has
been restarted, or lost it."""

SEEN_SECONDS = 120.0
"""Seconds for which a message id is surely remembered (``TimeCacheDuration``)."""

MAX_SEEN = 1_000_000
"""Ids remembered at most, 150 bytes each; at 1,000 messages a second there are 180,000."""

MAX_CACHE_BYTES = 64 * 1024 * 1024
"""Bytes of messages kept to answer IWANT; the oldest go first."""

MAX_PROMISES = 20_000
"""Messages asked for and not come; more are asked for at a later IHAVE."""

MAX_BACKOFF_SECONDS = 3_600
"""Seconds a peer may forbid us to graft; more would put us off for ever."""

# --- reconciliation ------------------------------------------------------------------

FRAME_LIMIT = 256 * 1024
"""Bytes of a reconciliation message of ours. Larger ones save rounds where thousands of
scattered ids differ; making one of this size takes about 50 ms of one core."""

MAX_RECONCILE_MESSAGE = 512 * 1024
"""Bytes of a reconciliation message that is read: two of our own, so that other
implementations may choose larger frames (strfry answers with 500,000). One that is made
up to cost as much as it can takes about 150 ms of one core."""

MAX_HAVE_PER_MESSAGE = 100_000
"""Ids one message may show us to hold alone: an empty peer shows all with five bytes,
and 100,000 ids take 8 MB."""

MAX_DIALOGUE_ROUNDS = 256
"""Messages to a peer in one dialogue. 10,000 scattered differences among a million take
fewer than a hundred; what is left over is for the next dialogue."""

MAX_DIALOGUE_BYTES = 64 * 1024 * 1024
"""Bytes of one dialogue, both ways: more than MAX_DIALOGUE_ROUNDS honest ones need."""

MAX_DIALOGUE_IDS = 100_000
"""Ids we lack that one dialogue collects, and ids the peer lacks. Fetching their records
takes longer than another dialogue, and a peer may have invented them."""

MAX_DIALOGUE_SECONDS = 120.0
"""Seconds from the first message to the last. The set we compare is as old."""
