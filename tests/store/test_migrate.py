"""The schema's history, applied when a database is opened."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from fondaco.errors import ConfigurationError
from fondaco.store import metadata
from fondaco.store.database import open_database
from fondaco.store.migrate import MIGRATIONS, migrate
from fondaco.store.migrations import versions

REPOSITORY = Path(__file__).parents[2]
FILES = sorted(path.name for path in Path(versions.__path__[0]).glob("v*.py"))


def version_of(connection: sa.Connection) -> list[str]:
    return list(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))


def test_a_new_database_has_the_newest_schema(connection: sa.Connection) -> None:
    assert version_of(connection) == [FILES[-1][1:5]]


def test_migrating_again_changes_nothing(connection: sa.Connection) -> None:
    metadata.put(connection, "chain", "1337")
    migrate(connection)
    assert metadata.get(connection, "chain") == "1337"
    assert version_of(connection) == [FILES[-1][1:5]]


def test_an_old_database_is_brought_up_to_date_with_its_rows() -> None:
    with sa.create_engine("sqlite://").begin() as connection:
        config = Config()
        config.set_main_option("script_location", MIGRATIONS)
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        metadata.put(connection, "chain", "1337")
        assert "zeroex_orders" not in sa.inspect(connection).get_table_names()
        migrate(connection)
        assert metadata.get(connection, "chain") == "1337"
        assert connection.scalar(sa.text("SELECT count(*) FROM zeroex_orders")) == 0


async def test_a_newer_database_is_refused_with_advice(path: Path) -> None:
    def age(connection: sa.Connection) -> None:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    async with open_database(path) as database:
        await database.write(age)
    with pytest.raises(ConfigurationError, match=r"newer fondaco .*9999.*; upgrade fondaco"):
        async with open_database(path):
            raise AssertionError("opened")


async def test_a_failure_half_way_leaves_the_old_schema(path: Path) -> None:
    path.parent.mkdir()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        # In the way of the second version's last table.
        connection.exec_driver_sql("CREATE TABLE zeroex_refusals (something)")
    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        async with open_database(path):
            raise AssertionError("opened")
    with engine.begin() as connection:
        tables = sa.inspect(connection).get_table_names()
        connection.exec_driver_sql("DROP TABLE zeroex_refusals")
    engine.dispose()
    assert tables == ["zeroex_refusals"]
    async with open_database(path) as database:
        assert await database.read(version_of) == [FILES[-1][1:5]]


def test_an_installed_wheel_has_the_versions(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    below = "fondaco/store/migrations"
    assert {f"{below}/env.py", *(f"{below}/versions/{name}" for name in FILES)} <= names
