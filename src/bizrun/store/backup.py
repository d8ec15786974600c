"""A consistent copy of a state, also while a run or a server is at work on it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import apsw

from ..errors import StoreError, UsageError
from .file import FAILURES, failure, is_limited
from .reading import SqliteReader

_PAGES = 1_000  # of 4 KB, between which the copy can be interrupted


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was made and checked: events in its log, bytes of its file."""

    path: Path
    events: int
    size: int


def back_up(state: str, target: str) -> Backup:
    """Copies a state as it stands at this moment, and checks the copy's chain of hashes.

    The copy has its name only when it is whole and on the disk. UsageError where something stands
    at the target; StoreError where the state can't be read or the copy written.
    """
    path = Path(target)
    if os.path.lexists(path):
        raise UsageError(f"{target} is there: give the backup a name of its own.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}: make it first.")
    part = path.with_name(f"{path.name}.part")
    try:
        _copy(state, part)
        events = _checked(part, state)
        _settle(part, path)
    except FAILURES as error:
        raise _failed(state, target, error) from None
    except OSError as error:
        raise _not_written(target, str(error.strerror)) from None
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                Path(f"{part}{suffix}").unlink()
    return Backup(path, events, path.stat().st_size)


def _failed(state: str, target: str, error: Exception) -> StoreError:
    """What is wrong with the state, or with the place of its copy."""
    if is_limited(error):
        return _not_written(target, "this process may write no bigger file (`ulimit -f`)")
    match getattr(error, "result", -1) & 0xFF:
        case apsw.SQLITE_FULL:
            return _not_written(target, "the disk is full")
        case apsw.SQLITE_IOERR if getattr(error, "extendedresult", -1) != apsw.SQLITE_IOERR_READ:
            return _not_written(target, "its disk may be failing or full")
        case apsw.SQLITE_CANTOPEN | apsw.SQLITE_READONLY | apsw.SQLITE_PERM:
            return _not_written(target, "its folder can't be written to")
    return failure(state, error)


def _not_written(target: str, why: str) -> StoreError:
    return StoreError(
        f"{target} was not written: {why}; mend that, or give the backup another place. The state "
        "is as it was"
    )


def _copy(state: str, part: Path) -> None:
    reader = SqliteReader(state)
    try:
        part.unlink(missing_ok=True)
        copy = apsw.Connection(str(part))
        try:
            with copy.backup("main", reader.connection(), "main") as work:
                while not work.done:
                    work.step(_PAGES)
            # One file without a journal beside it: it may be moved, and lie in a read-only place.
            copy.execute("PRAGMA journal_mode = DELETE")
        finally:
            copy.close()
    finally:
        reader.close()


def _checked(part: Path, state: str) -> int:
    """How many events the log of the copy has; a StoreError where it is not sound."""
    reader = SqliteReader(str(part), state)
    try:
        problems = reader.verify()
        if problems:
            raise StoreError(f"{state} is damaged, and is not backed up: {problems[0]}")
        return reader.last_seq()
    finally:
        reader.close()


def _settle(part: Path, path: Path) -> None:
    """Gives the copy its name once it is on the disk."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.link(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
