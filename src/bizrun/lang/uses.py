"""What a spec makes of the files that it uses: `given` makes way, `for` binds, `override` replaces.

A pure step between reading and checking. Behind it there are plain declarations alone: what was
replaced is gone, and what replaces it stands in its place.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from ..diagnostics import Diagnostic, Fix, Label, Span, did_you_mean
from . import ast
from .rename import renamed
from .symbols import Replaced, Taken

# What `override` may replace, by its word.
OVERRIDABLE: dict[type[ast.Declaration], str] = {
    ast.Const: "const",
    ast.Fn: "fn",
    ast.Template: "template",
    ast.Dunning: "dunning",
    ast.Coupon: "coupon",
    ast.Tax: "tax",
    ast.Metric: "metric",
    ast.Trigger: "trigger",
    ast.Role: "role",
    ast.Plan: "plan",
    ast.Addon: "addon",
    ast.Meter: "meter",
    ast.Experiment: "experiment",
    ast.Connect: "connect",
    ast.Lifecycle: "lifecycle",
    ast.Api: "api",
    ast.On: "on",
}


_GIVEN = re.compile(r"^given\b", re.MULTILINE)


def stands_alone(text: str) -> bool:
    """Whether a file is checked and tested by itself even where others use it: it has stand-ins."""
    return _GIVEN.search(text) is not None


class Link(Struct, frozen=True):
    """A `use`, and the file that it reads."""

    use: ast.Use
    used: str


class Settled(Struct):
    """The files without `given`, `for` and `override`, and what the checker has to look at."""

    files: list[ast.File] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    replaced: list[Replaced] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def report(
        self, code: str, span: Span, message: str, help: str | None = None, fix: Fix | None = None
    ) -> None:
        """Keeps a mistake."""
        self.diagnostics.append(Diagnostic(code, span, message, help, fix))


def settle(
    files: Sequence[ast.File], links: Sequence[Link], main: str, texts: Collection[str]
) -> Settled:
    """Binds what used files are given, then replaces what is overridden; files in load order.

    `texts` are the names of templates that stand beside the spec: they replace a module's.
    """
    settled = Settled()
    spec = _own_names(files, main)
    for file in files:
        name = file.span.file
        uses = [link.use for link in links if link.used == name]
        if name == main or not uses:
            settled.files.append(_with(file, _unwrapped(file)))
        else:
            settled.files.append(_with(file, _bound(settled, file, uses, spec)))
    _override(settled, links)
    modules = {link.used for link in links if link.use.std}
    settled.files = [_without(file, texts) if file.span.file in modules else file
                     for file in settled.files]  # fmt: skip
    return settled


def _with(file: ast.File, declarations: Iterable[ast.Declaration]) -> ast.File:
    return ast.File(file.span, tuple(declarations))


def _unwrapped(file: ast.File) -> Iterator[ast.Declaration]:
    """A file that stands alone: what it is given stands in for what a user would declare."""
    for node in file.declarations:
        yield node.declaration if isinstance(node, ast.Given) else node


def _without(file: ast.File, texts: Collection[str]) -> ast.File:
    """A module without those of its own templates that are written beside the spec."""
    return _with(file, (
        node for node in file.declarations
        if not (isinstance(node, ast.Template) and node.name in texts
                and node.span.file == file.span.file)
    ))  # fmt: skip


# --- given ------------------------------------------------------------------------------------


class _Names(Struct):
    """What the spec itself has under a name, and which entities its business speaks of."""

    entities: dict[str, ast.Entity] = field(default_factory=dict)
    meters: dict[str, ast.Meter] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)

    def has(self, given: ast.Declaration, names: Mapping[str, str]) -> bool:
        """Whether a stand-in would stand beside what it stands in for."""
        key = key_of(given) or ""
        return isinstance(given, ast.Business) or names.get(key, key) in self.kind(given)[1]

    def kind(self, given: ast.Declaration) -> tuple[str, Mapping[str, ast.Declaration]]:
        """The word for a declaration, and the spec's own ones of its kind."""
        if isinstance(given, ast.Meter):
            return "meter", self.meters
        return "entity", self.entities


