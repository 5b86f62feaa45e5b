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

MESSAGES_PER_SECOND = 3_000.0
"""Messages of one peer that are looked at. Twice what a Python node can route at mesh degree
6, so that no honest one gets there; at 60 us a signature, a sixth of a core."""

MESSAGES_BURST = 10_000.0
"""Messages at once; more than MAX_QUEUED_MESSAGES of a peer whose writer was held up."""

FLOOD_SIZE = 1_000
"""Messages over that rate, between two heartbeats, that count as flooding."""

# --- gossip: the queue to one peer ---------------------------------------------------

MAX_QUEUED_BYTES = 4 * 1024 * 1024
"""Bytes of messages that wait for a slow peer; a hundred such peers hold 400 MiB at most,
and less in practice because all queues share the same bytes."""

MAX_QUEUED_MESSAGES = 8_192
"""Messages that wait for a slow peer (``p2p.md`` measured 32 as far too few)."""

MAX_QUEUED_IDS = 20_000
"""Message ids of IHAVE and IWANT that wait for a slow peer; MAX_RPC_IDS of the receiver."""

FRAME_INTERVAL = 0.03
"""Seconds between two frames to one peer with nothing of ours in them. A frame costs both
sides more than the messages in it; a message takes few hops, and each delays it by half of
this."""

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

# --- scores --------------------------------------------------------------------------

MAX_SCORED_PEERS = 20_000
"""Peers whose score is remembered, 200 bytes each; the least noted are forgotten first."""

MAX_BANNED = 20_000
"""Bans remembered, 200 bytes each, ended ones too, so that the next is longer."""

FIRST_BAN = 600.0
"""Seconds of a peer's first ban; each later one is twice as long."""

LONGEST_BAN = 86_400.0
"""Seconds: a day. Whoever runs the peer may have mended it since."""

BAN_MEMORY = 172_800.0
"""Seconds without an offence after which a peer's bans are forgotten."""

PEERS_TO_BAN_AN_ADDRESS = 3
"""Different peers banned from one address, each within BAN_MEMORY, before the address is."""

# --- connections and streams ---------------------------------------------------------

MAX_CONNECTIONS = 100
"""Connections in all (``p2p.md``: 200 cost 103 MB); the original kept 100 to 110."""

SHARE_KEPT_TO_DIAL = 0.2
"""Of MAX_CONNECTIONS, places that only peers we dial can have: WANTED_CONNECTIONS of them."""

MAX_CONNECTIONS_PER_PEER = 2
"""Two, because both sides may dial at once; the older one is closed then."""

MAX_CONNECTIONS_PER_ADDRESS = 8
"""Peers behind one IPv4 address or IPv6 /64; of this machine's own addresses any number."""

ADDRESS_ATTEMPTS_PER_SECOND = 1.0
"""Connections one address may try to open, refused ones and half-open ones too."""

ADDRESS_ATTEMPTS_BURST = 20.0
"""Attempts at once."""

MAX_COUNTED_ADDRESSES = 10_000
"""Addresses whose attempts are counted; the longest silent are forgotten first."""

MAX_STREAMS_PER_PEER = 32
"""Inbound streams of a peer open at once; a Fondaco node opens one per protocol, seven."""

MAX_STREAMS = 1_000
"""Inbound streams open at once in all."""

BYTES_PER_SECOND = 16 * 1024 * 1024.0
"""Bytes read from one peer, all its streams; the original cut peers off at 1 to 100 MiB/s.
Nothing is lost over it: we read later, and TCP slows the sender."""

BYTES_BURST = 64 * 1024 * 1024.0
"""Bytes at once: a first sync of 100,000 orders has 30 MiB compressed."""

TOTAL_BYTES_PER_SECOND = 64 * 1024 * 1024.0
"""Bytes read from all peers: what one core can decrypt (``p2p.md``: 106 MB/s)."""

TOTAL_BYTES_BURST = 128 * 1024 * 1024.0
"""Bytes from all peers at once."""

# --- the link between the processes ---------------------------------------------------

MAX_LINK_FRAME = 5 * 1024 * 1024
"""Bytes: the largest answer of a peer with what belongs to it."""

LINK_QUEUE_BYTES = 1024 * 1024
"""Bytes that wait in one direction before whoever sends more has to wait."""

MAX_PUBLISHES_UNDERWAY = 64
"""Own messages sent to the child and not taken in; the next waits."""

PUBLISH_PATIENCE = 1.0
"""Seconds the child holds up the next own message because the queues to peers are full;
after that they drop, as they do for every slow peer."""

MAX_PEER_UNJUDGED = 64
"""Messages of one peer at the main process; over it, its gossip is read no further."""

MAX_PEER_UNJUDGED_BYTES = 1024 * 1024
"""Bytes of them."""

MAX_UNJUDGED = 2_048
"""Messages of all peers at the main process, before nobody's gossip is read."""

