"""The tokens of a spec as its author laid them out, and a line of them with the blanks between."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

INDENT = "  "

_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\f\ufeff]+)
  | (?P<newline>\r\n?|\n)
  | (?P<comment>\#[^\r\n]*)
  | (?P<text>"{3}(?:[^"\\]|\\[\s\S]|"(?!""))*"{3})
  | (?P<quote>")
  | (?P<number>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?|\d\d-\d\d(?!\w)|\d\d?:\d\d(?::\d\d)?
      |\d+(?:_\d+)*(?:\.\d+(?:_\d+)*)?%?)
  | (?P<name>[^\W\d]\w*)
  | (?P<sign>\.\.\.|\.\.|\.\*|\?\.|\?\?|->|=>|==|!=|<=|>=|[^\s\w"])
    """,
    re.VERBOSE,
)
OPEN, CLOSE = frozenset("([{"), frozenset(")]}")
SPACED = frozenset(("+", "*", "/", "==", "!=", "<", "<=", ">", ">=", "??", "=>", "->", "=", "|"))
_GLUED = frozenset(("..", "?.", ".", ".*"))
# Behind these a sign stands before a value, not between two.
_BEFORE_VALUE = frozenset(("return", "in", "and", "or", "not", "then", "else", "if", "where"))
# These may be names of values, too: `to - from`.
_BEFORE_VALUE_OR_NOT = frozenset(("when", "to", "from", "by", "at", "log", "for", "is", "with"))
# A line that begins with one of these goes on with the line before.
GOES_ON = frozenset(("and", "or", "where", "else", "order"))
# Blocks of lines whose second word is a type or a value.
FIELDS = frozenset(("entity", "event", "type", "business", "extend"))


@dataclass(slots=True)
class Token:
    """A piece of a line, how many blanks stood before it, and its column."""

    kind: str
    text: str
    blanks: int
    column: int

    @property
    def spaced(self) -> bool:
        """Whether a blank stood before it."""
        return self.blanks > 0


@dataclass(slots=True)
class Line:
    """A line to be written: its tokens, its comment, and how deep it stands.

    `blank` says whether an empty line stood before it, `block` the keyword and head of the
    innermost braces that it stands in.
    """

    tokens: list[Token]
    comment: Token | None
    blank: bool
    depth: int = 0
    block: str = ""
    cells: list[str] = field(default_factory=list)


def tokens_of(text: str) -> list[Token]:
    """All tokens of a text but blanks, which each token counts before it."""
    from .scan import text_end

    tokens: list[Token] = []
    place, blanks, line_start = 0, 0, 0
    while found := _TOKEN.match(text, place):
        kind, piece = str(found.lastgroup), found[0]
        place = found.end()
        if kind == "blank":
            blanks = len(piece)
            continue
        if kind == "quote":
            line_end = re.compile(r"[\r\n]|\Z").search(text, place)
            end = text_end(text, found.start(), line_end.start() if line_end else len(text))
            place = end if end is not None else place
            kind, piece = "text", text[found.start() : place]
        piece = piece.rstrip() if kind == "comment" else piece
        tokens.append(Token(kind, piece, blanks, found.start() - line_start))
        blanks = 0
        line_start = place if kind == "newline" else line_start
    return tokens


def keyword(tokens: list[Token]) -> str:
    """The word that says what a line declares, behind `given` or `override` and its file."""
    place = 0
    if len(tokens) > 2 and tokens[0].text in ("given", "override"):
        place = 2 if tokens[1].kind == "text" else 1
        if tokens[1].text == "std":
            place = 2
            while place + 1 < len(tokens) and tokens[place].text == ".":
                place += 2
    word = tokens[place] if place < len(tokens) else tokens[0]
    return word.text if word.kind == "name" else tokens[0].text


# --- Blanks --------------------------------------------------------------------------------------


def _spacing(left: Token, right: Token, before: Sequence[Token]) -> str:
    """What stands between two tokens of a line; `before` are those left of the left one."""
    a, b = left.text, right.text
    if b == "," or a in ("(", "[") or b in (")", "]") or a == "...":
        return ""
    if a == "{" or b == "}":
        return "" if a == "{" and b == "}" else " "
    if b in _GLUED or a in _GLUED:
        return _glue(left, right)
    if b == ":" or (b == "?" and not right.spaced):
        return ""
    if b in ("(", "["):
        return " " if right.spaced or (left.kind == "sign" and a not in (")", "]", "?")) else ""
    if a == "-":
        return "" if _prefix(left, before, right) else " "
    return " "


def _glue(left: Token, right: Token) -> str:
    """Points: none around a range or behind one, as written before a field of the row."""
    a, b = left.text, right.text
    if a == ".*" and right.text not in (",", ")", "]"):
        return " "
    if a in _GLUED:
        return ""
    if b == ".":
        sign = left.kind == "sign" and a not in (")", "]", "}", "?", "*")
        return " " if right.spaced or sign else ""
    return ""


def _prefix(minus: Token, tokens: Sequence[Token], right: Token) -> bool:
    """Whether a minus stands before a value; `tokens` are those before it."""
    if not tokens:
        return True
    before = tokens[-1]
    if before.kind == "name" and not (len(tokens) > 1 and tokens[-2].text == "."):
        if before.text in _BEFORE_VALUE:
            return True
        if before.text in _BEFORE_VALUE_OR_NOT:
            return not right.spaced
    if before.kind == "sign" and before.text not in (")", "]", "}", "?"):
        return True
    return minus.spaced and not right.spaced


def written(tokens: Sequence[Token]) -> str:
    """Tokens on one line, with the blanks that belong between them."""
    parts: list[str] = []
    for number, token in enumerate(tokens):
        if number:
            before = tokens[max(number - 3, 0) : number - 1]
            parts.append(_spacing(tokens[number - 1], token, before))
        parts.append(token.text)
    return "".join(parts)