def _own_names(files: Sequence[ast.File], main: str) -> _Names:
    names = _Names()
    for file in files:
        nodes = _unwrapped(file) if file.span.file == main else iter(file.declarations)
        for node in nodes:
            match node:
                case ast.Entity(extends=False):
                    names.entities.setdefault(node.name, node)
                case ast.Meter():
                    names.meters.setdefault(node.name, node)
                case ast.Business():
                    names.roles = roles_of(node) | names.roles
                case _:
                    pass
    return names


def roles_of(business: ast.Business) -> dict[str, str]:
    """The entities that a business block names: `bills`, `tenant`."""
    return {
        setting.key: setting.words[0].strip('"')
        for setting in business.settings
        if setting.key in ("bills", "tenant") and setting.words
    }


def _bound(
    settled: Settled, file: ast.File, uses: list[ast.Use], spec: _Names
) -> Iterator[ast.Declaration]:
    """A used file's declarations in the spec's names: once for each way in which it is bound."""
    givens = [node.declaration for node in file.declarations if isinstance(node, ast.Given)]
    # What was written to be tested with stand-ins can't be tested without them.
    kinds = (ast.Given, ast.Test) if givens else (ast.Given,)
    own = [node for node in file.declarations if not isinstance(node, kinds)]
    bound = [_names(settled, use, givens, spec) for use in uses]
    good = [names for names, whole in bound if whole]
    if not good:
        # What could not be bound stays as it was, so that no more is said of it.
        good = [bound[0][0]]
        yield from (renamed(n, good[0]) for n in givens if not spec.has(n, good[0]))
    for number, names in enumerate(good):
        if names not in good[:number]:
            for node in own:
                if number == 0 or _changed(node, names, good[0]):
                    yield renamed(node, names)


def _changed(node: ast.Declaration, names: dict[str, str], first: dict[str, str]) -> bool:
    """Whether another binding makes another declaration of it."""
    others = {name: own for name, own in names.items() if first.get(name) != own}
    return renamed(node, others) is not node


def _names(
    settled: Settled, use: ast.Use, givens: Sequence[ast.Declaration], spec: _Names
) -> tuple[dict[str, str], bool]:
    """What each given name is called in the spec, and whether that can be said of all."""
    open_: dict[str, ast.Declaration] = {
        node.name: node for node in givens
        if isinstance(node, ast.Meter) or (isinstance(node, ast.Entity) and not node.extends)
    }  # fmt: skip
    names: dict[str, str] = {}
    taken: list[Taken] = []
    before = len(settled.diagnostics)
    for business in (node for node in givens if isinstance(node, ast.Business)):
        for role, theirs in roles_of(business).items():
            if role in spec.roles:
                names[theirs] = spec.roles[role]
            elif role == "bills":
                text = f"`{use.path}` speaks of who pays, and the business block names nobody"
                settled.report("E0506", use.span, text, "add `bills` and the name of an entity")
    free = [name for name in open_ if name not in names]
    for binding in use.bindings:
        given = _given_name(settled, use, binding, free, open_)
        if given is not None:
            _own_name(settled, binding, *spec.kind(open_[given]))
            names[given] = binding.own
    for name, node in open_.items():
        kind, own = spec.kind(node)
        names.setdefault(name, name)
        if names[name] in own:
            taken.append(Taken(use, node, names[name]))
        elif name in free and len(settled.diagnostics) == before:
            _report_missing(settled, use, name, kind, own, len(free) == 1)
    whole = len(settled.diagnostics) == before
    settled.taken += taken if whole else ()
    return names, whole


def _given_name(
    settled: Settled,
    use: ast.Use,
    binding: ast.Binding,
    free: Sequence[str],
    known: Mapping[str, ast.Declaration],
) -> str | None:
    listed = ", ".join(f"`{name}`" for name in free)
    if binding.given is None:
        if len(free) == 1:
            return free[0]
        text = f"`{use.path}` is given nothing that `{binding.own}` could be"
        if free:
            text = f"`{use.path}` is given {listed}: which of them is `{binding.own}`?"
        help_ = f"write `for {binding.own} as {free[0]}`" if free else "leave the `for` out"
        settled.report("E0505", binding.span, text, help_)
        return None
    if binding.given in known:
        return binding.given
    near = did_you_mean(binding.given, known)
    help_ = f"did you mean `{near}`?" if near else f"it is given {listed or 'nothing'}"
    fix = Fix(binding.given_span, near) if near and binding.given_span else None
    text = f"`{use.path}` is given no `{binding.given}`"
    settled.report("E0505", binding.given_span or binding.span, text, help_, fix)
    return None


