"""Standard output and error, also where they are closed, full, or where nobody reads them."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def stand_in() -> None:
    """Gives what was closed before we began, input included, nothing to read and write.

    Without it the next file to be opened, the state's perhaps, would get that descriptor.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115


def lenient_output() -> None:
    """Lets no character that the terminal's encoding lacks end the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up_output() -> None:
    """Forgets output that can't be written: Python would try once more, and end with 120."""
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()


def _forget_output() -> None:
    """Whoever read our output has gone: what Python still wants to flush goes nowhere."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        for stream in (sys.stdout, sys.stderr):
            try:
                os.dup2(nowhere.fileno(), stream.fileno())
            except (OSError, ValueError):
                continue


def go_on_unheard() -> None:
    """Lets a command come to its own end and exit code where whoever read its output has gone."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            buffer = io.BufferedWriter(_Unheard(stream.fileno(), "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(
                buffer, stream.encoding, stream.errors, "\n", stream.line_buffering,
                stream.write_through,
            ))  # fmt: skip


class _Unheard(io.FileIO):
    """A descriptor that takes what nobody reads any more."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            with open(os.devnull, "w") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), self.fileno())
            return super().write(data)
