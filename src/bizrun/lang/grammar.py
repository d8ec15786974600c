"""The grammar at work: text of a declaration in, lark's tree with positions out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import cached
from .lalr import WORD_END, Lines, Newline, Tables, keyword, plain_tables, read

if TYPE_CHECKING:
    from lark import Lark, Token

# How many levels of texts in the braces of texts are read; the pattern doubles with each.
_NESTED = 4
# Counts up where the tables of `lalr` change their shape.
FORMAT = 2

STARTS = (
    "declaration",
    "statements",
    "expr",
    "price",
    "rate",
    "event",
    "type",
    "field",
    "pricing",
    "schedule",
    "items",
)


def parse_tree(text: str, start: str = "declaration") -> Any:
    """Parses text from one of STARTS; raises lark's UnexpectedInput where it does not fit.

    Positions count characters from the beginning of the text. What is right is read without lark,
    which is asked only for what is wrong. Both make trees of the same shape.
    """
    tree = right_tree(text, start)
    return tree if tree is not None else parser().parse(text, start=start)


def right_tree(text: str, start: str) -> Any:
    """The same; None where the text does not fit, or only lark can tell."""
    return read(_tables(), text, start)


def fitting_tree(text: str, start: str) -> Any:
    """The same; None where the text does not fit."""
    tree = right_tree(text, start)
    if tree is None:
        from lark.exceptions import UnexpectedInput

        try:
            return parser().parse(text, start=start)
        except UnexpectedInput:
            return None
    return tree


@cache
def _tables() -> Tables:
    """The tables to read with, from an earlier run where there are any."""
    place = _place("tables")
    plain = cached.load(place)
    if plain is None:
        plain = plain_tables(parser())
        cached.save(plain, place)
    return Tables(plain, _NEWLINE)


@cache
def parser() -> Lark:
    """Lark's own parser, from the tables of an earlier run where there are any."""
    import lark
    from lark import Lark

    place = _place("lark", lark.__version__)
    kept = cached.load(place)
    if kept is not None:
        load: Any = Lark._load_from_dict
        loaded: Lark = load(**kept, postlex=Newlines())
        return loaded
    built = Lark(
        grammar_text(),
        parser="lalr",
        lexer="contextual",
        start=list(STARTS),
        propagate_positions=True,
        maybe_placeholders=False,
        postlex=Newlines(),
        edit_terminals=_bounded,
    )
    cached.save(_lark_tables(built), place)
    return built


def _bounded(terminal: Any) -> None:
    """Ends a keyword where its word ends: `upto` is no `up to`, wherever no name can stand."""
    from lark.lexer import PatternRE

    pattern = terminal.pattern
    if pattern.type == "str" and pattern.value.isidentifier():
        terminal.pattern = PatternRE(pattern.value + WORD_END)
        terminal.priority = 1


@cache
def grammar_text() -> str:
    """The grammar as it is written: beside this module in a wheel, else in the repository."""
    here = Path(__file__).with_name("biz.lark")
    if not here.exists():
        here = Path(__file__).parents[3] / "grammar" / "biz.lark"
    return here.read_text(encoding="utf-8").replace("%TEXT%", text_pattern(_NESTED))


def text_pattern(depth: int) -> str:
    """What stands between the quotes of a text: expressions in braces, with texts in them again.

    A regular expression does not count, so each level is written out; the innermost is plain.
    """
    return rf'(?>(?:[^"\\{{\r\n]++|\\.|{_braces_pattern(depth)}|\{{)*)'


def _braces_pattern(depth: int) -> str:
    if not depth:
        return r'\{(?>(?:[^"{}\r\n]++|"(?:[^"\\\r\n]++|\\.)*")*)\}'
    inner = f'"{text_pattern(depth - 1)}"|{_braces_pattern(depth - 1)}'
    return rf'\{{(?>(?:[^"{{}}\r\n]++|{inner})*)\}}'


# --- Newlines ----------------------------------------------------------------------------------

