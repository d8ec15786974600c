"""The pages of built-in functions and of actions say what the checker knows of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from bizrun.actions import signatures
from bizrun.actions.signatures import SIGNATURES
from bizrun.lang import builtins
from bizrun.lang.builtins import BUILTINS, Builtin
from bizrun.lang.symbols import ActionField, ActionSignature
from bizrun.lang.types import Choice, type_text

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "functions.md"
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


ACTIONS = DOCS / "actions.md"
DOING = {
    "Billing": signatures._BILLING, "Messages": signatures._MESSAGES, "World": signatures._WORLD,
    "AI": signatures._AI + signatures._EMBED,
}  # fmt: skip
DONE = """# Actions

What a handler can do, written `name { field: value }`; a field with a `?` may be left out. What
they do in detail is told where it belongs: [billing.md](billing.md),
[language.md](language.md#actions), [going-live.md](going-live.md), [providers.md](providers.md).
Behind `let` an action gives what stands in the second column; where that is *italic* the handler
waits for it. Connections (`NAME.get`, `NAME.post` …), `stripe.…` and `paypal.…` are actions too.
"""


def taken(field: ActionField) -> str:
    """A field, and what it says where that is one of a few words."""
    words = (
        " or ".join(f"`{v}`" for v in field.type.values) if isinstance(field.type, Choice) else ""
    )
    return f"`{field.name}{'' if field.required else '?'}`" + (f" ({words})" if words else "")


def done(action: ActionSignature) -> str:
    gives = (
        type_text(action.result).replace("anything", "an answer").replace("Bills", "the customer")
    )
    gives = f"*{gives}*" if action.waits else gives
    return f"| `{action.name}` | {gives} | {', '.join(map(taken, action.fields))} | {action.doc} |"


def test_the_page_has_each_action(request: pytest.FixtureRequest) -> None:
    parts = [DONE]
    for title, actions in DOING.items():
        table = "\n".join(done(action) for action in actions)
        parts.append(f"## {title}\n\n| | gives | takes | |\n| --- | --- | --- | --- |\n{table}\n")
    page = "\n".join(parts)
    if request.config.getoption("--update"):
        ACTIONS.write_text(page, encoding="utf-8")
    assert ACTIONS.read_text(encoding="utf-8") == page, "pytest --update writes it"
    assert sum(len(actions) for actions in DOING.values()) == len(SIGNATURES)
