"""Long lines of a spec, broken within their longest braces: a step of `bizrun fmt`."""

from __future__ import annotations

from .written import CLOSE, FIELDS, GOES_ON, INDENT, OPEN, Line, Token, keyword, written

# Blocks whose lines hold lists without brackets: `can a, b`, `by a, b`.
_LISTING = frozenset(("role", "meter"))


def broken(line: Line, width: int, commas: bool) -> list[Line]:
    """The lines that a line becomes that is too long; none where it can stay or can't be cut.

    `commas`: all stay that it is cut behind, else only those that a line end can't stand for.
    """
    tokens = line.tokens
    size = len(INDENT) * line.depth + len(written(tokens))
    if size <= width or any("\n" in token.text for token in tokens):
        return []
    group = _longest(tokens)
    if group is None:
        return []
    start, end = group
    head = keyword(tokens) if tokens[start].text == "{" else ""
    rows = _rows(tokens[start + 1 : end], head)
    # A setting is kept as it is written.
    if head and line.block != "business" and not commas:
        rows = _without_commas(rows, head)
    return [
        Line(tokens[: start + 1], None, line.blank),
        *(Line(row, None, False) for row in rows),
        Line(tokens[end:], line.comment, False),
    ]


def _rows(tokens: list[Token], head: str) -> list[list[Token]]:
    """Tokens between two brackets, cut behind each comma that stands in no others.

    A name alone among fields goes on with an index: `index a, b`.
    """
    rows: list[list[Token]] = []
    begun = depth = 0
    for number, token in enumerate(tokens, 1):
        depth += (token.text in OPEN) - (token.text in CLOSE)
        if number < len(tokens) and (token.text != "," or depth):
            continue
        row = tokens[begun:number]
        if head in FIELDS and rows and row[1:] in ([], [token]):
            rows[-1] += row
        else:
            rows.append(row)
        begun = number
    return rows


def _without_commas(rows: list[list[Token]], head: str) -> list[list[Token]]:
    """Lines of a block without the commas at their ends, where a line end separates as well."""
    plain = [row[:-1] if row[-1].text == "," and row[:-1] else row for row in rows]
    return [
        bare if below is None or _ends(bare, below, head) else row
        for row, bare, below in zip(rows, plain, [*plain[1:], None], strict=True)
    ]


def _ends(above: list[Token], below: list[Token], head: str) -> bool:
    """Whether what stands below begins anew without a comma above it, rather than goes on."""
    first = below[0]
    if first.text in GOES_ON or first.kind not in ("name", "text", "sign") or head in _LISTING:
        return False
    if first.kind == "sign" and first.text != "...":
        return False
    # `"a", "b" => x`; of a map, a name alone is an entry.
    return all(row[0].kind == "name" for row in (above, below) if len(row) == 1)


def _longest(tokens: list[Token]) -> tuple[int, int] | None:
    """The outermost braces or square brackets that take the most room, by their two tokens."""
    found: list[tuple[int, int, int]] = []
    waiting: list[int] = []
    for number, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.text in OPEN:
            waiting.append(number)
        elif token.text in CLOSE and waiting:
            start = waiting.pop()
            if not waiting and tokens[start].text != "(" and number > start + 1:
                found.append((len(written(tokens[start : number + 1])), start, number))
    return max(found, key=lambda group: group[0])[1:] if found else None
