"""Takes out of a run's folder what was erased from its state: emails, lines of effects, pages."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from hashlib import sha256
from pathlib import Path

from .sink import MARK, PAGES, safe_name


def erase_files(folder: Path, orders: Collection[int], documents: Iterable[str]) -> int:
    """Removes the emails of these effects and the pages of these documents, and empties the other
    effects' lines; how many there were."""
    gone = _lines(folder, set(orders)) if (folder / "effects.jsonl").exists() else 0
    wanted = {f"{order:06}" for order in orders}
    for path in folder.glob("emails/*"):
        if path.name.partition("-")[0] in wanted:
            path.unlink(missing_ok=True)
            gone += 1
    for number in documents:
        name = safe_name(number)
        if name != number:
            name = f"{name}-{sha256(number.encode()).hexdigest()[:6]}"
        for kind in PAGES:
            for path in folder.glob(f"{kind}/{name}.*"):
                path.unlink(missing_ok=True)
                gone += 1
    return gone


def _lines(folder: Path, orders: set[int]) -> int:
    """Empties the lines of effects, and keeps the mark at where the last of them ends."""
    path, mark = folder / "effects.jsonl", folder / MARK
    gone, kept = 0, []
    for line in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told["order"] in orders:
            line = json.dumps({**told, "data": {}, "error": None}, ensure_ascii=False)
            gone += 1
        kept.append(line + "\n")
    data = "".join(kept).encode()
    temporary = path.with_suffix(".new")
    temporary.write_bytes(data)
    temporary.replace(path)
    if mark.exists():
        held = json.loads(mark.read_text())
        mark.write_text(json.dumps({**held, "size": len(data)}) + "\n")
    return gone
