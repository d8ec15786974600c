"""Expressions of the checked tree become expressions of the IR: names resolved, types used up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..lang import ast
from ..lang.symbols import Checked
from ..lang.types import (
    AnyType,
    EntityType,
    ListOf,
    MapOf,
    Maybe,
    Prim,
    Record,
    Type,
    known,
)
from ..lang.walk import walk
from ..values import UNLIMITED, Money
from . import nodes as ir
from .lower_ages import anchored
from .lower_collections import collection
from .lower_texts import as_text, printed_as
from .variables import free_names

AGGREGATES = ("count", "sum", "avg", "min", "max")
_NUMERIC = ("number", "integer", "size")
_ORDERS = ("<", "<=", ">", ">=")
_CALENDAR = ("time", "date")
# What is asked for by its name where a parameter is one of them.
_DECLARED = ("plan", "addon", "coupon", "meter", "limit")
# Columns on which a store's own comparison is exact.
_ORDERED = ("time", "date", "integer", "number", "size")


@dataclass(slots=True)
class Scope:
    """What names mean here: locals by name, and the row that a leading dot reads."""

    names: Mapping[str, ir.Expr] = field(default_factory=dict)
    row: tuple[ir.Expr, Type] | None = None

    def bind(self, *names: str) -> Scope:
        """The same scope with these locals."""
        return Scope({**self.names, **{name: ir.Local(name) for name in names}}, self.row)

    def on_row(self, base: ir.Expr, type_: Type) -> Scope:
        """The same scope with another row for `.field`."""
        return Scope(self.names, (base, type_))


class ExpressionLowering:
    """Lowers expressions of one checked spec; holds only a counter for row names."""

    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.symbols = checked.symbols
        self.in_metric = False
        # The fields that queries compare with a value, by entity: each set is worth an index.
        self.compared: dict[str, dict[tuple[str, ...], None]] = {}
        self._rows = 0

    def fresh(self, kind: str = "_row") -> str:
        """A name for a row that no author can write."""
        self._rows += 1
        return f"{kind}{self._rows}"

    def type(self, node: ast.Expr) -> Type:
        """The checked type of an expression, none aside."""
        return known(self.checked.type_of(node))

    def lower(self, node: ast.Expr, scope: Scope) -> ir.Expr:
        """The IR of an expression in a scope; a date where an instant is wanted is its midnight."""
        value = self._lower(node, scope)
        return ir.Builtin("midnight", (value,)) if node in self.checked.midnights else value

    def _lower(self, node: ast.Expr, scope: Scope) -> ir.Expr:
        match node:
            case ast.Literal(type=kind, value=value):
                return ir.Const(UNLIMITED if kind == "unlimited" else value)
            case ast.Text():
                return self._text(node, scope)
            case ast.Name():
                return self._name(node, scope)
            case ast.RowField(name=name):
                assert scope.row, node
                base, type_ = scope.row
                return self._get(base, type_, name, False)
            case ast.Field():
                return self._field(node, scope)
            case ast.Index(base=base, index=index):
                return ir.Item(self.lower(base, scope), self.lower(index, scope))
            case ast.Call():
                return self._call(node, scope)
            case ast.ListLiteral(items=items):
                return ir.ListExpr(tuple(self.lower(item, scope) for item in items))
            case ast.MapLiteral():
                return self.map(node, scope)
            case ast.Unary(op=op, operand=operand):
                return ir.UnaryExpr(op, self.lower(operand, scope))
            case ast.Binary():
                return self._binary(node, scope)
            case ast.IfExpr(condition=condition, then=then, otherwise=otherwise):
                return ir.IfElse(
                    self.lower(condition, scope),
                    self.lower(then, scope),
                    self.lower(otherwise, scope),
                )
            case ast.MatchExpr():
                return self._match(node, scope)
            case ast.Query() | ast.First() | ast.Group():
                return self._rows_of(node, scope)
            case ast.Comprehension(variable=variable, source=source, value=value):
                return ir.ListFor(
                    variable,
                    self.lower(source, scope),
                    self.lower(value, scope.bind(variable)),
                )
            case ast.Boundary(edge=edge, unit=unit):
                return ir.Edge(edge, unit)
        raise AssertionError(node)

    # --- names and fields ----------------------------------------------------------------------

    def _text(self, node: ast.Text, scope: Scope) -> ir.Expr:
        if node.plain is not None:
            return ir.Const(node.plain)
        return ir.TextExpr(
            tuple(
                part
                if isinstance(part, str)
                else ir.Piece(
                    self.lower(part.value, scope),
                    part.format,
                    printed_as(self.type(part.value)),
                )
                for part in node.parts
            )
        )

    def _name(self, node: ast.Name, scope: Scope) -> ir.Expr:
        ref = self.checked.names.get(node)
        kind = ref.kind if ref else None
        # `limit(team, seats)` asks for the limit, also where a `seats` of the handler is a number.
        if kind in _DECLARED:
            return ir.Const(node.name)
        if node.name in scope.names:
            return scope.names[node.name]
        match kind:
            case "const":
                return ir.Global(node.name)
            case "builtin":
                return ir.Special("caller" if node.name == "customer" else node.name)
            case "entity":
                return ir.Query(node.name, None, self.fresh())
            case "metric":
                return self.metric(node.name)
            case "local" | "param":
                return ir.Local(node.name)
        return ir.Const(node.name)

    def metric(self, name: str) -> ir.Expr:
        """A computed metric's figure now; of one that another reads, and of one that handlers
        record, the newest point."""
        value = self.symbols.metrics[name].value
        if value is None or self.in_metric:
            return ir.Builtin("recorded", (ir.Const(name),))
        self.in_metric = True
        lowered = self.lower(value, Scope())
        self.in_metric = False
        return lowered

    def _field(self, node: ast.Field, scope: Scope) -> ir.Expr:
        if entity := self._entity_name(node.base, scope):
            return self._query(entity, None, node.name, None, scope)
        base = self.lower(node.base, scope)
        return self._get(base, self.checked.type_of(node.base), node.name, node.optional)

    def _get(self, base: ir.Expr, type_: Type, name: str, optional: bool) -> ir.Expr:
        match known(type_):
            case EntityType(entity) if held := self.symbols.collection(entity, name):
                key = self.symbols.entities[entity].key
                owner = ir.Get(base, key) if _is_row(base) else ir.EntityGet(entity, base, key)
                return collection(held, owner, base, optional)
            case EntityType(entity) if not _is_row(base):
                return ir.EntityGet(entity, base, name, optional)
            case Prim("plan"):
                return ir.PlanGet(base, name, optional)
            case Prim("date" | "time"):
                return ir.Builtin("part", (base, ir.Const(name)))
            case Record(open=loose) as record:
                return ir.Get(base, name, optional, loose or record.field(name) is None)
            case AnyType() | MapOf() | Prim("json"):
                return ir.Get(base, name, optional, True)
        return ir.Get(base, name, optional)

    def _entity_name(self, node: ast.Expr, scope: Scope) -> str | None:
        if isinstance(node, ast.Name) and node.name not in scope.names:
            ref = self.checked.names.get(node)
            if ref and ref.kind == "entity":
                return node.name
        return None

    # --- calls ---------------------------------------------------------------------------------

    def _call(self, node: ast.Call, scope: Scope) -> ir.Expr:
        name = dotted(node.callee)
        named = node.callee if isinstance(node.callee, ast.Name) else None
        own = named is not None and self.symbols.fn_called(named) is not None
        summed = name in AGGREGATES and len(node.args) == 1 and not own
        if summed and (lowered := self._aggregate(name, node.args[0], scope)):
            return lowered
        if own:
            return ir.CallFn(name, tuple(self.lower(arg, scope) for arg in node.args))
        if name in self.symbols.entities:
            return ir.Find(name, self.lower(node.args[0], scope))
        if name == "pdf" and node.args and isinstance(node.args[0], ast.Text):
            return self._sheet(node, scope)
        args = tuple(self.lower(arg, scope) for arg in node.args)
        if name in ("limit", "has_feature") and _prim(self.type(node.args[0])) == "plan":
            return ir.Builtin(f"{name}_of_plan", args)
        if name in ("text", "join") and args:
            return as_text(name, args, self.type(node.args[0]))
        if name in ("age", "pdf") and args:
            entity = self.type(node.args[0])
            if name == "age" and isinstance(entity, EntityType):
                args = (ir.EntityGet(entity.name, args[0], "created_at"),)
            elif name == "pdf":
                known = entity.name if isinstance(entity, EntityType) else None
                args = (ir.Const(known), args[0])
        return ir.Builtin(name, args)

    def _sheet(self, node: ast.Call, scope: Scope) -> ir.Expr:
        """`pdf("proposal", { quote })`: a template, and what it is filled with."""
        data = tuple(self._snapshot_value(arg, scope) for arg in node.args[1:])
        return ir.Builtin("sheet", (self.lower(node.args[0], scope), *data))

    def _aggregate(self, op: str, arg: ast.Expr, scope: Scope) -> ir.Expr | None:
        type_ = self.type(arg)
        if not isinstance(type_, ListOf):
            if op != "count" or not isinstance(type_, AnyType):
                return None
            query = ir.Query(None, self.lower(arg, scope), self.fresh())
            return ir.Aggregate(op, query, ir.Const(0))
        lowered = self.lower(arg, scope)
        if not isinstance(lowered, ir.Query):
            lowered = ir.Query(None, lowered, self.fresh())
        return ir.Aggregate(op, lowered, ir.Const(self._zero(type_.item)))

    def _zero(self, item: Type) -> object:
        match known(item):
            case Prim("money"):
                return Money(0, self.symbols.currency)
            case Prim("duration"):
                from ..values import Duration

                return Duration()
        return 0

    # --- operators -----------------------------------------------------------------------------

    def _binary(self, node: ast.Binary, scope: Scope) -> ir.Expr:
        op = {"reaches": ">=", "drops below": "<"}.get(node.op, node.op)
        left, right = self.lower(node.left, scope), self.lower(node.right, scope)
        durations = _prim(self.type(node.left)) == _prim(self.type(node.right)) == "duration"
        if durations and op in _ORDERS:
            left, right = anchored(left, right)
        made = ir.BinaryExpr(op, left, right, self._mode(op, node.left, node.right))
        if node.op == "reaches" and _limits(right):
            # Who may use nothing, for want of a plan, has not reached it either.
            some = ir.BinaryExpr(">", right, ir.Const(0), "any")
            return ir.BinaryExpr("and", made, some, "native")
        return made

    def _mode(self, op: str, left: ast.Expr, right: ast.Expr) -> str:
        a, b = self.type(left), self.type(right)
        if op in ("and", "or", "??", "..", "can"):
            return "native"
        if isinstance(a, AnyType) or isinstance(b, AnyType) or Prim("json") in (a, b):
            return "any"
        names = (_prim(a), _prim(b))
        if op in ("+", "-") and any(name in _CALENDAR for name in names):
            return "time"
        if op in ("*", "/") and all(name in _NUMERIC for name in names):
            return "number"
        if op in ("<", "<=", ">", ">=") and names[0] != names[1]:
            both = all(name in _NUMERIC or name == "unlimited" for name in names)
            return "native" if both else "any"
        return "native"

    def _match(self, node: ast.MatchExpr, scope: Scope) -> ir.Expr:
        return ir.MatchValue(
            self.lower(node.subject, scope),
            tuple(
                (
                    tuple(self.lower(pattern, scope) for pattern in arm.patterns),
                    self.lower(arm.value, scope),
                )
                for arm in node.arms
            ),
            self.lower(node.otherwise, scope) if node.otherwise is not None else None,
        )

    # --- maps ----------------------------------------------------------------------------------

    def map(
        self, node: ast.MapLiteral | None, scope: Scope, fits: frozenset[str] | None = None
    ) -> ir.MapExpr:
        """A map; of what is spread only the names that fit, where that is known."""
        entries: list[ir.Pair | ir.SpreadExpr] = list(self._left_out(node) if node else ())
        for entry in node.entries if node else ():
            if isinstance(entry, ast.Entry):
                entries.append(ir.Pair(entry.name, self.lower(entry.value, scope)))
            else:
                entries.append(self._spread(entry, scope, fits))
        return ir.MapExpr(tuple(entries))

    def _left_out(self, node: ast.MapLiteral) -> Iterator[ir.Pair]:
        """The fields of a shape that a map leaves out, or may: what is written goes over them."""
        shape = self.checked.shapes.get(node)
        given = {entry.name for entry in node.entries if isinstance(entry, ast.Entry)}
        for name, default in self.symbols.shape_defaults.get(shape or "", {}).items():
            if name not in given:
                value = ir.Const(None) if default is None else self.lower(default, Scope())
                yield ir.Pair(name, value)

    def _spread(self, node: ast.Spread, scope: Scope, fits: frozenset[str] | None) -> ir.SpreadExpr:
        type_ = self.type(node.value)
        value = self.lower(node.value, scope)
        names = tuple(sorted(fits)) if fits is not None else None
        match type_:
            case Record(fields=fields, open=False) if names is not None:
                there = {key for key, _ in fields}
                names = tuple(name for name in names if name in there)
            case EntityType(entity):
                fields_ = self.symbols.entities[entity].fields
                if names is not None:
                    skip = {self.symbols.entities[entity].key, "created_at", "updated_at"}
                    names = tuple(n for n in names if n in fields_ and n not in skip)
                return ir.SpreadExpr(value, names, entity)
        return ir.SpreadExpr(value, names)

    def snapshot(self, node: ast.MapLiteral, scope: Scope) -> ir.Expr:
        """A map for a template or a receiver outside: references become their rows."""
        entries: list[ir.Pair | ir.SpreadExpr] = []
        for entry in node.entries:
            if isinstance(entry, ast.Spread):
                entries.append(self._spread(entry, scope, None))
                continue
            entries.append(ir.Pair(entry.name, self._snapshot_value(entry.value, scope)))
        return ir.MapExpr(tuple(entries))

    def _snapshot_value(self, node: ast.Expr, scope: Scope) -> ir.Expr:
        if isinstance(node, ast.MapLiteral):
            return self.snapshot(node, scope)
        value = self.lower(node, scope)
        match self.type(node):
            case EntityType(entity):
                return ir.Builtin("snapshot", (ir.Const(entity), value))
            case ListOf(Maybe(EntityType(entity)) | EntityType(entity)):
                return ir.Builtin("snapshots", (ir.Const(entity), value))
        return value

    # --- queries -------------------------------------------------------------------------------

    def _rows_of(self, node: ast.Query | ast.First | ast.Group, scope: Scope) -> ir.Expr:
        match node:
            case ast.First(query=query):
                lowered = self.lower(query, scope)
                if not isinstance(lowered, ir.Query):
                    lowered = ir.Query(None, lowered, self.fresh())
                return ir.FirstOf(lowered)
            case ast.Query(source=source):
                entity, select, inner = self._source(source, scope)
                return self._query(entity, inner, select, node, scope)
            case ast.Group():
                return self._group(node, scope)

    def _source(
        self, source: ast.Expr, scope: Scope
    ) -> tuple[str | None, str | None, ir.Expr | None]:
        """Entity, selected field and list of what a query runs over."""
        if entity := self._entity_name(source, scope):
            return entity, None, None
        if isinstance(source, ast.Field) and (entity := self._entity_name(source.base, scope)):
            return entity, source.name, None
        lowered = self.lower(source, scope)
        type_ = self.type(source)
        if isinstance(type_, ListOf) and isinstance(type_.item, EntityType):
            return type_.item.name, None, lowered
        return None, None, lowered

    def _row_type(self, node: ast.Node, entity: str | None, source: ast.Expr | None) -> Type:
        if entity:
            return EntityType(entity)
        if node in self.checked.row_types:
            return self.checked.row_types[node]
        type_ = self.type(source) if source is not None else AnyType()
        return type_.item if isinstance(type_, ListOf) else AnyType()

    def _query(
        self,
        entity: str | None,
        source: ir.Expr | None,
        select: str | None,
        node: ast.Query | None,
        scope: Scope,
    ) -> ir.Query:
        of_node = self._row_type(node, entity, node.source) if node is not None else AnyType()
        # Of references that may be none an item is the reference, not its row.
        var = self.fresh("_row" if entity or not isinstance(known(of_node), EntityType) else "_ref")
        row = ir.Local(var)
        picked = ir.Get(row, select) if select else None
        if node is None:
            return ir.Query(entity, source, var, select=picked)
        inner = scope.on_row(row, of_node)
        if name := self.checked.row_names.get(node):
            value = picked or (self._key(row, entity) if entity else row)
            inner = Scope({**inner.names, name: value}, inner.row)
        store = entity is not None and source is None
        equals, ranges, rest = self._conditions(node.where, entity if store else None, inner)
        if entity is not None and equals:
            names = tuple(sorted(name for name, _ in equals))
            self.compared.setdefault(entity, {})[names] = None
        order = tuple((self.lower(key.value, inner), key.descending) for key in node.order)
        limit = self.lower(node.limit, scope) if node.limit is not None else None
        return ir.Query(entity, source, var, equals, ranges, rest, order, limit, picked)

    def _key(self, row: ir.Expr, entity: str) -> ir.Expr:
        """A row as the reference that it is elsewhere."""
        return ir.Get(row, self.symbols.entities[entity].key)

    def _conditions(
        self, where: ast.Expr | None, entity: str | None, scope: Scope
    ) -> tuple[
        tuple[tuple[str, ir.Expr], ...], tuple[tuple[str, str, ir.Expr], ...], ir.Expr | None
    ]:
        """Splits a condition into what the store answers and the rest."""
        equals: dict[str, ir.Expr] = {}
        ranges: list[tuple[str, str, ir.Expr]] = []
        rest: ir.Expr | None = None
        for part in conjuncts(where):
            if entity and self._take(part, entity, equals, ranges, scope):
                continue
            lowered = self.lower(part, scope)
            rest = lowered if rest is None else ir.BinaryExpr("and", rest, lowered)
        return tuple(equals.items()), tuple(ranges), rest

    def _names_row(self, node: ast.Expr, scope: Scope) -> bool:
        """Whether a value reads the row by its name in the list around the query."""
        row = scope.row[0] if scope.row else None
        assert isinstance(row, ir.Local)
        named = (scope.names.get(n.name) for n in walk(node) if isinstance(n, ast.Name))
        return any(row.name in free_names(value) for value in named)

    def _take(
        self,
        part: ast.Expr,
        entity: str,
        equals: dict[str, ir.Expr],
        ranges: list[tuple[str, str, ir.Expr]],
        scope: Scope,
    ) -> bool:
        if not isinstance(part, ast.Binary) or not isinstance(part.left, ast.RowField):
            return False
        name, value = part.left.name, part.right
        info = self.symbols.entities[entity].fields.get(name)
        if info is None or reads_row(value) or self._names_row(value, scope):
            return False
        column, given = known(info.type), self.type(value)
        if part.op == "==" and name not in equals and _same_column(column, given):
            equals[name] = self.lower(value, scope)
            return True
        if _prim(column) not in _ORDERED or isinstance(self.checked.type_of(value), Maybe):
            return False
        if part.op in ("<", "<=", ">", ">=") and _comparable(column, given):
            ranges.append((name, part.op, self.lower(value, scope)))
            return True
        if part.op == "in" and isinstance(value, ast.Binary) and value.op == "..":
            ends = (value.left, value.right)
            if all(_comparable(column, self.type(end)) for end in ends):
                ranges.append((name, ">=", self.lower(value.left, scope)))
                last = self.lower(value.right, scope)
                if (_prim(column), _prim(self.type(value.right))) == ("time", "date"):
                    last = ir.Builtin("day_end", (last,))
                ranges.append((name, "<=", last))
                return True
        return False

    def _group(self, node: ast.Group, scope: Scope) -> ir.Expr:
        entity, _, source = self._source(node.source, scope)
        plain = ast.Query(node.span, node.source, node.where, (), None)
        if node in self.checked.row_types:
            self.checked.row_types[plain] = self.checked.row_types[node]
        query = self._query(entity, source, None, plain, scope)
        row_type = self._row_type(node, entity, node.source)
        inner = scope.on_row(ir.Local(query.var), row_type)
        value = self.lower(node.field, inner) if node.field else None
        order_var = self.fresh()
        grouped = scope.on_row(ir.Local(order_var), Record("group", (), True))
        return ir.GroupBy(
            query,
            tuple((key.name, self.lower(key, inner)) for key in node.by),
            node.aggregate,
            node.field.name if node.field else None,
            value,
            ir.Const(self._zero(self.type(node.field)) if node.field else 0),
            order_var,
            tuple((self.lower(key.value, grouped), key.descending) for key in node.order),
            self.lower(node.limit, scope) if node.limit is not None else None,
        )


def dotted(node: ast.Expr) -> str:
    """The text of a callee: `a` or `a.b.c`."""
    match node:
        case ast.Name(name=name):
            return name
        case ast.Field(base=base, name=name):
            return f"{dotted(base)}.{name}"
    return ""


def conjuncts(where: ast.Expr | None) -> list[ast.Expr]:
    """The parts of a condition that `and` joins."""
    if where is None:
        return []
    if isinstance(where, ast.Binary) and where.op == "and":
        return conjuncts(where.left) + conjuncts(where.right)
    return [where]


def reads_row(node: object) -> bool:
    """Whether an expression reads the row of the query that it stands in."""
    match node:
        case ast.RowField():
            return True
        case ast.Query() | ast.Group():
            return False
        case ast.First(query=query):
            return reads_row(query)
        case ast.Node():
            return any(reads_row(getattr(node, name)) for name in node.__struct_fields__)
        case tuple():
            return any(reads_row(item) for item in node)
    return False


def _limits(node: object) -> bool:
    """Whether an expression asks for a limit."""
    match node:
        case ir.Builtin(name="limit"):
            return True
        case ir.BinaryExpr(left=left, right=right):
            return _limits(left) or _limits(right)
    return False


def _is_row(base: ir.Expr) -> bool:
    return isinstance(base, ir.Local) and base.name.startswith("_row")


def _prim(type_: Type) -> str | None:
    return type_.name if isinstance(type_, Prim) else None


_TEXTS = ("text", "plan", "coupon")


def _same_column(column: Type, given: Type) -> bool:
    """Whether equality in a store means equality in the language for these types."""
    if isinstance(column, ListOf | MapOf | Record | AnyType):
        return False
    if isinstance(given, AnyType):
        return False
    texts = [_is_text(column), _is_text(given)]
    if all(texts) or given == Prim("none"):
        return True
    numbers = ("number", "integer", "size")
    a, b = _prim(column), _prim(given)
    return (a == b and a in ("bool", "time", "date")) or (a in numbers and b in numbers)


def _is_text(type_: Type) -> bool:
    match type_:
        case Prim(name):
            return name in _TEXTS
        case EntityType():
            return True
    return type(type_).__name__ == "Choice"


def _comparable(column: Type, given: Type) -> bool:
    a, b = _prim(column), _prim(given)
    return a == b or (a in _NUMERIC and b in _NUMERIC)
