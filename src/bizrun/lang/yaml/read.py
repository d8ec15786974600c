"""A YAML file becomes the tree of the language: composed as text of the grammar, then parsed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Dict
from typing import Any

from msgspec import structs

from ...diagnostics import Diagnostic, Fix, Label, Source, Span, did_you_mean
from .. import ast
from ..check.business import is_text
from ..mend import BAD, Mended, unchanged
from ..parse import MAX_BYTES, Parsed, parse
from ..std import STD
from .compose import Composer
from .forms import ARROW, BY_NAME, DOC, NESTED, SECTIONS, Section
from .read_plans import items
from .read_statements import body, pattern, route
from .tree import Mapping, Scalar, Sequence, Value, read_tree

Taken = Dict[str, Value]


def parse_yaml(source: Source) -> Parsed:
    """Reads a YAML file, whatever it holds, like `parse` does a .biz file; it has no comments."""
    whole, found = compose(source)
    if len(whole.text) > MAX_BYTES:
        message = "This file stands for more than 5 MB of text: its anchors repeat too much"
        found.append(Diagnostic("E0150", Span(source.name, 0, 0), message))
        return Parsed(ast.File(Span(source.name, 0, 0), ()), tuple(found), ())
    parsed = parse(Source(source.name, whole.text))
    placer = _Placer(source, whole)
    lines = {source.position(problem.span.start)[0] for problem in found}
    for problem in parsed.diagnostics:
        placed = placer.diagnostic(problem)
        # What could not be composed is known to be wrong.
        if BAD not in problem.message and source.position(placed.span.start)[0] not in lines:
            found.append(placed)
    found.sort(key=lambda problem: problem.span.start)
    return Parsed(placer.place(parsed.file), tuple(found), ())


def compose(source: Source) -> tuple[Mended, list[Diagnostic]]:
    """The text of the grammar that a YAML file stands for, and what is wrong with its shape."""
    root, problems = read_tree(source)
    to = Composer(source)
    match root:
        case Mapping():
            for name, value in root.pairs:
                section = BY_NAME.get(name.text) or _report_unknown(to, name)
                if section:
                    _section(to, section, value)
        case None:
            pass
        case _:
            to.report(root, "A spec is a mapping", "its keys: `business`, `entities`, `on`, …")
    broken = {source.position(problem.span.start)[0] for problem in problems}
    problems += [p for p in to.found if source.position(p.span.start)[0] not in broken]
    return (to.whole() if to.parts else unchanged("", 0, 0)), problems


def _report_unknown(to: Composer, name: Scalar, where: str = "A spec") -> Section | None:
    """Reports a key that is no section; the one that is meant, to be read as that."""
    near = did_you_mean(name.text, BY_NAME)
    listed = ", ".join(section.name for section in SECTIONS)
    help = f"did you mean `{near}`?" if near else f"a spec knows {listed}"
    to.report(name, f"{where} has no key `{name.text}`", help)
    return BY_NAME.get(near or "")


# --- Sections ----------------------------------------------------------------------------------


def _section(to: Composer, section: Section, value: Value, prefix: str = "") -> None:
    if isinstance(value, Scalar) and value.empty:
        return
    if section.name in NESTED:
        _nested(to, section, value, section.word)
    elif section.name == "business":
        _declare(to, section, None, value, prefix)
    elif section.name == "use":
        for item in value.items if isinstance(value, Sequence) else (value,):
            _use(to, item)
    elif isinstance(value, Mapping):
        for name, item in value.pairs:
            _declare(to, section, name, item, prefix)
    elif section.head and isinstance(value, Sequence):
        for item in value.items:
            _declare(to, section, None, item, prefix)
    else:
        shape = "a list, or a mapping" if section.head else "a mapping of names to what they are"
        to.report(value, f"`{section.name}` is {shape}")


def _nested(to: Composer, section: Section, value: Value, word: str) -> None:
    """Sections within one: each declaration gets its word in front."""
    if not isinstance(value, Mapping):
        to.report(value, f"`{section.name}` is a mapping of sections")
        return
    for name, item in value.pairs:
        inner = BY_NAME.get(name.text)
        if inner is not None and inner.name not in ("use", *NESTED):
            _section(to, inner, item, f"{word} ")
        elif section.name == "override" and word == section.word and _is_path(name.text):
            path = name.text if name.text.startswith(STD) else f'"{name.text}"'
            _nested(to, section, item, f"{word} {path}")
        else:
            _report_unknown(to, name, f"`{section.name}`")


def _is_path(text: str) -> bool:
    """Whether a key within `override` names the file whose declarations are meant."""
    return text.startswith(STD) or text.endswith((".biz", ".yaml", ".yml"))


def _use(to: Composer, value: Value) -> None:
    """A path, or a mapping of it to what the file is used for."""
    if isinstance(value, Mapping):
        for path, bound in value.pairs:
            _used(to, path)
            to.add(" for ", bound)
            to.names(bound)
            to.add("\n", value)
        return
    _used(to, value)
    to.add("\n", value)


def _used(to: Composer, path: Value) -> None:
    to.add("use ", path)
    if isinstance(path, Scalar) and path.text.startswith("std."):
        to.words(path)
    else:
        to.text(path)


def _declare(
    to: Composer, section: Section, name: Scalar | None, value: Value, prefix: str = ""
) -> None:
    """One declaration; its name is the key that it stands under."""
    to.doc(value)
    to.add(f"{prefix}{section.word} ", name or value)
    _COMPOSERS[section.name](to, section, name, value)
    to.add("\n", value)


def _taken(to: Composer, section: Section, name: Scalar | None, value: Value) -> Taken:
    """The keys of a declaration; that of its head too, where a mapping has it as its key."""
    assert section.form is not None
    form = section.form
    if name is not None and section.head:
        if not isinstance(value, Mapping):
            # Under its head a rule may have its statements alone.
            return {section.head: name, "do": value}
        needs = tuple(key for key in form.needs if key != section.head)
        form = dataclasses.replace(form, needs=needs)
        return {section.head: name, **to.take(value, form, f"`{name.text}`")}
    what = f"`{name.text}`" if name else f"`{section.word}`"
    return dict(to.take(value, form, what))


def _business(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    assert section.form is not None
    taken = _taken(to, section, name, value)
    if "name" in taken:
        to.text(taken["name"])
    to.add(" {", value)
    for key, item in to.others(value, section.form):
        to.add("\n", key)
        to.words(key)
        to.add(" ", key)
        if is_text(key.text) and isinstance(item, Scalar):
            to.text(item, open_=True)
        else:
            to.expr(item)
    to.add("\n}", value)


def _shape(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    """Entities, types and what extends them: fields, and indexes."""
    assert section.form is not None
    taken = _taken(to, section, name, value)
    to.words(name)
    if "append only" in taken:
        to.add(" append only", taken["append only"])
    to.add(" {", value)
    to.fields(to.others(value, section.form))
    for index in _indexes(taken.get("index")):
        to.add("\nindex ", index)
        to.names(index)
    to.add("\n}", value)


def _indexes(value: Value | None) -> Iterator[Value]:
    """`index` is one line, a list of names, or a list of such."""
    if isinstance(value, Sequence) and any(
        isinstance(item, Sequence) or "," in getattr(item, "text", "") for item in value.items
    ):
        yield from value.items
    elif value is not None:
        yield value


def _event(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    to.words(name)
    if isinstance(value, Scalar) and value.empty:
        return
    assert section.form is not None
    fields = value.get("fields") if isinstance(value, Mapping) else None
    taken = _taken(to, section, name, value)
    pairs = to.others(value, section.form)
    if isinstance(fields, Mapping) or (isinstance(value, Mapping) and not pairs):
        if "key" in taken:
            to.add(" key ", taken["key"])
            to.words(taken["key"])
        for other, _ in pairs:
            to.report(other, f"`{other.text}` stands beside `fields`: put it among them")
        pairs = list(fields.pairs) if isinstance(fields, Mapping) else []
    elif isinstance(value, Mapping):
        # Without `fields`, every key is one, as in an entity.
        pairs = [pair for pair in value.pairs if pair[0].text != DOC]
    to.add(" {", value)
    to.fields(pairs)
    to.add("\n}", value)


def _entitled(to: Composer, name: Scalar | None, value: Value) -> None:
    """A name, and the title that stands in its mapping."""
    to.words(name)
    title = value.get("name") if isinstance(value, Mapping) else None
    if title is not None:
        to.add(" ", title)
        to.text(title)


def _plan(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    _entitled(to, name, value)
    to.add(" {", value)
    if not (isinstance(value, Scalar) and value.empty):
        items(to, value)
    to.add("\n}", value)


def _meter(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    _entitled(to, name, value)
    to.add(" { ", value)
    if isinstance(value, Mapping):
        taken = _taken(to, section, name, value)
        for word, item in sorted(taken.items(), key=lambda pair: pair[0] in _METER_CLAUSES):
            if word not in (DOC, "name"):
                to.add(f"{word} ", item)
                to.names(item)
                to.add(" ", item)
    else:
        to.words(value)
    to.add(" }", value)


_METER_CLAUSES = ("per", "by", "where", "unit")


def _parts(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    """Coupons, taxes, dunning: lines of the grammar."""
    _entitled(to, name, value)
    to.add(" {", value)
    to.lines(_without_doc(to, value))
    to.add("\n}", value)


def _without_doc(to: Composer, value: Value) -> Value:
    """What stands under `is` where a mapping describes a declaration of lines."""
    if not isinstance(value, Mapping):
        return value
    found = value.get("is")
    beside = sum(value.get(word) is not None for word in (DOC, "name"))
    if found is None or len(value.pairs) > beside + 1:
        to.report(value, "One line or a list is meant here", "or a mapping of `##` and `is`")
        return Sequence(value.span, ())
    return found


def _role(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    to.words(name)
    to.add(" {", value)
    said = _without_doc(to, value)
    for item in said.items if isinstance(said, Sequence) else (said,):
        to.add("\ncan ", item)
        to.words(item)
    to.add("\n}", value)


def _lifecycle(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    taken = _taken(to, section, name, value)
    to.words(name)
    to.add(" {", value)
    if "start" in taken:
        to.add("\nstart ", taken["start"])
        to.text(taken["start"])
    arrows = taken.get("arrows")
    for arrow in arrows.items if isinstance(arrows, Sequence) else ():
        if isinstance(arrow, Mapping):
            _arrow(to, arrow)
        else:
            to.add("\n", arrow)
            to.words(arrow)
    if arrows is not None and not isinstance(arrows, Sequence):
        to.report(arrows, "`arrows` is a list", "each with `from`, `to`, and `on` or `after`")
    to.add("\n}", value)


def _arrow(to: Composer, value: Mapping) -> None:
    taken = to.take(value, ARROW, "An arrow")
    if not {"from", "to"} <= set(taken):
        return
    source = taken["from"]
    to.add("\n", value)
    if isinstance(source, Scalar) and source.text == "any":
        to.add("any", source)
    else:
        to.text(source)
    to.add(" -> ", value)
    to.text(taken["to"])
    if "after" in taken:
        to.add(" after ", value)
        to.words(taken["after"])
    elif "on" in taken:
        to.add(" on ", value)
        to.words(taken["on"])
        pattern(to, taken)


def _trigger(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    taken = _taken(to, section, name, value)
    to.words(name)
    for word in ("for", "when", "once per"):
        if word in taken:
            to.add(f" {word} ", taken[word])
            to.words(taken[word])


def _on(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    taken = _taken(to, section, name, value)
    to.needed(taken.get("event"), value)
    pattern(to, taken)
    if "across tenants" in taken:
        to.add(" across tenants", value)
    to.add(" ", value)
    body(to, taken.get("do"), value)


def _every(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    taken = _taken(to, section, name, value)
    if "cron" in taken:
        to.text(taken["cron"])
    else:
        to.needed(taken.get("every"), value)
    for word in ("on", "at", "in", "catch up"):
        if word in taken:
            to.add(f" {word} ", taken[word])
            (to.text if word == "in" else to.words)(taken[word])
    to.add(" ", value)
    body(to, taken.get("do"), value)


def _fn(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    taken = _taken(to, section, name, value)
    to.words(name)
    if "takes" in taken:
        to.params(taken["takes"])
    else:
        to.add("()", value)
    if "gives" in taken:
        to.add(" -> ", value)
        to.words(taken["gives"])
    if "value" in taken:
        to.add(" = ", value)
        to.expr(taken["value"])
    else:
        to.add(" ", value)
        body(to, taken.get("do"), value)


def _const(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    to.words(name)
    to.add(" = ", value)
    described = isinstance(value, Mapping) and value.get(DOC) is not None
    to.expr(_without_doc(to, value) if described else value)


def _template(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    _taken(to, section, name, value)
    assert section.form is not None and name is not None
    to.add(name.text if name.text.isidentifier() else f'"{name.text}"', name)
    to.add(" {", value)
    for part, text in to.others(value, section.form):
        to.add("\n", part)
        to.words(part)
        to.add(" ", part)
        to.text(text)
    to.add("\n}", value)


def _metric(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    to.words(name)
    if isinstance(value, Scalar) and value.empty:
        return
    taken = _taken(to, section, name, value)
    for word, sign in (("type", ": "), ("value", " = "), ("every", " every ")):
        if word in taken:
            to.add(sign, taken[word])
            to.words(taken[word])


def _api(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    taken = _taken(to, section, name, value)
    if "api" in taken:
        route(to, taken["api"])
    to.add(" ", value)
    to.params(taken.get("takes"))
    for word in ("for", "can"):
        if word in taken:
            to.add(f" {word} ", taken[word])
            to.names(taken[word])
    to.add(" ", value)
    body(to, taken.get("do"), value)


def _experiment(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    taken = _taken(to, section, name, value)
    to.words(name)
    to.add(" by ", value)
    to.needed(taken.get("by"), value)
    to.add(" {", value)
    variants = taken.get("variants")
    for variant, item in variants.pairs if isinstance(variants, Mapping) else ():
        to.add("\nvariant ", variant)
        to.words(variant)
        to.add(" ", variant)
        to.words(item)
    to.add("\n}", value)


def _connect(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    to.words(name)
    to.add(" ", value)
    if isinstance(value, Mapping):
        pairs = tuple(pair for pair in value.pairs if pair[0].text != DOC)
        value = Mapping(value.span, pairs)
    to.map(value)


def _for_entity(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    taken = _taken(to, section, name, value)
    to.words(name)
    to.add(" for ", value)
    to.words(taken.get("for"))
    to.add(" ", value)
    found = taken.get("with")
    to.map(found if found is not None else value)


def _test(to: Composer, section: Section, name: Scalar | None, value: Value) -> None:
    taken = _taken(to, section, name, value)
    to.text(taken.get("test"))
    to.add(" ", value)
    body(to, taken.get("do"), value)


_COMPOSERS: dict[str, Callable[[Composer, Section, Scalar | None, Value], None]] = {
    "business": _business,
    "types": _shape,
    "entities": _shape,
    "extend": _shape,
    "events": _event,
    "plans": _plan,
    "addons": _plan,
    "meters": _meter,
    "coupons": _parts,
    "taxes": _parts,
    "dunning": _parts,
    "lifecycles": _lifecycle,
    "triggers": _trigger,
    "on": _on,
    "every": _every,
    "functions": _fn,
    "constants": _const,
    "templates": _template,
    "metrics": _metric,
    "apis": _api,
    "roles": _role,
    "experiments": _experiment,
    "connect": _connect,
    "directory": _for_entity,
    "sign_in": _for_entity,
    "tests": _test,
}


# --- Places ------------------------------------------------------------------------------------


class _Placer:
    """Moves what was found in the composed text to the YAML file."""

    def __init__(self, source: Source, whole: Mended) -> None:
        self.source = source
        self.whole = whole

    def span(self, span: Span) -> Span:
        start = self.whole.origin(span.start)
        end = self.whole.origin_end(span.end) if span.end > span.start else start
        return Span(self.source.name, start, max(start, end))

    def place(self, value: Any) -> Any:
        """A node, or anything within one, with its places in the YAML file."""
        match value:
            case Span():
                return self.span(value)
            case ast.Node():
                fields = {name: self.place(getattr(value, name))
                          for name in value.__struct_fields__}  # fmt: skip
                return type(value)(**fields)
            case tuple():
                return tuple(self.place(item) for item in value)
        return value

    def diagnostic(self, problem: Diagnostic) -> Diagnostic:
        """A mistake; its fix stays where it stands in the file to the letter."""
        labels = tuple(Label(self.span(label.span), label.text) for label in problem.labels)
        span, fix = self.span(problem.span), self.fix(problem.fix)
        return structs.replace(problem, span=span, fix=fix, labels=labels)

    def fix(self, fix: Fix | None) -> Fix | None:
        if fix is None:
            return None
        span = self.span(fix.span)
        composed = self.whole.text[fix.span.start : fix.span.end]
        if not composed or self.source.text[span.start : span.end] != composed:
            return None
        return Fix(span, fix.text, fix.certain)
