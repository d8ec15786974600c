"""`bizrun fmt`: one way to write a spec, with the author's own line breaks.

Works on tokens, not on the tree, so that no comment is lost and no meaning can change: only blanks
and empty lines do, and lines that are too long are broken at their outermost commas. Columns of
fields, tiers, arrows and one-line declarations are aligned where they stand below one another.
"""

from __future__ import annotations

from itertools import pairwise

from ..diagnostics import Diagnostic, Source, Span
from . import ast
from .breaking import broken
from .written import (
    CLOSE,
    FIELDS,
    GOES_ON,
    INDENT,
    OPEN,
    SPACED,
    Line,
    Token,
    keyword,
    tokens_of,
    written,
)

WIDTH = 100


def format_text(text: str, width: int = WIDTH, commas: bool = False) -> str:
    """A spec without mistakes of syntax, formatted; format_text of the result is the result.

    `commas`: they stay where a line that is too long is broken behind one.
    """
    lines = _shortened(_parted_braces(_lines(text)), width, commas)
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

    for token in tokens_of(text):
        if token.kind == "comment":
            continue
        if token.kind == "sign" and token.text in OPEN:
            waiting.append(token.text)
        elif token.kind == "sign" and token.text in CLOSE and waiting:
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


def _lines(text: str) -> list[Line]:
    lines: list[Line] = []
    current: list[Token] = []
    comment: Token | None = None
    empty = 0
    for token in [*tokens_of(text), Token("newline", "\n", 0, 0)]:
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
            if token.kind == "sign" and token.text in OPEN:
                waiting.append((row, number))
            elif token.kind == "sign" and token.text in CLOSE and waiting:
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
        while closing < len(line.tokens) and line.tokens[closing].text in CLOSE:
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
        if not below.tokens and not (above.tokens and above.tokens[0].text in CLOSE):
            below.depth = above.depth


def _goes_on(line: Line, before: list[Token], waiting: list[tuple[int, str]]) -> int:
    """One level more for a line that goes on with the one before it."""
    if not line.tokens or not before:
        return 0
    first, last = line.tokens[0], before[-1]
    if first.text == "order" and [token.text for token in line.tokens[1:2]] != ["by"]:
        return 0
    if first.text in GOES_ON and last.text not in "{," and not _else_of_block(first, last, waiting):
        return 1
    if first.text == "." and len(line.tokens) > 1 and last.text not in ("{", ","):
        return 1
    if len(before) > 1 and before[-2].text == ".":
        return 0  # a field of that name: `e.in`
    return int(last.text in SPACED or last.text in ("-", "and", "or", "not", "where", "in"))


def _else_of_block(first: Token, last: Token, waiting: list[tuple[int, str]]) -> bool:
    """Whether an `else` is that of a match, or goes on behind a block: at its own depth."""
    return first.text == "else" and (last.text in ("}", ",") or not waiting or waiting[-1][1] != "")


def _follow(line: Line, base: int, waiting: list[tuple[int, str]]) -> None:
    """Opens and closes the brackets of a line; all that it leaves open stands one level deeper."""
    for number, token in enumerate(line.tokens):
        if token.text in OPEN and token.kind == "sign":
            head = keyword(line.tokens) if token.text == "{" else ""
            if token.text == "{" and head == "extend" and number:
                head = "entity"
            waiting.append((base + 1, head))
        elif token.text in CLOSE and token.kind == "sign" and waiting:
            waiting.pop()


def _shortened(lines: list[Line], width: int, commas: bool) -> list[Line]:
    """Places all lines, and breaks those that are too long within their longest braces."""
    while True:
        _place(lines)
        pieces = [broken(line, width, commas) for line in lines]
        if not any(pieces):
            return lines
        lines = [
            piece for line, found in zip(lines, pieces, strict=True) for piece in (found or [line])
        ]


# --- Columns -------------------------------------------------------------------------------------

# Where the columns of one-line declarations begin, by their keyword.
_HEADS = {
    **dict.fromkeys(("meter", "coupon", "tax", "role", "on", "connect", "addon", "plan"), ("{",)),
    **dict.fromkeys(("const", "fn"), ("=",)),
    "event": ("key", "{"),
    "trigger": ("for", "when"),
    "metric": ("=", "every"),
}


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
    if line.block in FIELDS and words[0] not in ("index", "}"):
        return line.depth, line.block, ""
    if words[0] in ("up", "above") and ":" in words:
        return line.depth, line.block, "tier"
    if line.block == "lifecycle" and words[1] == "->":
        return line.depth, line.block, "arrow"
    closed = words.count("{") == words.count("}")
    head = keyword(line.tokens)
    return (0, words[0], head) if line.depth == 0 and head in _HEADS and closed else None


def _places(line: Line) -> list[int]:
    """The tokens at which the columns of a line begin, but the first."""
    words = [token.text for token in line.tokens]
    if line.block in FIELDS:
        return [1]
    if words[0] in ("up", "above"):
        return [words.index(":") + 1]
    if line.block == "lifecycle":
        return [1, *(n for n, word in enumerate(words) if n > 2 and word in ("on", "after"))][:2]
    found: list[int] = []
    for word in _HEADS.get(keyword(line.tokens), ()):
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
        line.cells = [written(line.tokens[a:b]) for a, b in pairwise([0, *ends])]
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
        apart = line.blank or (number > 0 and _parted(lines[number - 1], line))
        if line.comment is None or apart or not (line.tokens or _goes_below(lines, number)):
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
    if above.tokens and above.tokens[-1].text in OPEN:
        return False
    if below.tokens and below.tokens[0].text in CLOSE:
        return False
    # A declaration of several lines stands by itself.
    return below.blank or (
        below.depth == 0
        and bool(above.tokens)
        and above.tokens[0].text in CLOSE
        and above.depth == 0
    )


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
    for width, commas in ((WIDTH, False), (WIDTH, True), (1_000_000, True)):
        text = format_text(source.text, width, commas)
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
