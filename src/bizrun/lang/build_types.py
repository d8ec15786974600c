"""Builds types and fields, and the declarations that consist of them: entity, event, type."""

from __future__ import annotations

import re
from typing import Any

from ..diagnostics import Span
from . import ast
from .build_context import Context, bounds, first, is_tree, named, tokens
from .build_expr import build_expr
from .build_text import plain_text

_DOC = re.compile(r"((?:^[ \t]*##[^\r\n]*(?:\r\n?|\n))+)[ \t]*\Z", re.MULTILINE)


def build_type(tree: Any, context: Context) -> ast.TypeExpr:
    """A type as it is written."""
    span = context.of(tree)
    match tree.data:
        case "type_name":
            return ast.TypeName(span, str(tree.children[0]))
        case "type_list":
            return ast.TypeList(span, build_type(tree.children[0], context))
        case "type_map":
            key, value = tree.children
            if str(key) != "text":
                help = "a map's names are texts: write `{text: …}`"
                context.report("E0101", context.of(key), f"A map from `{key}` is no type.", help)
            return ast.TypeMap(span, build_type(value, context))
        case "type_union":
            return ast.TypeUnion(span, tuple(plain_text(t, context) for t in tree.children))
    return ast.TypeOptional(span, build_type(tree.children[0], context))


def build_field(tree: Any, context: Context, name: Any = None) -> ast.FieldDecl:
    """A field; of the start symbol `field`, which has no name of its own, under a given token."""
    if tree.data == "field_decl":
        name, tree_body = tree.children
    else:
        tree_body = tree
    type_tree = tree_body.children[0]
    flags = {str(flag.children[0]) for flag in tree_body.children[1:] if flag.data == "flag"}
    default, was = first(tree_body, "default"), first(tree_body, "was")
    return ast.FieldDecl(
        context.of(tree),
        str(name) if name is not None else "",
        context.of(name) if name is not None else context.of(tree),
        build_type(type_tree, context),
        "key" in flags,
        "unique" in flags,
        build_expr(default.children[0], context) if default is not None else None,
        _doc(tree, context) if name is not None else None,
        named(context, was.children[0]) if was is not None else None,
    )


def _doc(tree: Any, context: Context) -> str | None:
    """The `##` comments on the lines above a field."""
    start = bounds(tree)[0]
    line = context.text.rfind("\n", 0, start)
    # Almost no field has one: a look at the line before decides.
    before = context.text.rfind("\n", 0, max(line, 0)) + 1
    if line < 0 or not context.text[before:line].lstrip(" \t").startswith("##"):
        return None
    found = _DOC.search(context.text, 0, start)
    if not found:
        return None
    lines = [piece.strip().lstrip("#").strip() for piece in found[1].splitlines()]
    return "\n".join(lines)


def _fields(
    tree: Any, context: Context
) -> tuple[tuple[ast.FieldDecl, ...], tuple[ast.IndexDecl, ...]]:
    """Fields and indexes; a bare name behind a comma goes on with the index before it."""
    fields: list[ast.FieldDecl] = []
    indexes: list[tuple[Span, list[tuple[str, Span]]]] = []
    last: Any = None
    for part in tree.children:
        if not is_tree(part, "field_decl", "index", "loose"):
            continue
        if part.data == "field_decl":
            fields.append(build_field(part, context))
        elif part.data == "index":
            indexes.append((context.of(part), [named(context, part.children[0])]))
        elif is_tree(last, "index", "loose") and "\n" not in _between(last, part, context):
            span, names = indexes[-1]
            indexes[-1] = (span.to(context.of(part)), [*names, named(context, part.children[0])])
        else:
            name, span = named(context, part.children[0])
            help = f"write its type behind it, as in `{name} text`"
            context.report("E0101", span, f"The field `{name}` has no type.", help)
            part = None
        last = part
    return tuple(fields), tuple(ast.IndexDecl(span, tuple(names)) for span, names in indexes)


def _between(left: Any, right: Any, context: Context) -> str:
    return context.text[bounds(left)[1] : bounds(right)[0]]


def build_entity(tree: Any, context: Context) -> ast.Entity:
    """An entity, or what `extend entity` adds to one."""
    name, name_span = named(context, tokens(tree, "NAME")[0])
    fields, indexes = _fields(tree, context)
    extends, append_only = (first(tree, n) is not None for n in ("extend", "append_only"))
    if extends and append_only:
        help = "say so where the entity is declared"
        context.report("E0101", name_span, "An extension adds fields and nothing else.", help)
    place = (context.of(tree), context.doc)
    return ast.Entity(*place, name, name_span, fields, indexes, extends, append_only)


def build_type_decl(tree: Any, context: Context) -> ast.TypeDecl:
    """A shape without a table."""
    name, name_span = named(context, tree.children[0])
    return ast.TypeDecl(context.of(tree), context.doc, name, name_span, _fields(tree, context)[0])


def build_event_decl(tree: Any, context: Context) -> ast.EventDecl:
    """An event and its payload."""
    name, name_span = named(context, tree.children[0])
    key = first(tree, "event_key")
    return ast.EventDecl(
        context.of(tree),
        context.doc,
        name,
        name_span,
        named(context, key.children[0]) if key is not None else None,
        _fields(tree, context)[0],
    )
