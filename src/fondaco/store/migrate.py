"""Bring a database to this code's schema, by the Alembic versions inside the package."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from fondaco.errors import ConfigurationError

MIGRATIONS = "fondaco.store:migrations"
"""Where the versions are, as a package resource: an installed wheel has them too."""


def migrate(connection: sa.Connection) -> None:
    """Apply what is missing, inside the caller's transaction.

    SQLite's DDL is transactional: a failure half-way leaves the old schema.

    Raises:
        ConfigurationError: a newer node has written this database.
    """
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    present = set(MigrationContext.configure(connection).get_current_heads())
    if unknown := present - known:
        raise ConfigurationError(
            "DATA_DIR",
            f"a newer fondaco wrote this database (schema {', '.join(sorted(unknown))})",
            "upgrade fondaco, or restore a backup made before the newer one ran",
        )
    if present != set(scripts.get_heads()):
        command.upgrade(config, "head")