def _own_name(
    settled: Settled, binding: ast.Binding, kind: str, own: Mapping[str, ast.Declaration]
) -> None:
    if binding.own in own:
        return
    near = did_you_mean(binding.own, own)
    help_ = f"did you mean `{near}`?" if near else f"declare it: `{kind} {binding.own} {{ … }}`"
    fix = Fix(binding.own_span, near) if near else None
    settled.report("E0505", binding.own_span, f"There is no {kind} `{binding.own}`", help_, fix)


def _report_missing(
    settled: Settled,
    use: ast.Use,
    name: str,
    kind: str,
    own: Mapping[str, ast.Declaration],
    alone: bool,
) -> None:
    text = f"`{use.path}` speaks of {'an' if kind[0] in 'aeiou' else 'a'} {kind} `{name}`, and "
    text += "nothing declares one"
    mine = next((n for n, node in own.items() if not node.span.file.startswith("std.")), "…")
    called = mine if alone else f"{mine} as {name}"
    path = use.path if use.std else f'"{use.path}"'
    help_ = f"declare it, or say which of yours it is: `use {path} for {called}`"
    settled.report("E0506", use.span, text, help_)


# --- override -----------------------------------------------------------------------------------


def key_of(node: ast.Declaration) -> str | None:
    """By what a declaration is told from others of its kind; None where nothing does."""
    match node:
        case ast.Trigger():
            return node.event
        case ast.Lifecycle():
            return f"{node.entity}.{node.field}"
        case ast.Api():
            return f"{node.method} {node.path}"
        case ast.On():
            return " or ".join(sorted({name for name, _ in node.pattern.types}))
    name: Any = getattr(node, "name", None)
    return name if isinstance(name, str) else None


def _override(settled: Settled, links: Sequence[Link]) -> None:
    """Puts what overrides where the overridden stood; what finds nothing to replace stays."""
    files = [list(file.declarations) for file in settled.files]
    for number, nodes in enumerate(files):
        for node in list(nodes):
            if not isinstance(node, ast.Override):
                continue
            place = nodes.index(node)
            # The prelude is no file that anybody uses.
            meant = _meant(settled, node, files[1:number], links)
            if meant is None or _replace(settled, node, meant):
                del nodes[place]
            else:
                nodes[place] = node.declaration
    settled.files = [_with(file, nodes) for file, nodes in zip(settled.files, files, strict=True)]


def _meant(
    settled: Settled,
    override: ast.Override,
    files: list[list[ast.Declaration]],
    links: Sequence[Link],
) -> list[list[ast.Declaration]] | None:
    """The files in which an `override` looks: all that are used, or the one that it names."""
    if override.path is None:
        return files
    named = {link.used for link in links if link.use.path == override.path}
    numbers = [n for n, file in enumerate(settled.files[1:]) if file.span.file in named]
    if not numbers:
        near = did_you_mean(override.path, {link.use.path for link in links})
        help_ = f"did you mean `{near}`?" if near else f"write `use {override.path}`"
        span = override.path_span or override.span
        settled.report("E0507", span, f"No file uses `{override.path}`", help_)
        return None
    return [files[number] for number in numbers if number < len(files)]


