"""The store's budgets. Each is a constant with its unit and the reason for its size."""

from __future__ import annotations

READ_THREADS = 4
"""Threads, each with a connection. Readers wait for the disk more than for a core;
four keep a slow search from delaying a page, and cost four page caches."""

SNAPSHOTS_MAX = 64
"""Held read transactions at once. Each pins a version of the whole database, so that
the write-ahead log cannot be emptied, and costs a connection with its cache."""

WRITER_CACHE_KIB = 32 * 1024
"""KiB. The inner and most leaf pages of all indexes at 100,000 orders; below that a
batch of inserts reads pages back that it has just dirtied."""

READER_CACHE_KIB = 2 * 1024
"""KiB for each reader. The pages themselves are in the operating system's cache."""

SNAPSHOT_CACHE_KIB = 256
"""KiB for each held snapshot; one page of an answer at a time."""

MMAP_BYTES = 64 * 1024 * 1024
"""Bytes of the file that readers see without copying. They count as memory of the process
while they are in use: 256 MiB took a node with 100,000 orders from 300 to 400 MB, without
being faster."""

PAGE_BYTES = 4096
"""Bytes. Smaller pages were measured: fewer bytes a change, but slower (decision 4)."""

BUSY_TIMEOUT_MS = 5_000
"""Milliseconds. Only a foreign program (``sqlite3`` on the command line, a backup) can
hold a lock, since a second node is refused at the door."""

CHECKPOINT_AFTER_CHANGES = 8_000
"""Changed rows after which the write-ahead log is copied back, in its own thread. A hot
index page changed by many batches is then copied once (decision 4)."""

WAL_PAGES_MAX = 64_000
"""Pages (256 MB) of write-ahead log at which the writer copies back itself: the bound for
a writer that never pauses, which the checkpoint thread alone cannot give."""

WAL_BYTES_KEPT = WAL_PAGES_MAX * PAGE_BYTES
"""Bytes to which a longer log file is cut. Not less: writing over old pages of the log is
a third cheaper than letting the file grow again (decision 4)."""

PRUNE_STEP_ROWS = 500
"""Rows deleted by one transaction of housekeeping, so that an order waits for less than
50 ms behind it."""

EVENT_LOG_MAX_ROWS = 5_000_000
"""Events kept, whatever their age: about 2 GB with the order bodies they need."""

EVENT_LOG_MAX_AGE_NS = 7 * 86_400 * 1_000_000_000
"""Nanoseconds. A client that was away for a week's holiday may resume."""
