"""The names that a place in a spec can see, and what is known there about none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct, field

from ...diagnostics import Span
from .. import ast
from ..types import ANY, EntityType, Record, Type, known

# What a scope knows about a path such as `account.plan`: nothing; that it is not none; or that it
# is not none for as long as nobody waits, since an entity's fields are read when a line runs.
GONE, FIRM, UNTIL_WAIT = 0, 1, 2

# No condition that a person writes tells more; a generated one must not cost its square.
MOST_FACTS = 100

# Behind the path of a field that only some of several events have: it is one of those.
HAD = "?"

Path = tuple[str, int]


class Local(Struct):
    """A name of a handler, function or test; `kind` as in `Ref`; what is the
    least, largest or average `of_rows` is none where there are none."""

    type: Type
    kind: str = "local"
    span: Span | None = None
    used: bool = True
    currency: str | None = None
    length: str | None = None
    of_rows: bool = False


class Scope(Struct):
    """A block's names and facts.

    `place`: handler, schedule, api, fn, test, trigger, meter, tax, value (a declaration's
    expression) or query. `row` is what `.field` reads, None for that of the block around it.
    `naming` is what a list calls its row, and `named` the query whose conditions may say so too.
    `unnamed` is the payload of an event to which no name was given.
    `waits` where time passes before the block runs. `returns` collects what a function gives.
    """

    place: str
    parent: Scope | None = None
    row: Type | None = None
    waits: bool = False
    wanted: Type | None = None
    returns: list[Type] | None = None
    locals: dict[str, Local] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)
    naming: str | None = None
    named: object = None
    unnamed: Record | None = None

    @property
    def lenient(self) -> bool:
        """Whether none needs no handling: a test or query that meets one says so itself."""
        return self.place in ("test", "query")

    def child(self, row: Type | None = None, waits: bool = False) -> Scope:
        """A block inside this one."""
        return Scope(self.place, self, row, waits, self.wanted, self.returns)

    def chain(self) -> Iterator[Scope]:
        """This block and those around it, inner first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def find(self, name: str) -> Local | None:
        """The local of that name."""
        for scope in self.chain():
            found = scope.locals.get(name)
            if found is not None:
                return found
        return None

    def row_type(self) -> Type | None:
        """What `.field` reads here; None outside of queries and their like."""
        return next((scope.row for scope in self.chain() if scope.row is not None), None)

    def nameless(self, field: str) -> str | None:
        """How a field of an event is read to which no name was given, if one here has it."""
        for scope in self.chain():
            if scope.unnamed is not None and scope.unnamed.field(field) is not None:
                return f"name the event, `{scope.unnamed.name} as e`, and write `e.{field}`"
        return None

    def names(self) -> list[str]:
        """Every local name that can be seen."""
        return [name for scope in self.chain() for name in scope.locals]

    def holds(self, path: str) -> bool:
        """Whether a path is known not to be none."""
        waited = False
        root = path.partition(".")[0].partition("(")[0]
        for scope in self.chain():
            fact = scope.facts.get(path)
            if fact is not None:
                return fact == FIRM or (fact == UNTIL_WAIT and not waited)
            if root in scope.locals or (not root and scope.row is not None):
                return False
            waited = waited or scope.waits
        return False

    def learn(self, facts: list[Path]) -> None:
        """From here on these paths are not none."""
        for path, how in facts:
            self.facts[path] = how

    def forget(self, ending: str | None = None) -> None:
        """Drops what an update of a field (`.plan`) or a wait (None) makes uncertain."""
        for scope in self.chain():
            for path, how in scope.facts.items():
                if path.endswith(ending) if ending else how == UNTIL_WAIT:
                    scope.facts[path] = GONE


