"""Where a node's secrets are kept: two files in ``keys/``, read once at start.

private_key_path set? --yes--> that file
       | no
seed_path set? --------yes--> that file
       | no
DATA_DIR/keys/privkey? -yes--> an identity moved here from 0x Mesh or OpenBazaar
       | no
DATA_DIR/keys/seed             written at the first start, mode 0600
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from fondaco.config import Config
from fondaco.errors import ConfigurationError
from fondaco.identity.ancestors import import_old_identity, is_labelled
from fondaco.identity.keys import (
    ENTROPY_SIZE,
    IdentityKey,
    MalformedKey,
    Seed,
    import_from_libp2p,
)

KEYS_DIRECTORY = "keys"
SEED_FILE = "seed"
PRIVATE_KEY_FILE = "privkey"

LARGEST_KEY_FILE = 4096
"""Bytes. 24 words take 200, a private key 50; anything longer is another file."""


def open_identity(
    config: Config, entropy: Callable[[int], bytes] = secrets.token_bytes
) -> IdentityKey:
    """Return the identity key; write a new seed at the first start of a data directory.

    Args:
        entropy: returns as many unpredictable bytes as it is asked for.

    Raises:
        ConfigurationError: a file is missing though named, is malformed, can be read
            by others, or cannot be written.
    """
    keys = config.data_dir / KEYS_DIRECTORY
    if config.private_key_path is not None:
        return _imported_key(config.private_key_path)
    if config.seed_path is not None:
        return _seed(config.seed_path).identity_key()
    if (keys / PRIVATE_KEY_FILE).exists():
        return _imported_key(keys / PRIVATE_KEY_FILE)
    path = keys / SEED_FILE
    if not path.exists():
        _write_once(path, Seed.from_entropy(entropy(ENTROPY_SIZE)).export_words() + "\n")
    return _seed(path).identity_key()


def _imported_key(path: Path) -> IdentityKey:
    text = _read_secret(path)
    try:
        return import_old_identity(text) if is_labelled(text) else import_from_libp2p(text)
    except MalformedKey as exc:
        raise ConfigurationError(
            str(path),
            str(exc),
            "it should hold the base64 text that mesh-keygen wrote, or one line of an "
            "OpenBazaar node's settings: bip32_seed=DIGITS or secret=HEX",
        ) from None


def _seed(path: Path) -> Seed:
    try:
        return Seed(_read_secret(path))
    except MalformedKey as exc:
        raise ConfigurationError(
            str(path),
            str(exc),
            "restore it from a backup, or move it away to start with a new identity",
        ) from None


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            # Of the open file, not of its name: nobody can swap it in between.
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigurationError(
                    str(path), "others on this machine may read it", f"run: chmod 600 {path}"
                )
            raw = file.read(LARGEST_KEY_FILE + 1)
        if path.parent.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigurationError(
                str(path.parent),
                "others on this machine may replace the keys in it",
                f"run: chmod 700 {path.parent}",
            )
    except OSError as exc:
        raise ConfigurationError(str(path), f"cannot be read: {exc.strerror}") from exc
    if len(raw) > LARGEST_KEY_FILE:
        raise ConfigurationError(str(path), "is too long to be a key")
    return raw.decode("utf-8", errors="replace")


def _write_once(path: Path, text: str) -> None:
    """Put *text* into a new file, whole or not at all; a file that is there stays."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:  # mkstemp gave it mode 0600
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            try:
                # Not rename(), which would replace the seed of a node started beside us.
                os.link(temporary, path)
            except FileExistsError:
                return
        finally:
            os.unlink(temporary)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as exc:
        raise ConfigurationError(
            str(path), f"cannot be written: {exc.strerror}", "check data_dir"
        ) from exc
