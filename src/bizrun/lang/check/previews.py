"""What `preview_of` is asked: an action about a subscription, with fields of that action."""

from __future__ import annotations

from .. import ast
from .context import Checker

# Begins a subscription: it is about a customer.
_BEGINS = "subscribe"


def check_preview(c: Checker, node: ast.Call) -> None:
    """Reports an action that no preview is made of, and fields that it has not."""
    action = node.args[1] if len(node.args) > 1 else None
    if not isinstance(action, ast.Text) or action.plain is None:
        return
    known = [
        name
        for name, signature in c.signatures.items()
        if name == _BEGINS or any(f.name == "subscription" and f.required for f in signature.fields)
    ]
    if action.plain not in known:
        text = f"`preview_of` knows no action `{action.plain}` of a subscription"
        c.unknown("E0213", action.span, text, action.plain, known, form='"{}"')
        return
    names = [f.name for f in c.signatures[action.plain].fields]
    fields = node.args[2] if len(node.args) > 2 else None
    for entry in fields.entries if isinstance(fields, ast.MapLiteral) else ():
        if isinstance(entry, ast.Entry) and entry.name not in names:
            text = f"`{action.plain}` has no field `{entry.name}`"
            c.unknown("E0215", entry.name_span, text, entry.name, names)
