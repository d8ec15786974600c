"""Calls: the spec's own functions, the built-in ones, and `Entity(key)`."""

from __future__ import annotations

from ...diagnostics import Span
from .. import ast
from ..builtins import BUILTINS, ENTITY, LIST, MAP, TEMPLATE, Builtin, Parameter
from ..foreign import FUNCTIONS
from ..symbols import Ref
from ..types import (
    ANY,
    DURATION,
    NONE,
    NUMBER,
    PERCENT,
    TEXT,
    EntityType,
    ListOf,
    MapOf,
    Maybe,
    Prim,
    Record,
    Type,
    known,
    type_text,
)
from ..walk import walk
from . import expressions, values
from .comparisons import ORDERED
from .context import Checker, check_template, listed, nearest
from .fit import begins, fits, join, untyped
from .meters import figure_type
from .operands import carry_both, plain, source_text
from .previews import check_preview
from .rights import check_feature
from .scope import Scope

SIZE_UNITS = ("KB", "MB", "GB", "TB", "PB")
SPANS = ("days", "months")
OF_ROWS = ("count", "sum", "avg", "min", "max")
SUMMED = ("number", "money", "duration", "size", "percent")


def refers(c: Checker, name: str, span: Span) -> None:
    """Remembers that the function or constant being typed uses another."""
    if c.typing:
        c.calls.setdefault(c.typing[-1], {}).setdefault(name, span)


def infer_call(c: Checker, node: ast.Call, scope: Scope) -> Type:
    """The type that a call gives."""
    if not isinstance(node.callee, ast.Name):
        return _dotted(c, node, scope)
    name = node.callee.name
    if name in c.symbols.entities:
        return _entity(c, node, name, scope)
    called = c.symbols.fn_called(node.callee)
    if called is not None:
        return _fn(c, node, called, scope)
    if name in BUILTINS:
        c.checked.names[node.callee] = Ref("builtin", name)
        return _builtin(c, node, BUILTINS[name], scope)
    _arguments(c, node, scope)
    _unknown(c, node.callee, name)
    return ANY


def _unknown(c: Checker, callee: ast.Name, name: str) -> None:
    if name in c.signatures:
        c.report.add(
            "E0213",
            callee.span,
            f"`{name}` is an action and gives no value inside an expression",
            f"write it as a statement: `{name} {{ … }}` or `let x = {name} {{ … }}`",
        )
        return
    known_names = [*c.symbols.fns, *BUILTINS, *c.symbols.entities]
    message = f"There is no function `{name}`"
    if name in FUNCTIONS and nearest(name, c.symbols.fns)[0] is None:
        c.report.add("E0202", callee.span, message, FUNCTIONS[name])
        return
    c.unknown("E0202", callee.span, message, name, known_names)


def _dotted(c: Checker, node: ast.Call, scope: Scope) -> Type:
    match node.callee:
        case ast.Field(base=ast.Name(name=entity), name=name) if (
            entity in c.symbols.entities and name in OF_ROWS
        ):
            text = f"There is no function `{entity}.{name}`"
            field = "" if name == "count" else ".field"
            shown = f"{name}({entity}{field} where …)"
            c.report.add("E0202", node.callee.name_span, text, f"write `{shown}`")
            return ANY
    _arguments(c, node, scope)
    if isinstance(node.callee, ast.Field):
        name = node.callee.name
        help_ = None
        shown = source_text(c, node.callee)
        root = node.callee.base.name if isinstance(node.callee.base, ast.Name) else ""
        if name in BUILTINS or name in c.symbols.fns:
            help_ = f"write `{name}(x)`: a function stands before what it takes"
        elif name in FUNCTIONS:
            help_ = FUNCTIONS[name]
        elif nearest(name, BUILTINS)[0] is not None:
            help_ = f"did you mean the function `{nearest(name, BUILTINS)[0]}(x)`?"
        if root in c.symbols.connections:
            help_ = f'write `{shown} "/path" {{ … }}`'
        shown = shown if root and scope.find(root) is None else f".{name}"
        c.report.add("E0202", node.callee.name_span, f"There is no function `{shown}`", help_)
    elif not isinstance(node.callee, ast.Bad):
        c.report.add("E0202", node.callee.span, "Only functions can be called")
    return ANY


def _arguments(c: Checker, node: ast.Call, scope: Scope) -> None:
    """Types what a call is given that there is not, or not so; a condition that was meant for its
    `where` is no second mistake."""
    for arg in node.args:
        rows = any(isinstance(part, ast.RowField) for part in walk(arg))
        if not rows or scope.row_type() is not None:
            expressions.infer(c, arg, scope)


