"""A crowd behind one address: ``python -m support.crowd_process MULTIADDRESS COUNT``.

Each of COUNT strangers connects to the node at MULTIADDRESS once, and stays if it may. How
many were let in and kept is printed as a number; they stay until they are killed.
"""

from __future__ import annotations

import contextlib
import sys

import trio

from support.liar import liar

PATIENCE = 5.0
"""Seconds after which nobody is thrown out who was let in."""


async def main(address: str, count: int) -> None:
    kept: list[int] = []
    left = count
    is_settled = trio.Event()

    def has_settled() -> None:
        nonlocal left
        left -= 1
        if not left:
            is_settled.set()

    async def come(number: int) -> None:
        with contextlib.suppress(Exception):  # of a socket that was closed in front of it
            async with liar(address) as stranger:
                with trio.move_on_after(PATIENCE) as patience:
                    await stranger.until_thrown_out()
                if patience.cancelled_caught:
                    kept.append(number)
                    has_settled()
                    await trio.sleep_forever()
        has_settled()

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(come, number)
        await is_settled.wait()
        sys.stdout.write(f"{len(kept)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
