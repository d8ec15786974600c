"""Statements of test blocks, and which statements stand where."""

from __future__ import annotations

from collections.abc import Mapping

from ...diagnostics import Fix, Span, an
from .. import ast
from ..types import (
    ANY,
    DURATION,
    MONEY,
    NUMBER,
    TEXT,
    TIME,
    EntityType,
    Record,
    Type,
    known,
    type_text,
)
from . import constants
from .actions import find_action, unknown_action
from .context import Checker, check_template, nearest
from .data import check_emit, check_fields
from .events import find_event, snake
from .expressions import check_condition, infer
from .fit import untyped
from .scope import Local, Scope
from .values import expect

TEST_ONLY = (
    ast.SetClock,
    ast.Advance,
    ast.ExpectEffect,
    ast.ExpectTrue,
    ast.ExpectRejected,
    ast.Payments,
    ast.Answer,
    ast.CallApi,
)
# A test stands outside: what a handler does, an event sets off.
NEVER_IN_TESTS = (
    ast.After,
    ast.At,
    ast.WaitFor,
    ast.Return,
    ast.Reject,
    ast.Do,
    ast.AcrossTenants,
    ast.Record,
)
# What an effect is called, and the entity whose fields it has.
EFFECTS: dict[str, str | None] = {
    "charge": "Payment",
    "refund": "Refund",
    "invoice": "Invoice",
    "email": None,
    "transfer": None,
    "reply": None,
    "event": None,
}
# What every effect has besides its action's fields.
OUTCOME: dict[str, Type] = {"status": TEXT, "error": ANY, "reference": ANY, "at": TIME}


def misplaced(c: Checker, node: ast.Stmt, scope: Scope) -> bool:
    """Reports a statement of tests outside of them, and one of handlers inside."""
    if scope.place != "test":
        if not isinstance(node, TEST_ONLY):
            return False
        c.report.add(
            "E0410",
            node.span,
            "This statement stands in tests only",
            'write it in a block `test "…" { … }`',
        )
        return True
    action = isinstance(node, ast.Let) and isinstance(node.value, ast.Action)
    if not isinstance(node, NEVER_IN_TESTS) and not action:
        return False
    c.report.add(
        "E0411",
        node.span,
        "A test can't do what a handler does",
        "`emit` the event that a handler does this on, or `create` the rows that it needs",
    )
    return True


def check_test(c: Checker, test: ast.Test, scope: Scope) -> None:
    """Checks a test's statements; an event that must be rejected may be as wrong as it likes.

    `reply` is the newest one, unless the test has something else of that name.
    """
    from .statements import check_statement, unused

    scope.locals["reply"] = Local(ANY)
    scope = scope.child()
    clock: ast.Expr | None = None
    for i, node in enumerate(test.body):
        if isinstance(node, ast.SetClock):
            clock = constants.clock(c, clock, node.time)
        elif isinstance(node, ast.Advance) and node.to:
            clock = constants.clock(c, clock, node.value)
        after = test.body[i + 1] if i + 1 < len(test.body) else None
        refused = isinstance(after, ast.ExpectRejected)
        if isinstance(node, ast.Emit) and refused:
            check_emit(c, node, scope, refused=True)
        elif isinstance(node, ast.CallApi):
            _call(c, node, scope, refused)
        else:
            check_statement(c, node, scope)
    unused(c, scope)


def check_test_statement(c: Checker, node: ast.Stmt, scope: Scope) -> None:
    """Checks a statement that only tests have."""
    match node:
        case ast.SetClock(time=time):
            expect(c, time, scope, TIME, "`at`")
        case ast.Advance(value=value, to=to):
            expect(c, value, scope, TIME if to else DURATION, "`advance to`" if to else "`advance`")
            constants.ahead(c, value, "The clock of a test", "say first when it begins: `at …`")
        case ast.ExpectTrue(value=ast.Index(base=ast.Name(name="reply") as base, index=index)) if (
            index.span.start > base.span.end + 1
        ):
            infer(c, index, scope)
            fix = Fix(base.span, "reply ==")
            c.report.add(
                "E0140", base.span, "A list is compared.", "write `expect reply == […]`", fix
            )
        case ast.ExpectTrue(value=value):
            check_condition(c, value, scope, "`expect` takes")
        case ast.ExpectRejected(message=message):
            if message is not None:
                expect(c, message, scope, TEXT, "`expect rejected`")
        case ast.ExpectEffect():
            _effect(c, node, scope)
        case ast.Payments(error=error):
            if error is not None:
                expect(c, error, scope, TEXT, "`payments fail with`")
        case ast.Answer():
            _answer(c, node, scope)
        case ast.CallApi():
            _call(c, node, scope, refused=False)


