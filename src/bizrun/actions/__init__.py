"""What a handler may do, by name."""

from __future__ import annotations

from msgspec.structs import replace

from ..lang.symbols import ActionSignature, Symbols
from .signatures import CONNECTION, METHODS, OPEN_ROOTS


def open_action(name: str, symbols: Symbols) -> ActionSignature | None:
    """The signature of `stripe.…`, `paypal.…` or `<connection>.<method>`, None for any other."""
    root, _, rest = name.partition(".")
    if not rest:
        return None
    if root in OPEN_ROOTS or (root in symbols.connections and rest in METHODS):
        return replace(CONNECTION, name=name)
    return None
