"""Reads right text with the grammar's tables alone: without lark, and twice as fast.

What it can't read it leaves to lark, which then says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

Match = Callable[[str, int], "re.Match[str] | None"]


class Word(str):
    """A token: its text, its kind, and its offsets."""

    __slots__ = ("end_pos", "start_pos", "type")
    type: str
    start_pos: int
    end_pos: int


class Branch:
    """A tree of the grammar: the rule's name, its children, and its offsets."""

    __slots__ = ("children", "data", "end_pos", "start_pos")

    def __init__(self, data: str, children: list[Any], start_pos: int, end_pos: int) -> None:
        self.data = data
        self.children = children
        self.start_pos = start_pos
        self.end_pos = end_pos


class Newline(NamedTuple):
    """After which kinds of tokens a line goes on; see `grammar.Newlines`."""

    opening: frozenset[str]
    open_ended: frozenset[str]
    words: frozenset[str]
    operands: frozenset[str]


class Tables:
    """A grammar's tables as plain data, made ready to be read with."""

    def __init__(self, plain: dict[str, Any], newline: Newline) -> None:
        self.rows: list[dict[str, int]] = plain["rows"]
        self.starts: dict[str, tuple[int, int]] = plain["starts"]
        self.rules: list[tuple[str, int, str, list[Any], bool]] = plain["rules"]
        self.kept = frozenset(plain["kept"])
        self.newline = newline
        self.skip: Match = re.compile(plain["skip"]).match
        self.patterns: list[tuple[str, str, str]] = plain["patterns"]
        self.matches: dict[str, Match] = {}
        self.keywords: dict[str, str] = plain["keywords"]
        self.name: Match = re.compile(plain["name"]).match
        self.candidates: dict[tuple[int, str], list[tuple[str, Match]]] = {}

    def candidate(self, state: int, char: str) -> list[tuple[str, Match]]:
        """The kinds of tokens that a state takes and that may begin with a character, in order."""
        row = self.rows[state]
        found = []
        for kind, first, pattern in self.patterns:
            if (kind in row or kind == "_NL") and re.match(first, char):
                if kind not in self.matches:
                    self.matches[kind] = re.compile(pattern).match
                found.append((kind, self.matches[kind]))
        self.candidates[state, char] = found
        return found


def read(tables: Tables, text: str, start: str) -> Branch | None:
    """The tree of a text, or None where it does not fit the grammar."""
    return _Reader(tables, text).read(*tables.starts[start])


class _Reader:
    """The stacks of one reading: states, values, and the offsets where each value stands."""

    def __init__(self, tables: Tables, text: str) -> None:
        self.tables = tables
        self.text = text
        self.states: list[int] = []
        self.values: list[Any] = []
        self.begins: list[int] = []
        self.ends: list[int] = []

    def read(self, first: int, last: int) -> Branch | None:
        tables, states = self.tables, self.states
        rows, kept, values, begins, ends = (
            tables.rows,
            tables.kept,
            self.values,
            self.begins,
            self.ends,
        )
        token, skip, text = self.token, tables.skip, self.text
        states.append(first)
        lines = Lines(tables.newline)
        place, size = 0, len(text)
        while True:
            skipped = skip(text, place)
            if skipped:
                place = skipped.end()
            if place >= size:
                break
            kind, end = token(place, states[-1])
            if kind is None:
                return None
            if lines.drops(kind):
                place = end
                continue
            action = rows[states[-1]].get(kind)
            while action is not None and action < 0:
                self.reduce(~action)
                action = rows[states[-1]].get(kind)
            if action is None:
                return None
            states.append(action)
            if kind in kept:
                word = Word(text[place:end])
                word.type, word.start_pos, word.end_pos = kind, place, end
                values.append(word)
            else:
                values.append(None)
            begins.append(place)
            ends.append(end)
            place = end
        return self.finish(last)

    def finish(self, last: int) -> Branch | None:
        while self.states[-1] != last:
            action = self.tables.rows[self.states[-1]].get("$END")
            if action is None or action >= 0:
                # The one shift of the end leads to the last state, behind the whole tree.
                return self.values[-1] if action == last else None
            self.reduce(~action)
        return self.values[-1]  # type: ignore[no-any-return]

    def token(self, place: int, state: int) -> tuple[str | None, int]:
        """The kind of the next token and where it ends; None where nothing fits."""
        tables = self.tables
        char = self.text[place]
        if char.isalpha() or char == "_":
            found = tables.name(self.text, place)
            if not found:
                return None, place
            keyword = tables.keywords.get(found[0])
            if keyword is not None and keyword in tables.rows[state]:
                return keyword, found.end()
            return "NAME", found.end()
        known = tables.candidates.get((state, char))
        if known is None:
            known = tables.candidate(state, char)
        for kind, match in known:
            found = match(self.text, place)
            if found:
                return kind, found.end()
        return None, place

    def reduce(self, number: int) -> None:
        """Replaces the right side of a rule by its left side."""
        origin, size, name, include, single = self.tables.rules[number]
        states, values, begins, ends = self.states, self.values, self.begins, self.ends
        if size:
            begin, end = begins[-size], ends[-1]
            children: list[Any] = []
            for index, expands in include:
                value = values[index - size]
                if not expands:
                    children.append(value)
                elif children:
                    children += value
                else:
                    # The values below are dropped: the list of a left recursion just grows.
                    children = value
            del states[-size:], values[-size:], begins[-size:], ends[-size:]
        else:
            begin = end = ends[-1] if ends else 0
            children = []
        if origin[0] == "_":
            values.append(children)
        elif single and len(children) == 1:
            values.append(children[0])
        else:
            values.append(Branch(name, children, begin, end))
        begins.append(begin)
        ends.append(end)
        states.append(self.tables.rows[states[-1]][origin])


