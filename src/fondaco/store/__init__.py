"""What is kept: SQLite, one writer, an event log, migrations."""
