"""Statements as the YAML form has them: a mapping each, its keyword first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...values import quoted
from .. import ast
from ..printer import Printer
from .compose import is_quoted

Data = dict[str, Any]


def plain_text(text: str) -> str:
    """A text as a scalar: as it is, unless it would be taken for one in the grammar's quotes."""
    return quoted(text) if is_quoted(text) else text


def open_text(written: str) -> str:
    """A text in the grammar's quotes as a scalar: without them where nothing in it is escaped."""
    inner = written[1:-1]
    plain = written[:3] != '"""' and not any(sign in inner for sign in '"\\')
    return inner if plain and inner.strip() == inner and inner else written


def statements(to: Printer, body: Iterable[ast.Stmt]) -> list[Any]:
    """A list of statements."""
    return [statement(to, each) for each in body]


def map_data(to: Printer, data: ast.MapLiteral) -> Data:
    """A map literal as a mapping: short entries and spreads have no value."""
    found: Data = {}
    for entry in data.entries:
        match entry:
            case ast.Spread():
                found[f"...{to.expr(entry.value)}"] = None
            case ast.Entry(short=True):
                found[entry.name] = None
            case ast.Entry():
                found[entry.name] = _value(to, entry.value)
    return found


def _value(to: Printer, value: ast.Expr) -> Any:
    match value:
        case ast.MapLiteral() if _plain(value):
            return map_data(to, value)
        case ast.ListLiteral() if value.items:
            return [_value(to, item) for item in value.items]
    return to.expr(value)


def _plain(value: ast.MapLiteral) -> bool:
    """Whether no name stands twice, which a mapping could not hold."""
    names = [e.name if isinstance(e, ast.Entry) else e for e in value.entries]
    return bool(names) and len(set(names)) == len(names)


def statement(to: Printer, node: ast.Stmt) -> Any:
    """One statement."""
    match node:
        case ast.Let():
            return _let(to, node)
        case ast.Create() | ast.Upsert():
            return _made(to, node)
        case ast.Update():
            return {"update": to.atom(node.target), **_with(to, node.data)}
        case ast.Delete():
            return {"delete": to.chain(node.target)}
        case ast.AddTo():
            return {"add": to.chain(node.item), "to": to.chain(node.collection)}
        case ast.RemoveFrom():
            return {"remove": to.chain(node.item), "from": to.chain(node.collection)}
        case ast.Emit():
            return _emit(to, node)
        case ast.Do():
            return _action(to, node.action)
        case ast.After() | ast.At():
            return _later(to, node)
        case ast.WaitFor():
            return _wait_for(to, node)
        case ast.ForEach():
            head = {"for each": node.variable, "in": to.expr(node.source)}
            return {**head, "do": statements(to, node.body)}
        case ast.If():
            return _if(to, node)
        case ast.Match():
            return _match(to, node)
    return _simple(to, node)


def _simple(to: Printer, node: ast.Stmt) -> Any:
    """Statements of one line, those of tests among them."""
    match node:
        case ast.Return():
            return {"return": to.expr(node.value) if node.value else None}
        case ast.Reject():
            return {"reject": to.expr(node.message)}
        case ast.Record():
            return {"record": node.metric, "value": to.expr(node.value)}
        case ast.Log():
            return {"log": to.expr(node.message)}
        case ast.AcrossTenants():
            return {"across tenants": statements(to, node.body)}
        case ast.SetClock():
            return {"at": to.chain(node.time)}
        case ast.Advance():
            return {"advance": "to " * node.to + to.chain(node.value)}
        case ast.ExpectEffect():
            return _expect(to, node)
        case ast.ExpectTrue():
            return {"expect": to.expr(node.value)}
        case ast.ExpectRejected():
            return {"expect": "rejected" + (f" {to.chain(node.message)}" if node.message else "")}
        case ast.Payments(error=None):
            return {"payments": "succeed" if node.succeed else "fail"}
        case ast.Payments(error=error):
            return {"payments": f"fail with {to.chain(error)}" if error else "fail"}
        case ast.Answer():
            target = {"at": _target(to, node.target)} if node.target else {}
            return {"answer": node.name, **target, "with": _value(to, node.value)}
        case ast.CallApi():
            return _call(to, node)
    return to.verbatim(node)


def _let(to: Printer, node: ast.Let) -> Data:
    match node.value:
        case ast.Action():
            return {"let": node.name, **_action(to, node.value)}
        case ast.Create() | ast.Upsert():
            return {"let": node.name, **_made(to, node.value)}
    return {"let": node.name, "value": to.expr(node.value)}


def _made(to: Printer, node: ast.Create | ast.Upsert) -> Data:
    word = "create" if isinstance(node, ast.Create) else "upsert"
    return {word: node.entity, **_with(to, node.data)}


def _with(to: Printer, data: ast.MapLiteral | None) -> Data:
    return {"with": map_data(to, data)} if data is not None else {}


def _action(to: Printer, action: ast.Action) -> Data:
    if action.target is not None:
        return {action.name: _target(to, action.target), **_with(to, action.data)}
    return {action.name: map_data(to, action.data)}


def _target(to: Printer, target: ast.Expr) -> str:
    return open_text(to.verbatim(target))


def _emit(to: Printer, node: ast.Emit) -> Data:
    data: Data = {"emit": node.event, **_with(to, node.data)}
    if node.at:
        data["at"] = to.chain(node.at)
    if node.id:
        data["id"] = to.chain(node.id)
    if node.corrects:
        data["corrects"] = to.chain(node.corrects)
    return data


def _later(to: Printer, node: ast.After | ast.At) -> Data:
    data: Data = (
        {"after": to.chain(node.delay)}
        if isinstance(node, ast.After)
        else {"at": to.chain(node.time)}
    )
    if node.unless:
        data["unless"] = to.pattern(node.unless)
    return {**data, "do": statements(to, node.body)}


def _wait_for(to: Printer, node: ast.WaitFor) -> Data:
    pattern = node.pattern
    data: Data = {"wait for": " or ".join(name for name, _ in pattern.types)}
    if pattern.fields:
        data["fields"] = ", ".join(name for name, _ in pattern.fields)
    if pattern.name:
        data["as"] = pattern.name
    if pattern.where:
        data["where"] = to.condition(pattern.where)
    if node.within:
        data["within"] = to.chain(node.within)
    return data


def _if(to: Printer, node: ast.If) -> Data:
    data: Data = {"if": to.expr(node.condition), "then": statements(to, node.then)}
    return {**data, "else": statements(to, node.otherwise)} if node.otherwise else data


def _match(to: Printer, node: ast.Match) -> Data:
    cases = [
        {"when": to.patterns(case.patterns), "do": statements(to, case.body)} for case in node.cases
    ]
    data: Data = {"match": to.expr(node.subject), "cases": cases}
    if node.otherwise is not None:
        data["else"] = statements(to, node.otherwise)
    return data


def _expect(to: Printer, node: ast.ExpectEffect) -> Data:
    count = "" if node.count is None else "no " if node.count == 0 else f"{node.count} "
    what = f"event {node.event}" if node.event else node.kind
    target = {"at": _target(to, node.target)} if node.target else {}
    return {"expect": count + what, **target, **_with(to, node.data)}


def _call(to: Printer, node: ast.CallApi) -> Data:
    path = _target(to, node.path)
    data: Data = {"call": f"{node.method} {path}", **_with(to, node.data)}
    return {**data, "as": to.chain(node.caller)} if node.caller else data
