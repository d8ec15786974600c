"""A state's files: who may have it, what may be deleted, and what a failure is called."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import stat
from pathlib import Path
from typing import NamedTuple

import apsw

from ..errors import StoreError, UsageError, machine_failure

APPLICATION_ID = 0x62697A72  # "bizr", at byte 68 of the file
_MAGIC = b"SQLite format 3\x00"
_TAIL_WIDTH = 128
_BESIDE = ("-wal", "-shm", ".len")  # what is kept of a state in other files
_FILES = 4  # that SQLite opens: the file, its journal, its index, its folder


class Tail(NamedTuple):
    """Where the newest commit stands: how many have left the log as it was, the log's length, its
    chain's digest."""

    commits: int
    seq: int
    digest: str


class StateFile:
    """A state's path, held by an exclusive lock until it is closed, and its length file."""

    def __init__(self, path: str, fresh: bool = False) -> None:
        self.path = Path(os.path.realpath(path))
        self.name = path
        self._lock = self._length = -1
        try:
            # Looked at first, so that nothing is put beside a file that is not ours.
            check_is_state(self.path, path, fresh)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path, path)
            if fresh:
                self.delete()
            elif is_copy(self.path):
                self.settle()
            self._length = os.open(f"{self.path}.len", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self.close()
            sentence = _os_sentence(_beside(path, error), error)
            raise machine_failure(error) or StoreError(sentence) from None

    def delete(self) -> None:
        """Deletes the state, its journal and its length file; the lock stays."""
        for suffix in ("", "-journal", *_BESIDE):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def settle(self) -> None:
        """Deletes what was kept in other files of the state in whose place a copy was put."""
        for suffix in _BESIDE:
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def read_tail(self) -> Tail | None:
        """What the length file says; None where there is none, or it was cut in the writing."""
        try:
            parts = os.pread(self._length, _TAIL_WIDTH, 0).split()
        except OSError as error:
            raise StoreError(_os_sentence(f"{self.name}.len", error)) from None
        if len(parts) != 3 or not (parts[0].isdigit() and parts[1].isdigit()):
            return None
        return Tail(int(parts[0]), int(parts[1]), parts[2].decode("ascii", "replace"))

    def write_tail(self, tail: Tail) -> None:
        """Writes the length file in place: one sector, so it is whole or as it was."""
        text = f"{tail.commits} {tail.seq} {tail.digest}"
        try:
            os.pwrite(self._length, text.ljust(_TAIL_WIDTH - 1).encode() + b"\n", 0)
        except OSError as error:
            raise StoreError(_os_sentence(f"{self.name}.len", error)) from None

    def close(self) -> None:
        """Gives the state free."""
        for descriptor in (self._length, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._length = self._lock = -1


def check_is_state(path: Path, name: str, fresh: bool) -> None:
    """Refuses a file that is there but no state of bizrun; OSError where it can't be read."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        raise UsageError(
            f"{name} is a folder: name a file in it, such as {name.rstrip('/')}/state.db"
        )
    if not stat.S_ISREG(mode):
        raise UsageError(f"{name} is no file on a disk: give --state another name")
    with path.open("rb") as file:
        head = file.read(100)
    if not head:
        return
    if head[:16] != _MAGIC:
        if fresh:
            raise UsageError(f"{name} is no state of bizrun, so --fresh does not delete it")
        raise StoreError(
            f"{name} is no state of bizrun, or its beginning is damaged: give --state another "
            "file, or put a backup in its place"
        )
    if int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise UsageError(
            f"{name} is a database of another program"
            f"{', so --fresh does not delete it' if fresh else ': give --state another file'}"
        )


def is_copy(path: Path) -> bool:
    """Whether a file is a backup that nobody has written to: states have a journal (WAL), copies
    say in their header that they have none. One that lies beside a copy, where a run was killed
    perhaps, is of the state that stood there before, and SQLite would take it for the copy's.
    """
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\1\1"
    except FileNotFoundError:
        return False


def _locked(path: Path, name: str) -> int:
    """An open lock file, locked for as long as it stays open; it says whose it is."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # flock, not lockf: it also keeps this very process from opening a state twice.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
        os.close(lock)
        raise StoreError(
            f"another bizrun{f' (process {owner})' if owner.isdigit() else ''} has {name}: wait "
            "until it is done, stop it, or give --state another file"
        ) from None
    except OSError:
        os.close(lock)
        raise
    # The place is for a person; where the disk is full the lock holds without it.
    with contextlib.suppress(OSError):
        os.pwrite(lock, f"{os.getpid()}".ljust(19).encode() + b"\n", 0)
    return lock


def _os_sentence(name: str, error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return _FULL.format(name=name)
        case errno.EFBIG:
            return _LIMITED.format(name=name)
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return _READ_ONLY.format(name=name)
        case errno.ENOTDIR | errno.EEXIST:
            return f"{name} can't be made: a part of its path is a file, not a folder"
    return f"{name} can't be used: {error.strerror}; give --state another file, or mend the disk"


def _beside(path: str, error: OSError) -> str:
    """What can't be used: the state itself, or what stands in the place of a file beside it."""
    suffix = Path(error.filename).suffix if isinstance(error.filename, str) else ""
    own = suffix in (".lock", ".len") and os.path.lexists(error.filename)
    return f"{path}{suffix}" if own and error.errno in (errno.EISDIR, errno.ENOENT) else path


_FULL = (
    "the disk is full, {name} can't grow: make room and run the same again; what was "
    "acknowledged is kept, and nothing else"
)
_LIMITED = (
    "{name} can't grow: this process may write no bigger file; allow more with `ulimit -f "
    "unlimited`, and run the same again; what was acknowledged is kept, and nothing else"
)
_READ_ONLY = (
    "{name} can't be written: its file or folder is read-only; make it writable, or move it"
)
_LOCKED = "{name} is held by another program, a database tool perhaps: close it and run again"
_DAMAGED = (
    "{name} is damaged ({detail}): keep a copy of the file, then put a backup in its place, or "
    "start over with --fresh"
)
_FAILING = (
    "{name} can't be read or written ({detail}): the disk may be failing or full; nothing since "
    "the last acknowledged event is kept; check the disk, then run the same again"
)

_SENTENCES = {
    apsw.SQLITE_FULL: _FULL,
    apsw.SQLITE_READONLY: _READ_ONLY,
    apsw.SQLITE_PERM: _READ_ONLY,
    apsw.SQLITE_CANTOPEN: (
        "{name} can't be opened: its folder may be read-only or gone; check it, or give --state "
        "another file"
    ),
    apsw.SQLITE_BUSY: _LOCKED,
    apsw.SQLITE_LOCKED: _LOCKED,
    apsw.SQLITE_CORRUPT: _DAMAGED,
    apsw.SQLITE_NOTADB: _DAMAGED,
    apsw.SQLITE_IOERR: _FAILING,
    apsw.SQLITE_NOMEM: "there is not enough memory to go on with {name}",
    apsw.SQLITE_CONSTRAINT: (
        "a row does not fit its table in {name} ({detail}): that is a mistake in bizrun, please "
        "report it; nothing since the last acknowledged event is kept"
    ),
    apsw.SQLITE_TOOBIG: "a value is too big for {name}: a row holds at most 1 GB",
}


_FINAL = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


# What SQLite raises; a text that the disk has changed can no longer be read as one.
FAILURES = (apsw.Error, UnicodeDecodeError)


def _descriptors_spent() -> StoreError | None:
    """What to say where nothing more can be opened, which SQLite does not tell apart."""
    held: list[int] = []
    try:
        for _ in range(_FILES):
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return machine_failure(error)
    finally:
        for descriptor in held:
            os.close(descriptor)
    return None


_GROWING = (apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_TRUNCATE, apsw.SQLITE_IOERR_SHMSIZE)


def is_limited(error: Exception) -> bool:
    """Whether a write failed where a process may write files of a certain size only: for SQLite
    that is a disk that fails."""
    return (
        getattr(error, "extendedresult", -1) in _GROWING
        and resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
    )


def failure(name: str, error: Exception) -> StoreError:
    """What a failure of SQLite is called, and what to do about it."""
    result, detail = getattr(error, "result", -1) & 0xFF, str(error)
    if result == apsw.SQLITE_CANTOPEN and (spent := _descriptors_spent()) is not None:
        return spent
    if isinstance(error, UnicodeDecodeError):
        result, detail = apsw.SQLITE_CORRUPT, "bytes that are no text"
    sentence = _LIMITED if is_limited(error) else _SENTENCES.get(result, _FAILING)
    found = StoreError(sentence.format(name=name, detail=detail))
    # After a failed sync the system may take for written what is not on the disk.
    found.final = getattr(error, "extendedresult", -1) in _FINAL or sentence is _DAMAGED
    return found
