"""How files come into the folder of a run: whole or not at all, and again where they were before.

What an earlier state has left is moved out of sight and used again: making some thousand files
anew takes seconds where a file system doesn't give a removed file's place out at once.
"""

# A Path costs as much as a system call, and there are thousands of files.
# ruff: noqa: PTH105, PTH123, PTH208

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

EARLIER = ".earlier"
HALF = ".new"


def write_file(path: str, data: bytes) -> None:
    """Writes a file `FOLDER/KIND/NAME`, over one that is there; makes `KIND` where it isn't.

    It is made in FOLDER, where few are: a place in a folder of thousands costs most of its time.
    """
    kind, name = os.path.split(path)
    folder, part = os.path.split(kind)
    made = f"{folder}/{EARLIER}/{part}/{name}"
    if not _refilled(made, data):
        made = f"{folder}/.{os.getpid()}{HALF}"
        try:
            _fill(made, data)
        except FileNotFoundError:
            Path(folder).mkdir(parents=True, exist_ok=True)
            _fill(made, data)
    try:
        os.replace(made, path)
    except FileNotFoundError:
        Path(kind).mkdir(parents=True, exist_ok=True)
        os.replace(made, path)


def _fill(path: str, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _refilled(path: str, data: bytes) -> bool:
    """Makes a file say this, if it is there and can be written. It is cut behind the new text, for
    one that is emptied first is written out at once."""
    try:
        with open(path, "r+b", buffering=0) as file:
            if file.read() != data:
                file.seek(0)
                file.write(data)
                file.truncate()
    except OSError:
        return False
    return True


def put_away(folder: Path, kind: str, ours: Callable[[str], bool]) -> None:
    """Moves those files of a kind that are ours out of sight, where `write_file` finds them."""
    throw_away(folder, kind)
    (folder / EARLIER).mkdir(exist_ok=True)
    here, there = folder / kind, folder / EARLIER / kind
    with suppress(FileNotFoundError):
        names = os.listdir(here)
        mine = [name for name in names if ours(name)]
        if len(mine) == len(names):
            here.rename(there)
            return
        there.mkdir()
        for name in mine:
            (here / name).rename(there / name)


def throw_away(folder: Path, kind: str = "") -> None:
    """Removes what of the files put away was not used again."""
    rmtree(folder / EARLIER / kind, ignore_errors=True)
