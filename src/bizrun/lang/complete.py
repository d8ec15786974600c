"""What may stand at a place of a text that is being written.

The text around says what kind of thing: a field behind a point, an event behind `on`, a key within
braces. For its type the text is checked with a stand-in where something is still missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from . import ast
from .builtins import BUILTINS
from .describe import action_text, builtin_text, describe, fields_of
from .navigate import Names, Symbol
from .scan import KEYWORDS
from .std import std_modules
from .symbols import ActionSignature, Checked
from .types import PRIMITIVES, Choice, EntityType, Type, known, type_text
from .walk import walk

STAND_IN = "zz__"
Analyse = Callable[[str], Checked]

_STATEMENTS = {
    "let": "let ", "create": "create ", "upsert": "upsert ", "update": "update ",
    "delete": "delete ", "add": "add ", "remove": "remove ", "emit": "emit ", "after": "after ",
    "wait for": "wait for ", "for each": "for each ", "if": "if ", "match": "match ",
    "return": "return ", "reject": 'reject "', "record": "record ", "log": 'log "',
    "across tenants": "across tenants { ",
}  # fmt: skip
_IN_TESTS = ("at", "advance", "expect", "payments", "answer", "call")
_WORDS = ("now", "today", "true", "false", "none", "unlimited", "first", "group", "not")
_INSIDE = {
    "plan": ("price", "trial", "features", "limits", "includes", "usage", "minimum", "maximum",
             "seats", "phase", "from", "bill usage at", "migrate"),
    "addon": ("price", "usage", "includes", "only"),
    "business": ("language", "currency", "timezone", "bills", "tenant", "rounding", "proration",
                 "invoice_number", "credit_note_number", "smallest_charge", "lost_disputes"),
    "meter": ("sum", "count", "max", "min", "last", "average", "unique"),
    "dunning": ("retry after", "retry every", "retry backoff", "then", "cancel after"),
    "lifecycle": ("start", "any"),
    "template": ("subject", "body"),
    "role": ("can",), "experiment": ("variant",),
}  # fmt: skip
_RUNS = ("on", "every", "api", "fn", "test", "after", "at", "if", "else", "for", "across", "match")
_EVENT_PLACE = re.compile(
    r"(?:\bemit|\bwait\s+for|\bunless|\bexpect\s+event|^\s*on|\b(?:on|for)\s+[\w.*]+(?:\s+or"
    r"\s+[\w.*]+)*\s+or|->\s*\"\w*\"\s+on|\bof)\s+([A-Z]\w*\.)?([\w.]*)\Z"
)
_ENTITY_PLACE = re.compile(
    r"(?:\b(?:create|upsert|extend\s+entity|^\s*lifecycle)|\btrigger\s+\S+\s+for|\bbills|\btenant)"
    r"\s+\w*\Z"
)
_FIELD_TYPE = re.compile(r"^\s*(?:\w+\s*:\s*|\w+\s+\[?)(\w*)\Z")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may stand there; kind as in an outline, or keyword, type, value."""

    label: str
    kind: str
    detail: str = ""
    doc: str = ""
    insert: str | None = None


def complete(
    text: str, offset: int, file: str, last: Checked, analyse: Analyse,
    actions: Iterable[ActionSignature],
) -> list[Candidate]:  # fmt: skip
    """What may stand at an offset of a file; `last` is the newest check of it, `analyse` checks it
    with another text, `actions` are all there are."""
    place = _Place(text, offset, file, last, analyse, tuple(actions))
    found: dict[str, Candidate] = {}
    for candidate in place.candidates():
        found.setdefault(candidate.label, candidate)
    return list(found.values())


