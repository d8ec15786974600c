"""Email templates: there, well-formed, and given every name that they use."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field

from ...diagnostics import Label, Source, Span, did_you_mean
from .. import ast
from ..types import EntityType, Record, Type, known, type_text
from .facts import Facts, entries

# What the renderer gives to every template, besides `data`.
GIVEN = ("business", "now", "today")
# Fields that a row has in a template and nowhere else.
LISTS = {("Invoice", "lines")}

# What the renderer has of filters; Jinja2's others could do anything, or print otherwise.
FILTERS = frozenset((
    "abs", "capitalize", "count", "d", "date", "default", "dictsort", "e", "escape", "first",
    "format", "groupby", "int", "items", "join", "last", "length", "list", "lower", "map",
    "max", "min", "money", "number", "reject", "rejectattr", "replace", "reverse", "round",
    "safe", "select", "selectattr", "sort", "string", "sum", "title", "trim", "truncate",
    "unique", "upper", "urlencode", "wordcount",
))  # fmt: skip

_SIMPLE = re.compile(r"\{\{-?\s*([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*)\s*-?\}\}")
# A name in braces of our texts, which a template prints as it stands.
_SINGLE = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)*\}(?!\})")
_WORDS = {"true", "false", "none", "True", "False", "None", "not", "self", "loop", "range"}


class _Uses(Struct):
    """The names and `name.field`s that a text reads, with the line in it; or its mistake."""

    names: dict[str, int] = field(default_factory=dict)
    fields: dict[tuple[str, str], int] = field(default_factory=dict)
    error: tuple[int, str] | None = None


class _Part(Struct, frozen=True):
    """A text of a template: where it stands, whole, and what it reads."""

    span: Span
    source: Source
    uses: _Uses


class _Mail(Struct, frozen=True):
    """An email: its template, where it names that, and what it gives it.

    `sure` are names that it has from where they come from, `unknown` those that stand for nothing.
    """

    template: str
    span: Span
    given: Mapping[str, Type]
    sure: frozenset[str]
    unknown: frozenset[str]


def check_templates(facts: Facts) -> None:
    """Checks each email's template, then warns of inline templates that no email uses."""
    read: dict[str, tuple[_Part, ...]] = {}
    found = [_mail(action, facts) for action in facts.actions]
    found += [_filled(call.args[0], _second(call.args), facts) for call in facts.checked.sheets]
    mails = [mail for mail in found if mail is not None]
    given: dict[str, set[str]] = {}
    for mail in mails:
        given.setdefault(mail.template, set()).update(mail.given)
    for mail in mails:
        if mail.template not in read:
            read[mail.template] = _parts(mail.template, facts)
        _check_names(mail, read[mail.template], given[mail.template], facts)
    for template in facts.all(ast.Template):
        if template.name not in read:
            read[template.name] = _parts(template.name, facts)
    for name, parts in read.items():
        _check_braces(name, parts, given.get(name, set()), facts)
        for part in parts:
            if part.uses.error:
                line, message = part.uses.error
                text = f"This template can't be read: {message}"
                facts.report.add("E0841", _line_span(part, line), text)
    for template in facts.all(ast.Template):
        if "body" not in {name for name, *_ in template.parts} and not facts.damaged(template):
            text = f"The template `{template.name}` has no body: its email says nothing"
            hint = 'write `body """…"""`'
            facts.warn("W0842", template.name_span, text, help=hint)
    _check_unused(facts)


def _check_braces(name: str, parts: tuple[_Part, ...], given: set[str], facts: Facts) -> None:
    """Warns of `{name}` where an email gives that name: templates have two braces."""
    for part in parts:
        text = part.source.text[part.span.start : part.span.end]
        for found in _SINGLE.finditer(text):
            if found[1] not in given | set(GIVEN):
                continue
            start, end = (part.span.start + place for place in found.span())
            facts.warn(
                "W0841",
                Span(part.span.file, start, end),
                f"The template `{name}` prints `{found[0]}` as it stands",
                help=f"templates have two braces: `{{{{ {found[0][1:-1]} }}}}`",
            )


def _mail(action: ast.Action, facts: Facts) -> _Mail | None:
    """An email with a template that there is; None where what it gives can't be known here."""
    fields = entries(action.data)
    if "template" not in fields or action.name != "email":
        return None
    data = fields.get("data")
    return _filled(fields["template"].value, data.value if data else None, facts)