def _entity(c: Checker, node: ast.Call, name: str, scope: Scope) -> Type:
    c.checked.names[node.callee] = Ref("entity", name)
    row = Maybe(EntityType(name))
    if _count(c, node, name, 1, 1, f"{name}(key)"):
        info = c.symbols.entities[name]
        key = info.fields[info.key].type if info.key in info.fields else TEXT
        arg = node.args[0]
        type_ = expressions.infer(c, arg, scope, key)
        if not (fits(known(type_), row.inner) or fits(known(type_), key)):
            values.fit_value(c, arg, type_, key, f"The key of {name}", scope)
    return row


def _count(c: Checker, node: ast.Call, name: str, least: int, most: int | None, usage: str) -> bool:
    given = len(node.args)
    if least <= given and (most is None or given <= most):
        return True
    takes = str(least) if least == most else f"{least} to {most}" if most else f"at least {least}"
    many = "" if takes == "1" else "s"
    c.report.add(
        "E0314",
        node.span,
        f"`{name}` takes {takes} value{many}, not {given}",
        f"write `{usage}`",
    )
    return False


# --- the spec's own functions -------------------------------------------------------------------


def _fn(c: Checker, node: ast.Call, fn: ast.Fn, scope: Scope) -> Type:
    c.checked.names[node.callee] = Ref("fn", fn.name)
    refers(c, f"fn {fn.name}", node.callee.span)
    params, result = fn_type(c, fn)
    least = sum(1 for p in fn.params if p.default is None)
    usage = f"{fn.name}({', '.join(p.name for p in fn.params)})"
    right = _count(c, node, fn.name, least, len(params), usage)
    for i, arg in enumerate(node.args):
        if right:
            what = f"`{fn.params[i].name}` of `{fn.name}`"
            values.expect(c, arg, scope, params[i], what, may_be_none=True)
        else:
            expressions.infer(c, arg, scope)
    return result


def fn_type(c: Checker, fn: ast.Fn) -> tuple[tuple[Type, ...], Type]:
    """A function's types; one that doesn't say what it gives is typed when first called."""
    found = c.symbols.fn_types.get(fn.name)
    if found is not None:
        return found
    from .statements import check_fn

    return check_fn(c, fn)


# --- built-in functions --------------------------------------------------------------------------


def _builtin(c: Checker, node: ast.Call, builtin: Builtin, scope: Scope) -> Type:
    if builtin.name in SPANS and len(node.args) == 1 and isinstance(node.args[0], ast.Literal):
        return _span(c, node, builtin)
    usage = builtin.usage
    if builtin.name in OF_ROWS and node.args:
        usage = f"{builtin.name}({source_text(c, node.args[0])} where …)"
    right = _count(c, node, builtin.name, builtin.least, builtin.most, usage)
    if not right and builtin.name == "count":
        return NUMBER
    if not right and len(node.args) > 1:
        _arguments(c, node, scope)
        return builtin.result if isinstance(builtin.result, Prim | ListOf) else ANY
    types: list[Type] = []
    for i, arg in enumerate(node.args):
        param = builtin.params[min(i, len(builtin.params) - 1)]
        want = param.types[0] if len(param.types) == 1 else ANY
        type_ = expressions.infer(c, arg, scope, ANY if want == ENTITY else want)
        types.append(type_)
        if right and not _argument(c, arg, type_, param, builtin, scope):
            right = False
    if builtin.name == "preview_of":
        check_preview(c, node)
    if not right or not types:
        return builtin.result if isinstance(builtin.result, Prim | ListOf) else ANY
    return _result(c, node, builtin, types, scope)


def _span(c: Checker, node: ast.Call, builtin: Builtin) -> Type:
    """`days(3)`, which other languages write for a duration."""
    size = source_text(c, node.args[0])
    c.report.add(
        "E0314",
        node.span,
        f"`{builtin.usage}` counts the {builtin.name} between two dates",
        f"a duration is written `{size} {builtin.name}`",
    )
    return DURATION


def _argument(
    c: Checker, arg: ast.Expr, type_: Type, param: Parameter, builtin: Builtin, scope: Scope
) -> bool:
    """Whether an argument fits one of the types that its parameter takes."""
    what = f"`{param.name}` of `{builtin.name}`"
    if builtin.name == "allocate" and isinstance(known(type_), ListOf):
        text = f"{what} is how many there are, not {type_text(type_)}"
        c.report.add(
            "E0315", arg.span, text, "`split(amount, list)` goes by percentages or weights"
        )
        return False
    if len(param.types) == 1 and param.types[0] not in (ENTITY, LIST, MAP, ANY):
        return values.fit_value(c, arg, type_, param.types[0], what, scope, may_be_none=True)
    value = known(type_)
    if builtin.name == "tiered" and isinstance(arg, ast.ListLiteral):
        _tiers(c, arg)
    if TEMPLATE in param.types and isinstance(arg, ast.Text):
        check_template(c, arg)
        return True
    if type_ == NONE and param.types != (ANY,):
        c.report.add("E0404", arg.span, f"{what} can't be none")
        return False
    if not any(_fits(value, wanted) for wanted in param.types):
        takes = " or ".join(_wanted_text(t) for t in param.types)
        c.report.add(
            "E0315",
            arg.span,
            f"{what} takes {takes}, not {type_text(type_)}",
            f"write `{builtin.usage}`",
        )
        return False
    if isinstance(type_, Maybe) and param.types != (ANY,):
        _none_refused(c, arg, what, scope)
    return True


