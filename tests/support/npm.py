"""Packages of npm for tests: installed once a user, from a lock of hashes and no addresses."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from fondaco.devnet.fetch import cache_folder

INSTALL_SECONDS = 300


def program(name: str) -> str:
    """Return the path of ``npm`` or ``node``, of the system, else of this environment."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}{os.pathsep}{beside}")
    assert found is not None, f"no {name} on this machine: `make parts` brings one"
    return found


def install(project: Path, kind: str, cache: Path | None = None) -> Path:
    """Return the directory where the packages of *project* are installed, installing once.

    What npm takes is fixed by the integrity hashes of the committed lock; scripts of
    packages do not run. The name of the directory is the digest of that lock, so a
    changed lock is another directory.

    Args:
        project: has ``package.json`` and ``package-lock.json``.
        kind: directory of the user's cache in which all of one kind are kept.
        cache: instead of the user's.
    """
    folder = (cache or cache_folder()) / kind
    digest = hashlib.sha256()
    for name in ("package.json", "package-lock.json"):
        digest.update((project / name).read_bytes())
    target = folder / digest.hexdigest()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    # Workers of one test run share the cache: the first installs, the others wait for it.
    with (folder / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            unfinished = folder / f"{target.name}.part"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(project / name, unfinished)
            npm = program("npm")
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=unfinished,
                env={**os.environ, "PATH": f"{os.environ['PATH']}{os.pathsep}{Path(npm).parent}"},
                timeout=INSTALL_SECONDS,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"npm ci in {project.name} failed:\n{done.stderr}"
            unfinished.rename(target)
    return target
