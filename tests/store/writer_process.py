"""A child process that writes until it is killed, or until the disk is full.

    python writer_process.py <database> until-killed
    python writer_process.py <database> until-refused <largest file in bytes>

Each line it prints acknowledges one committed transaction: its first and last
sequence. Run by test_durability.py.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from fondaco.errors import StorageError
from fondaco.store import eventlog, metadata
from fondaco.store.database import Database, open_database

TOPIC = "zeroex"
BATCH_SIZES = (1, 7, 500, 40)


def subject_of(sequence: int) -> bytes:
    """Return what event number *sequence* is about, so that a reader can tell."""
    return sha256(b"%d" % sequence).digest()


def batch(connection: sa.Connection, size: int, first: int) -> range:
    """Write *size* events, and the last of them in the metadata too."""
    events = [
        eventlog.NewEvent(topic=TOPIC, subject=subject_of(number), payload=b"x" * 300)
        for number in range(first, first + size)
    ]
    given = eventlog.append(connection, events, now_ns=1)
    metadata.put(connection, "last", str(given[-1]))
    return given


async def write_on(database: Database) -> None:
    last = (await database.read(lambda c: eventlog.bounds(c, TOPIC))).last
    turn = 0
    while True:
        size, first = BATCH_SIZES[turn % len(BATCH_SIZES)], last + 1
        given = await database.write(lambda c, n=size, f=first: batch(c, n, f))  # type: ignore[misc]
        print(given[0], given[-1], flush=True)
        last = given[-1]
        turn += 1


async def main(path: Path, largest: int | None) -> None:
    async with open_database(path) as database:
        if largest is not None:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
        try:
            await write_on(database)
        except StorageError as refusal:
            print("refused", refusal, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else None))
