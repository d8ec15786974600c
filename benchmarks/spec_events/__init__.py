"""The year of events beside each smaller spec: `specs/NAME.events.jsonl`.

    python -m benchmarks.spec_events [NAME …]

The same file every time, byte for byte: one seed a business, integers only. `saas_events.py` writes
the large one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from . import b2b, businesses, monetization, monetize, pipeline, selling
from .telling import YEAR_END, Story

SPECS = Path(__file__).parent.parent.parent / "specs"

# By the path of the spec under `specs/`, without its suffix.
BUSINESSES: dict[str, Story] = {
    **businesses.YEARS,
    **monetization.YEARS,
    **monetize.YEARS,
    **pipeline.YEARS,
    **b2b.YEARS,
    **selling.YEARS,
}


def lines(name: str) -> Iterator[str]:
    """The lines of a year, in the order of time."""
    told = (event for event in BUSINESSES[name](Random(name)) if event[0] < YEAR_END)
    short = name.rpartition("/")[2]
    for number, (time, type_, data) in enumerate(sorted(told, key=lambda event: event[0])):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ")
        yield json.dumps({"id": f"{short}-{number:05}", "type": type_, "time": stamp, "data": data})


def write(name: str) -> Path:
    """Writes the file of a business beside its spec."""
    path = SPECS / f"{name}.events.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines(name)), encoding="utf-8", newline="\n")
    return path
