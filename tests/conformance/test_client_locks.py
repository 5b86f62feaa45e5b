"""The two npm projects: what is installed is what was locked, from wherever npm gets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.mesh_client import CLIENTS

CLIENT = "@0x/mesh-rpc-client"


def read(project: Path, name: str) -> dict[str, Any]:
    content = json.loads((project / name).read_text())
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize("version", CLIENTS)
def test_the_client_is_the_published_one(version: str) -> None:
    assert read(CLIENTS[version], "package.json")["dependencies"] == {CLIENT: version}
    packages = read(CLIENTS[version], "package-lock.json")["packages"]
    assert packages[f"node_modules/{CLIENT}"]["version"] == version


@pytest.mark.parametrize("version", CLIENTS)
def test_every_package_is_pinned_by_a_hash_and_by_no_address(version: str) -> None:
    packages: dict[str, Any] = read(CLIENTS[version], "package-lock.json")["packages"]
    root = packages.pop("")
    assert root["dependencies"] == {CLIENT: version}
    assert len(packages) > 100
    unpinned = [name for name, entry in packages.items() if not entry.get("integrity")]
    assert not unpinned
    weak = [name for name, entry in packages.items() if entry["integrity"].startswith("sha1-")]
    assert not weak
    # An address would bind the project to one registry, a git one needs a program more.
    addressed = [name for name, entry in packages.items() if "resolved" in entry]
    assert not addressed
