"""`bizrun fmt`: one way to write a spec, with the author's own line breaks.

Works on tokens, not on the tree, so that no comment is lost and no meaning can change: only blanks
and empty lines do, and lines that are too long are broken at their outermost commas. Columns of
fields, tiers, arrows and one-line declarations are aligned where they stand below one another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ..diagnostics import Diagnostic, Source, Span
from . import ast

WIDTH = 100
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
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_SPACED = frozenset(("+", "*", "/", "==", "!=", "<", "<=", ">", ">=", "??", "=>", "->", "=", "|"))
_GLUED = frozenset(("..", "?.", ".", ".*"))
# Behind these a sign stands before a value, not between two.
_BEFORE_VALUE = frozenset(("return", "in", "and", "or", "not", "then", "else", "if", "where"))
# These may be names of values, too: `to - from`.
_BEFORE_VALUE_OR_NOT = frozenset(("when", "to", "from", "by", "at", "log", "for", "is", "with"))
_GOES_ON = frozenset(("and", "or", "where", "else", "order"))


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


def format_text(text: str, width: int = WIDTH) -> str:
    """A spec without mistakes of syntax, formatted; format_text of the result is the result."""
    lines = _shortened(_parted_braces(_lines(text)), width)
    for group in _groups(lines):
        _align(group)
    return _joined(lines)


def items(text: str) -> list[str]:
    """What stands between the braces, commas and line ends of a text, one by one, without comments.

    However a declaration is laid out, its items are the same.
    """
    found: list[str] = []
    current: list[str] = []
    waiting: list[str] = []

    def end() -> None:
        found.append("".join(current).strip())
        current.clear()

    for token in _tokens(text):
        if token.kind == "comment":
            continue
        if token.kind == "sign" and token.text in _OPEN:
            waiting.append(token.text)
        elif token.kind == "sign" and token.text in _CLOSE and waiting:
            waiting.pop()
        apart = not waiting or waiting[-1] == "{"
        if token.kind == "newline" or (token.text == "," and apart) or token.text == "}":
            end()
            continue
        current += [" " if token.blanks else "", token.text]
        if token.text == "{":
            end()
    end()
    return [item for item in found if item]


# --- Tokens and lines ----------------------------------------------------------------------------


def _tokens(text: str) -> list[Token]:
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


def _lines(text: str) -> list[Line]:
    lines: list[Line] = []
    current: list[Token] = []
    comment: Token | None = None
    empty = 0
    for token in [*_tokens(text), Token("newline", "\n", 0, 0)]:
        if token.kind == "comment":
            comment = token
        elif token.kind != "newline":
            current.append(token)
        elif current or comment:
            lines.append(Line(current, comment, empty > 0))
            current, comment, empty = [], None, 0
        else:
            empty += 1
    return lines


def _parted_braces(lines: list[Line]) -> list[Line]:
    """Lets what stands in braces of several lines begin and end on lines of its own."""
    cuts: dict[int, set[int]] = {}
    waiting: list[tuple[int, int]] = []
    for row, line in enumerate(lines):
        for number, token in enumerate(line.tokens):
            if token.kind == "sign" and token.text in _OPEN:
                waiting.append((row, number))
            elif token.kind == "sign" and token.text in _CLOSE and waiting:
                start, place = waiting.pop()
                if token.text == "}" and start != row:
                    cuts.setdefault(start, set()).add(place + 1)
                    cuts.setdefault(row, set()).add(number)
    return [piece for row, line in enumerate(lines) for piece in _cut(line, cuts.get(row, set()))]


def _cut(line: Line, places: set[int]) -> list[Line]:
    """A line cut before some of its tokens; its comment stays behind the last piece."""
    ends = sorted(place for place in places if 0 < place < len(line.tokens))
    pieces = [Line(line.tokens[a:b], None, False) for a, b in pairwise([0, *ends])]
    pieces.append(Line(line.tokens[ends[-1] if ends else 0 :], line.comment, False))
    pieces[0].blank = line.blank
    return pieces


# --- Depth ---------------------------------------------------------------------------------------


def _place(lines: list[Line]) -> None:
    """Finds how deep each line stands: brackets that open on one line indent once together."""
    # For each open bracket: the depth of what is in it, and what its block is.
    waiting: list[tuple[int, str]] = []
    before: list[Token] = []
    base = 0
    for line in lines:
        closing = 0
        while closing < len(line.tokens) and line.tokens[closing].text in _CLOSE:
            closing += 1
        outer = waiting[: len(waiting) - closing] if closing else waiting
        inside = outer[-1][0] if outer else 0
        if closing and waiting:
            # What closes stands below what opened.
            line.depth = (waiting[len(waiting) - closing][0] - 1) if closing <= len(waiting) else 0
            line.depth = max(line.depth, 0)
        else:
            line.depth = inside + _goes_on(line, before, waiting)
        line.block = outer[-1][1] if outer else ""
        if line.tokens:
            # A block that a statement opens on its second line stands as deep as on its first.
            base = line.depth if line.depth <= inside or closing else base
            _follow(line, base, waiting)
            before = line.tokens
    for above, below in pairwise(lines[::-1]):
        # A comment on its own line belongs to what it stands above.
        if not below.tokens and not (above.tokens and above.tokens[0].text in _CLOSE):
            below.depth = above.depth


def _goes_on(line: Line, before: list[Token], waiting: list[tuple[int, str]]) -> int:
    """One level more for a line that goes on with the one before it."""
    if not line.tokens or not before:
        return 0
    first, last = line.tokens[0], before[-1]
    if first.text == "order" and [token.text for token in line.tokens[1:2]] != ["by"]:
        return 0
    if first.text in _GOES_ON and last.text != "{" and not _else_of_block(first, last, waiting):
        return 1
    if first.text == "." and len(line.tokens) > 1 and last.text not in ("{", ","):
        return 1
    if len(before) > 1 and before[-2].text == ".":
        return 0  # a field of that name: `e.in`
    return int(last.text in _SPACED or last.text in ("-", "and", "or", "not", "where", "in"))


def _else_of_block(first: Token, last: Token, waiting: list[tuple[int, str]]) -> bool:
    """Whether an `else` is that of a match, or goes on behind a block: at its own depth."""
    return first.text == "else" and (last.text in ("}", ",") or not waiting or waiting[-1][1] != "")


def _keyword(tokens: list[Token]) -> str:
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


def _follow(line: Line, base: int, waiting: list[tuple[int, str]]) -> None:
    """Opens and closes the brackets of a line; all that it leaves open stands one level deeper."""
    for number, token in enumerate(line.tokens):
        if token.text in _OPEN and token.kind == "sign":
            head = _keyword(line.tokens) if token.text == "{" else ""
            if token.text == "{" and head == "extend" and number:
                head = "entity"
            waiting.append((base + 1, head))
        elif token.text in _CLOSE and token.kind == "sign" and waiting:
            waiting.pop()


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


def _written(tokens: list[Token]) -> str:
    parts: list[str] = []
    for number, token in enumerate(tokens):
        if number:
            before = tokens[max(number - 3, 0) : number - 1]
            parts.append(_spacing(tokens[number - 1], token, before))
        parts.append(token.text)
    return "".join(parts)


# --- Columns -------------------------------------------------------------------------------------

# Where the columns of one-line declarations begin, by their keyword.
_HEADS = {
    **dict.fromkeys(("meter", "coupon", "tax", "role", "on", "connect", "addon", "plan"), ("{",)),
    **dict.fromkeys(("const", "fn"), ("=",)),
    "event": ("key", "{"),
    "trigger": ("for", "when"),
    "metric": ("=", "every"),
}
# Blocks of lines whose second word begins a column.
_FIELDS = frozenset(("entity", "event", "type", "business", "extend"))


def _groups(lines: list[Line]) -> list[list[Line]]:
    """Neighbouring lines of one shape, whose columns are aligned together."""
    groups: list[list[Line]] = []
    shape: object = None
    for line in lines:
        here = _shape(line)
        if here is None or here != shape or line.blank:
            groups.append([])
        groups[-1].append(line)
        shape = here
    return groups


def _shape(line: Line) -> tuple[int, str, str] | None:
    """What lines have in common that are aligned; None for a line with nothing to align."""
    words = [token.text for token in line.tokens]
    if len(words) < 2 or any("\n" in word for word in words):
        return None
    if line.block in _FIELDS and words[0] not in ("index", "}"):
        return line.depth, line.block, ""
    if words[0] in ("up", "above") and ":" in words:
        return line.depth, line.block, "tier"
    if line.block == "lifecycle" and words[1] == "->":
        return line.depth, line.block, "arrow"
    closed = words.count("{") == words.count("}")
    head = _keyword(line.tokens)
    return (0, words[0], head) if line.depth == 0 and head in _HEADS and closed else None


def _places(line: Line) -> list[int]:
    """The tokens at which the columns of a line begin, but the first."""
    words = [token.text for token in line.tokens]
    if line.block in _FIELDS:
        return [1]
    if words[0] in ("up", "above"):
        return [words.index(":") + 1]
    if line.block == "lifecycle":
        return [1, *(n for n, word in enumerate(words) if n > 2 and word in ("on", "after"))][:2]
    found: list[int] = []
    for word in _HEADS.get(_keyword(line.tokens), ()):
        if word in words:
            found.append(words.index(word))
            if word == "key":
                break
    return found


def _align(group: list[Line]) -> None:
    """Cuts lines into columns; those that their author aligned are padded to one width."""
    places = [_places(line) if _shape(line) else [] for line in group]
    count = min(map(len, places)) if len(group) > 1 else 0
    kept = [column for column in range(count) if _aligned(group, [p[column] for p in places])]
    for line, starts in zip(group, places, strict=True):
        ends = [*(starts[column] for column in kept), len(line.tokens)]
        line.cells = [_written(line.tokens[a:b]) for a, b in pairwise([0, *ends])]
    for column in range(len(kept)):
        width = max(len(line.cells[column]) for line in group)
        for line in group:
            line.cells[column] = line.cells[column].ljust(width)


def _aligned(group: list[Line], places: list[int]) -> bool:
    """Whether an author set a column apart: more than one blank stands before it somewhere."""
    tokens = [line.tokens[place] for line, place in zip(group, places, strict=True)
              if place < len(line.tokens)]  # fmt: skip
    return len(tokens) == len(group) and any(token.blanks > 1 for token in tokens)


def _joined(lines: list[Line]) -> str:
    """The text: comments behind code are aligned in neighbouring lines."""
    written = [INDENT * line.depth + " ".join(line.cells) for line in lines]
    columns = _comment_columns(lines, written)
    out: list[str] = []
    for number, line in enumerate(lines):
        if number and _parted(lines[number - 1], line):
            out.append("")
        text = written[number]
        if line.comment:
            text = text.ljust(columns[number]) + line.comment.text
        out.append(text.rstrip())
    return "\n".join(out) + "\n" if out else ""


def _comment_columns(lines: list[Line], written: list[str]) -> list[int]:
    """Where the comment of each line begins, counted from the beginning of what is written."""
    columns: list[int] = []
    group: list[int] = []
    for number, line in enumerate(lines):
        if line.comment is None or line.blank or not (line.tokens or _goes_below(lines, number)):
            _level(columns, group)
            group = []
        if line.comment and (line.tokens or (group and _goes_below(lines, number))):
            group.append(number)
        # A text of several lines is padded from its last line alone.
        columns.append(len(written[number]) + 2 if line.tokens else len(written[number]))
    _level(columns, group)
    last = [len(text) - len(text.rsplit("\n", 1)[-1]) for text in written]
    return [max(column, size) for column, size in zip(columns, last, strict=True)]


def _goes_below(lines: list[Line], number: int) -> bool:
    """Whether a comment on its own line goes on with the one above it, by its column."""
    above, here = lines[number - 1] if number else None, lines[number]
    if above is None or above.comment is None or here.comment is None or here.tokens:
        return False
    aligned = above.comment.column == here.comment.column and here.comment.column > 0
    return aligned and (bool(above.tokens) or _goes_below(lines, number - 1))


def _level(columns: list[int], group: list[int]) -> None:
    """Gives the comments of a group one column."""
    if group:
        widest = max(columns[number] for number in group)
        for number in group:
            columns[number] = widest


def _parted(above: Line, below: Line) -> bool:
    """Whether an empty line stands between two lines."""
    if above.tokens and above.tokens[-1].text in _OPEN:
        return False
    if below.tokens and below.tokens[0].text in _CLOSE:
        return False
    # A declaration of several lines stands by itself.
    return below.blank or (
        below.depth == 0
        and bool(above.tokens)
        and above.tokens[0].text in _CLOSE
        and above.depth == 0
    )


# --- Long lines ----------------------------------------------------------------------------------


def _shortened(lines: list[Line], width: int) -> list[Line]:
    """Places all lines, and breaks those that are too long within their longest braces."""
    while True:
        _place(lines)
        pieces = [_broken(line, width) for line in lines]
        if not any(pieces):
            return lines
        lines = [
            piece for line, found in zip(lines, pieces, strict=True) for piece in (found or [line])
        ]


def _broken(line: Line, width: int) -> list[Line]:
    """The lines that a line becomes that is too long; none where it can stay or can't be cut."""
    tokens = line.tokens
    size = len(INDENT) * line.depth + len(_written(tokens))
    if size <= width or any("\n" in token.text for token in tokens):
        return []
    group = _longest(tokens)
    if group is None:
        return []
    start, end = group
    rows = [Line(tokens[: start + 1], None, line.blank)]
    row: list[Token] = []
    depth = 0
    for token in tokens[start + 1 : end]:
        row.append(token)
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if token.text == "," and depth == 0:
            rows.append(Line(row, None, False))
            row = []
    rows += [Line(row, None, False)] if row else []
    rows.append(Line(tokens[end:], line.comment, False))
    return rows


