"""Places of their own for nodes, and the long cable between them: run as a process.

     namespace of place 0          namespace of place 1
    .---------------------.       .---------------------.
    | node   10.201.0.1   |       | node   10.201.0.2   |
    |  |         | TUN    |       |  |         | TUN    |
    '--|---------|--------'       '--|---------|--------'
  veth |         '--- this process: delay, loss, cuts   (peers)
       '------ bridge 10.200.x.1 ----'                  (chain and JSON-RPC, undisturbed)

Arguments are one JSON object, ``Plan``. Standard output gives one JSON line when all is
laid, ``Laid``, and one, ``Report``, in answer to every line of standard input, ``Order``.
When standard input ends, also because the starter was killed, whatever still runs in the
namespaces is killed and all of it is removed. What an earlier one could not remove, since
it was killed itself, the next one removes.

The kernel has its own means of delay and loss, ``tc netem``, but not every kernel does.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import re
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from support.wire import Counts, Wire

CLONE_NEWNET = 0x40000000
"""Source: sched.h."""

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
"""Source: linux/if_tun.h."""

MTU = 1_400
"""Bytes of a packet at most, as on many a real way through tunnels."""

ROOM = 50_000
"""Packets under way at once, 70 MB: a second of more than Python can carry."""

DEVICE_QUEUE = 10_000
"""Packets the kernel keeps for us while we are not scheduled."""

READS_AT_ONCE = 64
"""Packets taken from one place before the others have their turn."""

PRIORITY = -15
"""Of the process: a cable does not wait for a processor."""

CONGESTION_CONTROL = "reno"
"""What TCP does about loss, whatever this machine is set to: no kernel is without it, and
every namespace may choose it. It takes each loss for crowding, as Linux's usual cubic does
at such speeds: at 2 % and 100 ms a connection carries about 120 KB/s. BBR would hardly mind."""

NAMESPACE = re.compile(r"fondaco-(\d+)-\d+")
LINK = re.compile(r"fd(\d+)(?:br|v\d+)")


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be laid."""

    places: Annotated[int, msgspec.Meta(ge=1, le=200)]
    delay: float
    """Seconds, one way."""
    loss: float
    seed: int


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a node can live."""

    namespace: str
    peer_address: str
    """On the cable."""
    door_address: str
    """Reached from the test without delay."""


class Laid(msgspec.Struct, frozen=True, kw_only=True):
    """What has been laid."""

    places: tuple[Place, ...]
    host_address: str
    """Of the test's own side, as all places see it."""


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do: nothing but report, unless it says more."""

    cut: tuple[tuple[int, ...], ...] | None = None
    """The sides between which nothing shall pass; none mends every cut."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened so far."""

    counts: Counts
    latest: float
    """Seconds the most belated packet came after its time, since the last report."""