class Flow(Struct):
    """What conditions tell about none: paths and facts of the expressions of one check.

    `meant`: mistyped names by their place. A condition tells of what was meant, lest what follows
    from the mistake be told as another.
    """

    types: dict[ast.Node, Type]
    meant: dict[Span, str] = field(default_factory=dict)
    memory: dict[tuple[ast.Node, bool], list[Path]] = field(default_factory=dict)

    def path(self, node: ast.Node) -> Path | None:
        """The path of an expression that gives the same value whenever it is read, if it does."""
        match node:
            case ast.Name(name=name):
                return self.meant.get(node.span, name), FIRM
            case ast.RowField(name=name):
                return f".{self.meant.get(node.span, name)}", UNTIL_WAIT
            case ast.Field(base=base, name=name):
                name = self.meant.get(node.name_span, name)
                inner = self.path(base)
                if inner is None:
                    return None
                entity = isinstance(self.types.get(base), EntityType)
                return f"{inner[0]}.{name}", UNTIL_WAIT if entity else inner[1]
            case ast.Call(callee=ast.Name(name=name), args=(argument,)):
                inner = self.path(argument)
                text = argument.plain if isinstance(argument, ast.Text) else None
                key = repr(text) if text is not None else inner and inner[0]
                return (f"{name}({key})", UNTIL_WAIT) if key else None
        return None

    def facts(self, node: ast.Node, truth: bool) -> list[Path]:
        """The paths that are not none where the condition is (or is not) true."""
        if (node, truth) in self.memory:
            return self.memory[node, truth]
        # From the innermost left side outwards: a long chain of `and` is no deep nesting.
        spine = [node]
        while isinstance(inner := spine[-1], ast.Binary) and inner.op in ("and", "or"):
            if (inner.left, truth) in self.memory:
                break
            spine.append(inner.left)
        for step in reversed(spine):
            self.memory[step, truth] = self._facts(step, truth)[-MOST_FACTS:]
        return self.memory[node, truth]

    def _facts(self, node: ast.Node, truth: bool) -> list[Path]:
        match node:
            case ast.Unary(op="not", operand=operand):
                return self.facts(operand, not truth)
            case ast.Binary(op="and" | "or" as op, left=left, right=right):
                both = [*self.facts(left, truth), *self.facts(right, truth)]
                if truth == (op == "and"):
                    return list(dict.fromkeys(both))
                shared = {path for path, _ in self.facts(right, truth)}
                return [fact for fact in self.facts(left, truth) if fact[0] in shared]
            case ast.Binary(op="==" | "!=" as op, left=left, right=right):
                return self._compared(left, right, truth == (op == "=="))
            case ast.Binary(op="in", left=left) if truth:
                return self.there(left)
            case ast.Name() | ast.Field() | ast.RowField() if truth:
                return self.there(node)
        return []

    def _compared(self, left: ast.Node, right: ast.Node, equal: bool) -> list[Path]:
        if isinstance(right, ast.Text) and right.plain is not None:
            given = self.of_events(left, (right.plain,), equal)
            if given:
                return given
        if _is_none(right) or _is_none(left):
            return [] if equal else self.there(left if _is_none(right) else right)
        if not equal:
            return []
        # What equals a value that is never none is not none itself.
        facts = self.there(left) if self._never_none(right) else []
        return facts + (self.there(right) if self._never_none(left) else [])

    def of_events(self, node: ast.Node, names: Collection[str], among: bool = True) -> list[Path]:
        """What `e.event.type`, being (or not being) among these, tells of the fields of `e`.

        Of several events each has fields that others don't: they are there where it is that one.
        """
        match node:
            case ast.Field(base=ast.Field(base=base, name="event"), name="type"):
                record = known(self.types.get(base, ANY))
                path = self.path(base)
                if isinstance(record, Record) and path is not None:
                    every = record.name.split(" or ")
                    left = {name for name in every if (name in names) == among}
                    return [
                        (f"{path[0]}.{key}{mark}", path[1])
                        for key, _, having, giving in record.some
                        for mark, events in ((HAD, having), ("", giving))
                        if left and left <= set(events)
                    ]
        return []

    def matched(
        self, subject: ast.Node, cases: Iterable[Iterable[ast.Node]], none_seen: bool
    ) -> list[Path]:
        """What the `else` of a match knows: that none of its cases fitted."""
        seen = {text for patterns in cases for text in plain_texts(patterns)}
        there = self.there(subject) if none_seen else []
        return there + self.of_events(subject, seen, among=False)

    def _never_none(self, node: ast.Node) -> bool:
        return isinstance(node, ast.Text) or (isinstance(node, ast.Literal) and not _is_none(node))

    def there(self, node: ast.Node) -> list[Path]:
        """What follows from an expression's being not none: `a?.b` needs `a` too."""
        path = self.path(node)
        if path is None:
            return []
        below = self.there(node.base) if isinstance(node, ast.Field) and node.optional else []
        return [path, *below]


def plain_texts(patterns: Iterable[ast.Node]) -> list[str]:
    """The texts among the patterns of a case; empty where one of them is something else."""
    texts = [p.plain if isinstance(p, ast.Text) else None for p in patterns]
    return [] if None in texts else [text for text in texts if text is not None]


def _is_none(node: ast.Node) -> bool:
    return isinstance(node, ast.Literal) and node.type == "none"
