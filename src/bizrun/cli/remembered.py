"""Specs in which nothing was found, by content: unchanged, they need no second check.

What is remembered holds as long as every file that the check read, or looked for in vain, and
every folder that it listed are as they were, and bizrun itself is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .. import __version__, cached

KIND = "fine"
MOST = 200


class Disk:
    """Reads files and folders for a check, and notes how each was."""

    def __init__(
        self, read: Callable[[str], bytes], listdir: Callable[[str], Sequence[str]]
    ) -> None:
        self._read, self._list = read, listdir
        self.files: dict[str, str | None] = {}
        self.folders: dict[str, str | None] = {}

    def read(self, name: str) -> bytes:
        """The bytes of a file; an OSError where there is none."""
        self.files[name] = None
        data = self._read(name)
        self.files[name] = _digest(data)
        return data

    def listdir(self, folder: str) -> Sequence[str]:
        """The names in a folder; an OSError where there is none."""
        self.folders[folder] = None
        names = self._list(folder)
        self.folders[folder] = _digest_of_names(names)
        return names


def known(names: Sequence[str]) -> list[str] | None:
    """The specs among some files, where nothing is wrong with any; None where that isn't known."""
    kept = cached.load(_place(names))
    if kept is None:
        return None
    files, folders, specs = kept
    same = all(_file(name) == was for name, was in files.items()) and all(
        _folder(name) == was for name, was in folders.items()
    )
    return list(specs) if same else None


def remember(names: Sequence[str], disk: Disk, specs: Sequence[str]) -> None:
    """Keeps that nothing is wrong with some files; `specs` are those that no other uses."""
    place = _place(names)
    cached.save((disk.files, disk.folders, tuple(specs)), place)
    if place is not None:
        _forget_old(place.parent)


def _forget_old(folder: Path) -> None:
    with contextlib.suppress(OSError):
        kept = sorted(folder.glob(f"*.{KIND}"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-MOST]:
            path.unlink(missing_ok=True)


def _place(names: Sequence[str]) -> Path | None:
    try:
        here = str(Path.cwd())
    except OSError:
        return None
    about = (__version__, sys.version, here, *names, *_program())
    return cached.place("\0".join(about), KIND)


def _program() -> Iterator[str]:
    """Every file of bizrun as it is now: an edited installation forgets what it knew."""
    folders = [str(Path(__file__).parents[1])]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir():
                    folders.append(entry.path)
                elif not entry.name.endswith(".pyc"):
                    status = entry.stat()
                    yield f"{entry.path} {status.st_mtime_ns} {status.st_size}"


def _file(name: str) -> str | None:
    try:
        return _digest(Path(name).read_bytes())
    except OSError:
        return None


def _folder(name: str) -> str | None:
    try:
        return _digest_of_names([entry.name for entry in Path(name or ".").iterdir()])
    except OSError:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_of_names(names: Sequence[str]) -> str:
    return _digest("\0".join(sorted(names)).encode("utf-8", "surrogateescape"))
