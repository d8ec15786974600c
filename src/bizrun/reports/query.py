"""An expression asked over a state: its value, or rows with their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..diagnostics import Diagnostic, Source
from ..lang.types import EntityType, ListOf, Type, known
from ..values import plain

if TYPE_CHECKING:
    from ..lang.symbols import Checked
    from ..runtime.engine import Engine

NAME = "<query>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked for, as plain values: rows (`fields` in order), or one `value`."""

    rows: list[dict[str, Any]] | None
    value: Any = None
    fields: tuple[str, ...] = ()


def ask(text: str, checked: Checked, engine: Engine) -> Answer | tuple[Diagnostic, ...]:
    """The answer to an expression, or what is wrong with it; `now` is the state's clock.

    BizError where its value can't be computed.
    """
    from ..actions import open_action
    from ..actions.signatures import SIGNATURES
    from ..ir.lower_expr import ExpressionLowering, Scope
    from ..lang.check import check_expression
    from ..lang.parse import parse_expression
    from ..runtime.work import Work

    node, problems = parse_expression(text, NAME)
    if node is None or problems:
        return tuple(problems)
    type_, found = check_expression(checked, node, SIGNATURES, open_action)
    if any(problem.severity == "error" for problem in found):
        return found
    compute = engine.compiled(ExpressionLowering(checked).lower(node, Scope()), ())
    now = engine.clock or datetime(1970, 1, 1, tzinfo=UTC)
    envelope = {"id": "query", "type": "query", "time": now, "subject": None}
    return _answer(compute(Work(engine, now, "query", envelope, None)), type_, engine)


def source(text: str) -> Source:
    """The text that diagnostics of a query point into."""
    return Source(NAME, text)


def _answer(value: Any, type_: Type, engine: Engine) -> Answer:
    match known(type_):
        case EntityType(entity):
            rows = [] if value is None else [row_of(engine, entity, value)]
            return _rows([row for row in rows if row is not None], engine, entity)
        case ListOf(item) if isinstance(inner := known(item), EntityType):
            found = (row_of(engine, inner.name, key) for key in value or ())
            return _rows([row for row in found if row is not None], engine, inner.name)
    if isinstance(value, list | tuple):
        if value and all(isinstance(item, Mapping) for item in value):
            names = tuple(dict.fromkeys(name for item in value for name in item))
            return Answer([plain(dict(item)) for item in value], None, names)
        return Answer(None, [plain(item) for item in value])
    return Answer(None, plain(value))


def _rows(rows: list[dict[str, Any]], engine: Engine, entity: str) -> Answer:
    fields = engine.program.entities[entity].shown
    return Answer(rows, None, (*fields, "lines") if entity == "Invoice" else fields)


def row_of(engine: Engine, entity: str, key: str) -> dict[str, Any] | None:
    """A row by the names of its fields; an invoice with its lines."""
    row = engine.state.get(entity, key)
    if row is None:
        return None
    found = {name: plain(row[name]) for name in engine.program.entities[entity].shown}
    if entity == "Invoice":
        lines = engine.state.select("InvoiceLine", {"invoice": key})
        fields = engine.program.entities["InvoiceLine"].shown
        shown = [name for name in fields if name not in ("invoice", "created_at", "updated_at")]
        found["lines"] = [
            {name: plain(line[name]) for name in shown}
            for line in sorted(lines, key=lambda line: int(line["position"]))
        ]
    return found