def _second(args: tuple[ast.Expr, ...]) -> ast.Expr | None:
    return args[1] if len(args) > 1 else None


def _filled(template: ast.Expr, data: ast.Expr | None, facts: Facts) -> _Mail | None:
    """A template that is filled with data, in an email or as a page of its own."""
    name = _named(template)
    files = facts.checked.loaded.template_files
    if name is None or (name not in files and name not in facts.symbols.templates):
        return None  # reported with the names
    given = _given(data, facts)
    if given is None:
        return None
    values = {k: entry.value for k, entry in entries(data).items()}
    names = facts.checked.names
    return _Mail(
        name,
        template.span,
        given,
        frozenset(k for k, value in values.items() if getattr(value, "name", None) == k),
        frozenset(k for k, value in values.items()
                  if isinstance(value, ast.Name) and value not in names),
    )  # fmt: skip


def _named(template: ast.Expr) -> str | None:
    """The template's name where it is written out: `"welcome"`, or bare `welcome`."""
    match template:
        case ast.Text():
            return template.plain
        case ast.Name(name=name):
            return name
    return None


def _given(data: ast.Expr | None, facts: Facts) -> dict[str, Type] | None:
    """The names that an email gives its template; None where that can't be known here."""
    if data is None:
        return {}
    if not isinstance(data, ast.MapLiteral):
        return _fields(facts.checked.type_of(data), facts)
    given: dict[str, Type] = {}
    for entry in data.entries:
        if isinstance(entry, ast.Entry):
            given[entry.name] = facts.checked.type_of(entry.value)
            continue
        spread = _fields(facts.checked.type_of(entry.value), facts)
        if spread is None:
            return None
        given |= spread
    return given


def _fields(type_: Type, facts: Facts) -> dict[str, Type] | None:
    """The fields of a row or closed map by name, None of anything else."""
    match known(type_):
        case Record(fields=fields, open=False):
            return dict(fields)
        case EntityType(name=name) if name in facts.symbols.entities:
            info = facts.symbols.entities[name]
            if info.decl and facts.damaged(info.decl):
                return None
            return {key: value.type for key, value in info.fields.items()}
    return None


def _check_names(mail: _Mail, parts: tuple[_Part, ...], anywhere: set[str], facts: Facts) -> None:
    """Checks what a template uses against what an email gives; `anywhere` is what any gives it."""
    for part in parts:
        for used, line in part.uses.names.items():
            if used not in mail.given and used not in GIVEN:
                _report_name(mail, used, _word_span(part, used, line), anywhere, facts)
                return
        for (used, wanted), line in part.uses.fields.items():
            if used not in mail.given:
                continue
            fields = _fields(mail.given[used], facts)
            if fields is None or wanted in fields:
                continue
            owner = type_text(known(mail.given[used]))
            if (owner, wanted) in LISTS:
                continue
            span = _word_span(part, f"{used}.{wanted}", line)
            text = f"`{used}` is {owner}, which has no field `{wanted}`"
            labels = (Label(mail.span, "given by this email"),)
            facts.report.add("E0843", span, text, help=facts.near(wanted, fields), labels=labels)


def _report_name(mail: _Mail, used: str, word: Span, anywhere: set[str], facts: Facts) -> None:
    """Reports a name that is not given: in the template where the slip is, else at the email."""
    near = did_you_mean(used, mail.given)
    if near in mail.unknown:
        return  # the name that it was to be given is told to be none
    hint = f"did you mean `{near}`?" if near else f"add `{used}` to the email's `data`"
    if near in mail.sure and used not in anywhere:
        text = f"No email gives this template a `{used}`"
        labels = (Label(mail.span, f"this one gives `{near}`"),)
        facts.report.add("E0842", word, text, help=hint, labels=labels)
        return
    text = f'The template "{mail.template}" uses `{used}`, which this email does not give'
    labels = (Label(word, "used here"),)
    facts.report.add("E0842", mail.span, text, help=hint, labels=labels)


def _check_unused(facts: Facts) -> None:
    named = {_named(call.args[0]) for call in facts.checked.sheets}
    for action in facts.actions:
        entry = entries(action.data).get("template")
        if entry is None:
            continue
        for text in _texts(entry.value):
            if text is None:
                return
            named.add(text)
    for template in facts.all(ast.Template):
        if template.name not in named and not facts.lost(template.name):
            text = f"No email uses the template `{template.name}`"
            facts.warn("W0840", template.name_span, text)


