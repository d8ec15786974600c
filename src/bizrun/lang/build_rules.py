"""Builds the rules: handlers, schedules, lifecycles, triggers, functions, apis and the like."""

from __future__ import annotations

from typing import Any, TypeVar

from ..diagnostics import Span
from ..times import RHYTHMS
from . import ast
from .build_context import Context, bounds, dotted, first, is_tree, named, tokens, trees
from .build_expr import build_expr, build_map
from .build_statements import build_block, build_pattern
from .build_text import plain_text, template_text
from .build_types import build_type
from .build_values import build_literal

E = TypeVar("E", ast.Directory, ast.SignIn)

TEMPLATE_PARTS = ("subject", "body", "style")

# --- Events ----------------------------------------------------------------------------------


def build_lifecycle(tree: Any, context: Context) -> ast.Lifecycle:
    """A lifecycle: the state that an entity begins in, and its arrows."""
    name = tree.children[0]
    entity, _, field = dotted(name).rpartition(".")
    if not entity:
        help = "write its entity and its field, as in `lifecycle Account.status`"
        context.report("E0101", context.of(name), "A lifecycle belongs to a field.", help)
        entity, field = field, ""
    start = first(tree, "lifecycle_start")
    for again in trees(tree, "lifecycle_start")[1:]:
        message = f"`{entity}.{field}` has a start already."
        context.report("E0101", context.of(again), message, "a row begins in one state")
    return ast.Lifecycle(
        context.of(tree),
        context.doc,
        entity,
        field,
        context.of(name),
        plain_text(start.children[0], context) if start else None,
        context.of(start.children[0]) if start else None,
        tuple(_arrow(arrow, context) for arrow in trees(tree, "arrow")),
    )


def _arrow(tree: Any, context: Context) -> ast.Arrow:
    source, target, *causes = tree.children
    on = after = None
    for cause in causes:
        if cause.data == "arrow_on":
            on = build_pattern(cause.children[0], context)
        else:
            after = build_expr(cause.children[0], context)
    return ast.Arrow(
        context.of(tree),
        plain_text(source, context) if source.type == "TEXT" else None,
        plain_text(target, context),
        context.of(source),
        context.of(target),
        on,
        after,
    )


def build_trigger(tree: Any, context: Context) -> ast.Trigger:
    """A trigger: the event that a condition emits when it turns true."""
    event, entity, condition, *once = tree.children
    for part in once:
        context.one_of(part.children[0], ("period",), "a trigger fires each time, or once per")
    return ast.Trigger(
        context.of(tree),
        context.doc,
        *named(context, event),
        *named(context, entity),
        build_expr(condition, context),
        bool(once),
    )


def build_on(tree: Any, context: Context) -> ast.On:
    """A handler."""
    across = first(tree, "across") is not None
    pattern, body = first(tree, "pattern"), first(tree, "block")
    return ast.On(
        context.of(tree),
        context.doc,
        build_pattern(pattern, context),
        build_block(body, context),
        across,
    )


# --- Time --------------------------------------------------------------------------------------

_SINGULAR = {f"{unit}s": unit for unit in ("day", "week", "month", "year")}


def build_every(tree: Any, context: Context, body: tuple[ast.Stmt, ...] | None = None) -> ast.Every:
    """A schedule; the start symbol `schedule` has no body, which is given then."""
    head = tree.children[0]
    on, at, zone, catch_up = (
        first(tree, name) for name in ("every_on", "every_at", "every_in", "catch_up")
    )
    kind, unit, interval, cron = "calendar", None, None, None
    if head.type == "TEXT":
        kind, cron = "cron", plain_text(head, context)
    elif head.type == "DURATION":
        kind, interval = "interval", build_literal(head, context)
    else:
        unit = _SINGULAR.get(str(head), str(head))
    return ast.Every(
        context.of(tree),
        context.doc,
        kind,
        unit,
        interval,
        cron,
        _day(on.children) if on else None,
        build_literal(at.children[0], context) if at else None,
        plain_text(zone.children[0], context) if zone else None,
        str(catch_up.children[0]) if catch_up else "all",
        body if body is not None else build_block(first(tree, "block"), context),
    )


def _day(parts: list[Any]) -> str:
    """`last` of `last day`, a number's text, or a day of the year such as 03-31."""
    words = [str(part) for part in parts]
    return words[0] if words[1:] in ([], ["day"]) else " ".join(words)


# --- Values ------------------------------------------------------------------------------------


def build_fn(tree: Any, context: Context) -> ast.Fn:
    """A function, of one expression or of statements."""
    name, parameters, *rest = tree.children
    returns: ast.TypeExpr | None = None
    value: ast.Expr | None = None
    body: tuple[ast.Stmt, ...] = ()
    for part in rest:
        match part.data:
            case "returns":
                returns = build_type(part.children[0], context)
            case "block":
                body = build_block(part, context)
            case _:
                value = build_expr(part, context)
    return ast.Fn(
        context.of(tree),
        context.doc,
        *named(context, name),
        _params(parameters, context),
        returns,
        value,
        body,
    )


def _params(tree: Any, context: Context) -> tuple[ast.Param, ...]:
    if tree is None:
        return ()
    params: list[ast.Param] = []
    for part in trees(tree, "param"):
        name, type_, *default = part.children
        value = build_expr(default[0].children[0], context) if default else None
        params.append(ast.Param(context.of(part), str(name), build_type(type_, context), value))
    return tuple(params)


def build_const(tree: Any, context: Context) -> ast.Const:
    """A constant."""
    name, value = tree.children
    return ast.Const(
        context.of(tree), context.doc, *named(context, name), build_expr(value, context)
    )