STATS_INTERVAL = 1.0
"""Seconds between two reports of the child's counters and of changed peers."""

FIRST_RESTART_DELAY = 0.5
"""Seconds before a child that died is started again; doubled for each death in a row."""

LONGEST_RESTART_DELAY = 60.0
"""Seconds between two starts of a child that cannot live."""

STABLE_SECONDS = 60.0
"""Seconds a child must live for its next death to count as the first."""

STOP_PATIENCE = 5.0
"""Seconds a child gets to say good-bye to its peers before it is killed."""

# --- requests on streams ---------------------------------------------------------------

MAX_STREAM_FRAME = 4 * 1024 * 1024
"""Bytes of a request or an answer."""

REQUEST_TIMEOUT = 10.0
"""Seconds for a request and its answer, where the caller does not say otherwise."""

MAX_PEER_REQUESTS = 8
"""Requests to one peer underway; the next waits."""

MAX_REQUESTS = 256
"""Requests to all peers underway; the next waits."""

MAX_PEER_INBOUND = 8
"""Requests of one peer that the main process works on; its other streams wait unread."""

MAX_INBOUND = 64
"""Requests of all peers that the main process works on."""

STREAM_IDLE = 120.0
"""Seconds without a request after which a stream is closed: a reconciliation comes every
30 to 60 seconds."""

HANDLER_SECONDS = 60.0
"""Seconds the main process has for an answer, and a protocol of the library for all."""

# --- connections: time -----------------------------------------------------------------

PING_INTERVAL = 15.0
"""Seconds between two pings of a peer: TCP alone does not notice a frozen one."""

PING_TIMEOUT = 10.0
"""Seconds for the answer to a ping; then the connection is closed."""

PINGS_PER_SECOND = 10.0
"""Pings of a peer that are answered on one stream; the next waits, and with it the peer."""

PINGS_BURST = 20.0
"""Pings at once."""

HANDSHAKE_TIMEOUT = 10.0
"""Seconds from the socket to the first stream, both ways (the library's own figure)."""

MAX_NEGOTIATION_LINE = 1_024
"""Bytes of a line of multistream; a protocol's name has up to 60 (js-libp2p: 1,024)."""

MAX_HANDSHAKES = 64
"""Sockets in a handshake at once; for one more the oldest is closed, so that half-open ones
neither take the places of connections nor keep honest peers out."""

WRITE_PATIENCE = 20.0
"""Seconds for one frame to get into the socket; then the connection is closed. A write
that is given up half-way would spoil the encryption after it."""

MAX_UNREAD_BYTES = 8 * 1024 * 1024
"""Bytes received and not read, all streams of a connection; then it is closed."""

MAX_WINDOW = 2 * 1024 * 1024
"""Bytes a peer may send ahead on one stream: 16 MB/s at 125 ms (the library: 16 MiB)."""

WINDOW_SLACK = 64 * 1024
"""Bytes over the window that are forgiven: one frame."""

# --- looking for peers -----------------------------------------------------------------

WANTED_CONNECTIONS = 20
"""Connections up to which known peers are dialled: two meshes of the largest size."""

FIRST_DIAL_BACKOFF = 1.0
"""Seconds before an identity is dialled again (``p2p.md`` §10: quicker ones fail)."""

LONGEST_DIAL_BACKOFF = 300.0
"""Seconds between two attempts at a peer that is away, for ever."""

LONGEST_WANTED_BACKOFF = 5.0
"""Seconds between two where the operator named the peer: once the network is whole again, so
are we within seconds. A packet in five seconds troubles nobody."""

MAX_DIALS = 8
"""Dials underway at once."""

DIRECT_PATIENCE = 5.0
"""Seconds for each address of a peer that can also be reached through a relay: the private
ones behind its router, which come first, would take HANDSHAKE_TIMEOUT each."""

MAX_PEER_ADDRESSES = 8
"""Addresses of one peer that are remembered and tried."""

MAX_ADDRESS_SIZE = 256
"""Characters of one multiaddress."""

MAX_KNOWN_PEERS = 1_000
"""Peers remembered; those not seen for longest go first."""

EXCHANGE_INTERVAL = 60.0
"""Seconds between two questions to a peer for further peers."""

MAX_EXCHANGE_SIZE = 64 * 1024
"""Bytes of an answer with peers."""

MAX_IDENTIFY_SIZE = 64 * 1024
"""Bytes of a peer's identify message."""

MAX_AGENT_SIZE = 128
"""Characters of a peer's name for its software that are kept."""

MAX_PROTOCOLS = 128
"""Protocols of a peer that are kept."""

# --- the local network -----------------------------------------------------------------

MAX_MDNS_PACKET = 9_000
"""Bytes of a packet that is read (RFC 6762, section 17)."""

