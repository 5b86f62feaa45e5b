"""The limits of this floor in one table: what an endpoint or a stranger may make us do.

Those an operator may set are in ``fondaco.config``; the rest protect the node from an
endpoint that is broken or hostile, and an operator has no reason to touch them.
"""

from __future__ import annotations

REQUEST_TIMEOUT = 30.0
"""Seconds for one request, waiting for our own budget included (0x-mesh, section 6)."""

BLOCK_REQUEST_TIMEOUT = 10.0
"""Seconds for a header or the logs of one block (0x-mesh, section 4.1)."""

CONNECT_TIMEOUT = 10.0
"""Seconds to open a connection; a dead host must not eat a request's whole time."""

MAX_ANSWER_SIZE = 64 * 1024 * 1024
"""Bytes of one answer, after decompression. The largest honest one, the logs of sixty
full mainnet blocks, has about 15 MB."""

ERROR_TEXT_KEPT = 500
"""Characters of an endpoint's error text that go into our errors and logs."""

MAX_RETRY_AFTER = 300.0
"""Seconds. A larger Retry-After is cut to this: an endpoint must not switch us off."""

CALL_RETRY_DELAYS = (0.25, 0.5, 1.0, 2.0)
"""Seconds before each further try of a contract call (0x-mesh, section 3.6)."""

BLOCK_GONE_RETRIES = 2
"""Further tries when the endpoint does not know a block: the machine behind a load
balancer may lag a moment, but a block that was reorganised away never comes back."""

CONCURRENT_CALLS = 5
"""Contract calls of one read in flight at once (0x-mesh, section 3.6)."""

RETAINED_BLOCKS = 20
"""Headers kept for reorganisations (0x-mesh, section 4.1); deeper ones are answered by
reading everything anew."""

MAX_BLOCKS_BEHIND = 128
"""Blocks. A gap of this size or more is not replayed: reading every order anew is
cheaper, and full nodes forget older state (0x-mesh, section 4.1)."""

LOG_RANGE_SIZE = 60
"""Blocks asked for in one eth_getLogs by range (0x-mesh, section 4.1)."""

LOG_RANGE_CONCURRENCY = 3
"""Ranges in flight at once (0x-mesh, section 4.1)."""

HEADER_CONCURRENCY = 3
"""Headers in flight at once while catching up; the same politeness as for ranges."""

HEAD_RETREAT_SIGHTINGS = 2
"""Polls in a row that must see a head below ours before its blocks count as removed.
Behind a load balancer the next answer may come from a machine a block behind."""

HEAD_RETREAT_DELAY = 1.0
"""Seconds, at most, between the first and the second sighting of a lower head."""

FIRST_RETRY_DELAY = 1.0
"""Seconds, at most, before a failed poll or connection is tried again; doubles."""

MAX_RETRY_DELAY = 15.0
"""Seconds between tries while the endpoint is away: soon enough for an operator who
watches it come back, seldom enough not to be a nuisance."""

READ_GAS = 500_000
"""Gas one read of a batch may burn. An honest balanceOf takes under 50,000; a token
that loops for ever burns this much and harms nobody else."""

CALL_GAS = 50_000_000
"""Gas given to a contract call: geth's default cap of eth_call, which other nodes and
providers meet or exceed. The reads of 2,000 orders take about 16 million."""

MAX_OVERRIDE_READS = 5_000
"""Reads in one call with state override; bounds the memory and time of one answer. 2,000
orders of a hundred makers need 4,500; in 512 KiB of request go 4,580."""

MAX_DEPLOYLESS_READS = 700
"""Reads in one deployless call: the answer passes as contract code, of which the EVM
takes 24,576 bytes, 766 words (EIP-170)."""

MAX_INIT_CODE_SIZE = 49_152
"""Bytes of a deployless call's program and reads together (EIP-3860)."""

MIN_POLL_INTERVAL = 0.2
"""Seconds between polls that clients cause by sending orders the newest block we know
does not fund yet: at most five requests a second, whatever they send."""

REFRESH_PATIENCE = 3.0
"""Seconds a client's order waits for such a poll before what is known must do."""

SILENCE_SECONDS = 60.0
"""Seconds without a full answer of the endpoint after which the node is not well: four
blocks of the main chain."""

POLLS_MISSED = 4
"""Polls that may fail before that, where they are far apart."""
