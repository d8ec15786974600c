"""Characters that are never right outside a text: what is meant, and how to read on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..currencies import EXPONENTS
from ..diagnostics import Diagnostic, Fix, Span
from .mend import Complaint, Edit
from .scan import CONFLICT_END, TEMPLATE_BRACE, Odd


def odd_complaint(file: str, text: str, odd: Odd) -> Complaint:
    """What is wrong with something that can't stand outside a text; places are the file's."""
    piece = text[odd.start : odd.end]
    make = _Maker(file, odd.start, odd.end)
    if odd.kind in ("conflict", CONFLICT_END):
        return _conflict(make, piece)
    if odd.kind == TEMPLATE_BRACE:
        # A lone brace is fine in Jinja2, but must not look like the beginning of an expression.
        return make("E0115", "", None, re.sub(r"(?<!\\)[{}]", r"\\\g<0>", piece))
    if odd.kind == "comment":
        return _comment(make, piece, text)
    if odd.kind in ("text", "text3", "brace"):
        return _unclosed_text(make, odd.kind, text)
    first = piece[0]
    if first == "/":
        return _slash(make, piece, text)
    if first in "'`‘’" or first in "“”„«»":
        return _quotes(make, piece)
    if first in "$€£¥":
        return _currency_sign(make, piece, text)
    if piece[-1].isalpha():
        return _amount(make, piece)
    if first.isdigit() and ("/" in piece or "-" in piece):
        return _date(make, piece)
    if first.isdigit():
        return _points(make, piece)
    if piece in _OPERATORS:
        return _operator(make, piece, text)
    if piece == "@" and text[make.end : make.end + 1] == '"':
        return make(
            "E0121", "A date or instant stands without quotes.", "write `2026-01-31`", None, ""
        )
    if piece == "^":
        return make("E0118", "There is no `^`.", "write `power(x, n)`", None, " ")
    if piece == ";":
        return _semicolon(make, text)
    if first in _UNSEEN:
        return _unseen(make, piece)
    message = (
        f"`{piece}` means nothing in a .biz file."
        if piece.isprintable()
        else (f"The character U+{ord(first):04X} can't stand here.")
    )
    return make("E0101", message, None, None, " ")


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes a complaint about a stretch: `fix` for the author, `mend` to go on with."""

    file: str
    start: int
    end: int

    def __call__(
        self, code: str, message: str, help: str | None, fix: str | None, mend: str | None = None
    ) -> Complaint:
        span = Span(self.file, self.start, self.end)
        repair = Fix(span, fix) if fix is not None else None
        replacement = fix if mend is None else mend
        edits = () if replacement is None else (Edit(self.start, self.end, replacement),)
        return Complaint(Diagnostic(code, span, message, help, repair), edits)


def _conflict(make: _Maker, piece: str) -> Complaint:
    blank = re.sub(r"[^\n]", " ", piece)
    mark = piece[:7]
    message = f"A merge conflict is left in this file: `{mark}`."
    return make("E0131", message, "keep one of the two versions and delete the marks", None, blank)


def _unclosed_text(make: _Maker, kind: str, text: str) -> Complaint:
    piece = text[make.start : make.end]
    if kind == "text":
        help = 'end it with `"` on its line; a text of several lines stands in `"""`'
        where = Span(make.file, make.end, make.end)
        diagnostic = Diagnostic(
            "E0102",
            Span(make.file, make.start, make.end),
            "This text is not closed.",
            help,
            Fix(where, '"', certain=False),
        )
        # Braces of an unclosed text are no expressions: they would hide what follows.
        inside = re.sub(r"[{}\\]", " ", piece[1:])
        return Complaint(diagnostic, (Edit(make.start, make.end, f'"{inside}"'),))
    if kind == "brace":
        plain = '"' + re.sub(r"[{}\\]", " ", piece[1:-1]) + '"'
        message = "A `{` in this text is not closed."
        return make("E0115", message, "write `\\{` where a brace is meant", None, plain)
    first = piece.split("\n", 1)[0]
    lines = re.sub(r"[^\n]", " ", piece[3:])
    help = 'end it with `"""`'
    mended = make("E0102", 'This `"""` text is not closed.', help, None, f'""""""{lines}')
    span = Span(make.file, make.start, make.start + len(first))
    diagnostic = Diagnostic("E0102", span, mended.diagnostic.message, help)
    return Complaint(diagnostic, mended.edits)


def _comment(make: _Maker, piece: str, text: str) -> Complaint:
    blank = re.sub(r"[^\n]", " ", piece)
    if piece.startswith("//"):
        body = piece[2:].rstrip()
        return make("E0104", "A comment begins with `#`, not `//`.", None, f"#{body}", blank)
    body = piece.removeprefix("/*").removesuffix("*/").strip()
    lines = "\n".join(f"# {line.strip().lstrip('* ')}".rstrip() for line in body.split("\n"))
    # Behind `#` the rest of the line is comment too.
    last = not text[make.end :].partition("\n")[0].strip()
    fix = lines if piece.endswith("*/") and "\n" not in piece and last else None
    message = "A comment begins with `#` and ends with its line; there is no `/* … */`."
    return make("E0104", message, "begin each of its lines with `#`", fix, blank)