def _effect(c: Checker, node: ast.ExpectEffect, scope: Scope) -> None:
    if node.target is not None:
        expect(c, node.target, scope, TEXT, f"`{node.kind}`")
        _target(c, node, node.target)
    fields = _effect_fields(c, node)
    if node.data is None:
        return
    if fields is None:
        infer(c, node.data, scope)
        return
    owner = node.event or node.kind
    code = "E0216" if node.event else "E0215"
    check_fields(c, node.data, scope, fields, f"{owner}", code, written=True)
    for entry in node.data.entries:
        if isinstance(entry, ast.Entry):
            _amount(c, entry, fields)
        template = isinstance(entry, ast.Entry) and entry.name == "template"
        if template and isinstance(entry.value, ast.Text):
            check_template(c, entry.value)


def _amount(c: Checker, entry: ast.Entry, fields: Mapping[str, Type]) -> None:
    """Reports a number where money came about: it never equals it."""
    wanted, given = fields.get(entry.name), c.checked.types.get(entry.value)
    if wanted is None or given is None or known(wanted) != MONEY or known(given) != NUMBER:
        return
    help_ = f"compare with money: `0 {c.symbols.currency}`"
    if isinstance(entry.value, ast.Literal):
        help_ = f"did you mean `{entry.value.value} {c.symbols.currency}`?"
    c.report.add("E0301", entry.value.span, f"`{entry.name}` is money, not number", help_)


def _target(c: Checker, node: ast.ExpectEffect, target: ast.Expr) -> None:
    """Reports a text behind an effect that has no path, where it would be passed over."""
    signature = find_action(c, node.kind)
    if node.kind != "reply" and signature is not None and not signature.target:
        c.report.add(
            "E0422",
            target.span,
            f"`{node.kind}` is told by its fields, between braces",
            f"write `{node.kind} {{ name: value }}`",
        )


def _effect_fields(c: Checker, node: ast.ExpectEffect) -> dict[str, Type] | None:
    """The fields that an expected effect may name; None where it may name any."""
    if node.kind == "event":
        return _event_fields(c, node)
    if node.kind == "reply":
        return None
    signature = find_action(c, node.kind)
    if signature is None:
        if node.kind not in EFFECTS:
            _unknown_effect(c, node)
        return None
    if signature.open:
        return None
    fields = {f.name: f.type for f in signature.fields} | OUTCOME
    entity = EFFECTS.get(node.kind)
    result = known(signature.result)
    if entity is None and isinstance(result, EntityType):
        entity = result.name
    info = c.entity(entity) if entity else None
    if info is not None:
        fields |= {f.name: f.type for f in info.fields.values()}
    elif isinstance(result, Record):
        fields |= dict(result.fields)
    return fields


_REJECTED = ("reject", "rejected", "error", "refused", "rejection", "failure")


def _unknown_effect(c: Checker, node: ast.ExpectEffect) -> None:
    names = [*EFFECTS, *c.signatures]
    if node.kind in _REJECTED:
        message = f"There is no effect `{node.kind}`"
        help_ = 'write `expect rejected`, or `expect rejected "why"`'
        if node.kind == "rejected":
            help_ = "that an event was handled is seen by what it did: expect that"
        c.report.add("E0213", node.kind_span, message, help_)
        return
    if find_event(c.symbols, node.kind) is not None:
        message = f"`{node.kind}` is an event"
        c.report.add("E0213", node.kind_span, message, f"write `expect event {node.kind}`")
        return
    if "." in node.kind and nearest(node.kind, names)[0] is None:
        unknown_action(c, node.kind, node.kind_span)
        return
    otherwise = "a value is compared: `expect x == true`"
    if row := _row_named(c, node.kind):
        otherwise = f"rows are counted: `expect count({row} where …) == 1`"
        names = []
    c.unknown(
        "E0213", node.kind_span, f"There is no effect `{node.kind}`", node.kind, names,
        otherwise=otherwise,
    )  # fmt: skip


def _row_named(c: Checker, word: str) -> str | None:
    """The entity that a word in small letters is the name of: `invoice_line`, `payments`."""
    plain = word.replace("_", "").lower()
    known = {name.lower(): name for name in c.symbols.entities}
    return known.get(plain) or known.get(plain.removesuffix("s"))