def _longest(tokens: list[Token]) -> tuple[int, int] | None:
    """The outermost braces or square brackets that take the most room, by their two tokens."""
    found: list[tuple[int, int, int]] = []
    waiting: list[int] = []
    for number, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.text in _OPEN:
            waiting.append(number)
        elif token.text in _CLOSE and waiting:
            start = waiting.pop()
            if not waiting and tokens[start].text != "(" and number > start + 1:
                found.append((len(_written(tokens[start : number + 1])), start, number))
    return max(found, key=lambda group: group[0])[1:] if found else None


# --- A file --------------------------------------------------------------------------------------


def formatted(source: Source) -> tuple[str | None, list[Diagnostic]]:
    """A file's text formatted, or None and what is wrong where it has mistakes of syntax.

    What is returned means the same: where breaking a long line would change that, it stays long.
    """
    from .parse import parse

    parsed = parse(source)
    problems = [d for d in parsed.diagnostics if d.severity == "error"]
    if problems:
        return None, problems
    before = same_meaning(parsed.file)
    for width in (WIDTH, 1_000_000):
        text = format_text(source.text, width)
        again = parse(Source(source.name, text))
        if not again.diagnostics and same_meaning(again.file) == before:
            return text, []
    raise AssertionError(f"{source.name}: formatting would change what it means")


def same_meaning(value: object) -> object:
    """A tree as plain data without its places: equal for two texts that mean the same."""
    match value:
        case ast.Node():
            items = [getattr(value, name) for name in value.__struct_fields__]
            found = [same_meaning(item) for item in items if not isinstance(item, Span)]
            return (type(value).__name__, *found)
        case tuple():
            return tuple(same_meaning(item) for item in value if not isinstance(item, Span))
    return value