# Of no width: between the letters of a name, most often.
_UNSEEN = "\u00a0\u1680\u202f\u205f\u2060\u3000" + "".join(map(chr, range(0x2000, 0x200E)))
_NO_WIDTH = "\u200b\u200c\u200d\u2060"


def _unseen(make: _Maker, piece: str) -> Complaint:
    """Blanks of word processors and web pages, which nobody sees in a copied text."""
    mended = re.sub(f"[{_NO_WIDTH}]", "", piece)
    mended = " " * len(mended)
    code = f"U+{ord(piece[0]):04X}"
    if not mended:
        message = f"A character that can't be seen stands here: {code}."
        return make("E0101", message, "take it away", "", "")
    message = f"This is no plain blank, but the character {code}."
    return make("E0101", message, "write a blank", mended, mended)


def _slash(make: _Maker, piece: str, text: str) -> Complaint:
    unit = piece[1:].strip()
    unit = {"mo": "month", "yr": "year"}.get(unit, unit)
    blank = "" if text[make.start - 1].isspace() else " "
    message = f"A price is written `per {unit}`, not `{piece}`."
    return make("E0138", message, None, f"{blank}per {unit}")


def _quotes(make: _Maker, piece: str) -> Complaint:
    if len(piece) < 2:
        message = f"{piece} means nothing here; a text stands in straight double quotes."
        return make("E0121", message, None, None, " ")
    inside = piece[1:-1]
    plain = '"' + re.sub(r'["\\{}]', " ", inside) + '"'
    fix = f'"{inside}"' if not re.search(r'["\\{}]', inside) else None
    message = 'A text stands in straight double quotes, as in `"text"`.'
    return make("E0121", message, None, fix, plain)


_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}


def _currency_sign(make: _Maker, piece: str, text: str) -> Complaint:
    code = _SIGNS[piece[0]]
    amount = piece[1:].strip().replace(",", "_").rstrip("_")
    if amount:
        behind = re.compile(r"[ \t]?([A-Z]{3})\b").match(text, make.end)
        if behind and behind[1] in EXPONENTS:
            make, code = _Maker(make.file, make.start, behind.end()), behind[1]
        fix = f"{amount} {code}"
        message = f"Money is written with its currency's code: `{fix}`."
        return make("E0116", message, None, fix)
    before = re.compile(r"[0-9][0-9_.]*[ \t]?\Z").search(text, max(0, make.start - 40), make.start)
    if before:
        message = f"Money is written with its currency's code: `{before[0].strip()} {code}`."
        return make("E0116", message, None, code if before[0][-1] in " \t" else f" {code}")
    message = f"`{piece}` means nothing here; money is written `29 {code}`."
    return make("E0116", message, None, None, " ")


def _amount(make: _Maker, piece: str) -> Complaint:
    fix = f"{piece[:-3].strip()} {piece[-3:].upper()}"
    message = f"Money is an amount, a blank and a currency code in capitals: `{fix}`."
    return make("E0117", message, None, fix)


def _date(make: _Maker, piece: str) -> Complaint:
    """A date that would be read as a division or a subtraction."""
    parts = [int(part) for part in re.split("[/.-]", piece)]
    if parts[0] > 31:
        year, month, day = parts
    else:
        # The larger of day and month is the day; where both could be either, nobody can tell.
        first, second, year = parts
        month, day = (first, second) if second > 12 else (second, first)
        if first <= 12 and second <= 12 and first != second:
            year = 0
    fix = f"{year}-{month:02}-{day:02}" if year and 0 < month <= 12 and 0 < day <= 31 else None
    message = f"`{piece}` is no date: a date is year-month-day, with two digits each."
    help = f"did you mean `{fix}`?" if fix else "write it as `2026-01-31`"
    return make("E0112", message, help, fix, fix or "2026-01-01")


def _points(make: _Maker, piece: str) -> Complaint:
    if re.fullmatch(r"\d{1,2}\.\d{1,2}\.\d{4}", piece):
        return _date(make, piece)
    help = "a number has one point; a version or an address is a text: put it in quotes"
    return make("E0110", f"`{piece}` is no number.", help, None, ".".join(piece.split(".")[:2]))


_OPERATORS = {"&&": "and", "||": "or", "===": "==", "!==": "!=", "!": "not"}


def _operator(make: _Maker, piece: str, text: str) -> Complaint:
    word = _OPERATORS[piece]
    if piece in ("===", "!=="):
        message = f"There is no `{piece}`; values are compared with `{word}`."
        return make("E0125", message, None, word)
    before = text[make.start - 1 : make.start] if make.start else " "
    if (
        piece == "||"
        and re.compile(r'\s*"').match(text, make.end)
        and (text[max(0, make.start - 20) : make.start].rstrip().endswith('"'))
    ):
        return make("E0118", "There is no `||`; between texts write `|`.", None, "|")
    behind = text[make.end : make.end + 1]
    left = "" if before.isspace() or before in "([{" else " "
    right = "" if behind.isspace() else " "
    message = f"There is no `{piece}`; write `{word}`."
    return make("E0118", message, None, f"{left}{word}{right}")


def _semicolon(make: _Maker, text: str) -> Complaint:
    rest = text[make.end : make.end + 200].split("\n", 1)[0].strip()
    last = not rest or rest.startswith("#")
    message = "A statement ends with its line, not with `;`."
    return make("E0123", message, None, "" if last else "\n", None if last else "\n")
