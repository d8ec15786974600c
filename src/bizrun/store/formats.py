"""The formats of a state's file, from the first to the one that is written now."""

from __future__ import annotations

import contextlib

import apsw

from .linking import CHAIN, adding, moving, tell_head

FORMAT = 3
_META = "CREATE TABLE IF NOT EXISTS _meta (name TEXT PRIMARY KEY, value TEXT) STRICT, WITHOUT ROWID"
_DROPPED = """CREATE TABLE IF NOT EXISTS _dropped (
  "table" TEXT, "column" TEXT, "key" TEXT, "type" TEXT, "value" ANY,
  PRIMARY KEY ("table", "column", "key")) STRICT, WITHOUT ROWID"""
LOG_TABLES = (
    """CREATE TABLE IF NOT EXISTS _log (
      seq INTEGER PRIMARY KEY, source TEXT, id TEXT, type TEXT, time TEXT, raw TEXT, status TEXT,
      reason TEXT, cause INTEGER, fired TEXT, digest TEXT, head TEXT) STRICT""",
    """CREATE TABLE IF NOT EXISTS _log_id (
      source TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, status TEXT NOT NULL,
      PRIMARY KEY (source, id)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _log_plain (
      seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, low TEXT NOT NULL,
      high TEXT NOT NULL UNIQUE, text TEXT NOT NULL, fired TEXT, digest TEXT, head TEXT) STRICT""",
    # No id twice: ranges don't overlap, with each other or with what is known by itself.
    """CREATE TRIGGER IF NOT EXISTS _log_plain_unique BEFORE INSERT ON _log_plain WHEN
      EXISTS (SELECT 1 FROM (SELECT low FROM _log_plain WHERE high >= NEW.low
                             ORDER BY high LIMIT 1) WHERE low <= NEW.high)
      OR EXISTS (SELECT 1 FROM _log_id WHERE source = '' AND id BETWEEN NEW.low AND NEW.high)
      BEGIN SELECT RAISE(ABORT, 'an event is in the log twice'); END""",
    """CREATE VIEW IF NOT EXISTS _event AS
      SELECT seq, source, id, type, time, raw, status, reason, cause, fired FROM _log
      UNION ALL
      SELECT p.seq + e.key, '', json_extract(e.value, '$.id'), json_extract(e.value, '$.type'),
        json_extract(e.value, '$.time'), e.value, 'handled', NULL, NULL,
        coalesce(json_extract(p.fired, '$[' || e.key || ']'), '')
      FROM _log_plain AS p,
        json_each('[' || replace(rtrim(p.text, char(10)), char(10), ',') || ']') AS e""",
)
TABLES = (_META, _DROPPED, *LOG_TABLES, f"CREATE {CHAIN}")
PRAGMAS = (
    # FULL: with NORMAL a power cut loses commits that were acknowledged.
    "synchronous = FULL",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cache_size = -16000",
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
    """Brings a state of an older format to this one: runs of plain events since the second, each
    link of the chain with the entry that it ends with since the third."""
    found = older_format(db)
    if found is None:
        return
    db.execute("BEGIN IMMEDIATE")
    linked = ("_log",) if found == 1 else ("_log", "_log_plain")
    for statement in (*adding(linked), *LOG_TABLES, *moving(linked), f"CREATE {CHAIN}"):
        db.execute(statement)
    tell_head(db, str)
    db.execute("UPDATE _meta SET value = ? WHERE name = 'format'", (str(FORMAT),))
    db.execute("COMMIT")


def older_format(db: apsw.Connection) -> int | None:
    """The format of a state that an older bizrun has written; None where it is this one, or none
    that is known."""
    with contextlib.suppress(apsw.SQLError):  # it has no _meta, as is told when that is read
        found = str(db.execute("SELECT value FROM _meta WHERE name = 'format'").get)
        if found.isdigit() and 0 < int(found) < FORMAT:
            return int(found)
    return None