class Lines:
    """Which newlines end nothing, judged by the tokens before them."""

    def __init__(self, rules: Newline) -> None:
        self.rules = rules
        self.nesting: list[str] = []
        self.before, self.last = "", "LBRACE"

    def drops(self, kind: str) -> bool:
        """Whether a token is a newline that ends nothing; remembers every other one."""
        if kind == "_NL":
            last, rules = self.last, self.rules
            if last in rules.open_ended or (self.nesting and self.nesting[-1] == "LPAR"):
                return True
            if last in rules.words and self.before in rules.operands:
                return True
        elif kind in self.rules.opening:
            self.nesting.append(kind)
        elif self.nesting and kind in ("RPAR", "RSQB", "RBRACE"):
            self.nesting.pop()
        self.before, self.last = self.last, kind
        return False


# --- Making the tables -------------------------------------------------------------------------

# What a keyword's pattern ends with.
WORD_END = r"(?!\w)"
# What a token may begin with, where that is more than the first character of its text.
_FIRST = {
    "COMPARE": r"[=!<>]",
    "MUL": r"[*/]",
    "TEXT": '"',
    "LONG_TEXT": '"',
    "_COMMA_ROW": ",",
    "_NL": r"[\r\n]",
}


def plain_tables(lark: Any) -> dict[str, Any]:
    """The tables of an analysed grammar as data that `marshal` keeps."""
    table = lark.parser.parser._parse_table
    rules = {rule: number for number, rule in enumerate(lark.rules)}
    rows: list[dict[str, int]] = []
    for state in range(len(table.states)):
        row: dict[str, int] = {}
        for symbol, (_, argument) in table.states[state].items():
            shift = not hasattr(argument, "origin")
            row[str(symbol)] = int(argument) if shift else ~_rule_number(rules, lark, argument)
        rows.append(row)
    terminals = sorted(
        lark.terminals,
        key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name),
    )
    by_name = {terminal.name: terminal.pattern.to_regexp() for terminal in terminals}
    ignored = ("CONTINUED", "COMMENT", "BLANK")
    keywords = [t for t in terminals if keyword(t)]
    other = [t for t in terminals if t not in keywords and t.name not in ("NAME", *ignored)]
    return {
        "rows": rows,
        "starts": {
            start: (table.start_states[start], table.end_states[start])
            for start in table.start_states
        },
        "rules": [_plain_rule(rule) for rule in lark.rules],
        "kept": sorted(
            {s.name for rule in lark.rules for s in rule.expansion if _is_kept(rule, s)}
        ),
        "skip": "(?:" + "|".join(f"(?:{by_name[name]})" for name in ignored) + ")+",
        "name": by_name["NAME"],
        "keywords": {keyword(t): t.name for t in keywords},
        "patterns": [(t.name, _first(t), t.pattern.to_regexp()) for t in other],
    }


def keyword(terminal: Any) -> str:
    """The word that a terminal is; empty where it is none."""
    word = str(terminal.pattern.value).removesuffix(WORD_END)
    return word if word.isidentifier() else ""


def _rule_number(rules: dict[Any, int], lark: Any, rule: Any) -> int:
    # The augmented start rules stand in no list; they are never reduced.
    return rules.get(rule, len(lark.rules))


def _plain_rule(rule: Any) -> tuple[str, int, str, list[tuple[int, bool]], bool]:
    include = [
        (index, not symbol.is_term and symbol.name.startswith("_"))
        for index, symbol in enumerate(rule.expansion)
        if not symbol.is_term or _is_kept(rule, symbol)
    ]
    origin = str(rule.origin.name)
    name = str(rule.alias or rule.options.template_source or origin)
    return (origin, len(rule.expansion), name, include, bool(rule.options.expand1))


def _is_kept(rule: Any, symbol: Any) -> bool:
    return bool(symbol.is_term and (rule.options.keep_all_tokens or not symbol.filter_out))


def _first(terminal: Any) -> str:
    if terminal.name in _FIRST:
        return _FIRST[terminal.name]
    if terminal.pattern.type == "str":
        return re.escape(str(terminal.pattern.value)[0])
    return r"\d"
