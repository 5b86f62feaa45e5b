"""The schema's history. Written as plain DDL: old versions must not follow new code."""