def ip(*words: str, batch: str = "") -> str:
    """Run iproute2's ``ip`` and return its output.

    Raises:
        SystemExit: it failed; the message is its own.
    """
    command = ["ip", *words, *(["-batch", "-"] if batch else [])]
    try:
        done = subprocess.run(command, input=batch, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("there is no program ip (iproute2); `make system` installs it")
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Be in a network namespace meanwhile."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        _set_namespace(there)
        try:
            yield
        finally:
            _set_namespace(home)
    finally:
        os.close(there)
        os.close(home)


def _set_namespace(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def open_tun(namespace: str, name: str) -> int:
    """Make a TUN device in a namespace and return its file descriptor, which it lives by."""
    with inside(namespace):
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        request = struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI)
        fcntl.ioctl(descriptor, TUNSETIFF, request)
        Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text(CONGESTION_CONTROL)
    return descriptor


# --- laying and removing ----------------------------------------------------------------


def lay(count: int) -> tuple[Laid, list[int]]:
    """Make the namespaces with everything in them; return also the cable's ends."""
    me = os.getpid()
    subnet = _free_subnet(me)
    bridge, host = f"fd{me}br", f"{subnet}.1"
    places = tuple(
        Place(
            namespace=f"fondaco-{me}-{number}",
            peer_address=f"10.201.0.{number + 1}",
            door_address=f"{subnet}.{number + 10}",
        )
        for number in range(count)
    )
    lines = [
        f"link add {bridge} type bridge",
        f"addr add {host}/24 dev {bridge}",
        f"link set {bridge} up",
    ]
    for number, place in enumerate(places):
        lines += [
            f"netns add {place.namespace}",
            f"link add fd{me}v{number} type veth peer name door netns {place.namespace}",
            f"link set fd{me}v{number} master {bridge} up",
        ]
    ip(batch="\n".join(lines))
    ends = []
    for place in places:
        ends.append(open_tun(place.namespace, "wire"))
        lines = [
            "link set lo up",
            f"addr add {place.door_address}/24 dev door",
            "link set door up",
            f"addr add {place.peer_address}/24 dev wire",
            f"link set wire mtu {MTU} txqueuelen {DEVICE_QUEUE} up",
        ]
        ip("-n", place.namespace, batch="\n".join(lines))
    return Laid(places=places, host_address=host), ends


def _free_subnet(seed: int) -> str:
    taken = ip("-4", "-o", "addr")
    for number in range(seed, seed + 256):
        subnet = f"10.200.{number % 256}"
        if f" {subnet}." not in taken:
            return subnet
    sys.exit("no subnet of 10.200.0.0/16 is free")


def remove(owner: int) -> None:
    """Remove what the process *owner* has laid, and end what still runs in there."""
    names = _namespaces(owner)
    for name in names:
        for pid in ip("netns", "pids", name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    # By themselves, since sockets with something unsent keep a namespace for minutes after
    # its name is gone. One that has just gone with its namespace cannot be deleted.
    for link in _links():
        if _owners(LINK, [link]) == {owner}:
            subprocess.run(["ip", "link", "delete", link], stderr=subprocess.DEVNULL)
    for name in names:
        ip("netns", "delete", name)


def remove_stale() -> None:
    """Remove what those have left behind that are gone."""
    for owner in _owners(NAMESPACE, _list()) | _owners(LINK, _links()):
        if not _is_one_of_us(owner):
            remove(owner)


def _is_one_of_us(pid: int) -> bool:
    try:
        return Path(__file__).stem.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _list() -> list[str]:
    return [line.split()[0] for line in ip("netns", "list").splitlines() if line.strip()]


def _links() -> list[str]:
    # The other end of a pair is named behind an @.
    lines = ip("-o", "link").splitlines()
    return [line.split(":")[1].strip().partition("@")[0] for line in lines]


def _namespaces(owner: int) -> list[str]:
    return [name for name in _list() if _owners(NAMESPACE, [name]) == {owner}]


def _owners(pattern: re.Pattern[str], names: list[str]) -> set[int]:
    return {int(match[1]) for name in names if (match := pattern.fullmatch(name))}


# --- carrying ---------------------------------------------------------------------------


class Carrier:
    """Moves packets between the ends, and obeys."""

    def __init__(self, wire: Wire, ends: list[int]) -> None:
        self._wire = wire
        self._ends = ends
        self._heard = b""
        self._latest = 0.0

    def run(self) -> None:
        """Carry until standard input ends."""
        with selectors.EpollSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            for end in self._ends:
                selector.register(end, selectors.EVENT_READ)
            while True:
                at = self._wire.next_at
                wait = None if at is None else max(0.0, at - time.monotonic())
                for key, _ in selector.select(wait):
                    if key.fd:
                        self._take(key.fd)
                    elif not self._obey():
                        return
                self._deliver()

    def _take(self, end: int) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(READS_AT_ONCE):
                self._wire.send(os.read(end, 2 * MTU), time.monotonic())

    def _deliver(self) -> None:
        at, now = self._wire.next_at, time.monotonic()
        if at is not None:
            self._latest = max(self._latest, now - at)
        for place, packet in self._wire.due(now):
            os.write(self._ends[place], packet)

    def _obey(self) -> bool:
        if not (data := os.read(0, 65_536)):
            return False
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            order = msgspec.json.decode(line, type=Order)
            if order.cut is not None:
                self._wire.cut(order.cut)
            say(Report(counts=self._wire.counts, latest=self._latest))
            self._latest = 0.0
        return True


def say(words: msgspec.Struct) -> None:
    """Write one line to standard output."""
    os.write(1, msgspec.json.encode(words) + b"\n")


def main() -> None:
    """Lay, carry, remove."""
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.SIG_IGN)  # the end of standard input is what ends this
    if os.geteuid():
        sys.exit("network namespaces need root")
    remove_stale()
    try:
        laid, ends = lay(plan.places)
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        wire = Wire(
            {
                bytes(int(part) for part in place.peer_address.split(".")): number
                for number, place in enumerate(laid.places)
            },
            delay=plan.delay,
            loss=plan.loss,
            chance=random.Random(plan.seed),
            room=ROOM,
        )
        say(laid)
        Carrier(wire, ends).run()
    finally:
        remove(os.getpid())


if __name__ == "__main__":
    main()