MAX_MDNS_RECORDS = 256
"""Records of one packet that are looked at; one of ours has five."""

MDNS_PACKETS_PER_SECOND = 20.0
"""Packets that are looked at; printers and telephones speak on the same port."""

MDNS_PACKETS_BURST = 200.0
"""Packets at once: all of a large office after its network came back."""

MDNS_ANSWER_PAUSE = 1.0
"""Seconds between two answers, whoever asks (RFC 6762, section 6)."""

UPNP_SEARCH_SECONDS = 2.0
"""Seconds in which a router has to answer a search."""

UPNP_LEASE = 3_600.0
"""Seconds for which a router maps a port; renewed half-way. What a crash leaves open."""

FIRST_UPNP_PAUSE = 60.0
"""Seconds before a router that did not map a port is asked again; doubled each time."""

LONGEST_UPNP_PAUSE = 3_600.0
"""Seconds between two questions to such a router."""

# --- rendezvous ------------------------------------------------------------------------

MAX_NAMESPACE_SIZE = 255
"""Bytes of a name under which peers meet (libp2p rendezvous specification); instead of a
longer one its hash is used."""

MAX_NAMESPACES = 16
"""Names under which one peer is registered, and under which we look for peers."""

MAX_REGISTRATIONS = 1_000
"""Registrations kept, at most MAX_PEER_RECORD_SIZE each, 600 bytes in practice."""

MAX_REGISTRATIONS_PER_ADDRESS = 32
"""Registrations of peers behind one IPv4 address or IPv6 /64."""

REGISTRATION_SECONDS = 7_200
"""Seconds of a registration at most, the specification's default; renewed half-way."""

MAX_DISCOVERED = 32
"""Registrations in one answer: as many as peer exchange names."""

MAX_RENDEZVOUS_MESSAGE = 64 * 1024
"""Bytes of a message about registrations; an answer ends before it is longer."""

RENDEZVOUS_REQUESTS_PER_SECOND = 1.0
"""Messages of one peer about registrations that are answered."""

RENDEZVOUS_REQUESTS_BURST = 64.0
"""Messages at once: a registration and a question for each of MAX_NAMESPACES, twice."""

# --- relays ----------------------------------------------------------------------------

MAX_RELAY_MESSAGE = 8 * 1024
"""Bytes of a message to or from a relay; a reservation with ten addresses has 600."""

MAX_RELAYS = 4
"""Relays at which a node behind a router keeps a reservation, the first of its list."""

MAX_RELAY_ADDRESSES = 2
"""Addresses of one relay that are told to others; one of them is the one we use."""

MAX_CONNECTIONS_PER_RELAY = 16
"""Connections that one relay brings us: nothing is known of where they come from, and a
relay that invents peers shall not take all places."""

MAX_RESERVATIONS = 64
"""Places at a relay; who holds one is connected, so that MAX_CONNECTIONS bounds it too."""

MAX_RESERVATIONS_PER_ADDRESS = 4
"""Places for peers behind one IPv4 address or IPv6 /64."""

RESERVATION_SECONDS = 3_600.0
"""Seconds a place is kept, as in go-libp2p; it is renewed half-way."""

SHORTEST_RENEWAL = 30.0
"""Seconds between two renewals, also where a relay's clock says that time is up."""

MAX_CIRCUITS = 64
"""Connections a relay carries at once; each is read at both ends within BYTES_PER_SECOND."""

MAX_CIRCUITS_PER_SOURCE = 4
"""Connections a relay carries for one peer that dials."""

MAX_CIRCUITS_PER_TARGET = 16
"""Connections a relay brings to one peer: MAX_CONNECTIONS_PER_RELAY of that peer."""

CIRCUIT_ATTEMPTS_PER_SECOND = 0.5
"""Connections one peer may ask a relay for, refused ones too."""

CIRCUIT_ATTEMPTS_BURST = 8.0
"""Attempts at once: as many as MAX_DIALS."""

CIRCUIT_SECONDS = 3_600.0
"""Seconds a relay carries one connection; then its ends dial anew (go-libp2p: 120 s, which
is enough to find a way around the relay, but not for order sync)."""

CIRCUIT_BYTES = 256 * 1024 * 1024
"""Bytes a relay carries for one connection, both ways: a first sync of 100,000 orders has
30 MiB, an hour of gossip at ten orders a second about 50 MB."""

# --- the child process -----------------------------------------------------------------

START_PATIENCE = 60.0
"""Seconds a child may take to import the library and listen: 3 on an idle machine."""

SILENCE_PATIENCE = 15.0
"""Seconds without a word of the child, which speaks every second, until it is suspect."""

LAST_PATIENCE = 5.0
"""Seconds more until it is killed: they may all have passed at once for the main process."""

MAX_PEER_EVENTS = 1_000
"""Peers joining and leaving that wait to be read by one reader; the oldest go first."""
