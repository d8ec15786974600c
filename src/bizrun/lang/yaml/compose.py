"""Text of the grammar made of the values of a YAML file, each piece knowing where it stood there.

What is composed is parsed like any `.biz` file, so that the YAML form needs no second parser: a
mistake is found by the same code, and told at its place in the YAML file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict

from ...diagnostics import Diagnostic, Source, did_you_mean
from ...values import escaped, key, quoted
from ..mend import BAD, Mended, inserted, joined, unchanged
from ..written import GOES_ON
from .forms import DOC, FIELD, Form
from .tree import Mapping, Scalar, Sequence, Value

_INSIDE = re.compile(r'"""[\s\S]*?"""|"(?:[^"\\]|\\[\s\S])*"|[()\[\]{}"#]')
_CLOSES = {")": "(", "]": "[", "}": "{"}
_SPREAD = "..."


class Composer:
    """The text composed so far, and what is wrong with the values that it was made of."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.parts: list[Mended] = []
        self.found: list[Diagnostic] = []
        # Mappings with unknown keys: what they lack may be what is mistyped there.
        self.unsure: set[Value] = set()

    def whole(self) -> Mended:
        """All that was composed."""
        return joined(self.parts)

    def report(self, value: Value, message: str, help: str | None = None) -> None:
        """Keeps a mistake in the shape of the file."""
        self.found.append(Diagnostic("E0151", value.span, message, help))

    # --- Pieces --------------------------------------------------------------------------------

    def add(self, text: str, at: Value) -> None:
        """A piece that the file does not have: it stands where a value begins."""
        self.parts.append(inserted(text, at.span.start))

    def words(self, value: Value | None) -> None:
        """A scalar as it stands there; `bad__` where it could not be a part of its line."""
        if value is None:
            return
        if not isinstance(value, Scalar):
            self.report(value, "One line of text is meant here, not a list or a mapping")
            self.add(BAD, value)
        elif value.empty:
            self.report(value, "A value is missing here")
            self.add(BAD, value)
        elif not self._closed(value):
            self.add(BAD, value)
        else:
            self._placed(value, value.text.strip("\n"))

    def needed(self, value: Value | None, at: Value) -> None:
        """A scalar that has been reported where it is missing."""
        if value is None:
            self.add(BAD, at)
        else:
            self.words(value)

    def _closed(self, value: Scalar) -> bool:
        """Whether brackets and quotes of a value match, so that it can't end what it stands in."""
        waiting: list[str] = []
        for found in _INSIDE.finditer(value.text):
            sign = found[0]
            if sign in ("(", "[", "{"):
                waiting.append(sign)
            elif sign in _CLOSES and (not waiting or waiting.pop() != _CLOSES[sign]):
                self.report(value, f"A `{sign}` closes nothing in this value")
                return False
            elif sign == '"':
                self.report(value, 'A text in this value is not closed: a `"` is missing')
                return False
            elif sign == "#":
                self.report(value, "A comment can't stand within a value")
                return False
        if waiting:
            self.report(value, f"A `{waiting[-1]}` of this value is not closed")
        return not waiting

    def _placed(self, value: Scalar, text: str) -> None:
        """A scalar's text; where it stands in the file to the letter, each place is known."""
        start, end = value.span.start, value.span.end
        inside = 0 if value.plain else 1
        written = self.source.text[start + inside : end - inside]
        if written == text:
            self.parts.append(unchanged(self.source.text, start + inside, end - inside))
        else:
            self.parts.append(inserted(text, start))

    def text(self, value: Value | None, open_: bool = False) -> None:
        """A text: as it is, or in the grammar's quotes; `open_` where `{…}` is read in it."""
        if not isinstance(value, Scalar) or (is_quoted(value.text) and not value.empty):
            self.words(value)
        elif open_:
            self.add(f'"{escaped(value.text)}"', value)
        else:
            self.add(quoted(value.text), value)

    def names(self, value: Value | None) -> None:
        """Words with commas between them."""
        if isinstance(value, Sequence):
            for number, item in enumerate(value.items):
                self.add(", " if number else "", item)
                self.words(item)
        else:
            self.words(value)

    def expr(self, value: Value | None) -> None:
        """An expression; lists and mappings of expressions are literals."""
        match value:
            case Sequence():
                self.add("[", value)
                for number, item in enumerate(value.items):
                    self.add(", " if number else "", item)
                    self.expr(item)
                self.add("]", value)
            case Mapping():
                self.map(value)
            case _:
                self.words(value)

    def map(self, value: Value | None) -> None:
        """`{ name: value, short, ...spread }`."""
        if not isinstance(value, Mapping):
            self.words(value)
            return
        self.add("{ ", value)
        for number, (name, item) in enumerate(value.pairs):
            self.add(", " if number else "", name)
            self._entry(name, item)
        self.add(" }", value)

    def _entry(self, name: Scalar, value: Value) -> None:
        short = isinstance(value, Scalar) and value.empty
        if name.text.startswith(_SPREAD) or short:
            self.words(name)
            if not short:
                self.report(name, "What `...` spreads has no value: write `...name:`")
        else:
            self.add(f"{key(name.text)}: ", name)
            self.expr(value)

    # --- Shapes --------------------------------------------------------------------------------

    def take(self, value: Value, form: Form, what: str) -> Dict[str, Value]:
        """The values of a mapping by their keys; unknown and missing ones are reported."""
        if not isinstance(value, Mapping):
            keys = ", ".join(f"`{name}`" for name in form.keys) or "names"
            self.report(value, f"{what} is a mapping", f"its keys: {keys}")
            return {}
        found: dict[str, Value] = {}
        lacking = [name for name in form.needs if value.get(name) is None]
        strange = [name for name, _ in value.pairs if name.text not in (*form.keys, DOC)]
        for name, item in value.pairs:
            if name.text in form.keys or form.open or name.text == DOC:
                found[name.text] = item
                continue
            near = did_you_mean(name.text, form.keys)
            if near is None and len(lacking) == len(strange) == 1:
                near = lacking[0]
            if near and value.get(near) is None:
                # Read on as what was meant: what it lacks otherwise is no second mistake.
                found[near] = item
            listed = ", ".join(f"`{known}`" for known in form.keys)
            help = f"did you mean `{near}`?" if near else f"it knows {listed}"
            self.report(name, f"{what} has no key `{name.text}`", help)
            if near not in found:
                self.unsure.add(value)
        missing = [name for name in form.needs if name not in found]
        if missing:
            listed = " and ".join(f"`{name}`" for name in missing)
            self.report(value, f"{what} needs {listed}")
        return found

    def others(self, value: Value, form: Form) -> list[tuple[Scalar, Value]]:
        """The pairs of a mapping under keys that the form does not name."""
        if not isinstance(value, Mapping):
            return []
        return [
            (name, item)
            for name, item in value.pairs
            if name.text not in form.keys and name.text != DOC
        ]

    def doc(self, value: Value | None) -> None:
        """The lines of a `##` comment."""
        found = value.get(DOC) if isinstance(value, Mapping) else None
        if isinstance(found, Scalar):
            for line in found.text.rstrip("\n").split("\n"):
                self.add(f"## {line}\n", found)
        elif found is not None:
            self.report(found, "A description is text")

    def fields(self, pairs: list[tuple[Scalar, Value]]) -> None:
        """Fields, a line each: `name TYPE flags = default`.

        One that is called `where` would go on with the line before it, were there no comma.
        """
        for number, (name, value) in enumerate(pairs):
            type_: Value | None = value
            self.add(",\n" if number and name.text in GOES_ON else "\n", name)
            if isinstance(value, Mapping):
                self.doc(value)
                type_ = self.take(value, FIELD, "A field").get("type")
            self.words(name)
            self.add(" ", name)
            self.words(type_)

    def params(self, value: Value | None) -> None:
        """`(name: TYPE = default)`."""
        if value is None:
            return
        self.add("(", value)
        if isinstance(value, Mapping):
            for number, (name, type_) in enumerate(value.pairs):
                self.add(", " if number else "", name)
                self.words(name)
                self.add(": ", name)
                self.words(type_)
        else:
            self.words(value)
        self.add(")", value)

    def lines(self, value: Value) -> None:
        """Parts of the grammar, a line each."""
        items = value.items if isinstance(value, Sequence) else (value,)
        for item in items:
            self.add("\n", item)
            self.words(item)


def is_quoted(text: str) -> bool:
    """Whether a scalar is a text of the grammar, in its own quotes."""
    return len(text) >= 2 and text[0] == text[-1] == '"'