def _texts(expr: ast.Expr) -> list[str | None]:
    """The templates that an expression may name; None stands for any."""
    match expr:
        case ast.Text():
            return [expr.plain]
        case ast.Name(name=name):
            return [name]
        case ast.IfExpr(then=then, otherwise=otherwise):
            return [*_texts(then), *_texts(otherwise)]
    return [None]


# --- reading a template --------------------------------------------------------------------------


def _parts(name: str, facts: Facts) -> tuple[_Part, ...]:
    """The texts of a template: those of its declaration, else its file."""
    inline = facts.symbols.templates.get(name)
    if inline is not None:
        source = facts.checked.loaded.sources[inline.span.file]
        return tuple(_Part(span, source, _uses(text)) for _, text, span in inline.parts)
    source = facts.checked.loaded.template_files[name]
    return (_Part(Span(source.name, 0, len(source.text)), source, _uses(source.text)),)


def _uses(text: str) -> _Uses:
    """What a Jinja2 text reads; plain `{{ a.b }}` alone costs no import of Jinja2."""
    uses = _Uses()
    rest = _SIMPLE.sub("", text)
    if not any(mark in rest for mark in ("{{", "{%", "{#")):
        found = list(_SIMPLE.finditer(text))
        if not any(match[1] in _WORDS for match in found):
            for match in found:
                line = text.count("\n", 0, match.start()) + 1
                uses.names.setdefault(match[1], line)
                if match[2]:
                    uses.fields.setdefault((match[1], match[2].split(".")[1]), line)
            return uses
    return _parsed(text)


def _parsed(text: str) -> _Uses:
    from jinja2 import Environment, TemplateSyntaxError, meta, nodes

    uses = _Uses()
    environment = Environment()
    environment.filters |= dict.fromkeys(FILTERS, str)
    try:
        tree = environment.parse(text)
        for used in tree.find_all(nodes.Filter):
            if used.name not in FILTERS:
                near = did_you_mean(used.name, FILTERS)
                meant = f": did you mean `{near}`?" if near else ""
                uses.error = (used.lineno, f"there is no filter `{used.name}`{meant}")
                return uses
        free = meta.find_undeclared_variables(tree)
    except TemplateSyntaxError as problem:
        uses.error = (problem.lineno, (problem.message or "it is no Jinja2").rstrip("."))
        return uses
    except RecursionError:
        uses.error = (1, "it is nested too deep")
        return uses
    optional = _optional(tree)
    for node in tree.find_all(nodes.Name):
        if node.ctx == "load" and node.name in free - optional - set(environment.globals):
            uses.names.setdefault(node.name, node.lineno)
    for read in tree.find_all(nodes.Getattr):
        base = read.node
        if isinstance(base, nodes.Name) and base.name in uses.names:
            uses.fields.setdefault((base.name, read.attr), read.lineno)
    return uses


def _optional(tree: object) -> set[str]:
    """Names that a template itself asks for: `x is defined`, `x | default(…)`."""
    from jinja2 import nodes

    assert isinstance(tree, nodes.Template)
    asked = [*tree.find_all(nodes.Test), *tree.find_all(nodes.Filter)]
    found = set()
    for node in asked:
        if node.name in ("defined", "undefined", "default", "d"):
            found |= {name.name for name in node.find_all(nodes.Name)}
    return found


def _line_span(part: _Part, line: int) -> Span:
    """A line of a part in its file: exact in a file, by counting in a text of three quotes."""
    text = part.source.text[part.span.start : part.span.end]
    raw = text.split("\n")
    skip = 1 if text.startswith('"""') and not raw[0].strip('"').strip() else 0
    index = min(line - 1 + skip, len(raw) - 1)
    start = part.span.start + sum(len(before) + 1 for before in raw[:index])
    indent = len(raw[index]) - len(raw[index].lstrip())
    return Span(part.span.file, start + indent, start + max(len(raw[index].rstrip()), indent + 1))


def _word_span(part: _Part, word: str, line: int) -> Span:
    """Where a word stands in a part, at or after a line; that line where it is not found."""
    near = _line_span(part, line)
    pattern = re.compile(rf"(?<![\w.]){re.escape(word)}(?!\w)")
    found = pattern.search(part.source.text, near.start, part.span.end)
    return Span(part.span.file, found.start(), found.end()) if found else near
