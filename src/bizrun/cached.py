"""Plain data kept on disk from run to run, in the user's own cache; lost without harm."""

from __future__ import annotations

import hashlib
import marshal
import os
from pathlib import Path
from typing import Any


def place(about: str, kind: str) -> Path | None:
    """Where something belongs that is known by all it was made of; None without a home."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        base = Path(folder) if folder else Path.home() / ".cache"
    except RuntimeError:
        return None
    digest = hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()
    return base / "bizrun" / f"{digest[:24]}.{kind}"


def load(place: Path | None) -> Any:
    """What a file holds; None where it is missing, damaged or somebody else's."""
    if place is None:
        return None
    try:
        with place.open("rb") as file:
            status = os.fstat(file.fileno())
            if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
                return None
            content = file.read()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return None
        # Marshal, not pickle: what is kept is plain data, and plain data runs no code.
        return marshal.loads(content[32:])
    except (OSError, ValueError, EOFError, TypeError):
        return None


def save(data: Any, place: Path | None) -> None:
    """Writes plain data where that is possible: whole or not at all."""
    if place is None:
        return
    import tempfile

    content = marshal.dumps(data)
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        Path(temporary).replace(place)
    except OSError:
        return
