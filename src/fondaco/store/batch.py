"""One statement, many rows: written in SQLAlchemy Core, run by the driver.

Core looks at every value of every row, which costs as much as the insert itself
(500 events: 2.7 ms against 1.5 ms). A batch is compiled once and takes tuples.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

Row = tuple[object, ...]
"""Values as the driver takes them: int, bytes, str or None."""


class Batch:
    """A prebuilt statement with one row of parameters for each time it is run."""

    def __init__(self, statement: sa.Insert | sa.Update | sa.Delete) -> None:
        compiled = statement.compile(dialect=sqlite.dialect())
        self.text = str(compiled)
        self.parameters = tuple(compiled.positiontup or ())
        """Names of the parameters, in the sequence of a row."""

    def run(self, connection: sa.Connection, rows: Sequence[Row]) -> int:
        """Run the statement once for each of *rows*; return how many rows it changed."""
        return connection.exec_driver_sql(self.text, list(rows)).rowcount if rows else 0
