"""What failures of PostgreSQL are called, and what to do about them."""

from __future__ import annotations

import psycopg

from ..errors import StoreError
from .postgres_address import Place

_KEPT = "what was acknowledged is kept, and nothing else"
_LOST = (
    "the connection to {name} was lost ({detail}): " + _KEPT + "; run the same again once the "
    "server can be reached"
)
_FULL = "the disk of {name} is full: make room and run the same again; " + _KEPT
_BUSY = (
    "another session holds a table or row of {name} that has to be changed: end its transaction, "
    "and run the same again; " + _KEPT
)
_CHANGED = (
    "{name} is not as bizrun made it ({detail}): another program has changed its tables; put them "
    "right, or restore a backup"
)
_DAMAGED = "{name} is damaged ({detail}): restore a backup; " + _KEPT
_STANDBY = "{name} is a standby, or read-only: give --state the address of the primary server"
_DENIED = "{name} does not allow this to its user ({detail}): grant it, or name another user"

# By the first characters of an SQLSTATE (PostgreSQL, appendix A); the longest that fits counts.
_SENTENCES = {
    "": "{name} failed ({detail}): " + _KEPT,
    "08": _LOST,
    "57P": _LOST,
    "57014": "a statement at {name} was cancelled ({detail}): run the same again; " + _KEPT,
    "53": "{name} has not enough of what it needs ({detail}); " + _KEPT,
    "531": _FULL,
    "53300": "{name} has too many connections: close some, or raise its max_connections",
    "58": _DAMAGED,
    "XX": _DAMAGED,
    "55P03": _BUSY,
    "40": _BUSY,
    "25006": _STANDBY,
    "42": _CHANGED,
    "22": _CHANGED,
    "42501": _DENIED,
    "2BP01": "something else depends on the tables of {name} ({detail}): drop it first",
    "54": (
        "a value is too big for {name} ({detail}): a key, and what is unique or indexed, has at "
        "most 2,700 bytes; " + _KEPT
    ),
    "23": (
        "a row does not fit its table in {name} ({detail}): another bizrun or program has written "
        "to it, or bizrun is mistaken, then please report it; " + _KEPT
    ),
}


def failure(place: Place, error: Exception) -> StoreError:
    """What a failure at work is called."""
    state = getattr(error, "sqlstate", None)
    detail = place.scrubbed(_said(error))
    if state is None:
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        sentence = _LOST if lost else _SENTENCES[""]
    else:
        fits = [start for start in _SENTENCES if state.startswith(start)]
        sentence = _SENTENCES[max(fits, key=len)]
    found = StoreError(sentence.format(name=place.name, detail=detail))
    found.final = sentence is _DAMAGED
    return found


def _said(error: Exception) -> str:
    """The server's own sentence; what it adds may quote values of rows."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return str(primary or error or type(error).__name__)[:300]


def unreachable(place: Place, error: Exception) -> StoreError:
    """What a connection that can't be had is called."""
    said = place.scrubbed(str(error))
    database = place.parameters.get("dbname", "")
    for fragment, sentence in _REFUSED:
        if fragment in said:
            return StoreError(sentence.format(name=place.name, database=database))
    said = said.removeprefix("connection failed: ").removeprefix("connection is bad: ")[:400]
    return StoreError(f"{place.name} can't be reached: {said}")


# What libpq or the server say in English where they refuse a connection.
_REFUSED = (
    ("password authentication failed", (
        "{name} does not take the password of its user: put it right in the address, in "
        "PGPASSWORD or in ~/.pgpass"
    )),
    ("no password supplied", (
        "{name} asks for a password: put it in PGPASSWORD, in ~/.pgpass, or in the address"
    )),
    ("no pg_hba.conf entry", (
        "{name} lets nobody in from here by that name: its pg_hba.conf has no entry for that"
    )),
    ("too many", "{name} has too many connections: close some, or raise its max_connections"),
    ("the database system is starting up", "{name} is starting up: try again in a moment"),
    ("the database system is shutting down", "{name} is shutting down: start it, and try again"),
    ("does not exist", (
        "{name}: there is no such database or user; make them (createdb, createuser), or correct "
        "the address"
    )),
)  # fmt: skip