def build_metric(tree: Any, context: Context) -> ast.Metric:
    """A metric: computed from time to time, or recorded by handlers."""
    type_, value, every = (first(tree, n) for n in ("metric_type", "default", "metric_every"))
    often: ast.Expr | str | None = None
    if every is not None:
        token = every.children[0]
        if token.type != "NAME":
            often = build_literal(token, context)
        elif str(token) in _SINGULAR:
            often = _SINGULAR[str(token)]
        else:
            often = context.one_of(token, RHYTHMS, "a metric is computed every")
    return ast.Metric(
        context.of(tree),
        context.doc,
        *named(context, tree.children[0]),
        build_type(type_.children[0], context) if type_ else None,
        build_expr(value.children[0], context) if value else None,
        often,
    )


def build_template(tree: Any, context: Context) -> ast.Template:
    """A template: its texts are Jinja2's, not ours."""
    name = tree.children[0]
    parts: list[tuple[str, str, Span]] = []
    for part in trees(tree, "template_part"):
        word, text = part.children
        part_name = context.one_of(word, TEMPLATE_PARTS, "a template has")
        parts.append((part_name, template_text(text), context.of(text)))
    title = plain_text(name, context) if name.type == "TEXT" else str(name)
    return ast.Template(context.of(tree), context.doc, title, context.of(name), tuple(parts))


# --- The outside -------------------------------------------------------------------------------


def build_api(tree: Any, context: Context) -> ast.Api:
    """An api that callers with a token may use."""
    method, path, *_ = tree.children
    caller, can = first(tree, "api_for"), first(tree, "api_can")
    return ast.Api(
        context.of(tree),
        context.doc,
        str(method),
        plain_text(path, context),
        _params(first(tree, "params"), context),
        str(caller.children[0]) if caller else None,
        _permissions(can, context) if can else (),
        build_block(first(tree, "block"), context),
    )


def build_role(tree: Any, context: Context) -> ast.Role:
    """A role and what it can do."""
    return ast.Role(
        context.of(tree),
        context.doc,
        *named(context, tree.children[0]),
        _permissions(tree, context),
    )


def _permissions(tree: Any, context: Context) -> tuple[str, ...]:
    found: list[str] = []
    for part in trees(tree, "permission"):
        head = part.children[0]
        found.append(plain_text(head, context) if head.type == "TEXT" else dotted(part))
    return tuple(found)


def build_experiment(tree: Any, context: Context) -> ast.Experiment:
    """An experiment: what decides, and its variants."""
    name, by, *variants = tree.children
    start, end = bounds(by)
    return ast.Experiment(
        context.of(tree),
        context.doc,
        *named(context, name),
        context.text[start:end],
        tuple(_variant(part, context) for part in variants if is_tree(part, "variant")),
    )


def _variant(tree: Any, context: Context) -> ast.Variant:
    name, value = tree.children
    return ast.Variant(context.of(tree), str(name), build_expr(value, context))


def build_connect(tree: Any, context: Context) -> ast.Connect:
    """A connection to a provider or any HTTP service."""
    name, data = tree.children
    return ast.Connect(
        context.of(tree), context.doc, *named(context, name), build_map(data, context)
    )


def build_directory(tree: Any, context: Context) -> ast.Directory:
    """What a company directory keeps here."""
    return _for_entity(ast.Directory, tree, context)


def build_sign_in(tree: Any, context: Context) -> ast.SignIn:
    """A way for people to sign in."""
    return _for_entity(ast.SignIn, tree, context)


def _for_entity(kind: type[E], tree: Any, context: Context) -> E:
    name, entity, data = tree.children
    return kind(
        context.of(tree), context.doc, *named(context, name), *named(context, entity),
        build_map(data, context),
    )  # fmt: skip


def build_test(tree: Any, context: Context) -> ast.Test:
    """A test beside the rules."""
    title, body = tree.children
    return ast.Test(
        context.of(tree), context.doc, plain_text(title, context), build_block(body, context)
    )


# --- Files -------------------------------------------------------------------------------------


def build_use(tree: Any, context: Context) -> ast.Use:
    """What another file or module declares, made visible; and what of it is called otherwise."""
    what = tree.children[0]
    path, _ = used_path(what, context)
    bindings = tuple(_binding(part, context) for part in trees(tree, "binding"))
    std = is_tree(what) and path.startswith("std.")
    return ast.Use(context.of(tree), context.doc, path, std, bindings)


def used_path(part: Any, context: Context) -> tuple[str, Span]:
    """The file that `use` names: a module, or a path in quotes."""
    path = dotted(part) if is_tree(part) else plain_text(part, context)
    return path, context.of(part)


def _binding(tree: Any, context: Context) -> ast.Binding:
    own, *given = tree.children
    theirs = named(context, given[0]) if given else (None, None)
    return ast.Binding(context.of(tree), *named(context, own), *theirs)


def build_business(tree: Any, context: Context) -> ast.Business:
    """The business and its settings."""
    titles = tokens(tree, "TEXT")
    return ast.Business(
        context.of(tree),
        context.doc,
        plain_text(titles[0], context) if titles else "",
        tuple(_setting(part, context) for part in trees(tree, "setting")),
    )


def _setting(tree: Any, context: Context) -> ast.Setting:
    key, *parts = tree.children
    value = build_expr(parts[0], context) if len(parts) == 1 else None
    words = context.text[key.end_pos : bounds(tree)[1]].split()
    return ast.Setting(context.of(tree), str(key), tuple(words), value)