def _replace(settled: Settled, override: ast.Override, files: list[list[ast.Declaration]]) -> bool:
    new = override.declaration
    kind, key = OVERRIDABLE.get(type(new)), key_of(new)
    if kind is None:
        word = settled_word(new)
        help_ = "`extend entity` adds fields" if isinstance(new, ast.Entity) else (
            f"it replaces {', '.join(OVERRIDABLE.values())}")  # fmt: skip
        settled.report("E0508", override.span, f"`override` can't replace {word}", help_)
        return True
    holders = [nodes for nodes in files if any(_same(new, key, node) for node in nodes)]
    if len(holders) > 1:
        _report_several(settled, new, kind, key, holders)
        return True
    if not holders:
        _report_nothing(settled, override, kind, key or "", files)
        return False
    (nodes,) = holders
    first, *others = [node for node in nodes if _same(new, key, node)]
    if any(replaced.new is first for replaced in settled.replaced):
        _report_twice(settled, new, first, kind, key)
        return True
    nodes[nodes.index(first)] = new
    settled.replaced.append(Replaced(first, new))
    for other in others:
        nodes.remove(other)
    return True


def _same(new: ast.Declaration, key: str | None, old: ast.Declaration) -> bool:
    return type(old) is type(new) and key_of(old) == key


def settled_word(node: ast.Declaration) -> str:
    """A declaration that nothing replaces, as a message names it."""
    words = {ast.Every: "a schedule: override the handler of an event that it emits",
             ast.EventDecl: "an event", ast.TypeDecl: "a type", ast.Entity: "an entity",
             ast.Business: "the business block", ast.Test: "a test"}  # fmt: skip
    return words.get(type(node), "this")


def _report_twice(
    settled: Settled, new: ast.Declaration, old: ast.Declaration, kind: str, key: str | None
) -> None:
    labels = (Label(named_span(old), "overridden here first"),)
    text, help_ = f"`{kind} {key}` is overridden twice", "rename or remove one"
    settled.diagnostics.append(Diagnostic("E0218", named_span(new), text, help_, labels=labels))


def _report_several(
    settled: Settled,
    new: ast.Declaration,
    kind: str,
    key: str | None,
    holders: list[list[ast.Declaration]],
) -> None:
    theirs = [next(node for node in nodes if _same(new, key, node)) for nodes in holders]
    names = [file_name(old) for old in theirs]
    text = f"`{kind} {key}` stands in {' and '.join(names)}"
    help_ = f"say whose is meant: `override {names[0]} {kind} …`"
    labels = tuple(Label(named_span(old), "one of them") for old in theirs)
    settled.diagnostics.append(Diagnostic("E0508", named_span(new), text, help_, labels=labels))


def _report_nothing(
    settled: Settled,
    override: ast.Override,
    kind: str,
    key: str,
    files: list[list[ast.Declaration]],
) -> None:
    used = [node for nodes in files for node in nodes]
    same = {key_of(n): n for n in used if type(n) is type(override.declaration)}
    other = next((n for n in used if key_of(n) == key and type(n) in OVERRIDABLE), None)
    near = _near(key, [name for name in same if name])
    span = named_span(override.declaration)
    if near:
        where = next((r.old for r in settled.replaced if r.new is same[near]), same[near])
        help_ = f"did you mean `{near}` of {file_name(where)}?"
    elif other is not None:
        help_ = f"{file_name(other)} declares `{OVERRIDABLE[type(other)]} {key}`"
    elif not files:
        help_ = "this file uses no other: leave `override` out"
    else:
        names = ", ".join(f"`{name}`" for name in list(same)[:8])
        help_ = f"they declare {names}" if names else f"they declare no {kind}"
    fix = Fix(span, near) if near and isinstance(override.declaration, ast.Const | ast.Fn) else None
    text = f"No file that is used here declares `{kind} {key}`"
    if override.path is not None:
        text = f"`{override.path}` declares no `{kind} {key}`"
    settled.report("E0507", span, text, help_, fix)


def _near(key: str, known: Sequence[str]) -> str | None:
    """The name that is meant: also of a handler of several events, where one is named."""
    several = [name for name in known if set(key.split(" or ")) & set(name.split(" or "))]
    return several[0] if several else did_you_mean(key, known)


def file_name(node: ast.Node) -> str:
    """The file that a declaration stands in, as a message names it."""
    return posixpath.basename(node.span.file)


def named_span(node: ast.Declaration) -> Span:
    """Where a declaration says what it is about."""
    if isinstance(node, ast.On):
        return node.pattern.span
    span: Span = getattr(node, "name_span", node.span)
    return span
