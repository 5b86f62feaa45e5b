"""What is installed of others is what was locked, from wherever it comes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from interop.js_peer import PROJECT
from support.p2pd import PROGRAMS, REQUIREMENTS, install_p2pd

EXACT = re.compile(r"\d+\.\d+\.\d+")


def read(name: str) -> dict[str, Any]:
    content = json.loads((PROJECT / name).read_text())
    assert isinstance(content, dict)
    return content


def test_every_npm_package_is_pinned_by_a_hash_and_by_no_address() -> None:
    wanted = read("package.json")["dependencies"]
    assert all(EXACT.fullmatch(version) for version in wanted.values())
    packages: dict[str, Any] = read("package-lock.json")["packages"]
    assert packages.pop("")["dependencies"] == wanted
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    assert [one for one in packages.values() if not one["integrity"].startswith("sha512-")] == []
    assert [name for name, one in packages.items() if "resolved" in one] == []
    assert [name for name, one in packages.items() if one.get("hasInstallScript")] == []


def test_what_js_imports_is_what_it_asks_for() -> None:
    wanted = set(read("package.json")["dependencies"])
    imported = set()
    for source in PROJECT.glob("*.mjs"):
        for name in re.findall(
            r"^import .*?from '([^.'][^']*)';", source.read_text(), re.MULTILINE
        ):
            if not name.startswith("node:"):
                parts = name.split("/")
                imported.add("/".join(parts[: 2 if name.startswith("@") else 1]))
    assert imported == wanted


def test_the_daemon_is_the_pinned_program_and_nothing_else_is_kept(p2pd: Path) -> None:
    lines = REQUIREMENTS.read_text().splitlines()
    assert [line for line in lines if "==" in line] == ["hivemind==1.1.12 \\"]
    assert sum("--hash=sha256:" in line for line in lines) >= len(PROGRAMS)
    assert hashlib.sha256(p2pd.read_bytes()).hexdigest() in PROGRAMS.values()
    assert [one.name for one in p2pd.parent.glob("p2pd-*") if one.is_dir()] == []
    assert install_p2pd() == p2pd
