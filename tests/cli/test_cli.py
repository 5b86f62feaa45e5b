"""The program as a shell sees it."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

FULL_URL = "https://user:hunter22@eth.example/v3/0123456789abcdef"


def fondaco(
    *arguments: str, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fondaco", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_version(tmp_path: Path) -> None:
    done = fondaco("version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, importlib.metadata.version("fondaco") + "\n")


@pytest.mark.parametrize(
    "command",
    [
        *("run", "demo", "devnet", "fetch", "lab"),
        *("stats", "orders", "peers", "explain", "docs", "version"),
    ],
)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    done = fondaco(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"Usage: fondaco {command}" in done.stdout.replace("__main__.py", "fondaco").replace(
        "python -m fondaco", "fondaco"
    )


def test_help_does_not_load_the_node(tmp_path: Path) -> None:
    script = (
        "import sys, fondaco.cli; "
        "print([name for name in ('aiohttp', 'sqlalchemy', 'uvloop', 'websockets', 'wallycore',"
        " 'fondaco.node') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_missing_setting_ends_with_code_2(tmp_path: Path) -> None:
    done = fondaco("run", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("fondaco: ethereum_rpc_url: is not set")
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_settings_come_from_file_environment_and_flags(tmp_path: Path) -> None:
    (tmp_path / "fondaco.toml").write_text("verbosity = 99")
    assert "verbosity (fondaco.toml)" in fondaco("run", cwd=tmp_path).stderr
    by_environment = fondaco("run", cwd=tmp_path, environment={"VERBOSITY": "98"})
    assert "VERBOSITY (environment)" in by_environment.stderr
    by_flag = fondaco("run", "--verbosity", "97", cwd=tmp_path, environment={"VERBOSITY": "98"})
    assert "--verbosity (command line)" in by_flag.stderr


def test_the_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("colour = 'red'")
    for done in (
        fondaco("run", "--config", "other.toml", cwd=tmp_path),
        fondaco("run", cwd=tmp_path, environment={"FONDACO_CONFIG": "other.toml"}),
    ):
        assert (done.returncode, "colour (fondaco.toml): is no setting" in done.stderr) == (2, True)
    missing = fondaco("run", "--config", "none.toml", cwd=tmp_path)
    assert "none.toml: cannot be read" in missing.stderr


def test_boolean_flags_come_in_pairs(tmp_path: Path) -> None:
    limits = ["--block-polling-interval", "100ms", "--ethereum-chain-id", "1"]
    url = ["--ethereum-rpc-url", FULL_URL.replace("https", "http")]
    limited = fondaco("run", *url, *limits, cwd=tmp_path)
    assert "requests a day are too few" in limited.stderr
    free = fondaco(
        "run", *url, *limits, "--no-enable-ethereum-rpc-rate-limiting", "--rpc-addr", ":1",
        cwd=tmp_path,
    )  # fmt: skip
    assert "can be reached from other machines" in free.stderr


def test_an_unknown_flag_is_refused_by_name(tmp_path: Path) -> None:
    done = fondaco("run", "--rpc-adr", ":0", cwd=tmp_path)
    assert done.returncode == 2
    assert "--rpc-adr" in done.stderr


def test_secrets_in_a_refused_endpoint_are_not_printed(tmp_path: Path) -> None:
    done = fondaco("run", "--ethereum-rpc-url", FULL_URL.replace("https", "ftp"), cwd=tmp_path)
    assert done.returncode == 2
    assert "hunter22" not in done.stderr
    assert "0123456789abcdef" not in done.stderr


def test_generated_pages_are_compared(tmp_path: Path) -> None:
    assert fondaco("docs", "--check", cwd=REPOSITORY).returncode == 0
    (tmp_path / "docs").mkdir()
    stale = fondaco("docs", "--check", cwd=tmp_path)
    assert (stale.returncode, "docs/configuration.md" in stale.stdout) == (1, True)
    assert fondaco("docs", "--write", cwd=tmp_path).returncode == 0
    assert fondaco("docs", "--check", cwd=tmp_path).returncode == 0
    assert fondaco("docs", cwd=tmp_path).returncode == 2
