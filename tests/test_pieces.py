"""The tests of specs as streams: in batches, in pieces, twice, interpreted, the state is the same.

What a test emits is run again as lines of a stream. Every piece has an engine of its own over the
one state, as where a process was killed after each commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from bizrun.cli.test_runs import Prepared
from bizrun.ir import compile as compiling
from bizrun.ir.interpret import run_segment
from bizrun.ir.program import Program
from bizrun.model import Event, Receipt
from bizrun.pipeline import open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.engine import Engine
from bizrun.store.base import Store
from bizrun.store.memory import MemoryStore
from bizrun.values import instant_text

from .conftest import ROOT
from .streams import digest, feed

CORPUS = sorted((ROOT / "tests" / "golden" / "run").glob("*.biz"))
# The whole corpus takes as long as one can wait for: a quarter of it, and what waits most.
SOME = [path for number, path in enumerate(CORPUS) if number % 4 == 0 or "durable" in path.name]


class Heard:
    """The events that tests emit, as lines, and how far their clock went."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.until: datetime | None = None

    def later(self, at: datetime) -> None:
        self.until = at if self.until is None else max(self.until, at)

    @contextmanager
    def listening(self) -> Iterator[None]:
        submit, advance = Engine.submit, Engine.advance

        def submitted(engine: Engine, event: Event, raw: str) -> Receipt:
            line = {**json.loads(raw), "time": instant_text(event.time)}
            self.lines.append(json.dumps(line).encode() + b"\n")
            self.later(event.time)
            return submit(engine, event, raw)

        def advanced(engine: Engine, until: datetime, between: Any = None) -> None:
            self.later(until)
            advance(engine, until, between)

        with patch.object(Engine, "submit", submitted), patch.object(Engine, "advance", advanced):
            yield


def streams(path: Path) -> Iterator[tuple[Program, list[bytes], str]]:
    """The streams that a spec's tests come to, each with how far its clock goes."""
    prepared = Prepared(str(path), False)
    assert prepared.program is not None
    for test in prepared.tests(())[0]:
        heard = Heard()
        with heard.listening():
            prepared.run(test)
        if heard.lines and heard.until is not None:
            yield prepared.program, heard.lines, instant_text(heard.until)


def run(program: Program, store: Store, lines: list[bytes], batch: int, until: str | None) -> str:
    engine = open_engine(program, store, Sandbox())
    feed(engine, b"".join(lines), batch, until)
    return digest(engine)


def interpreted(unit: Any) -> compiling.Code:
    """A unit's code whose segments are run by the reference interpreter."""
    code = compiling.compile_unit(unit)

    def segment(number: int, ctx: Any, *values: Any) -> None:
        live = dict(zip(code.live[number], values, strict=True))
        run_segment(unit, number, ctx, live)

    return replace(code, segments=tuple(partial(segment, n) for n in range(len(code.segments))))


def placeless(error: Exception, code: compiling.Code) -> tuple[str, None]:
    """Why something failed, without its line, which compiled code alone can tell."""
    return compiling.explain_error(error, code)[0], None


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)
def test_however_it_is_run(path: Path) -> None:
    for program, lines, until in streams(path):
        whole = run(program, MemoryStore(), lines, 1000, until)
        assert run(program, MemoryStore(), lines, 1, until) == whole, "each by itself"

        pieces = MemoryStore()
        for line in lines:
            run(program, pieces, [line], 1000, None)
        assert run(program, pieces, [], 1000, until) == whole, "in pieces"
        assert run(program, pieces, lines, 1000, until) == whole, "again"

        twice = [line for n, one in enumerate(lines) for line in (one, lines[n // 2], one)]
        assert run(program, MemoryStore(), twice, 5, until) == whole, "with duplicates"

        with patch("bizrun.runtime.waits.explain_error", placeless):
            compiled = run(program, MemoryStore(), lines, 1000, until)
            with patch("bizrun.runtime.engine.compile_unit", interpreted):
                assert run(program, MemoryStore(), lines, 1000, until) == compiled, "interpreted"
