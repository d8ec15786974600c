"""What the parts of the checker share: the tables that they fill and how they name a mistake."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from ...diagnostics import Diagnostic, Fix, Span, distance, likeliest
from .. import ast
from ..mend import BAD
from ..symbols import ActionSignature, Checked, EntityInfo, OpenAction, Symbols
from ..types import ANY, EntityType, ListOf, MapOf, Maybe, Record, Type
from .report import Report
from .scope import Flow


@dataclass(slots=True)
class Checker:
    """One check: its tables, its report, and what is known about expressions besides their type.

    `currencies` has the currency of money that is known when the spec is checked, `lengths`
    whether a duration counts in "months", "days" or is "exact". `lost` are names that a
    declaration which can't be read may have declared; `damaged` are names of declarations that
    the parser could read in part only: nothing is said about what they may lack.
    """

    checked: Checked
    report: Report
    signatures: Mapping[str, ActionSignature]
    open_action: OpenAction
    flow: Flow
    templates: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    damaged: frozenset[str] = frozenset()
    currencies: dict[ast.Node, str] = field(default_factory=dict)
    lengths: dict[ast.Node, str] = field(default_factory=dict)
    calls: dict[str, dict[str, Span]] = field(default_factory=dict)
    typing: list[str] = field(default_factory=list)
    warned: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    actions: dict[str, ActionSignature] = field(default_factory=dict)
    # Rows to change of which nobody can say the entity, with the verb: wrong unless something
    # else is, from which this only follows.
    untyped_rows: list[tuple[Span, str]] = field(default_factory=list)
    # What was said to be perhaps none, by the declaration and the path.
    nones: dict[tuple[str, str], Diagnostic] = field(default_factory=dict)
    # Names that were said to stand for nothing, each with its declaration.
    nameless: set[tuple[str, str]] = field(default_factory=set)
    declaration: str = ""
    depth: int = 0

    @property
    def symbols(self) -> Symbols:
        """What the spec declares."""
        return self.checked.symbols

    def entity(self, name: str) -> EntityInfo | None:
        """The entity of that name."""
        return self.symbols.entities.get(name)

    @property
    def place(self) -> str:
        """The declaration whose expressions are being typed: maybe a function on its first call."""
        return self.typing[-1] if self.typing else self.declaration

    def may_be_none(
        self, node: ast.Expr, code: str, span: Span, message: str, help: str | None = None
    ) -> None:
        """Reports a value that nobody has checked for none, once in a declaration: what is told of
        the same name further down follows from the same missing check."""
        key = (self.place, node.name) if isinstance(node, ast.Name) else None
        before = self.nones.get(key) if key else None
        if before is not None:
            if before.severity == "error" or code.startswith("W"):
                return
            self.report.diagnostics.remove(before)
        self.report.add(code, span, message, help)
        if key:
            self.nones[key] = self.report.diagnostics[-1]

    def unknown(
        self,
        code: str,
        span: Span,
        message: str,
        name: str,
        known: Iterable[str],
        *,
        form: str = "{}",
        otherwise: str | None = None,
        unsure: Container[str] = (),
    ) -> None:
        """Reports a name that stands for nothing, with the known name that may be meant.

        `form` is how the fix holds the right name, as where the span is that of a text with its
        quotes. `unsure` are names of another sort, which are no certain fix.
        """
        if name in self.lost:
            return
        meant, certain = nearest(name, known)
        if meant is None:
            self.report.add(code, span, message, otherwise)
            return
        self.flow.meant[span] = meant
        text = form.format(meant)
        fix = Fix(span, text, certain and meant not in unsure)
        self.report.add(code, span, message, f"did you mean `{meant}`?", fix)


def nearest(name: str, known: Iterable[str]) -> tuple[str | None, bool]:
    """The known name that a mistyped one is nearest to, and whether no other is as near."""
    known = set(known)
    found: list[tuple[tuple[int, bool], str]] = []
    most = sum(max(1, len(part) // 3) for part in (*name.split("."), name))
    for least, candidate in likeliest(name, known, most):
        if least > most:
            break
        # Another case of the first letter is another sort of name (an entity, a value), so a step.
        cased = name[:1].isupper() != candidate[:1].isupper()
        steps = _steps(name.lower(), candidate.lower(), most - cased)
        if steps is not None:
            found.append(((steps + cased, cased), candidate))
            most = min(most, steps + cased)
    found.sort()
    if not found:
        longer = [candidate for candidate in sorted(known) if _goes_on(name, candidate)]
        return (longer[0] if len(longer) == 1 else None), False
    return found[0][1], len(found) == 1 or found[1][0] > found[0][0]


# Shorter beginnings are shared by too many names.
_BEGINNING = 4


def _goes_on(name: str, candidate: str) -> bool:
    """Whether one of two names goes on where the other ends, as `API.call` and `API.called` do."""
    *first, a = name.lower().split(".")
    *second, b = candidate.lower().split(".")
    short, long = sorted((a, b), key=len)
    return first == second and len(short) >= _BEGINNING and long.startswith(short)


def _steps(name: str, candidate: str, most: int) -> int | None:
    """How many letters lie between two names, None where too many, or more than `most`; dotted
    ones part by part."""
    parts, others = name.split("."), candidate.split(".")
    if len(parts) != len(others):
        parts, others = [name], [candidate]
    total = 0
    for part, other in zip(parts, others, strict=True):
        limit = min(max(1, len(part) // 3), most - total)
        steps = distance(part, other, limit)
        # A single letter is near to every other one.
        if steps > limit or (steps and steps >= max(len(part), len(other))):
            return None
        total += steps
    return total


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names as a help line lists them: `a`, `b`, `c`."""
    every = [name for name in names if name != BAD]
    text = ", ".join(f"`{name}`" for name in every[:most])
    return f"{text} …" if len(every) > most else text


def resolved(type_: Type, symbols: Symbols) -> Type:
    """A type of the prelude or of an action, with the entity of `bills` for `Bills`."""
    match type_:
        case EntityType(name="Bills"):
            return symbols.customer_type()
        case ListOf(item):
            return ListOf(resolved(item, symbols))
        case MapOf(value):
            return MapOf(resolved(value, symbols))
        case Maybe(inner):
            known = resolved(inner, symbols)
            return known if known == ANY and known != inner else Maybe(known)
        case Record(name, fields, open_):
            return Record(name, tuple((k, resolved(t, symbols)) for k, t in fields), open_)
    return type_


def check_template(c: Checker, node: ast.Text) -> None:
    """A template that is named must be there."""
    name = node.plain
    known_names = {*c.symbols.templates, *c.templates}
    if name is None or name in known_names:
        return
    c.unknown(
        "E0211",
        node.span,
        f"There is no template `{name}`",
        name,
        known_names,
        form='"{}"',
        otherwise=f"write templates/{name}.md beside the spec, or `template {name} {{ … }}`",
    )
