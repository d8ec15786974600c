"""What a used file is given fits what it wants, and what overrides fits what it replaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from ...diagnostics import Diagnostic, Label
from .. import ast
from ..printer import Printer
from ..std import in_std
from ..symbols import Loaded, Replaced, Taken
from ..types import Type, type_text
from ..uses import named_span
from .context import Checker, listed
from .expressions import infer
from .fit import fits, untyped
from .scope import Scope
from .symbols import type_of


def check_uses(c: Checker) -> None:
    """Checks what `given`, `for` and `override` have put together."""
    for taken in c.checked.loaded.taken:
        if isinstance(taken.given, ast.Entity):
            _check_given(c, taken, taken.given)
    for replaced in c.checked.loaded.replaced:
        _check_override(c, replaced)


# --- given ------------------------------------------------------------------------------------


def _check_given(c: Checker, taken: Taken, given: ast.Entity) -> None:
    info = c.entity(taken.name)
    if info is None or taken.name in c.damaged:
        return
    missing, other = [], []
    for field in given.fields:
        found = info.fields.get(field.name)
        if field.key:
            continue
        written = f"{field.name} {Printer('').type(field.type)}"
        if found is None:
            missing.append(written)
        elif not (fits(found.type, wanted := type_of(c, field.type)) or untyped(wanted)):
            other.append(f"`{written}`, and here it is {type_text(found.type)}")
    what = " and ".join([*([listed(missing)] if missing else []), *other])
    if what:
        labels: tuple[Label, ...] = ()
        if info.decl is not None and not info.builtin:
            labels = (Label(info.decl.name_span, f"its {given.name}"),)
        c.report.add(
            "E0506",
            taken.use.span,
            f"`{taken.use.path}` needs of {taken.name}: {what}",
            f"add it to `entity {taken.name}`" if missing else "change its type",
            labels=labels,
        )


# --- override -----------------------------------------------------------------------------------


def _check_override(c: Checker, replaced: Replaced) -> None:
    problem = next(_misfits(c, replaced.old, replaced.new), None)
    if problem is None:
        return
    old = named_span(replaced.old)
    c.report.add(
        "E0508",
        named_span(replaced.new),
        problem,
        labels=(Label(old, "what it replaces"),),
    )


def _misfits(c: Checker, old: ast.Declaration, new: ast.Declaration) -> Iterator[str]:
    match old, new:
        case ast.Const(), ast.Const():
            before, after = (infer(c, node.value, Scope("value")) for node in (old, new))
            yield from _differ(f"`{old.name}`", before, after)
        case ast.Fn(), ast.Fn():
            yield from _fn_misfits(c, old, new)
        case ast.Metric(type=ast.Node() as before), ast.Metric(type=ast.Node() as after):
            yield from _differ(f"`{old.name}`", type_of(c, before), type_of(c, after))
        case ast.Trigger(), ast.Trigger() if old.entity != new.entity:
            yield f"`{old.event}` is a trigger for {old.entity}, not for {new.entity}"
        case ast.Api(), ast.Api() if bool(old.caller) != bool(new.caller):
            said = "a caller" if old.caller else "no caller"
            yield f"`{old.method} {old.path}` has {said}"


def _fn_misfits(c: Checker, old: ast.Fn, new: ast.Fn) -> Iterator[str]:
    least = sum(param.default is None for param in new.params)
    if not least <= len(old.params) <= len(new.params):
        count = len(old.params)
        yield f"`{old.name}` takes {count} value{'s' * (count != 1)}, not {len(new.params)}"
        return
    for before, after in zip(old.params, new.params, strict=False):
        given, taken = type_of(c, before.type), type_of(c, after.type)
        if not fits(given, taken):
            what = f"{type_text(given)} for `{after.name}`, not {type_text(taken)}"
            yield f"`{old.name}` is given {what}"
    if old.returns is not None and new.returns is not None:
        yield from _differ(f"`{old.name}`", type_of(c, old.returns), type_of(c, new.returns))
    elif old.returns is not None and new.returns is None:
        yield f"`{old.name}` says what it gives: `-> {Printer('').type(old.returns)}`"


def _differ(what: str, before: Type, after: Type) -> Iterator[str]:
    if not fits(after, before) and not untyped(after):
        yield f"{what} is {type_text(before)}, not {type_text(after)}"


# --- errors within a module ---------------------------------------------------------------------


def told_at_use(loaded: Loaded, found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Mistakes within a module of the standard library, told where a spec uses it.

    By itself each module has none: it is what the spec gives it that does not fit.
    """
    diagnostics = list(found)
    hurt = {
        # Of what was overridden by something that does not fit, more only follows.
        *(label.span.file for d in diagnostics if d.code == "E0508" for label in d.labels),
        *(file for file, uses in loaded.used_by.items() if any(map(_told(diagnostics), uses))),
    }
    for problem in diagnostics:
        file = problem.span.file
        if not in_std(file) or file == loaded.path:
            yield problem
        elif problem.severity == "error" and file not in hurt and file in loaded.used_by:
            use = loaded.used_by[file][0]
            label = Label(problem.span, "where it does not")
            text = f"`{use.path}` does not fit here: {problem.message}"
            yield replace(
                problem, code="E0506", span=use.span, message=text, fix=None, labels=(label,)
            )


def _told(diagnostics: Iterable[Diagnostic]) -> Callable[[ast.Use], bool]:
    """Whether something is known to be wrong with a `use`."""
    spans = [d.span for d in diagnostics if d.code in ("E0505", "E0506")]
    return lambda use: any(
        span.file == use.span.file and use.span.start <= span.start < use.span.end for span in spans
    )
