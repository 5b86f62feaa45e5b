"""The files of keys/: made once, private, and refused when they are not."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fondaco.config import Config, load
from fondaco.errors import ConfigurationError
from fondaco.identity.keyring import open_identity

MESH_FILE = "CAISIPF3yWZ72zKSlTAWM1naqEaixUXjL2KHteOPKyyMghCr"
MESH_PEER = "16Uiu2HAmGd949LwaV4KNvK2WDSiMVy7xEmW983VH75CMmefmMpP7"


def config(data_dir: Path, **flags: str) -> Config:
    flags = {"ethereum_rpc_url": "http://127.0.0.1:1", "ethereum_chain_id": "1337", **flags}
    return load(None, {}, {"data_dir": str(data_dir), **flags})


def private_file(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def no_entropy(size: int) -> bytes:
    raise AssertionError(f"{size} random bytes were asked for")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_writes_a_seed(tmp_path: Path) -> None:
    data_dir = tmp_path / "deep" / "data"
    first = open_identity(config(data_dir), lambda size: bytes(range(size)))
    assert mode(data_dir / "keys") == 0o700
    assert mode(data_dir / "keys" / "seed") == 0o600
    assert os.listdir(data_dir / "keys") == ["seed"]
    assert len((data_dir / "keys" / "seed").read_text().split()) == 24
    assert open_identity(config(data_dir), no_entropy) == first


def test_two_new_nodes_differ(tmp_path: Path) -> None:
    assert open_identity(config(tmp_path / "a")) != open_identity(config(tmp_path / "b"))


def test_nodes_started_together_agree_on_one_seed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: open_identity(config(tmp_path)), range(16)))
    assert len(keys) == 1
    assert os.listdir(tmp_path / "keys") == ["seed"]


def test_a_key_moved_from_mesh_is_used(tmp_path: Path) -> None:
    private_file(tmp_path / "keys" / "privkey", MESH_FILE)
    assert open_identity(config(tmp_path), no_entropy).peer_id == MESH_PEER
    assert not (tmp_path / "keys" / "seed").exists()


@pytest.mark.parametrize(
    ("line", "guid"),
    [
        ("bip32_seed=12345678901234567890", "cbd7959ed2ca1af8464f27e8b24a9fb77de267fa"),
        (
            "secret=6ed645ef0e1abea1bf1e4e935ff04f9e18d39812387f63cda3415b46240f0405",
            "97d7169d1aa2fac194ce8aa47af77f48b96070b6",
        ),
    ],
    ids=["0.4", "0.1"],
)
def test_a_key_moved_from_openbazaar_is_used(tmp_path: Path, line: str, guid: str) -> None:
    private_file(tmp_path / "keys" / "privkey", line + "\n")
    assert open_identity(config(tmp_path), no_entropy).guid.hex() == guid


def test_named_files_win(tmp_path: Path) -> None:
    key = private_file(tmp_path / "elsewhere" / "key", MESH_FILE + "\n")
    seed = private_file(tmp_path / "elsewhere" / "words", "abandon " * 23 + "art")
    by_seed = open_identity(config(tmp_path / "data", seed_path=str(seed)), no_entropy)
    assert by_seed.peer_id != MESH_PEER
    both = config(tmp_path / "data", private_key_path=str(key), seed_path=str(seed))
    assert open_identity(both, no_entropy).peer_id == MESH_PEER
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("open_mode", [0o640, 0o604, 0o660, 0o610])
def test_a_file_others_can_read_is_refused(tmp_path: Path, open_mode: int) -> None:
    path = private_file(tmp_path / "keys" / "privkey", MESH_FILE)
    path.chmod(open_mode)
    with pytest.raises(ConfigurationError) as caught:
        open_identity(config(tmp_path))
    assert caught.value.setting == str(path)
    assert caught.value.remedy == f"run: chmod 600 {path}"


def test_a_directory_others_can_write_is_refused(tmp_path: Path) -> None:
    path = private_file(tmp_path / "keys" / "privkey", MESH_FILE)
    path.parent.chmod(0o770)
    with pytest.raises(ConfigurationError) as caught:
        open_identity(config(tmp_path))
    assert caught.value.remedy == f"run: chmod 700 {path.parent}"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("seed", "", "not the words"),
        ("seed", "one two three", "not the words"),
        ("seed", "\udcff", "not the words"),
        ("privkey", "", "not a secp256k1 key"),
        ("privkey", "?", "not base64"),
        ("privkey", "bip32_seed=0x12", "not the decimal text"),
        ("privkey", "secret=12", "not an OpenBazaar identity"),
        ("privkey", "A" * 5000, "too long"),
    ],
)
def test_a_malformed_file_is_named_and_kept(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    path = private_file(tmp_path / "keys" / name, "")
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError) as caught:
        open_identity(config(tmp_path), no_entropy)
    assert caught.value.setting == str(path)
    assert problem in caught.value.problem
    assert path.stat().st_size == len(content.encode("utf-8", "surrogateescape"))


def test_a_missing_named_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        open_identity(config(tmp_path, seed_path=str(tmp_path / "none")), no_entropy)
    assert not (tmp_path / "none").exists()


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        open_identity(config(tmp_path / "data"))
