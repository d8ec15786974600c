"""Handlers of the checked tree become segments: straight code, cut where it waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..diagnostics import Span
from ..lang import ast
from ..lang.symbols import Checked
from ..lang.types import EntityType, ListOf, Type, known
from . import nodes as ir
from .lower_expr import ExpressionLowering, Scope, conjuncts
from .variables import free_names, live_names

EVENT = "_event"


class _Lift(ast.Node, frozen=True):
    """Where `across tenants` begins (`on`) or ends, among the statements that it stands between."""

    on: bool


_Statement = ast.Stmt | _Lift
# What these fields of actions hold leaves the state: references in them become rows.
_SNAPSHOTS = ("data", "context", "input")


@dataclass(slots=True)
class _Draft:
    """A segment on its way: its steps are known before its live names."""

    steps: tuple[ir.Step, ...] = ()


class HandlerLowering(ExpressionLowering):
    """Lowers the bodies of one checked spec."""

    def __init__(self, checked: Checked) -> None:
        super().__init__(checked)
        self._drafts: list[_Draft] = []
        self._site = 0
        self._lifted = False

    # --- what stands at the top of a file --------------------------------------------------------

    def handler(
        self,
        id_: str,
        kind: str,
        body: tuple[ast.Stmt, ...],
        span: Span,
        pattern: ast.EventPattern | None = None,
        params: tuple[str, ...] = (),
    ) -> ir.Handler:
        """A handler with its segments; the first takes the payload or parameters it reads."""
        self._drafts, self._site, self._lifted = [], 0, False
        place = self.place(span)
        scope = Scope().bind(*params)
        lowered = None
        prelude: tuple[ir.Step, ...] = ()
        if pattern is not None:
            lowered, scope = self.pattern(pattern, scope)
            prelude = _fields(pattern, lowered, place)
            scope = scope.bind(*(name for name, _ in pattern.fields))
        start = self._segment()
        steps = self._block(body, scope, None, place)
        self._drafts[start].steps = (*prelude, *steps)
        return ir.Handler(id_, kind, place, self._segments(), lowered, params)

    def function(self, fn: ast.Fn) -> ir.Function:
        """A pure function."""
        self._drafts, self._site = [], 0
        params = tuple(param.name for param in fn.params)
        scope = Scope().bind(*params)
        place = self.place(fn.span)
        if fn.value is not None:
            steps: tuple[ir.Step, ...] = (
                ir.ReturnStep(self.place(fn.value.span), self.lower(fn.value, scope)),
            )
        else:
            steps = self._block(fn.body, scope, None, place)
        return ir.Function(fn.name, params, steps, place)

    def pattern(self, node: ast.EventPattern, scope: Scope) -> tuple[ir.Pattern, Scope]:
        """A pattern, and the scope behind it. In its condition the payload is `pattern.name`."""
        name = node.name or (EVENT if node.fields else None)
        types = tuple(type_ for type_, _ in node.types)
        inner = scope.bind(node.name) if node.name else scope
        fields = {key: ir.Get(ir.Local(name or EVENT), key, loose=True) for key, _ in node.fields}
        where_scope = Scope({**inner.names, **fields}, inner.row)
        if node.where is None:
            return ir.Pattern(types, name, None), inner
        match_field, match_value, rest = None, None, None
        outside = frozenset(scope.names) - {node.name}
        for part in conjuncts(node.where):
            found = self._match_key(part, node, where_scope, outside) if not match_field else None
            if found:
                match_field, match_value = found
            lowered = self.lower(part, where_scope)
            rest = lowered if rest is None else ir.BinaryExpr("and", rest, lowered)
        return ir.Pattern(types, name, rest, match_field, match_value), inner

    def _match_key(
        self,
        part: ast.Expr,
        node: ast.EventPattern,
        scope: Scope,
        outside: frozenset[str],
    ) -> tuple[str, ir.Expr] | None:
        """`e.field == value` with a value known when the wait begins finds the wait by index."""
        if not (isinstance(part, ast.Binary) and part.op == "==" and node.name):
            return None
        for side, other in ((part.left, part.right), (part.right, part.left)):
            if not (isinstance(side, ast.Field) and isinstance(side.base, ast.Name)):
                continue
            if side.base.name != node.name or not _keyed(known(self.checked.type_of(side))):
                continue
            value = self.lower(other, scope)
            if isinstance(value, ir.Local | ir.Const) and free_names(value) <= outside:
                return side.name, value
        return None

    def place(self, span: Span) -> ir.Place:
        """File, line and column of a span."""
        source = self.checked.loaded.sources.get(span.file)
        line, column = source.position(span.start) if source else (0, 0)
        return ir.Place(span.file, line, column)

    # --- segments ------------------------------------------------------------------------------

    def _segment(self) -> int:
        self._drafts.append(_Draft())
        return len(self._drafts) - 1

    def _fill(
        self,
        number: int,
        body: Sequence[_Statement],
        scope: Scope,
        then: int | None,
        place: ir.Place,
    ) -> None:
        """Lowers the steps of a segment; what is lifted here is lifted there too, not behind."""
        lifted = self._lifted
        start = (ir.AcrossStep(place, True),) if lifted else ()
        self._drafts[number].steps = (*start, *self._block(body, scope, then, place))
        self._lifted = lifted

    def _continue(
        self,
        rest: tuple[_Statement, ...],
        scope: Scope,
        then: int | None,
        place: ir.Place,
    ) -> int | None:
        """The segment of what follows a cut; none where nothing does."""
        if not rest:
            return then
        number = self._segment()
        self._fill(number, rest, scope, then, place)
        return number

    def _required(
        self, rest: tuple[_Statement, ...], scope: Scope, then: int | None, place: ir.Place
    ) -> int:
        number = self._continue(rest, scope, then, place)
        return self._segment() if number is None else number

    def _segments(self) -> tuple[ir.Segment, ...]:
        steps = [draft.steps for draft in self._drafts]
        live = live_names(steps)
        return tuple(ir.Segment(names, body) for names, body in zip(live, steps, strict=True))

    def _next_site(self) -> int:
        self._site += 1
        return self._site

    def _block(
        self, body: Sequence[_Statement], scope: Scope, then: int | None, end: ir.Place
    ) -> tuple[ir.Step, ...]:
        """The steps of a block that goes on in segment `then`, if any."""
        body = tuple(body)
        steps: list[ir.Step] = []
        for index, stmt in enumerate(body):
            rest = body[index + 1 :]
            place = self.place(stmt.span)
            match stmt:
                case ast.AcrossTenants(body=lifted) if not self._lifted:
                    inside = (_Lift(stmt.span, True), *lifted, _Lift(stmt.span, False))
                    return (*steps, *self._block((*inside, *rest), scope, then, end))
                case ast.AcrossTenants(body=lifted):
                    return (*steps, *self._block((*lifted, *rest), scope, then, end))
                case _Lift(on=on):
                    self._lifted = on
                    steps.append(ir.AcrossStep(place, on))
                case ast.Let(value=ast.Action() as action) if self._waits(action):
                    inner = scope.bind(stmt.name)
                    following = self._required(rest, inner, then, place)
                    target, data = self._action(action, scope)
                    steps.append(
                        ir.AwaitAction(
                            place, action.name, target, data, stmt.name, following,
                            self._next_site(),
                        )
                    )  # fmt: skip
                    return tuple(steps)
                case ast.WaitFor():
                    steps.append(self._wait(stmt, rest, scope, then, place))
                    return tuple(steps)
                case ast.ForEach():
                    steps.append(self._loop(stmt, rest, scope, then, place))
                    return tuple(steps)
                case ast.If() | ast.Match() if _cuts(stmt, self._waits):
                    join = self._continue(rest, scope, then, place)
                    steps.append(self._branch(stmt, scope, join, place))
                    return tuple(steps)
                case ast.If() | ast.Match():
                    steps.append(self._branch(stmt, scope, None, place))
                case _:
                    step, scope = self._plain(stmt, scope, place)
                    steps.append(step)
                    if isinstance(stmt, ast.Return | ast.Reject):
                        return tuple(steps)
        if then is not None:
            steps.append(ir.GotoStep(end, then))
        return tuple(steps)

    def _wait(
        self,
        stmt: ast.WaitFor,
        rest: tuple[_Statement, ...],
        scope: Scope,
        then: int | None,
        place: ir.Place,
    ) -> ir.Step:
        pattern, inner = self.pattern(stmt.pattern, scope)
        fields = _fields(stmt.pattern, pattern, place, optional=stmt.within is not None)
        inner = inner.bind(*(name for name, _ in stmt.pattern.fields))
        following = self._required(rest, inner, then, place)
        if rest:
            self._drafts[following].steps = (*fields, *self._drafts[following].steps)
        within = self.lower(stmt.within, scope) if stmt.within is not None else None
        return ir.AwaitEvent(place, pattern, within, pattern.name, following, self._next_site())

    def _loop(
        self,
        stmt: ast.ForEach,
        rest: tuple[_Statement, ...],
        scope: Scope,
        then: int | None,
        place: ir.Place,
    ) -> ir.Step:
        body = self._segment()
        inner = scope.bind(stmt.variable)
        self._fill(body, stmt.body, inner, None, place)
        after = self._continue(rest, scope, then, place)
        source = self.lower(stmt.source, scope)
        return ir.LoopStep(place, source, stmt.variable, body, after, self._next_site())

    def _branch(
        self, stmt: ast.If | ast.Match, scope: Scope, join: int | None, place: ir.Place
    ) -> ir.Step:
        if isinstance(stmt, ast.If):
            return ir.IfStep(
                place,
                self.lower(stmt.condition, scope),
                self._arm(stmt.then, scope, join, place),
                self._arm(stmt.otherwise, scope, join, place),
            )
        return ir.MatchStep(
            place,
            self.lower(stmt.subject, scope),
            tuple(
                (
                    tuple(self.lower(pattern, scope) for pattern in case.patterns),
                    self._arm(case.body, scope, join, place),
                )
                for case in stmt.cases
            ),
            self._arm(stmt.otherwise or (), scope, join, place),
        )

    def _arm(
        self, body: tuple[ast.Stmt, ...], scope: Scope, join: int | None, place: ir.Place
    ) -> tuple[ir.Step, ...]:
        lifted = self._lifted
        steps = self._block(body, scope, join, place)
        self._lifted = lifted
        return steps

    # --- statements that do not wait --------------------------------------------------------------

    def _plain(self, stmt: ast.Stmt, scope: Scope, place: ir.Place) -> tuple[ir.Step, Scope]:
        match stmt:
            case ast.Let(name=name, value=value):
                return self._let(name, value, scope, place), scope.bind(name)
            case ast.Create() | ast.Upsert():
                return self._create(stmt, None, scope, place), scope
            case ast.Do(action=action):
                target, data = self._action(action, scope)
                site = self._next_site()
                return ir.ActStep(place, action.name, target, data, None, site), scope
        return self._effectful(stmt, scope, place), scope

    def _effectful(self, stmt: ast.Stmt, scope: Scope, place: ir.Place) -> ir.Step:
        match stmt:
            case ast.Update():
                return self._update(stmt, scope, place)
            case ast.Delete(target=target):
                return ir.DeleteStep(place, self._entity(target), self.lower(target, scope))
            case ast.AddTo(item=item, collection=collection):
                return self._member(item, collection, False, scope, place)
            case ast.RemoveFrom(item=item, collection=collection):
                return self._member(item, collection, True, scope, place)
            case ast.Emit(event=event, data=data):
                return ir.EmitStep(place, event, self.map(data, scope), self._next_site())
            case ast.After(delay=when, unless=unless, body=body):
                return self._timer(when, unless, body, scope, place)
            case ast.At(time=when, unless=unless, body=body):
                return self._timer(when, unless, body, scope, place)
            case ast.Return(value=value):
                lowered = self._snapshot_value(value, scope) if value is not None else None
                return ir.ReturnStep(place, lowered)
            case ast.Reject(message=message):
                return ir.RejectStep(place, self.lower(message, scope))
            case ast.Record(metric=metric, value=value):
                return ir.RecordStep(place, metric, self.lower(value, scope))
            case ast.Log(message=message):
                return ir.LogStep(place, self.lower(message, scope))
        raise AssertionError(stmt)

    def _let(
        self,
        name: str,
        value: ast.Expr | ast.Action | ast.Create | ast.Upsert,
        scope: Scope,
        place: ir.Place,
    ) -> ir.Step:
        if isinstance(value, ast.Create | ast.Upsert):
            return self._create(value, name, scope, place)
        if isinstance(value, ast.Action):
            target, data = self._action(value, scope)
            return ir.ActStep(place, value.name, target, data, name, self._next_site())
        return ir.LetStep(place, name, self.lower(value, scope))

    def _create(
        self, stmt: ast.Create | ast.Upsert, name: str | None, scope: Scope, place: ir.Place
    ) -> ir.Step:
        fits = frozenset(self.symbols.entities[stmt.entity].fields) - {"created_at", "updated_at"}
        data = self.map(stmt.data, scope, fits)
        upsert = isinstance(stmt, ast.Upsert)
        return ir.CreateStep(place, stmt.entity, data, name, upsert, self._next_site())

    def _update(self, stmt: ast.Update, scope: Scope, place: ir.Place) -> ir.Step:
        entity = self._entity(stmt.target)
        var = self.fresh()
        inner = scope.on_row(ir.Local(var), EntityType(entity))
        info = self.symbols.entities[entity]
        fits = frozenset(info.fields) - {info.key, "created_at", "updated_at"}
        data = self.map(stmt.data, inner, fits)
        return ir.UpdateStep(place, entity, self.lower(stmt.target, scope), data, var)

    def _member(
        self, item: ast.Expr, collection: ast.Expr, remove: bool, scope: Scope, place: ir.Place
    ) -> ir.Step:
        assert isinstance(collection, ast.Field), collection
        return ir.MemberStep(
            place,
            self._entity(collection.base),
            self.lower(collection.base, scope),
            collection.name,
            self.lower(item, scope),
            remove,
        )

    def _timer(
        self,
        when: ast.Expr,
        unless: ast.EventPattern | None,
        body: tuple[ast.Stmt, ...],
        scope: Scope,
        place: ir.Place,
    ) -> ir.Step:
        segment = self._segment()
        self._fill(segment, body, scope, None, place)
        pattern = self.pattern(unless, scope)[0] if unless is not None else None
        return ir.TimerStep(place, self.lower(when, scope), segment, pattern, self._next_site())

    def _entity(self, target: ast.Expr) -> str:
        type_: Type = known(self.checked.type_of(target))
        assert isinstance(type_, EntityType), target
        return type_.name

    # --- actions -------------------------------------------------------------------------------

    def _waits(self, action: ast.Action) -> bool:
        signature = self.checked.actions.get(action)
        return signature is not None and signature.waits

    def _action(self, action: ast.Action, scope: Scope) -> tuple[ir.Expr | None, ir.MapExpr]:
        entries: list[ir.Pair | ir.SpreadExpr] = []
        for entry in action.data.entries:
            if isinstance(entry, ast.Spread):
                entries.append(self._spread(entry, scope, None))
            elif entry.name in _SNAPSHOTS:
                entries.append(ir.Pair(entry.name, self._snapshot_value(entry.value, scope)))
            elif entry.name == "schema":
                entries.append(ir.Pair(entry.name, self._schema(entry.value, scope)))
            else:
                pair = ir.Pair(entry.name, self.lower(entry.value, scope))
                address = self._address(action, entry, pair)
                entries += [pair] if address is None else [pair, address]
        target = self.lower(action.target, scope) if action.target is not None else None
        return target, ir.MapExpr(tuple(entries))

    def _address(self, action: ast.Action, entry: ast.Entry, to: ir.Pair) -> ir.Pair | None:
        """Where a row that a message goes to has its mail: an email goes there, and `notify` too,
        where nothing says otherwise of its key."""
        signature = self.checked.actions.get(action)
        many = {f.name for f in signature.fields if f.many} if signature is not None else set()
        name = entry.name if entry.name in many else None
        if action.name == "notify" and entry.name == "to":
            name = "address"
        if name is None:
            return None
        match known(self.type(entry.value)):
            case EntityType(entity) if self._has_mail(entity):
                return ir.Pair(name, ir.EntityGet(entity, to.value, "email"))
            case ListOf(EntityType(entity)) if name in many and self._has_mail(entity):
                each = ir.EntityGet(entity, ir.Local("one"), "email")
                return ir.Pair(name, ir.ListFor("one", to.value, each))
        return None

    def _has_mail(self, entity: str) -> bool:
        return "email" in self.symbols.entities[entity].fields

    def _schema(self, node: ast.Expr, scope: Scope) -> ir.Expr:
        """What an AI answer must look like, as JSON Schema: of types by name, in maps and lists."""
        from .schema import described, required

        known_ = described(node, self.symbols)
        if known_ is not None:
            return ir.Const(known_)
        match node:
            case ast.MapLiteral(entries=entries):
                pairs = [e for e in entries if isinstance(e, ast.Entry)]
                fields = tuple(ir.Pair(e.name, self._schema(e.value, scope)) for e in pairs)
                return ir.MapExpr((
                    ir.Pair("type", ir.Const("object")),
                    ir.Pair("properties", ir.MapExpr(fields)),
                    ir.Pair("required", ir.Const(required(pairs))),
                ))  # fmt: skip
            case ast.ListLiteral(items=(item,)):
                items = ir.Pair("items", self._schema(item, scope))
                return ir.MapExpr((ir.Pair("type", ir.Const("array")), items))
        return self.lower(node, scope)


def _fields(
    node: ast.EventPattern, pattern: ir.Pattern, place: ir.Place, optional: bool = False
) -> tuple[ir.Step, ...]:
    """Gives the fields of a payload that a pattern names; `optional`: none where no event came."""
    payload = ir.Local(pattern.name or EVENT)
    return tuple(
        ir.LetStep(place, name, ir.Get(payload, name, optional, loose=True))
        for name, _ in node.fields
    )


def _keyed(type_: Type) -> bool:
    """Whether equal values of a type have one text by which a wait can be found."""
    name = getattr(type_, "name", None)
    return isinstance(type_, EntityType) or name in ("text", "plan", "coupon")


def _cuts(stmt: ast.Stmt, waits: object) -> bool:
    """Whether a statement holds a wait or a loop."""
    match stmt:
        case ast.WaitFor() | ast.ForEach():
            return True
        case ast.Let(value=ast.Action() as action):
            return bool(waits(action))  # type: ignore[operator]
        case ast.If(then=then, otherwise=otherwise):
            return any(_cuts(inner, waits) for inner in (*then, *otherwise))
        case ast.Match(cases=cases, otherwise=otherwise):
            blocks = [case.body for case in cases] + [otherwise or ()]
            return any(_cuts(inner, waits) for block in blocks for inner in block)
        case ast.AcrossTenants(body=body):
            return any(_cuts(inner, waits) for inner in body)
    return False