def _event_fields(c: Checker, node: ast.ExpectEffect) -> dict[str, Type] | None:
    name = node.event or ""
    if not name:
        text = "No event is named here"
        c.report.add("E0206", node.kind_span, text, "write it bare: `expect event Noun.verb`")
        return None
    info = find_event(c.symbols, name)
    if info is None or (not info.declared and name not in c.sent):
        c.unknown(
            "E0206",
            node.kind_span,
            f"No event `{name}` is declared or emitted",
            name,
            [n for n, other in c.symbols.events.items() if other.declared or n in c.sent],
            otherwise=f"declare it: `event {name} {{ … }}`",
        )
        return None
    return None if info.payload.open else dict(info.payload.fields)


def _answer(c: Checker, node: ast.Answer, scope: Scope) -> None:
    if find_action(c, node.name) is None:
        unknown_action(c, node.name, node.name_span)
    if node.target is not None:
        expect(c, node.target, scope, TEXT, f"`{node.name}`")
    infer(c, node.value, scope)


def _call(c: Checker, node: ast.CallApi, scope: Scope, refused: bool) -> None:
    """Checks a call of a route; `refused` where the test expects that it is."""
    expect(c, node.path, scope, TEXT, "`call`")
    api = _route(c, node)
    _caller(c, node, api, scope, refused)
    if node.data is None:
        return
    infer(c, node.data, scope)
    for entry in node.data.entries if api is not None else ():
        names = [p.name for p in api.params] if api else []
        if isinstance(entry, ast.Entry) and entry.name not in names and node.method == "GET":
            c.unknown(
                "E0217",
                entry.name_span,
                f"{node.method} {api.path if api else ''} has no parameter `{entry.name}`",
                entry.name,
                names,
            )


def _caller(
    c: Checker, node: ast.CallApi, api: ast.Api | None, scope: Scope, refused: bool
) -> None:
    """Who calls: a row of the entity that the route is for."""
    entity = _entity_of_callers(c, api) if api is not None else None
    if node.caller is None:
        if api is not None and api.caller is not None and not refused:
            text = f"{node.method} {api.path} is for `{api.caller}`, and nobody calls it here"
            help_ = f'add `as {entity or "Account"}("…")`, or `expect rejected`'
            c.report.add("W0832", node.span, text, help_)
        return
    type_ = infer(c, node.caller, scope)
    inner = known(type_)
    if untyped(inner):
        return
    if not isinstance(inner, EntityType):
        text = f"The caller is a row of an entity, not {type_text(type_)}"
        c.report.add("E0301", node.caller.span, text, f'write `as {entity or "Account"}("a1")`')
    elif entity is not None and inner.name != entity and not refused:
        text = f"{node.method} {api.path if api else ''} is called by {an(entity)}"
        help_ = f'write `as {entity}("…")`'
        c.report.add("E0301", node.caller.span, f"{text}, not by {an(inner.name)}", help_)


def _entity_of_callers(c: Checker, api: ast.Api) -> str | None:
    """The entity that `for user`, or `for customer`, names."""
    if api.caller == "customer":
        return c.symbols.bills
    return next((name for name in c.symbols.entities if snake(name) == api.caller), None)


def _route(c: Checker, node: ast.CallApi) -> ast.Api | None:
    """The api that a call reaches; reports where there is none."""
    path = node.path.plain if isinstance(node.path, ast.Text) else None
    if path is None:
        return None
    path = path.partition("?")[0]
    same = [api for api in c.symbols.apis if api.method == node.method]
    found = next((api for api in same if route_matches(api.path, path)), None)
    if found is None and not any("api" in name for name in c.lost):
        _unknown_route(c, node, path)
    return found


def _unknown_route(c: Checker, node: ast.CallApi, path: str) -> None:
    meant, certain = nearest(path, [a.path for a in c.symbols.apis if a.method == node.method])
    other = next((a for a in c.symbols.apis if route_matches(a.path, path)), None)
    if other is not None and other.method.upper() == node.method:
        return  # its method is told to be written in another way
    help_, fix = f'declare it: `api {node.method} "{path}" {{ … }}`', None
    if other is not None:
        help_ = f"there is {other.method} {other.path}"
    elif meant is not None:
        help_ = f'did you mean "{meant}"?'
        fix = Fix(node.path.span, f'"{meant}"', certain)
    span: Span = node.path.span
    c.report.add("E0230", span, f"There is no api {node.method} {path}", help_, fix)


def route_matches(pattern: str, path: str) -> bool:
    """Whether a path reaches an api: `{id}` and `:id` take any part."""
    theirs, ours = pattern.strip("/").split("/"), path.strip("/").split("/")
    return len(theirs) == len(ours) and all(
        a == b or (a.startswith("{") and a.endswith("}")) or a.startswith(":")
        for a, b in zip(theirs, ours, strict=True)
    )
