"""Nodes as processes, each with a p2p process of its own, that are each other's peers.

async with open_peers(market, tmp_path) as open_peer:
    ann, bob = await open_peer("ann"), await open_peer("bob")
    await ann.join(bob)
    ...
    ann.signal_child(signal.SIGKILL)        # or ann.process.kill(), then ann.again()
    await until_equal(ann, bob, orders=10)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from fondaco.p2p.child import MODULE
from support.market import Market
from support.mesh_socket import MeshSocket, open_socket
from support.node_process import NodeProcess, NodeReady, node_settings, running_node
from support.peers import memory_of

PATIENCE = 60.0
"""Seconds that nothing should take, on a machine that others use too."""

PAUSE = 0.05
"""Seconds between two looks."""

V3 = 3


class PeerProcess:
    """A node, a client of it, and its two processes."""

    def __init__(self, process: NodeProcess, port: int) -> None:
        self.process = process
        self.client: MeshSocket
        self._port = port
        self._talk = contextlib.AsyncExitStack()

    async def talk(self) -> None:
        """Connect a client to the node as it runs now."""
        await self.hang_up()
        self.client = await self._talk.enter_async_context(open_socket(self.ready.rpc))

    async def hang_up(self) -> None:
        """Close the client, whatever has become of the node."""
        with contextlib.suppress(OSError):
            await self._talk.aclose()

    async def again(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Start the node again on its data and its port, after *sign* where it still runs."""
        await self.hang_up()
        await self.process.restart(sign)
        await self.talk()

    @property
    def ready(self) -> NodeReady:
        return self.process.ready

    @property
    def address(self) -> str:
        """Where peers reach it: known before it listens, and the same in every life."""
        return f"/ip4/127.0.0.1/tcp/{self._port}/p2p/{self.ready.peer_id}"

    # --- its two processes

    @property
    def child_pid(self) -> int | None:
        """Process ID of the p2p process; None between two of its lives."""
        return child_of(self.ready.pid)

    def signal_child(self, sign: signal.Signals) -> int:
        """Send *sign* to the p2p process; return its ID."""
        pid = self.child_pid
        assert pid is not None
        os.kill(pid, sign)
        return pid

    async def another_child(self, before: int) -> int:
        """Return the ID of the p2p process once it is not the one of *before*."""

        async def found() -> bool:
            return self.child_pid not in (None, before)

        await eventually(found)
        pid = self.child_pid
        assert pid is not None
        return pid

    def memory(self) -> dict[str, int]:
        """Return the resident bytes of both processes, by their role."""
        child = self.child_pid
        sizes = {"main": memory_of(self.ready.pid)}
        return sizes if child is None else sizes | {"child": memory_of(child)}

    # --- its words

    async def join(self, other: PeerProcess) -> None:
        """Connect to *other*, and again whenever it is lost."""
        await self.client.call("mesh_addPeer", other.ready.peer_id, [other.address])

    async def digest(self) -> tuple[int, str]:
        """Return how many v3 orders there are, and the digest of their set."""
        stats = await self.client.call("mesh_getStats")
        (v3,) = (each for each in stats["setDigests"] if each["version"] == V3)
        return v3["orders"], v3["digest"]

    async def peers(self) -> dict[str, dict[str, Any]]:
        """Return the reports on its peers by their IDs."""
        answer = await self.client.call("mesh_getPeers")
        return {peer["peerID"]: peer for peer in answer["peers"]}

    async def counts(self) -> Counter[str]:
        """Return the counters of its network; what never happened is counted, too."""
        answer = await self.client.call("mesh_getPeers")
        return Counter(answer["network"])

    async def metric(self, sample: str) -> float:
        """Return a sample of the metrics page, named as it is printed; 0 where it is not."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.ready.http}/metrics") as page,
        ):
            assert page.status == 200
            lines = (await page.text()).splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return float(values.get(sample, 0))

    async def stats_of(self, part: str) -> Mapping[str, int]:
        """Return the counters of ``gossip`` or ``sync``."""
        answer = await self.client.call("mesh_getPeers")
        counters: dict[str, int] = answer[part]
        return counters


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process for a while: its sockets stay open, and nothing is answered."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        # One that stood still for too long has been killed by its parent.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def child_of(pid: int) -> int | None:
    """Return the ID of the p2p process of the node *pid*."""
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listing.read_text().split()):
            with contextlib.suppress(OSError):
                if MODULE in Path(f"/proc/{child}/cmdline").read_text().split("\0"):
                    return child
    return None


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def eventually(holds: Callable[[], Awaitable[bool]], *, seconds: float = PATIENCE) -> None:
    """Return once *holds* does.

    Raises:
        TimeoutError: it never did.
    """
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - the effect is in another process
            await asyncio.sleep(PAUSE)


async def until_equal(*nodes: PeerProcess, orders: int, seconds: float = PATIENCE) -> None:
    """Wait until all *nodes* say that they hold the same set of that many."""
    last: list[tuple[int, str]] = []

    async def holds() -> bool:
        last[:] = [await node.digest() for node in nodes]
        return len(set(last)) == 1 and last[0][0] == orders

    try:
        await eventually(holds, seconds=seconds)
    except TimeoutError:
        raise AssertionError(f"not {orders} equal orders everywhere, but {last}") from None


async def until_connected(one: PeerProcess, other: PeerProcess) -> None:
    """Wait until each says that the other listens to both topics."""
    seen: dict[str, dict[str, Any]] = {}

    async def holds() -> bool:
        seen.update({node.ready.peer_id: await node.peers() for node in (one, other)})
        return all(
            len(seen[here.ready.peer_id].get(there.ready.peer_id, {}).get("topics", ())) == 2
            for here, there in ((one, other), (other, one))
        )

    try:
        await eventually(holds)
    except TimeoutError:
        counts = [dict(+(await node.counts())) for node in (one, other)]
        raise AssertionError(f"not connected: {seen}, {counts}") from None


async def until_counted(
    node: PeerProcess, wanted: Callable[[Counter[str]], bool], *, seconds: float = PATIENCE
) -> Counter[str]:
    """Return the network's counters once they are what is *wanted*."""
    last: Counter[str] = Counter()

    async def holds() -> bool:
        last.clear()
        last.update(await node.counts())
        return wanted(last)

    try:
        await eventually(holds, seconds=seconds)
    except TimeoutError:
        raise AssertionError(f"the counters are {last}") from None
    return last


OpenPeer = Callable[..., Awaitable[PeerProcess]]


@contextlib.asynccontextmanager
async def open_peers(market: Market, path: Path) -> AsyncIterator[OpenPeer]:
    """Yield what opens nodes on the market's chain: by their name, and further settings.

    All are ended with the block, whatever became of them.
    """
    async with contextlib.AsyncExitStack() as stack:

        async def opened(name: str, **more: str) -> PeerProcess:
            chain, port = market.traders.devnet, free_port()
            settings = node_settings(
                ethereum_url=chain.http_url,
                contracts=chain.contracts,
                ENABLE_P2P="true",
                P2P_TCP_PORT=str(port),
                ENABLE_ETHEREUM_RPC_RATE_LIMITING="false",
            )
            process = await stack.enter_async_context(
                running_node(settings | more, data_dir=path / name)
            )
            peer = PeerProcess(process, port)
            stack.push_async_callback(peer.hang_up)
            await peer.talk()
            return peer

        yield opened