def _none_refused(c: Checker, arg: ast.Expr, what: str, scope: Scope) -> None:
    if scope.lenient:
        return
    c.may_be_none(
        arg,
        "W0402",
        arg.span,
        f"This may be none, and {what} needs a value: the event would be refused",
        "check first, or give a value for none with `??`",
    )


TIER = ("up_to", "price", "flat")


def _tiers(c: Checker, node: ast.ListLiteral) -> None:
    """Reports what no tier of `tiered` has."""
    for tier in node.items:
        for entry in tier.entries if isinstance(tier, ast.MapLiteral) else ():
            if isinstance(entry, ast.Entry) and entry.name not in TIER:
                text = f"A tier has no field `{entry.name}`"
                otherwise = f"its fields are {listed(TIER)}"
                c.unknown("E0217", entry.name_span, text, entry.name, TIER, otherwise=otherwise)


def _fits(value: Type, wanted: Type) -> bool:
    if wanted == TEMPLATE:
        return False  # it is told by its name alone
    if wanted == ENTITY:
        return untyped(value) or isinstance(value, EntityType) or fits(value, TEXT)
    if wanted == MAP:
        mapped = isinstance(value, Record) and not value.name.startswith("range of")
        return untyped(value) or isinstance(value, MapOf) or mapped
    if wanted == LIST:
        ranged = isinstance(value, Record) and value.name.startswith("range of")
        return untyped(value) or isinstance(value, ListOf) or ranged
    return fits(value, wanted)


def _wanted_text(type_: Type) -> str:
    if type_ == ENTITY:
        return "an entity"
    if type_ == TEMPLATE:
        return "a template's name"
    if type_ == MAP:
        return "a map"
    return "a list or query" if type_ == LIST else type_text(type_)


def _result(c: Checker, node: ast.Call, builtin: Builtin, types: list[Type], scope: Scope) -> Type:
    match builtin.result:
        case "first":
            carry_both(c, node, node.args[0])
            return _step(c, node, builtin, types)
        case "base":
            return plain(known(types[0]))
        case "item":
            return _item(c, node, builtin, types, scope)
        case "series":
            inner = known(types[0])
            return ListOf(plain(known(inner.item))) if isinstance(inner, ListOf) else ListOf(ANY)
        case "meter":
            return _meter_type(c, node.args[1])
        case "limit":
            arg = node.args[1]
            name = arg.name if isinstance(arg, ast.Name) else getattr(arg, "plain", None)
            return c.symbols.limits.get(name or "", NUMBER)
        case "variant":
            return _variant(c, node.args[0])
        case str():
            return ANY
    if builtin.name == "date":
        _day(c, node, types)
    if builtin.name == "percent":
        _share(c, node, types)
    if builtin.name == "age":
        c.lengths[node] = "exact"
    if builtin.name == "variant_name":
        _variant(c, node.args[0])
    if builtin.name == "pdf" and isinstance(node.args[0], ast.Text):
        c.checked.sheets[node] = None
    if builtin.name == "has_feature":
        check_feature(c, node.args[1], scope)
    return builtin.result


def _day(c: Checker, node: ast.Call, types: list[Type]) -> None:
    """A date is that of one value, or of a year, a month and a day: three numbers."""
    first = known(types[0])
    if len(types) in ((1, 3) if untyped(first) else (3,) if fits(first, NUMBER) else (1,)):
        return
    c.report.add(
        "E0314",
        node.span,
        "`date` takes one instant, date or text, or a year, a month and a day",
        "write `date(now)`, `date(text)` or `date(2026, 1, 31)`",
    )


def _share(c: Checker, node: ast.Call, types: list[Type]) -> None:
    """A share is that of a number alone, or of two amounts of one kind."""
    kinds = [plain(known(type_)) for type_ in types]
    if any(untyped(type_) for type_ in kinds) or (len(kinds) == 2 and kinds[0] == kinds[1]):
        return
    if len(kinds) == 1 and kinds[0] in (NUMBER, PERCENT):
        return
    shown = " and ".join(type_text(type_) for type_ in types)
    c.report.add(
        "E0315",
        node.span,
        f"`percent` takes one number, or two amounts of one kind, not {shown}",
        "write `percent(0.25)`, or `percent(part, whole)`",
    )


