"""The page of the built-in functions says what the checker knows of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from bizrun.lang import builtins
from bizrun.lang.builtins import BUILTINS, Builtin
from bizrun.lang.types import type_text

PAGE = Path(__file__).parent.parent / "docs" / "functions.md"
GROUPS = {
    "Lists": builtins._LISTS, "Numbers and money": builtins._NUMBERS, "Texts": builtins._TEXTS,
    "Times": builtins._TIMES, "Billing": builtins._BILLING, "Figures": builtins._METRICS,
    "Estimates": builtins._ESTIMATES, "Connections and files": builtins._OUTSIDE,
}  # fmt: skip
HEAD = """# Built-in functions

What an expression can call; a `?` may be left out, `…` is given as often as you like. What they are
for is told where they belong: [language.md](language.md#expressions), [billing.md](billing.md),
[billing-ledger.md](billing-ledger.md). An editor shows the same ([editors.md](editors.md)).
"""


def result(function: Builtin) -> str:
    """What a function gives, in a word or two; nothing where that depends on what it is given."""
    found = function.result
    return "" if isinstance(found, str) else type_text(found).replace("anything", "")


def row(function: Builtin) -> str:
    return f"| `{function.usage}` | {result(function)} | {function.doc} |"


def page() -> str:
    parts = [HEAD]
    for title, functions in GROUPS.items():
        table = "\n".join(row(function) for function in functions)
        parts.append(f"## {title}\n\n| | gives | |\n| --- | --- | --- |\n{table}\n")
    return "\n".join(parts)


def test_the_page_has_each_function(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), "pytest --update writes it"
    assert sum(len(functions) for functions in GROUPS.values()) == len(BUILTINS)
