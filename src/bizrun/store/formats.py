"""The formats of a state's file, from the first to the one that is written now."""

from __future__ import annotations

import contextlib

import apsw

from .event_log import TABLES as LOG_TABLES

FORMAT = 2
_META = "CREATE TABLE IF NOT EXISTS _meta (name TEXT PRIMARY KEY, value TEXT) STRICT, WITHOUT ROWID"
_DROPPED = """CREATE TABLE IF NOT EXISTS _dropped (
  "table" TEXT, "column" TEXT, "key" TEXT, "type" TEXT, "value" ANY,
  PRIMARY KEY ("table", "column", "key")) STRICT, WITHOUT ROWID"""
TABLES = (_META, _DROPPED, *LOG_TABLES)
PRAGMAS = (
    # FULL: with NORMAL a power cut loses commits that were acknowledged.
    "synchronous = FULL",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cache_size = -16000",
    # Pages that every batch changes are copied to the file a quarter as often.
    "wal_autocheckpoint = 4000",
    "journal_size_limit = 67108864",
)


def create(db: apsw.Connection) -> None:
    """Makes the tables that every state has."""
    db.execute("BEGIN IMMEDIATE")
    for statement in TABLES:
        db.execute(statement)
    db.execute("INSERT INTO _meta VALUES ('format', ?), ('commits', '0')", (str(FORMAT),))
    db.execute("COMMIT")


def upgrade(db: apsw.Connection) -> None:
    """Adds what a state of the first format lacks: runs of plain events."""
    if is_first_format(db):
        db.execute("BEGIN IMMEDIATE")
        for statement in LOG_TABLES:
            db.execute(statement)
        db.execute("UPDATE _meta SET value = ? WHERE name = 'format'", (str(FORMAT),))
        db.execute("COMMIT")


def is_first_format(db: apsw.Connection) -> bool:
    """Whether a state was written before there were runs of plain events."""
    with contextlib.suppress(apsw.SQLError):  # it has no _meta, as is told when that is read
        return bool(db.execute("SELECT value FROM _meta WHERE name = 'format'").get == "1")
    return False