def _step(c: Checker, node: ast.Call, builtin: Builtin, types: list[Type]) -> Type:
    """`round(price, 0.05 USD)`: the step is of the value's type, or a plain number of places."""
    value = plain(known(types[0]))
    if len(types) > 1:
        step = plain(known(types[1]))
        _decimals(c, node, builtin)
        if not untyped(step) and not untyped(value) and step not in (value, NUMBER):
            c.report.add(
                "E0315",
                node.args[1].span,
                f"The step of `{builtin.name}` is {type_text(value)}, not {type_text(types[1])}",
            )
    return value


def _decimals(c: Checker, node: ast.Call, builtin: Builtin) -> None:
    """`round(x, 2)`, where other languages count decimals: nobody rounds to a multiple of two."""
    step = node.args[1]
    if isinstance(step, ast.Literal) and step.type == "number" and step.value in (2, 3, 4):
        count = int(step.value)
        c.report.add(
            "W0326",
            step.span,
            f"`{builtin.name}` takes a step: this is a multiple of {count}, not {count} decimals",
            f"write `0.{'0' * (count - 1)}1` for {count} decimals",
        )


def _item(c: Checker, node: ast.Call, builtin: Builtin, types: list[Type], scope: Scope) -> Type:
    """The type of the elements of one list, or of all arguments together."""
    item: Type = ANY
    if len(types) == 1:
        match known(types[0]):
            case ListOf(inner):
                item = plain(known(inner))
            case Record(name, fields) if name.startswith("range of"):
                item = fields[0][1]
            case other if not untyped(other):
                c.report.add(
                    "E0317",
                    node.args[0].span,
                    f"`{builtin.name}` takes a list or query, not {type_text(types[0])}",
                    f"write `{builtin.name}(Invoice.total where …)`",
                )
    else:
        for arg, type_ in zip(node.args, types, strict=True):
            if isinstance(type_, Maybe):
                _none_refused(c, arg, f"`{builtin.name}`", scope)
        item = _together(c, node, builtin, types)
    _measured(c, node, builtin, item)
    return item


def _together(c: Checker, node: ast.Call, builtin: Builtin, types: list[Type]) -> Type:
    result: Type = plain(known(types[0]))
    for arg, type_ in zip(node.args[1:], types[1:], strict=True):
        joined = join(result, plain(known(type_)))
        if joined is None or isinstance(joined, ListOf):
            c.report.add(
                "E0315",
                arg.span,
                f"`{builtin.name}` compares values of one type: {type_text(result)} and "
                f"{type_text(type_)} are not",
            )
            return ANY
        result = joined
    currencies = sorted({c.currencies[arg] for arg in node.args if arg in c.currencies})
    if len(currencies) > 1:
        c.report.add(
            "E0305",
            node.span,
            f"Two currencies don't mix: {' and '.join(currencies)}",
            "give all values in one currency",
        )
        return ANY
    carry_both(c, node, *node.args)
    for arg, type_ in zip(node.args, types, strict=True):
        if begins(type_, result):
            c.checked.midnights.add(arg)
    return result


def _measured(c: Checker, node: ast.Call, builtin: Builtin, item: Type) -> None:
    """Only what has a measure can be summed, only what has an order compared."""
    if untyped(item):
        return
    if builtin.name in ("sum", "avg"):
        right = isinstance(item, Prim) and item.name in SUMMED
    else:
        right = item in ORDERED
    if right:
        return
    help_ = None
    if isinstance(item, EntityType):
        help_ = f"name the field: `{builtin.name}({item.name}.field where …)`"
    c.report.add("E0320", node.span, f"`{builtin.name}` can't be taken of {type_text(item)}", help_)


def _meter_type(c: Checker, arg: ast.Expr) -> Type:
    """What a meter counts: bytes, money, or plain numbers."""
    name = arg.name if isinstance(arg, ast.Name) else getattr(arg, "plain", None)
    meter = c.symbols.meters.get(name or "")
    return figure_type(c.symbols, meter) if meter is not None else NUMBER


def _variant(c: Checker, arg: ast.Expr) -> Type:
    name = arg.name if isinstance(arg, ast.Name) else getattr(arg, "plain", None)
    experiment = c.symbols.experiments.get(name or "")
    if experiment is None:
        if name and not (isinstance(arg, ast.Name) and arg not in c.checked.names):
            c.unknown(
                "E0227", arg.span, f"There is no experiment `{name}`", name, c.symbols.experiments
            )
        return ANY
    result: Type | None = None
    for variant in experiment.variants:
        type_ = expressions.infer(c, variant.value, Scope("value"))
        result = type_ if result is None else join(result, type_) or ANY
    return result or ANY