class _Place:
    def __init__(
        self, text: str, offset: int, file: str, last: Checked, analyse: Analyse,
        actions: tuple[ActionSignature, ...],
    ) -> None:  # fmt: skip
        self.text = text
        self.offset = offset
        self.file = file
        self.last = last
        self.analyse = analyse
        self.actions = actions
        self.before = text[:offset]
        self.line = self.before.rpartition("\n")[2]
        word = re.search(r"\w*\Z", self.before)
        self.start = word.start() if word else offset

    def candidates(self) -> Iterator[Candidate]:
        """In the order of what is most likely meant."""
        inside = _inside_text(self.line)
        if inside == "comment":
            return
        if inside == "text":
            yield from self._texts()
            return
        event = _EVENT_PLACE.search(self.line)
        if event:
            yield from self._events(event[1] or "")
            return
        if self.text[self.start - 1 : self.start] == "." and self.start:
            yield from self._fields()
            return
        if _ENTITY_PLACE.search(self.line):
            yield from self._entities()
            return
        yield from self._within()

    # --- texts -------------------------------------------------------------------------------

    def _texts(self) -> Iterator[Candidate]:
        if re.search(r'\btemplate:\s*"[^"]*\Z', self.line):
            for name in self.last.symbols.templates:
                yield Candidate(name, "template", "template")
            return
        close = "" if self.text[self.offset : self.offset + 1] == '"' else '"'
        for behind in (close, f"{close} {{ }}"):  # what an `if` still lacks
            found = self._choices(self._with_stand_in(behind))
            if found:
                yield from (Candidate(value, "value") for value in found)
                return

    def _choices(self, checked: Checked) -> tuple[str, ...]:
        """The texts that fit where one stands."""
        for node in self._around(checked):
            type_: Type | None = None
            match node:
                case ast.Binary(left=left, right=right):
                    sides = [side for side in (left, right) if not self._holds(side)]
                    type_ = checked.types.get(sides[0]) if sides else None
                case ast.Create(entity=entity) | ast.Upsert(entity=entity):
                    type_ = self._entry_type(checked, node.data, EntityType(entity))
                case ast.Update(target=target):
                    type_ = self._entry_type(checked, node.data, checked.type_of(target))
                case ast.FieldDecl(default=default) if default is not None:
                    type_ = (
                        Choice(node.type.values) if isinstance(node.type, ast.TypeUnion) else None
                    )
            if type_ is not None and isinstance(found := known(type_), Choice):
                return found.values
        return ()

    def _entry_type(self, checked: Checked, data: ast.MapLiteral, type_: Type) -> Type | None:
        fields = {name: field for name, field, _ in fields_of(checked, type_)}
        for entry in data.entries:
            if isinstance(entry, ast.Entry) and self._holds(entry):
                return fields.get(entry.name)
        return None

    # --- names behind a word or a point ------------------------------------------------------

    def _events(self, prefix: str) -> Iterator[Candidate]:
        for name, event in self.last.symbols.events.items():
            if name.startswith(prefix) and name != prefix:
                said = describe(self.last, Symbol("event", name)) or ""
                rest = name.removeprefix(prefix)
                yield Candidate(name if not prefix else rest, "event", event.origin, said, rest)

    def _entities(self) -> Iterator[Candidate]:
        for name in self.last.symbols.entities:
            said = describe(self.last, Symbol("entity", name)) or ""
            yield Candidate(name, "entity", "entity", said)

    def _fields(self) -> Iterator[Candidate]:
        checked = self._with_stand_in()
        rows = self._row_type(checked)
        for node in self._around(checked):
            type_: Type | None = None
            if isinstance(node, ast.Field) and node.name_span.start == self.start:
                type_ = checked.types.get(node.base)
            elif isinstance(node, ast.RowField):
                type_ = rows
            if type_ is not None:
                for name, field, doc in fields_of(checked, type_):
                    detail = type_text(field) if field is not None else ""
                    yield Candidate(name, "field", detail, doc)
                return
        head = re.search(r"([\w.]+)\.\w*\Z", self.before)
        for action in self.actions:
            if head and action.name.startswith(f"{head[1]}."):
                label = action.name.removeprefix(f"{head[1]}.")
                yield Candidate(label, "action", "action", action_text(action))

    def _row_type(self, checked: Checked) -> Type | None:
        """Of what `.field` is a field here."""
        for node in self._around(checked):
            if node in checked.row_types:
                return checked.row_types[node]
        return None

    # --- within braces -----------------------------------------------------------------------

    def _within(self) -> Iterator[Candidate]:
        opened = _open_brace(self.text, self.start)
        head = (
            self.text[self.text.rfind("\n", 0, opened) + 1 : opened].strip() if opened >= 0 else ""
        )
        word = head.partition(" ")[0]
        fresh = re.search(r"(?:[{,\n]|\A)[ \t]*\Z", self.text[: self.start]) is not None
        if opened < 0:
            if fresh:
                yield from (Candidate(word, "keyword", "", "", f"{word} ") for word in KEYWORDS)
            else:
                yield from self._expressions()
            return
        keys = self._keys(head) if fresh else None
        if keys is not None:
            yield from keys
        elif word in ("entity", "extend", "event", "type"):
            if _FIELD_TYPE.match(self.line):
                yield from self._types()
        elif word in _INSIDE and fresh:
            yield from (Candidate(key, "keyword", "", "", f"{key} ") for key in _INSIDE[word])
        elif word in ("plan", "addon") and re.search(
            r"\b(?:usage|includes\s+\S+)\s+\w*\Z", self.line
        ):
            yield from (Candidate(name, "meter", "meter") for name in self.last.symbols.meters)
        elif fresh and word.rstrip("(") in _RUNS:
            yield from self._statements()
        else:
            yield from self._expressions()

    def _keys(self, head: str) -> Iterator[Candidate] | None:
        """The fields that a map before the braces takes; None where these hold something else."""
        made = re.search(r"\b(?:create|upsert)\s+(\w+)\Z", head)
        if made:
            return self._named(fields_of(self.last, EntityType(made[1])))
        emitted = re.search(r"\bemit\s+([\w.]+)\Z", head)
        if emitted and emitted[1] in self.last.symbols.events:
            event = self.last.symbols.events[emitted[1]]
            return self._named(fields_of(self.last, event.payload))
        if re.search(r"\bupdate\s+\S+\Z", head):
            checked = self._with_stand_in(": 0")
            for node in self._around(checked):
                if isinstance(node, ast.Update):
                    return self._named(fields_of(checked, checked.type_of(node.target)))
        acted = re.search(r"(?:\A|[\s=])([a-z][\w.]*)(?:\s+\"[^\"]*\")?\Z", head)
        for action in self.actions:
            if acted and action.name == acted[1]:
                return self._named([(f.name, f.type, f.doc) for f in action.fields])
        return None

    @staticmethod
    def _named(fields: list[tuple[str, Type | None, str]]) -> Iterator[Candidate]:
        for name, type_, doc in fields:
            detail = type_text(type_) if type_ is not None else ""
            yield Candidate(name, "field", detail, doc, f"{name}: ")

    def _types(self) -> Iterator[Candidate]:
        yield from (Candidate(name, "type") for name in PRIMITIVES)
        yield from self._entities()
        yield from (Candidate(name, "entity", "type") for name in self.last.symbols.shapes)

    def _statements(self) -> Iterator[Candidate]:
        for label, written in _STATEMENTS.items():
            yield Candidate(label, "keyword", "", "", written)
        if re.search(r"^test\b", self._declaration(), re.MULTILINE):
            yield from (Candidate(word, "keyword", "", "", f"{word} ") for word in _IN_TESTS)
        for action in self.actions:
            yield Candidate(
                action.name, "action", "action", action_text(action), f"{action.name} {{ "
            )
        yield from self._expressions()

    def _declaration(self) -> str:
        """The text from where the declaration around begins."""
        heads = list(re.finditer(r"^[a-z]\w*\b", self.before, re.MULTILINE))
        return self.before[heads[-1].start() :] if heads else ""

    def _expressions(self) -> Iterator[Candidate]:
        symbols = self.last.symbols
        if re.search(r"\buse\s+std\.?\w*\Z", self.line):
            yield from (Candidate(name, "module") for name in std_modules())
            return
        called = re.search(r"\b(usage|limit|remaining)\([^()]*,\s*\w*\Z", self.line)
        if called:
            known_ = symbols.meters if called[1] == "usage" else symbols.limits
            yield from (Candidate(name, "meter", "meter") for name in known_)
        for name, type_ in self._locals():
            yield Candidate(name, "local", type_)
        for kind, table in (
            ("fn", symbols.fns), ("const", symbols.consts), ("plan", symbols.plans),
            ("coupon", symbols.coupons), ("entity", symbols.entities),
            ("experiment", symbols.experiments),
        ):  # fmt: skip
            for name in table:
                said = describe(self.last, Symbol(kind, name)) or ""
                yield Candidate(name, kind, kind, said)
        for name in BUILTINS:
            yield Candidate(name, "fn", BUILTINS[name].usage, builtin_text(name) or "", f"{name}(")
        yield from (Candidate(word, "keyword") for word in _WORDS)

    def _locals(self) -> list[tuple[str, str]]:
        """The values that are named before this place in its declaration, with their types."""
        checked = self._with_stand_in()
        found: dict[str, str] = {}
        names = Names(checked)
        for file in checked.loaded.files:
            for node in file.declarations:
                span = node.span
                if span.file != self.file or not span.start <= self.start <= span.end:
                    continue
                around = f"{span.file}:{span.start}"
                for one in names.by_file.get(self.file, ()):
                    symbol = one.symbol
                    own = symbol.kind == "local" and symbol.owner == around and one.declares
                    if own and one.span.end <= self.start:
                        found.setdefault(symbol.name, "")
                for inner in walk(node):
                    if isinstance(inner, ast.Name) and inner.name in found:
                        found[inner.name] = type_text(checked.type_of(inner))
        return list(found.items())

    # --- the text with something in the gap --------------------------------------------------

    def _with_stand_in(self, behind: str = "") -> Checked:
        """The check of the text, with a name at the place where there is none yet."""
        inserted = ("" if self.start < self.offset else STAND_IN) + behind
        return self.analyse(self.before + inserted + self.text[self.offset :])

    def _around(self, checked: Checked) -> list[ast.Node]:
        """The nodes around the place, the innermost first."""
        found: list[ast.Node] = []
        for file in checked.loaded.files:
            for node in file.declarations:
                if self._holds(node):
                    found += [inner for inner in walk(node) if self._holds(inner)]
        return sorted(found, key=lambda node: node.span.end - node.span.start)

    def _holds(self, node: ast.Node) -> bool:
        span = node.span
        return span.file == self.file and span.start <= self.start <= span.end


def _inside_text(line: str) -> str | None:
    """Whether a line ends within a comment or a text, outside of the expressions in it."""
    inside: list[str] = []
    place = 0
    while place < len(line):
        char, top = line[place], inside[-1] if inside else ""
        if top == '"':
            if char == "\\":
                place += 1
            elif char == '"':
                inside.pop()
            elif char == "{":
                inside.append("{")
        elif char == '"':
            inside.append('"')
        elif char == "}" and top == "{":
            inside.pop()
        elif char == "#" and not top:
            return "comment"
        place += 1
    return "text" if inside and inside[-1] == '"' else None


def _open_brace(text: str, end: int) -> int:
    """Where the innermost brace was opened that is open at a place, -1 where none is."""
    depth: list[int] = []
    tokens = re.compile(r'#[^\n]*|"{3}(?:[^"\\]|\\[\s\S]|"(?!""))*"{3}|"(?:[^"\\\n]|\\.)*"|[{}]')
    for found in tokens.finditer(text, 0, end):
        if found[0] == "{":
            depth.append(found.start())
        elif found[0] == "}" and depth:
            depth.pop()
    return depth[-1] if depth else -1