# After one of these a line goes on.
_OPENING = frozenset(("LPAR", "LSQB", "LBRACE"))
_OPEN_ENDED = frozenset(
    (
        *_OPENING,
        "_NL",
        "COMMA",
        "COLON",
        "EQUAL",
        "VBAR",
        "PLUS",
        "MINUS",
        "MUL",
        "COMPARE",
        "_COMMA_ROW",
        "ARROW",
        "FAT_ARROW",
        "RANGE",
        "COALESCE",
        "SPREAD",
        "NOT",
    )
)
# These are operators behind an operand, and names elsewhere: `in⏎` in a map is a name.
_WORDS = frozenset(("IN", "CAN", "AND", "OR", "OF", "REACHES", "BELOW"))
_OPERANDS = frozenset(
    (
        *("NAME", "RPAR", "RSQB", "RBRACE", "TEXT", "LONG_TEXT", "NUMBER", "MONEY", "PERCENT"),
        *("DURATION", "SIZE", "INSTANT", "DATE", "TIME", "TRUE", "FALSE", "NONE", "UNLIMITED"),
        *("NOT", "DROPS"),
    )
)
_NEWLINE = Newline(_OPENING, _OPEN_ENDED, _WORDS, _OPERANDS)


class Newlines:
    """Passes on the newlines that end something, judged by what came before alone.

    A look at the next token would make the contextual lexer read it in a stale state.
    """

    always_accept = ("_NL",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens without the newlines inside `( )` and after what is open."""
        lines = Lines(_NEWLINE)
        for token in stream:
            if not lines.drops(token.type):
                yield token


# --- What is expected --------------------------------------------------------------------------

_HUMAN = {
    "NAME": "a name",
    "NUMBER": "a number",
    "MONEY": "an amount like `29 USD`",
    "PERCENT": "a percentage",
    "DURATION": "a duration like `14 days`",
    "SIZE": "a size like `10 GB`",
    "INSTANT": "an instant like `2026-01-31T09:00:00Z`",
    "DATE": "a date like `2026-01-31`",
    "TIME": "a time of day like `09:00`",
    "MONTH_DAY": "a day like `03-31`",
    "TEXT": "a text",
    "LONG_TEXT": "a text",
    "COMPARE": "a comparison",
    "MUL": "`*`",
    "_COMMA_ROW": "`,`",
    "_NL": "a new line",
    "$END": "the end",
}


def accepts_hint(error: Any) -> set[str]:
    """What could stand where an UnexpectedInput was raised, in an author's words.

    Keywords come in backquotes; soft ones that would only be another name are left out.
    """
    accepts = getattr(error, "accepts", None) or getattr(error, "allowed", None) or set()
    if not accepts or isinstance(accepts, str):
        accepts = getattr(error, "expected", None) or set()
    names = {str(name) for name in accepts}
    if "NAME" in names:
        names -= _soft()
    return {_human(name) for name in names}


@cache
def _soft() -> frozenset[str]:
    return frozenset(("FIRST", "GROUP", "START", "END", "UPSERT", "NO", "EVENT"))


def _human(name: str) -> str:
    if name in _HUMAN:
        return _HUMAN[name]
    for terminal in parser().terminals:
        if terminal.name == name:
            return f"`{keyword(terminal) or terminal.pattern.value}`"
    return name


# --- The tables, kept ----------------------------------------------------------------------------


def _place(kind: str, version: str = "") -> Path | None:
    """Where tables of this very grammar and python belong."""
    return cached.place(f"{grammar_text()}\0{version}\0{sys.version}\0{STARTS}\0{FORMAT}", kind)


_HOOKS = ("postlex", "edit_terminals")


def _lark_tables(built: Lark) -> Any:
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    data, memo = built.memo_serialize([TerminalDef, Rule])
    options = {name: value for name, value in data["options"].items() if name not in _HOOKS}
    return _plain({"data": {**data, "options": options}, "memo": memo})


def _plain(value: Any) -> Any:
    """A copy without lark's own kinds of text and of number."""
    match value:
        case dict():
            return {_plain(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return type(value)(_plain(item) for item in value)
        case str():
            return str.__str__(value)
        case bool() | None:
            return value
        case int():
            return int(value)
    return value
