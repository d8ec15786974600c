"""The standard library: its modules, which are named as `use` names them, and their texts."""

from __future__ import annotations

import pkgutil

STD = "std."
# What every spec has without using it.
PRELUDE = "std.prelude"


def in_std(name: str) -> bool:
    """Whether a file is a module of the standard library."""
    return name.startswith(STD) and "/" not in name and not name.endswith((".biz", ".yaml", ".yml"))


def std_text(name: str) -> bytes | None:
    """The text of a module, `std.dunning`; None where there is none."""
    path = name.removeprefix(STD).replace(".", "/")
    try:
        return pkgutil.get_data("bizrun", f"std/{path}.biz")
    except OSError:
        return None


def std_modules() -> list[str]:
    """The names of the modules, sorted, the prelude not among them."""
    from importlib.resources import files

    folder = files("bizrun").joinpath("std")
    names = [entry.name for entry in folder.iterdir() if entry.name.endswith(".biz")]
    return sorted({STD + name.removesuffix(".biz") for name in names} - {PRELUDE})
