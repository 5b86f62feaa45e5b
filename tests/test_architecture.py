"""The map of the house, as a test. Every message carries file and line.

    __main__ -> cli -> node -> zeroex -> { identity, store, chain, api } -> base

Add a room to the tables below when a thing has no home. An entry of a table that
matches nothing is stale and fails too.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOT = REPOSITORY / "src" / "fondaco"
TESTS = REPOSITORY / "tests"
MODULES = sorted(ROOT.rglob("*.py"))

# fmt: off
BASE = frozenset({
    "errors", "clock", "config", "settings", "spellings", "redaction", "ready", "events",
    "jsonrpc", "logbook", "metrics",
})
# fmt: on
FLOORS = frozenset({"identity", "p2p", "store", "chain", "api"})
HALVES = frozenset({"zeroex", "market"})

ALLOWED: dict[str, frozenset[str]] = {
    "__init__": frozenset(),
    "errors": frozenset(),
    "clock": frozenset(),
    "redaction": frozenset(),
    "ready": frozenset(),
    "spellings": frozenset(),
    "metrics": frozenset(),
    "events": frozenset({"errors"}),
    "jsonrpc": frozenset({"errors"}),
    "settings": frozenset({"spellings"}),
    "config": frozenset({"errors", "settings", "spellings", "redaction"}),
    "logbook": frozenset({"clock", "redaction"}),
    **dict.fromkeys(FLOORS, BASE),
    "p2p": BASE | {"identity"},
    "zeroex": BASE | FLOORS,  # never market
    "market": BASE | FLOORS,  # never zeroex
    "node": BASE | FLOORS | HALVES | {"remembered"},
    "remembered": BASE | FLOORS,
    "testing": BASE | FLOORS | HALVES,
    "devnet": BASE | {"chain", "zeroex"},
    "documentation": BASE | FLOORS | HALVES,  # prints the tables of all of them
    "lab": BASE | {"devnet", "zeroex"},  # it knows nodes only from outside
    "cli": BASE | {"node", "devnet", "documentation", "lab"},
    "__main__": frozenset({"cli"}),
}
"""Part -> parts it may import. A part is a module or a package right below fondaco."""

# fmt: off
SHELLS = (
    "clock.py", "logbook.py", "node.py", "remembered.py", "__main__.py", "cli/*",
    "identity/keyring.py",
    "store/*",
    "chain/rpc.py", "chain/http.py", "chain/websocket.py", "chain/parallel.py",
    "chain/blocks.py", "chain/blocksource.py", "chain/catchup.py", "chain/reader.py",
    "api/server.py", "api/http.py", "api/websocket.py", "api/dispatch.py",
    "api/subscriptions.py", "api/feed.py", "api/outlet.py", "api/overflow.py",
    "api/metrics.py", "api/health.py",
    "zeroex/service.py", "zeroex/watcher.py", "zeroex/rpc.py", "zeroex/repository.py",
    "zeroex/assessor.py", "zeroex/intake.py", "zeroex/journal.py", "zeroex/ledger.py",
    "zeroex/admission.py", "zeroex/blockrows.py", "zeroex/refusals.py", "zeroex/search.py",
    "zeroex/snapshots.py", "zeroex/feed.py", "zeroex/housekeeping.py",
    "zeroex/assembly.py", "zeroex/chainfacts.py", "zeroex/explain.py", "zeroex/stats.py",
    "zeroex/metrics.py", "zeroex/tally.py",
    "zeroex/together.py",
    "zeroex/gossip.py", "zeroex/ordersync.py", "zeroex/meshsync.py", "zeroex/order_fetch.py",
    "zeroex/order_memory.py", "zeroex/bookwalk.py", "zeroex/sync_server.py", "zeroex/peer_rpc.py",
    "zeroex/sharing.py",
    "market/clearsign.py",  # PGP signatures contain the time, and the library asks for it itself
    "documentation/*",  # it reads the declarations of shells, and its own template
    "p2p/absent.py", "p2p/child.py", "p2p/linked.py", "p2p/opening.py",
    "p2p/process.py", "p2p/host/*",
    "devnet/*", "testing/*",
    "lab/client.py", "lab/experiment.py", "lab/fleet.py", "lab/measurement.py", "lab/orders.py",
    "lab/processes.py", "lab/proxy.py",
)
# fmt: on
"""Modules that may touch the outside world. Every other module is pure: it takes bytes,
values and the time, and returns values and bytes. Pure modules import pure ones only."""

# fmt: off
OUTSIDE = frozenset({
    "asyncio", "concurrent", "threading", "multiprocessing", "subprocess", "signal",
    "selectors", "socket", "ssl", "http", "os", "shutil", "tempfile", "glob", "fcntl",
    "sqlite3", "time", "random", "secrets", "uuid", "aiohttp", "websockets", "sqlalchemy",
    "alembic", "uvloop", "structlog", "rich", "typer", "trio", "libp2p",
})
# fmt: on
"""Modules with which one can wait, ask, write, or get an answer that differs next time."""

HOMES: dict[str, tuple[str, ...]] = {
    "PIL": ("market/images.py",),
    "aiohttp": ("api/*", "chain/*", "devnet/*", "testing/*"),
    "alembic": ("store/*",),
    "coincurve": ("identity/signatures.py", "zeroex/signatures.py", "devnet/*", "testing/*"),
    "google": ("p2p/host/identify.py",),
    "jsonschema_rs": ("zeroex/*",),
    "libp2p": ("p2p/process.py", "p2p/host/*"),
    "miniupnpc": ("p2p/host/upnp.py",),
    "msgspec": ("*",),
    "multiaddr": ("p2p/process.py", "p2p/host/*"),
    "prometheus_client": ("api/metrics.py",),
    "pysequoia": ("market/clearsign.py",),
    "rfc8785": ("market/canonical.py",),
    "rich": ("cli.py", "cli/*", "devnet/*"),
    "sqlalchemy": ("store/*", "zeroex/*", "testing/*"),
    "structlog": ("logbook.py",),
    "tiny_keccak": ("zeroex/*", "chain/*", "devnet/*", "testing/*"),
    "trio": ("p2p/process.py", "p2p/host/*"),
    "typer": ("cli.py", "cli/*"),
    "uvloop": ("cli.py", "cli/*", "node.py"),
    "wallycore": ("identity/*",),
    "websockets": ("chain/*", "devnet/*", "lab/client.py", "testing/*"),
    "zeroconf": ("p2p/host/mdns_messages.py",),
    # and of the standard library, where the system's clock and chance come in
    "random": (
        "cli/*",
        "devnet/*",
        "lab/experiment.py",
        "node.py",
        "testing/*",
        "p2p/process.py",
        "p2p/host/*",
    ),
    "secrets": ("identity/keyring.py", "node.py", "cli/*"),
    "sqlite3": ("store/*",),
    "time": ("clock.py",),
    "uuid": ("zeroex/assembly.py",),
}
"""Library -> the modules that may import it."""

CLOCK_READERS = frozenset({"now", "utcnow", "today", "time_ns", "urandom"})
"""Names of calls that read the clock or chance behind the back of the import rules."""

TESTED_ELSEWHERE: dict[str, str] = {
    "__main__.py": "one line; tests/test_cli.py runs it",
    "store/migrations/*": "tests/store/test_migrate.py runs them all",
    "zeroex/peering.py": "protocols; tests/support/peer_nodes.py runs nodes on them",
    "*/errors.py": "classes with codes; raised in the tests of their users",
    "*/limits.py": "named constants; the tests of their users go past each",
    "lab/chance.py": "a protocol; every test of tests/lab hands in a random.Random",
    "testing/chain.py": "fakes; tests/zeroex drives services and watchers through all of them",
}
"""Modules without a test file of their own -> where they are tested."""

# fmt: off
VAGUE_NAMES = frozenset({
    "util", "utils", "helper", "helpers", "common", "misc", "stuff", "tools", "base",
    "manager", "managers", "core", "lib",
})
# fmt: on

MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 60


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and dotted name of everything imported, also in functions and under
    TYPE_CHECKING: a cycle hidden there is still a cycle."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["fondaco", *path.relative_to(ROOT).parts][: -node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{module}.{alias.name}"
                found.append((node.lineno, full if module_file(full) else module))
    return tuple(found)


def module_file(dotted: str) -> Path | None:
    """The file of a module of ours, None where the name is not one."""
    head, _, rest = dotted.partition(".")
    if head != "fondaco":
        return None
    stem = ROOT.joinpath(*rest.split(".")) if rest else ROOT
    for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def own_imports(path: Path) -> Iterator[tuple[int, Path]]:
    for line, name in imports(path):
        file = module_file(name)
        if file is not None and file != path:
            yield line, file


every_module = pytest.mark.parametrize("path", MODULES, ids=place)


@every_module
def test_imports_go_down(path: Path) -> None:
    here = part(path)
    assert here in ALLOWED, f"{path}:1: {here} is not on the map: add it to ALLOWED"
    wrong = [
        f"{path}:{line}: {here} may not import {part(there)}"
        for line, there in own_imports(path)
        if part(there) not in {"__init__", here} | ALLOWED[here]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other() -> None:
    graph = {path: {there for _, there in own_imports(path)} for path in MODULES}
    while leaves := [path for path in graph if not graph[path]]:
        for leaf in leaves:
            del graph[leaf]
        graph = {path: above - set(leaves) for path, above in graph.items()}
    knot = "\n".join(
        f"{path}: {', '.join(place(p) for p in sorted(above))}" for path, above in graph.items()
    )
    assert not graph, f"modules that import each other, or one that does:\n{knot}"


@every_module
def test_what_decides_is_pure(path: Path) -> None:
    if matches(place(path), SHELLS):
        return
    wrong = [
        f"{path}:{line}: {name}: add the module to SHELLS or hand the value in"
        for line, name in imports(path)
        if name.partition(".")[0] in OUTSIDE or name.startswith("urllib.request")
    ]
    wrong += [
        f"{path}:{line}: {place(path)} is pure and may not import {place(there)}, a shell"
        for line, there in own_imports(path)
        # Of clock.py it may take the pure functions: how a time is printed or rounded.
        if matches(place(there), SHELLS) and place(there) != "clock.py"
    ]
    wrong += [
        f"{path}:{node.lineno}: a pure module opens no file"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and called(node) in {"open", "read_text", "read_bytes"}
    ]
    assert not wrong, "\n".join(wrong)


@every_module
def test_each_outside_library_has_one_home(path: Path) -> None:
    wrong = []
    for line, name in imports(path):
        library = name.partition(".")[0]
        if library in HOMES and not matches(place(path), HOMES[library]):
            wrong.append(f"{path}:{line}: {library} lives in {', '.join(HOMES[library])}")
        elif library not in {*HOMES, "fondaco"} and library not in sys.stdlib_module_names:
            wrong.append(f"{path}:{line}: {library} has no home: add it to HOMES")
    assert not wrong, "\n".join(wrong)


@every_module
def test_one_module_reads_the_clock(path: Path) -> None:
    if place(path) == "clock.py":
        return
    wrong = []
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        name, owner = called(node), ast.unparse(node.func).rpartition(".")[0]
        is_reader = name in CLOCK_READERS and owner.split(".")[-1] in {"datetime", "date", "os"}
        is_loop_time = name == "time" and "loop" in owner
        if is_reader or is_loop_time:
            wrong.append(f"{path}:{node.lineno}: {ast.unparse(node.func)}(): take a Clock")
    assert not wrong, "\n".join(wrong)


@every_module
def test_nothing_prints_but_the_command_line(path: Path) -> None:
    if part(path) == "cli":
        return
    wrong = [
        f"{path}:{node.lineno}: print() to standard output, which is cli's"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "print"
        and not any(keyword.arg == "file" for keyword in node.keywords)
    ]
    assert not wrong, "\n".join(wrong)


@every_module
def test_imports_stand_at_the_top(path: Path) -> None:
    if part(path) == "cli":
        return  # its commands import what they need, so that --help is quick
    wrong = [
        f"{path}:{inner.lineno}: import inside {node.name}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "path", [*MODULES, *sorted(TESTS.rglob("*.py"))], ids=lambda p: str(p.relative_to(REPOSITORY))
)
def test_size(path: Path) -> None:
    lines = path.read_text().count("\n")
    wrong = [f"{path}:1: {lines} lines, {MAX_MODULE_LINES} allowed"] * (lines > MAX_MODULE_LINES)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > MAX_FUNCTION_LINES:
                wrong.append(
                    f"{path}:{node.lineno}: {node.name} has {size} lines, "
                    f"{MAX_FUNCTION_LINES} allowed"
                )
    assert not wrong, "\n".join(wrong)


@every_module
def test_every_module_has_tests(path: Path) -> None:
    if matches(place(path), tuple(TESTED_ELSEWHERE)) or is_only_a_docstring(path):
        return
    relative = path.relative_to(ROOT)
    above = relative.parent
    stem = above.name if relative.name == "__init__.py" else relative.stem
    wanted = [
        TESTS / above / f"test_{stem}.py",
        TESTS / above / f"test_{above.name or 'base'}_{stem}.py",
    ]
    found = [file for file in wanted if file.is_file()]
    found += (TESTS / above).glob(f"test_{stem}_*.py")
    assert found, f"{path}:1: no {wanted[0].relative_to(REPOSITORY)}; or say why not above"


def is_only_a_docstring(path: Path) -> bool:
    allowed = (ast.Expr, ast.ImportFrom, ast.Assign)
    return path.name == "__init__.py" and all(isinstance(node, allowed) for node in tree(path).body)


def test_names_say_what_is_inside() -> None:
    wrong = [
        f"{path}: a name that fits everything"
        for path in (*MODULES, *TESTS.rglob("*.py"))
        for name in path.relative_to(REPOSITORY).parts[1:]
        if name.removesuffix(".py").removeprefix("test_") in VAGUE_NAMES
    ]
    assert not wrong, "\n".join(wrong)


@every_module
def test_nothing_is_left_for_later(path: Path) -> None:
    wrong = [
        f"{path}:{number}: {found[0]}"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (found := re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", line))
    ]
    assert not wrong, "\n".join(wrong)


# Put together here so that this file does not contain what it looks for.
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(f"{name}.{domain}")
        for name, domain in [
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("yarnpkg", "com"),
            ("crates", "io"),
            ("golang", "org"),
            ("maven", "org"),
            ("maven.apache", "org"),
            ("debian", "org"),
        ]
    )
    + r"|https?://[^\s\"'<>]*/(?:simple|-)/"
)
"""Hosts of package registries, and the paths by which a mirror of one is known."""


def test_no_file_names_a_registry_host() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout
    wrong = []
    for name in filter(None, listed.decode().split("\0")):
        path = REPOSITORY / name
        if not path.is_file() or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if found := REGISTRY_HOSTS.search(line):
                wrong.append(f"{name}:{number}: {found[0]}")
    assert not wrong, "\n".join(wrong)


def test_the_tables_have_no_stale_rows() -> None:
    names = [place(path) for path in MODULES]
    parts = {part(path) for path in MODULES}
    used = {name.partition(".")[0] for path in MODULES for _, name in imports(path)}
    stale = [
        f"TESTED_ELSEWHERE: {pattern}"
        for pattern in TESTED_ELSEWHERE
        if not any(fnmatch(name, pattern) for name in names)
    ]
    stale += [f"HOMES: {library}" for library in HOMES if HOMES[library] and library not in used]
    stale += [f"SHELLS: {p}" for p in SHELLS if not any(fnmatch(name, p) for name in names)]
    # Rooms that the issues to come will fill.
    later = {"p2p", "market", "events"}
    stale += [f"ALLOWED: {name}" for name in ALLOWED if name not in parts | later]
    assert not stale, "\n".join(stale)


def called(node: ast.Call) -> str:
    """The last name of what is called: ``read_text`` of ``path.read_text()``."""
    return ast.unparse(node.func).rpartition(".")[2]
